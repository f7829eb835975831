#!/usr/bin/env bats
# What the system does to a tool: descriptors closed, signals, limits, calls that fail. It ends with the right bytes, or with
# exit 1, one line and nothing left behind. tests/faults/ has the long form of this.

load helpers

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	printf 'item_id,title\n' >items.csv
	printf 'user_id,item_id,timestamp\n' >events.csv
	local i
	for i in 1 2 3 4 5 6 7 8 9; do
		printf 'i%s,word%s lamp\n' $i $((i % 4)) >>items.csv
		printf 'u%s,i%s,1\nu%s,i%s,2\nu%s,i%s,3\nu%s,i1,4\n' $i $i $i $((i % 5 + 1)) $i $((i % 7 + 2)) $i >>events.csv
	done
	seq-tokenize -q --no-history --items items.csv events.csv -o data.tar.zst
	train -o model.tar.zst
	seq-rank -q --no-history -k 3 model.tar.zst -o ranking.tar.zst
}

setup() {
	own_folder
}

train() {
	seq-train -q --no-history -j1 --epochs 2 --hidden-size 8 --layers 1 --heads 1 "$@" "$BATS_FILE_TMPDIR/data.tar.zst"
}

# endless OPTION...: a training that only a signal ends, as far as a test goes; the shell ignores some for what it starts
# in the background
endless() {
	exec env --default-signal=INT,QUIT seq-train -q --epochs 50000 --patience 50000 "$@" data.tar.zst
}

# nothing is left in this folder of a tool that writes `out`
nothing_left() {
	[ ! -e out ]
	! compgen -G '.recpipe*'
}

@test "closed standard descriptors are nobody's file" {
	local closed
	for closed in '<&-' '>&-' '2>&-' '<&- 2>&-' '<&- >&- 2>&-'; do
		eval "seq-train -j1 --no-history --epochs 2 --hidden-size 8 --layers 1 --heads 1 data.tar.zst -o out $closed" </dev/null 2>/dev/null
		cmp out model.tar.zst
		eval "rec-eval ranking.tar.zst -o out $closed" </dev/null 2>/dev/null
		rec-eval ranking.tar.zst | cmp - out
		rm out
	done
	fails bash -c 'seq-rank -q --serve model.tar.zst <&-'
	says "stdin: Bad file descriptor"
	fails bash -c 'rec-eval -q ranking.tar.zst >&-'
	says "stdout: Bad file descriptor"
	fails bash -c 'seq-train -q <&- -o out'
	says "stdin: Bad file descriptor"
	nothing_left
}

@test "help and version that cannot be written" {
	[ -e /dev/full ] || skip "no /dev/full"
	fails bash -c 'seq-rank --help >/dev/full'
	says "stdout: No space left"
	fails bash -c 'seq-rank --version >/dev/full'
	says "stdout: No space left"
}

@test "an output takes the place, the mode and the links of the file that is there" {
	printf old >out
	chmod 640 out
	ln -s out link
	ln -s link further
	train -o further
	cmp out model.tar.zst
	[ "$(stat -c %a out)" = 640 ]
	[ -L further ]
	[ "$(readlink link)" = out ]
	mkdir folder
	ln -s folder/new dangling
	train -o dangling
	cmp folder/new model.tar.zst
	(umask 027 && train -o private)
	[ "$(stat -c %a private)" = 640 ]
	ln -s a b && ln -s b a
	fails train -o a
	says "Too many levels of symbolic links"
	fails train -o ''
	fails train -o folder/
}

@test "names as long as the file system takes them" {
	local name
	name=$(printf 'n%.0s' {1..255})
	train -o "$name"
	train -o "$name" # in its place
	cmp "$name" model.tar.zst
	fails train -o "n$name"
	says "File name too long"
}

@test "a checkpoint replaces nothing but itself" {
	train --checkpoint state -o out
	cp state kept
	fails train --checkpoint state -o other
	says "state: is there already"
	cmp state kept
	cp data.tar.zst input
	fails train --checkpoint input -o other
	says "input: is there already"
	fails train --checkpoint input --resume -o other
	cmp input data.tar.zst
	fails train --checkpoint other -o other
	says "other: two things"
	fails train --checkpoint ./other -o "$PWD/other"
	fails train --checkpoint . -o other
	fails train --checkpoint /dev/null -o other
	[ ! -e other ]
	train --checkpoint state --resume -o other
	cmp other out
}

@test "a checkpoint that cannot be written is an error before the first epoch" {
	fails seq-train -q --epochs 100000 --patience 100000 --checkpoint no/folder/state -o out data.tar.zst
	says no/folder/state
	nothing_left
}

@test "a checkpoint that another training writes is left to it" {
	local ended
	endless --checkpoint state --checkpoint-every 0 -o out &
	until [ -e state ] || ! kill -0 $! 2>/dev/null; do sleep 0.01; done
	# what comes in the moment in which it is replaced is lost
	while kill -0 $! 2>/dev/null; do
		cp ranking.tar.zst x && mv x state
		sleep 0.05
	done
	ended=0
	wait $! || ended=$?
	[ "$ended" = 1 ]
	cmp state ranking.tar.zst
	nothing_left
}

# What the first INT or TERM of a training does is in seq-train.bats.
@test "a signal ends a tool with a line, its own status and nothing left" {
	local signal number ended
	for signal in HUP QUIT XCPU; do
		rm -f state
		(ulimit -c 0 && endless --checkpoint state -o out 2>said) &
		until [ -e state ]; do sleep 0.01; done
		kill -s $signal $!
		ended=0
		wait $! || ended=$?
		number=$(kill -l $signal)
		[ "$ended" = $((128 + number)) ]
		[ "$(wc -l <said)" = 1 ]
		nothing_left
		rm said
	done
}

@test "a killed tool leaves nothing where files may have no name" {
	needs python3
	python3 -c 'import os; os.open(".", os.O_TMPFILE | os.O_RDWR)' || skip "a file system without O_TMPFILE"
	local ended
	endless --checkpoint state --checkpoint-every 0 -o out &
	until [ -e state ]; do sleep 0.01; done
	kill -KILL $!
	ended=0
	wait $! || ended=$?
	[ "$ended" = 137 ]
	nothing_left
}

@test "what a killed tool left of a file goes with the next that is written there" {
	train -o out
	printf half >.recpipe-out
	train -o out
	cmp out model.tar.zst
	rm out
	nothing_left
}

@test "a file size limit is an error of the write" {
	fails bash -c 'ulimit -f 1; seq-train -q data.tar.zst -o out'
	says "out: File too large"
	nothing_left
}

@test "a pipe that others have set not to wait is waited for" {
	needs python3
	local tool
	for tool in 'seq-rank -q --no-history -k 3' 'seq-rank -q -k 3 --format tsv' 'seq-rank -q -k 3 --serve model.tar.zst'; do
		printf 'u\ti1 i2\n' >request
		local input=model.tar.zst
		[ "${tool##* }" != model.tar.zst ] || input=request
		$tool <$input >expected
		# both ends are slow: the tool meets an empty stdin and, with pipes of a page, a full stdout
		python3 - "$input" $tool <<-'END'
			import fcntl, os, subprocess, sys, time
			data = open(sys.argv[1], "rb").read()
			stdin, feed = os.pipe()
			drain, stdout = os.pipe()
			fcntl.fcntl(stdout, fcntl.F_SETPIPE_SZ, 4096)
			os.set_blocking(stdin, False), os.set_blocking(stdout, False)
			tool = subprocess.Popen(sys.argv[2:], stdin=stdin, stdout=stdout)
			os.close(stdin), os.close(stdout)
			time.sleep(0.3)
			half = len(data) // 2
			os.write(feed, data[:half]), time.sleep(0.1), os.write(feed, data[half:]), os.close(feed)
			time.sleep(0.3)
			open("got", "wb").write(open(drain, "rb").read())
			sys.exit(tool.wait())
		END
		cmp got expected
	done
}

@test "a short address space is an error, not a wait for ever" {
	! ldd "$RECPIPE_BIN/seq-train" | grep asan || skip "sanitizers need more address space than there is"
	# its threads of its own take room before anything is read
	! realpath "$(ldd "$RECPIPE_BIN/seq-train" | awk '/openblas/ { print $3 }')" | grep pthread || skip "OpenBLAS is the one with pthreads"
	export OMP_NUM_THREADS=1
	local size
	for size in 200000 300000; do
		fails bash -c "ulimit -v $size; timeout -s KILL 60 seq-train -q -j1 data.tar.zst -o out"
		fails bash -c "ulimit -v $size; timeout -s KILL 60 seq-rank -q -j1 model.tar.zst -o out"
		nothing_left
	done
}

@test "more threads than the system starts are an error in a line" {
	needs setpriv
	[ "$(id -u)" = 0 ] || skip "only root becomes somebody who has no other processes"
	! ldd "$RECPIPE_BIN/seq-train" | grep asan || skip "sanitizers start threads of their own"
	chmod 777 .
	fails setpriv --reuid=54321 --clear-groups bash -c "ulimit -u 2; exec seq-train -q -j8 data.tar.zst -o out"
	nothing_left
}

refused() {
	! "$@" 2>said || return 1
	[ "$(wc -l <said)" = 1 ]
	grep -q UTF-8 said
}

@test "arguments that are not UTF-8 are kept, or refused, and nothing is lost with them" {
	local odd=$'\xff\xfe.zst'
	cp data.tar.zst "$odd"
	seq-train -q --arch popular "$odd" -o out
	tar --zstd -xOf out log/00-seq-train.json | grep -F "\$'\\\\xff\\\\xfe.zst'"
	rm out
	refused item-project -q --from tfidf --template $'\xff {title}' data.tar.zst -o out
	refused seq-tokenize -q --domain $'\xff=items.csv,events.csv' -o out
	nothing_left
	cp ranking.tar.zst "$odd"
	rec-eval -q --json --versus "$odd" ranking.tar.zst -o $'\xff.json'
	grep -qF '"versus": "??.zst"' $'\xff.json'
	seq-tokenize -q --items $'\xff.csv' events.csv -o out 2>said || grep 'No such file' said
}

@test "a request of unknown items is a line with their number" {
	{ printf 'u\ti1'; printf ' x%.0s' {1..50000}; printf '\n'; } >request
	seq-rank -q -k 1 --serve model.tar.zst <request 2>said | grep '^u	i'
	[ "$(wc -l <said)" = 1 ]
	grep -q 'line 1: 50000 unknown items, the first is "x"' said
}

# the long form's programs, on every so many of their cases
some() {
	local program=$1
	shift
	needs_numpy
	! grep -qE '__asan_init|__gcov_init' "$RECPIPE_BIN/seq-train" ||
		skip "what is built into the tools here allocates and writes for itself"
	[ -e inputs ] || "$ROOT/tests/faults/inputs.sh" inputs
	"$ROOT/tests/faults/$program" inputs "$@"
}

@test "some calls that fail" {
	local shim=$RECPIPE_BIN/../faults/fault.so
	some calls.py --shim "$shim" --kinds eio-read,enospc-write,short-read,short-write,eintr-read,eagain-read,eagain-write
	some calls.py --shim "$shim" --kinds alloc --every 97
	some calls.py --shim "$shim" --kinds no-memory --every 47
	some calls.py --shim "$shim" --kinds fsync,rename,linkat,close,clone3 --tools seq-train
}

@test "some damaged streams" {
	some damage.py --every 499
}

@test "some hostile streams" {
	some hostile.py --every 101
}

@test "some killed trainings" {
	some kills.py --kills 4 --trainings "sasrec -j2,table"
}

@test "an input that never ends" {
	[ -e /dev/zero ] || skip "no /dev/zero"
	fails timeout -s KILL 30 seq-tokenize -q /dev/zero -o out
	says "/dev/zero: not text"
	fails timeout -s KILL 30 seq-train -q /dev/zero -o out
	says /dev/zero
	nothing_left
}
