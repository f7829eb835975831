# recpipe: sequential recommendation as Unix filters.
#
#   make              the tools, into build/bin; installs nothing, and says what is missing
#   make demo         installs what is missing, builds, and runs the pipeline on examples/
#   make check        installs what is missing, builds, and runs every test (minutes)
#   make check-long   the same, then under the sanitizers, then the published figures (hours)
#   make coverage     which lines of lib and tools the tests run, by file and in all, from build-coverage (gcovr)
#   make format       every .c and .h as .clang-format has it (clang-format 14)
#   make lint         whether they are, and what cppcheck finds
#   make bench        speed beside other programs
#   make growth       time and memory by the size of the data
#   make fuzz         FUZZ_SECONDS (60) of each fuzz target; needs clang
#   make html         the man pages for a browser, into build/html (mandoc)
#   make deb          a Debian package for the release it is made on, into build
#   make install      PREFIX (/usr/local), DESTDIR; and make uninstall
#   CC=clang BUILD=build-clang   another compiler, beside
#   SAN=1             with any of these: AddressSanitizer and UBSan, in build-san
#   MPI=1             with make and make install: seq-train for `mpirun -n N`, in build-mpi/bin;
#                     needs Open MPI (Debian's libopenmpi-dev and openmpi-bin)
#   V=1               prints whole commands

VERSION := 0.2.0
PREFIX ?= /usr/local
CC ?= cc
BUILD := build$(if $(SAN),-san)$(if $(COVERAGE),-coverage)
# where the tools are put together; what they are made of is the same but for one object
LINKED := $(BUILD)$(if $(MPI),-mpi)
# -g1: functions and lines, as backtraces name them; all of -g takes an eighth longer to compile
CFLAGS ?= -O3 -g1
FUZZ_SECONDS ?= 60
comma := ,
Q = $(if $(V),,@echo "  $@"; )

BLAS_CFLAGS := $(shell pkg-config --cflags openblas 2>/dev/null)
BLAS_LIBS := $(or $(shell pkg-config --libs openblas 2>/dev/null),-lopenblas)
# fields that an initialiser leaves out are zero, and meant to be
WARNINGS := -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
SANITIZE := $(if $(SAN),-O1 -fno-omit-frame-pointer -fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined)
# counts are written by exit(), and who dies leaves by _exit()
COUNTED := $(if $(COVERAGE),-O1 --coverage -fprofile-update=atomic -Wl$(comma)--wrap=_exit)
override CPPFLAGS += -D_GNU_SOURCE -Ilib $(BLAS_CFLAGS)
override CFLAGS += -std=c11 -fopenmp -fno-math-errno -fno-trapping-math -MMD -MP $(WARNINGS) $(SANITIZE) $(COUNTED) \
	-ffunction-sections -fdata-sections
# as needed: what a tool does not call it does not wait for, of which OpenBLAS takes longest to start: where it stands first its
# 12,000 names are not looked for in the others before. (lib/rank/http.c loads libmicrohttpd when it is asked for.)
LDLIBS := -Wl,--as-needed $(BLAS_LIBS) -lmvec -lm -lzstd -lz -ljansson -lpcre2-8 -lutf8proc -lcsv

TOOLS := $(patsubst tools/%.c,%,$(wildcard tools/*.c))
FLOORS := stream data nn model rank task
# of vec.c one for each level of lib/nn/cpu.h that the architecture has
VEC_OBJECTS := $(patsubst %,$(BUILD)/lib/nn/vec_%.o,base $(if $(filter x86_64%,$(shell $(CC) -dumpmachine)),avx2 avx512))
LIB_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out lib/nn/vec.c,$(wildcard $(FLOORS:%=lib/%/*.c)))) \
	$(if $(filter nn,$(FLOORS)),$(VEC_OBJECTS)) $(if $(COVERAGE),$(BUILD)/tests/unit/counted.o)
UNITS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))
MODELLED := $(if $(filter x86_64%,$(shell $(CC) -dumpmachine)),$(addprefix $(BUILD)/modelled/,test_bf16 test_integer test_precision test_rank))
MODELLED_OBJECTS := $(addprefix $(BUILD)/modelled/,tests/unit/modelled/instructions.o lib/nn/bf16_kernels.o lib/nn/integer.o \
	lib/nn/kernel.o lib/rank/rank_scan.o)
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))

all: $(TOOLS:%=$(LINKED)/bin/%)

$(LINKED)/bin/%: $(LINKED)/called/%.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# What a tool calls of our library: told apart before those of others are there, of which it then waits for what that needs
$(LINKED)/called/%.o: $(BUILD)/tools/%.o $(BUILD)/librecpipe.a
	@mkdir -p $(@D)
	$(Q)$(CC) -r -nostdlib -Wl,--gc-sections -Wl,-e,main -o $@ $(filter %.o,$^) $(filter %.a,$^)

$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/librecpipe.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka $(LDLIBS)

$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/librecpipe.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/librecpipe.a: $(LIB_OBJECTS)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/%.o: %.c | $(BUILD)/packages
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# the commit, of a build in a clone; `+` where something is not committed. From a tarball: none
$(BUILD)/commit: ask-git
	@mkdir -p $(@D)
	@commit=$$([ ! -e .git ] || git describe --always --exclude='*' --dirty=+ 2>/dev/null); \
		[ -e $@ ] && [ "$$commit" = "$$(cat $@)" ] || echo "$$commit" >$@
$(BUILD)/lib/stream/version.o: CPPFLAGS += -DVERSION='"$(VERSION)"' -DCOMMIT="\"$$(cat $(BUILD)/commit)\""
$(BUILD)/lib/stream/version.o: $(BUILD)/commit Makefile

# exp, tanh and erf over arrays; nothing else may reorder or assume finite arithmetic. Quotients and roots are exact: what
# processors approximate differs between their makers
$(VEC_OBJECTS): $(BUILD)/lib/nn/vec_%.o: lib/nn/vec.c | $(BUILD)/packages
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DVEC_LEVEL=$* $(CFLAGS) -ffast-math -ffp-contract=fast $(EXACT) $(MARCH_$*) -c -o $@ $<
EXACT := -fno-reciprocal-math $(if $(filter x86_64%,$(shell $(CC) -dumpmachine)),-mrecip=$(if $(findstring clang,$(CC)),none,'!all'))
MARCH_avx2 := -march=x86-64-v3
MARCH_avx512 := -march=x86-64-v4

# which includes it
$(BUILD)/lib/rank/page.o: lib/rank/page.html

ifdef MPI
$(LINKED)/ranks.o: lib/stream/ranks.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DRECPIPE_MPI $(shell pkg-config --cflags ompi-c) $(CFLAGS) -c -o $@ $<

# instead of the library's own
$(LINKED)/called/seq-train.o: $(LINKED)/ranks.o
$(LINKED)/bin/seq-train: LDLIBS += $(shell pkg-config --libs ompi-c)
endif

# --- set-up: what a bare machine lacks, as probe=package; a probe is a program, a header or python:module

# to compile
COMPILE_NEEDS := \
	$(firstword $(CC))=$(if $(findstring clang,$(CC)),clang,gcc) \
	$(if $(findstring clang,$(CC)),omp.h=libomp-dev) \
	stdio.h=libc6-dev \
	zstd.h=libzstd-dev \
	zlib.h=zlib1g-dev \
	csv.h=libcsv-dev \
	jansson.h=libjansson-dev \
	pcre2.h=libpcre2-dev \
	utf8proc.h=libutf8proc-dev \
	microhttpd.h=libmicrohttpd-dev \
	cblas.h=libopenblas-openmp-dev
# and to look at streams
BUILD_NEEDS := $(COMPILE_NEEDS) pkg-config=pkg-config zstd=zstd tar=tar
# of the tests; nothing that starts a server: without sshd and mpirun their tests say that they are skipped
CHECK_NEEDS := \
	bats=bats \
	parallel=parallel \
	cmocka.h=libcmocka-dev \
	mandoc=mandoc \
	shellcheck=shellcheck \
	bsdtar=libarchive-tools \
	python3=python3 \
	python:numpy=python3-numpy \
	nc=netcat-openbsd \
	curl=curl \
	gnuplot=gnuplot-nox \
	ssh=openssh-client
CLANG_NEEDS := clang=clang omp.h=libomp-dev sanitizer/allocator_interface.h=libclang-rt-dev
LINT_NEEDS := clang-format=clang-format cppcheck=cppcheck

# In a recipe line: the packages that are missing.
look = missing=; for need in $(1); do probe=$${need%=*}; \
	case $$probe in \
	*.h) $(CC) $(CPPFLAGS) -DPCRE2_CODE_UNIT_WIDTH=8 -include stdarg.h -include stddef.h -include setjmp.h \
		-include stdint.h -include $$probe -E -x c /dev/null >/dev/null 2>&1 ;; \
	python:*) python3 -c "import $${probe\#*:}" 2>/dev/null ;; \
	*) command -v $$probe >/dev/null ;; \
	esac || missing="$$missing $${need\#*=}"; done
# A recipe line: installs as root or with sudo, or says what to run.
need = @$(look); [ -z "$$missing" ] && exit; \
	install="env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends$$missing"; \
	if ! command -v apt-get >/dev/null; then echo "Missing, by the names of Debian's packages:$$missing"; exit 1; \
	elif [ "$$(id -u)" = 0 ]; then sudo=; \
	elif sudo -n true 2>/dev/null || { [ -t 0 ] && command -v sudo >/dev/null; }; then sudo=sudo; \
	else echo "Missing packages. As root, run: apt-get update && $$install"; exit 1; fi; \
	echo "Installing$$missing"; $$sudo apt-get update -q </dev/null && $$sudo $$install </dev/null \
	|| { echo "This failed: apt-get update && $$install"; exit 1; }

# A make of its own, so that packages just installed are seen; as many jobs as there are processors.
again = @$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# make alone installs nothing, but says what to install rather than what it cannot include
$(BUILD)/packages:
	@$(call look,$(COMPILE_NEEDS)); [ -z "$$missing" ] || { echo "Missing, by the names of Debian's packages:$$missing." \
		"make demo installs them."; exit 1; }
	@mkdir -p $(@D) && touch $@

demo:
	$(call need,$(BUILD_NEEDS))
	$(again) all
	@RECPIPE_BIN=$(CURDIR)/$(LINKED)/bin examples/demo.sh

check:
	$(call need,$(BUILD_NEEDS) $(CHECK_NEEDS))
	$(again) MPI= all units
	$(if $(shell pkg-config --exists ompi-c 2>/dev/null && echo 1),$(again) MPI=1 all)
	@tests/run $(BUILD)

# The code for processors that this one may not be, by a model of their instructions: the same tests, of the same sources.
MODELLED_FLAGS := -isystem tests/unit/modelled -Wno-psabi -ffp-contract=off
$(BUILD)/modelled/%.o: %.c tests/unit/modelled/immintrin.h | $(BUILD)/packages
	@mkdir -p $(@D)
	$(Q)$(CC) $(MODELLED_FLAGS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/modelled/%: $(BUILD)/tests/unit/%.o $(MODELLED_OBJECTS) $(BUILD)/librecpipe.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--wrap=cpu_level,--wrap=cpu_best,--wrap=cpu_use -o $@ $^ -lcmocka $(LDLIBS)

units: $(UNITS) $(MODELLED) $(BENCHES) $(BUILD)/faults/fault.so # benches are built too: they must not rot

# preloaded into the tools by tests/faults
$(BUILD)/faults/fault.so: tests/faults/fault.c
	@mkdir -p $(@D)
	$(Q)$(CC) -O1 -g -shared -fPIC $(WARNINGS) -o $@ $<

check-long: check
	$(MAKE) SAN=1 check
	@RECPIPE_BIN=$(CURDIR)/$(BUILD)/bin tests/faults/run
	@RECPIPE_BIN=$(BUILD)/bin tests/defaults.sh
	@RECPIPE_BIN=$(BUILD)/bin tests/figures.sh all

coverage:
	$(call need,$(BUILD_NEEDS) $(CHECK_NEEDS) gcovr=gcovr)
	$(again) COVERAGE=1 all units
	@find build-coverage -name '*.gcda' -delete
	@GCOV_ERROR_FILE=/dev/null tests/run build-coverage || echo "Tests failed; what they ran is counted."
	@cd build-coverage && gcovr --root .. --filter ../lib/ --filter ../tools/ --sort-percentage . -o lines.txt && cat lines.txt

format:
	$(call need,clang-format=clang-format)
	@find lib tools tests -name '*.[ch]' -exec clang-format -i {} +

lint:
	$(call need,$(LINT_NEEDS))
	@tests/lint.sh

bench: all $(BENCHES)
	@cd tests/bench && failed=; for bench in bench_*.sh bench_*.py; do \
		RECPIPE_BIN=$(CURDIR)/$(BUILD)/bin RECPIPE_BENCH=$(CURDIR)/$(BUILD)/bench ./$$bench || failed="$$failed $$bench"; \
		done; [ -z "$$failed" ] || { echo "these benches failed:$$failed" >&2; exit 1; }

growth: all $(BUILD)/bench/events
	@RECPIPE_BIN=$(CURDIR)/$(BUILD)/bin RECPIPE_BENCH=$(CURDIR)/$(BUILD)/bench tests/bench/growth.py

FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz: CC := clang # which has its omp.h elsewhere
fuzz:
	$(call need,$(BUILD_NEEDS) $(CLANG_NEEDS))
	@$(MAKE) --no-print-directory BUILD=build-fuzz CC=clang FLOORS="stream data nn model" \
		CFLAGS="-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined" \
		$(FUZZERS:%=build-fuzz/%)
	@tests/fuzz/seeds.py build-fuzz/seeds
	@for target in $(FUZZERS); do tests/fuzz/run build-fuzz/$$target $(FUZZ_SECONDS) || exit; done

build-fuzz/fuzz_%: build-fuzz/tests/fuzz/fuzz_%.o build-fuzz/librecpipe.a
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer -Wl,--wrap=_exit,--wrap=write,--wrap=mmap,--wrap=munmap -o $@ $^ $(LDLIBS)

# --- installation

BIN := $(DESTDIR)$(PREFIX)/bin
MAN := $(DESTDIR)$(PREFIX)/share/man
COMPLETIONS := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
PAGES := $(notdir $(wildcard man/*.[157]))

install: all
	install -d $(BIN) $(COMPLETIONS) $(MAN)/man1 $(MAN)/man5 $(MAN)/man7
	install $(TOOLS:%=$(LINKED)/bin/%) $(BIN)
	for page in $(PAGES); do install -m 644 man/$$page $(MAN)/man$${page##*.}/ || exit; done
	install -m 644 tools/completion.bash $(COMPLETIONS)/recpipe
	for tool in $(TOOLS); do ln -sf recpipe $(COMPLETIONS)/$$tool || exit; done

uninstall:
	rm -f $(TOOLS:%=$(BIN)/%) $(COMPLETIONS)/recpipe $(TOOLS:%=$(COMPLETIONS)/%)
	for page in $(PAGES); do rm -f $(MAN)/man$${page##*.}/$$page; done

html:
	$(call need,mandoc=mandoc)
	@mkdir -p $(BUILD)/html
	@for page in $(PAGES); do mandoc -T html -O toc,man=%N.%S.html man/$$page >$(BUILD)/html/$$page.html || exit; done
	@cp $(BUILD)/html/recpipe.7.html $(BUILD)/html/index.html && echo $(BUILD)/html/index.html

deb: FOLDER := $(BUILD)/deb
deb: all
	@rm -rf $(FOLDER) && $(MAKE) -s install DESTDIR=$(CURDIR)/$(FOLDER) PREFIX=/usr
	@strip $(TOOLS:%=$(FOLDER)/usr/bin/%) && find $(FOLDER)/usr/share/man -type f -exec gzip -9n {} +
	@install -d $(FOLDER)/usr/share/doc/recpipe && cp -r README.md NEWS.md examples $(FOLDER)/usr/share/doc/recpipe/
	@install -m 644 LICENSE $(FOLDER)/usr/share/doc/recpipe/copyright
	@tools/deb.bash $(FOLDER) $(BUILD)/recpipe_$(VERSION)_$$(dpkg --print-architecture).deb $(VERSION)

clean:
	rm -rf build build-mpi build-san build-san-mpi build-fuzz build-clang build-coverage

.PHONY: ask-git all demo check units check-long coverage format lint bench growth fuzz html deb install uninstall clean
.SECONDARY:
.DELETE_ON_ERROR:
-include $(shell find $(sort $(BUILD) $(LINKED)) -name '*.d' 2>/dev/null)
