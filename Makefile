# recpipe: sequential recommendation as Unix filters.
#   make            build the tools into build/bin
#   make SAN=1      the same with AddressSanitizer and UBSan, into build-san/bin

PREFIX ?= /usr/local
CC ?= cc
BUILD := build$(if $(SAN),-san)
CFLAGS ?= -O3 -g
CPPFLAGS += -D_GNU_SOURCE -Ilib $(shell pkg-config --cflags libzstd jansson libpcre2-8 openblas 2>/dev/null)
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
override CFLAGS += -std=c11 -fopenmp -MMD -MP $(WARNINGS) $(if $(SAN),-O1 -fno-omit-frame-pointer -fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined)
comma := ,
LDLIBS := -lzstd -ljansson -lpcre2-8 -lcsv -lopenblas -lmvec -lm
TOOLS := $(patsubst tools/%.c,%,$(wildcard tools/*.c))
LIB_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard lib/*/*.c))

all: $(TOOLS:%=$(BUILD)/bin/%)

$(BUILD)/bin/%: $(BUILD)/tools/%.o $(BUILD)/librecpipe.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/librecpipe.a: $(LIB_OBJECTS)
	rm -f $@ && ar rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

clean:
	rm -rf build build-san

.PHONY: all clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
