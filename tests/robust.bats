#!/usr/bin/env bats
# Nothing wrong looks right: what is damaged, missing or mixed up is one line, exit 1, and no output file.
# The sweep over every block and a thousand random places is in unit/test_stream.c.

load helpers

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o shop.tar.zst
	seq-train -q --arch popular shop.tar.zst -o model.tar.zst
	seq-rank -q model.tar.zst -o ranking.tar.zst
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	shop=$BATS_FILE_TMPDIR/shop.tar.zst
	model=$BATS_FILE_TMPDIR/model.tar.zst
	ranking=$BATS_FILE_TMPDIR/ranking.tar.zst
}

filters=("seq-train --arch popular" "item-project --from tfidf" seq-rank rec-eval)

# every filter on FILE: an error that says WHAT, and nothing written
all_fail() {
	local filter
	for filter in "${filters[@]}"; do
		# shellcheck disable=SC2086
		fails $filter -q "$1" -o out.tar.zst
		says "$2"
		if compgen -G '*out.tar.zst*' || compgen -G '.*out.tar.zst*'; then
			return 1
		fi
	done
}

@test "truncated streams" {
	local size at
	size=$(stat -c %s "$ranking")
	for at in 1 3 4 5 11 100 512 5000 $((size / 3)) $((size / 2)) $((size - 100)) $((size - 4)) $((size - 1)); do
		head -c "$at" "$ranking" >cut.tar.zst
		all_fail cut.tar.zst cut.tar.zst
	done
}

@test "a flipped byte" {
	local size at
	size=$(stat -c %s "$ranking")
	for at in 0 4 20 700 $((size / 4)) $((size / 2)) $((size * 3 / 4)) $((size - 2)); do
		cp "$ranking" flipped.tar.zst
		# shellcheck disable=SC2059 # an octal number
		printf "\\$(printf %o $(($(od -An -tu1 -j "$at" -N 1 "$ranking") ^ 0x40)))" |
			dd of=flipped.tar.zst bs=1 seek="$at" conv=notrunc status=none
		[ "$(cmp -l "$ranking" flipped.tar.zst | wc -l)" = 1 ]
		all_fail flipped.tar.zst flipped.tar.zst
	done
}

@test "what is no stream at all" {
	: >empty
	echo 'user,item,time' >text.csv
	mkdir folder
	head -c 4096 /dev/zero >zeros
	all_fail empty empty
	all_fail text.csv text.csv
	all_fail folder folder
	all_fail zeros zeros
	all_fail missing.tar.zst missing.tar.zst
	all_fail /dev/null /dev/null
	zstd -q text.csv -o text.zst
	all_fail text.zst text.zst
}

@test "an empty standard input names stdin" {
	for filter in "${filters[@]}" "seq-tokenize"; do
		# shellcheck disable=SC2086
		fails $filter -q -o out.tar.zst </dev/null
		says stdin
		[ ! -e out.tar.zst ]
	done
}

@test "a stream without the group that a tool needs names it" {
	fails seq-rank -q "$shop"
	says model
	fails rec-eval -q "$model"
	says ranking
	tar --zstd -xf "$model"
	tar --format=ustar -cf only.tar model/meta.json model/config.json model/*.npy model/end.json
	fails seq-rank -q only.tar
	says catalog
	fails seq-train -q only.tar
	says catalog
}

@test "a full disk" {
	[ -e /dev/full ] || skip "no /dev/full"
	for filter in "seq-train --arch popular $shop" "item-project --from tfidf $shop" "seq-rank $model" "rec-eval $ranking" \
		"seq-tokenize $EXAMPLE/events.csv"; do
		# shellcheck disable=SC2086
		fails bash -c "$filter -q >/dev/full"
		says "No space left"
		fails bash -c "$filter -q -o /dev/full"
		says "No space left"
	done
}

# A reader that has left before the first byte: what `| head -c1` is to a stream larger than the pipe.
@test "a reader that leaves ends the writer quietly, or with one line where signals are ignored" {
	for filter in "seq-train --arch popular $shop" "item-project --from tfidf $shop" "seq-rank $model" \
		"seq-tokenize $EXAMPLE/events.csv" \
		"rec-eval -u $ranking"; do
		run bash -c "{ sleep 0.3; exec $filter -q 2>said; } | exec 0<&-; echo \${PIPESTATUS[0]}"
		[ "$output" = 141 ]
		[ ! -s said ]
		run bash -c "trap '' PIPE; { sleep 0.3; exec $filter -q 2>said; } | exec 0<&-; echo \${PIPESTATUS[0]}"
		[ "$output" = 1 ]
		[ "$(wc -l <said)" = 1 ]
	done
	run bash -c "seq-rank -q $model | head -c 1 | wc -c"
	[ "$output" = 1 ]
}

@test "a killed stage is noticed by the next, without pipefail" {
	set +o pipefail
	fails bash -c "{ head -c 30000 $ranking; kill -9 \$BASHPID; } | rec-eval -q -o out"
	says truncated
	fails bash -c "timeout -s KILL 0.3 seq-train -q --epochs 100000 --patience 100000 $shop 2>/dev/null | seq-rank -q -o out"
	[ ! -e out ]
}

@test "a failing tool never ends its frame, so every later stage fails too" {
	head -c 20000 "$shop" >cut.tar.zst
	run bash -c "seq-train -q --arch popular cut.tar.zst 2>first | seq-rank -q 2>second | rec-eval -q 2>third; echo \${PIPESTATUS[*]}"
	[ "$output" = "1 1 1" ]
	[ "$(cat first second third | wc -l)" = 3 ]
}

@test "a terminated tool leaves no unfinished file, and an old output stays" {
	echo old >out
	for signal in HUP QUIT; do
		run timeout -s $signal 0.5 seq-train -q --epochs 100000 --patience 100000 "$shop" -o out
		[ "$status" != 0 ]
	done
	mkfifo endless
	sleep 20 >endless &
	run timeout 0.5 seq-tokenize -q -o out endless
	[ "$status" != 0 ]
	kill $! && rm endless
	fails seq-rank -q "$shop" -o out
	[ "$(cat out)" = old ]
	[ "$(find . -type f ! -name stdout ! -name stderr | wc -l)" = 1 ]
}

@test "an output in a folder that is not there" {
	fails seq-train -q --arch popular "$shop" -o no/such/folder/out
	says no/such/folder/out
}

@test "a model of another catalog is an error that names both" {
	head -n 4000 "$EXAMPLE/events.csv" | seq-tokenize -q -o small.tar.zst
	sed -n '1p;2,4000{s/,/,other-/;p}' "$EXAMPLE/events.csv" | seq-tokenize -q -o others.tar.zst
	fails seq-rank -q "$model" others.tar.zst -o out.tar.zst
	says "model of $model knows other items than the catalog of others.tar.zst ("
	says ", 0 in common)"
	fails rec-eval -q "$ranking" small.tar.zst
	says "ranking of $ranking: of another catalog than that of small.tar.zst"
}

# edited STREAM PYTHON...: plain tars of the stream, edited.1.tar and so on, in each of which `members` (a list of [name, bytes]) are
# changed by its code
edited() {
	zstd -dcq "$1" | python3 -c '
import io, sys, tarfile
import numpy
source = tarfile.open(fileobj=sys.stdin.buffer, mode="r|")
unchanged = [[m.name, source.extractfile(m).read()] for m in source]
def data(name):
    return next(m for m in members if m[0] == name)
def array(name, change):
    member = data(name)
    changed = change(numpy.load(io.BytesIO(member[1])).copy())
    file = io.BytesIO()
    numpy.save(file, changed)
    member[1] = file.getvalue()
def put(a, i, value):
    a[i] = value
    return a
for number, code in enumerate(sys.argv[1:], 1):
    members = [list(m) for m in unchanged]
    exec(code)
    out = tarfile.open(f"edited.{number}.tar", "w", format=tarfile.USTAR_FORMAT)
    for name, content in members:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        out.addfile(info, io.BytesIO(content))
    out.close()' "${@:2}"
}

# refuse STREAM: of each line TOOL, PYTHON and TEXT of stdin, by tabs, the stream so changed is an error of the tool that has the text
refuse() {
	local tools=() codes=() texts=() tool code text i
	while IFS=$'\t' read -r tool code text; do
		tools+=("$tool") codes+=("$code") texts+=("$text")
	done
	edited "$1" "${codes[@]}"
	for i in "${!tools[@]}"; do
		fails "${tools[i]}" -q "edited.$((i + 1)).tar"
		says "${texts[i]}"
	done
	[ "${#tools[@]}" -gt 0 ]
}

@test "values out of range, NaN, wrong shapes and types" {
	needs_numpy
	refuse "$model" <<-'END'
		seq-rank	array("sequences/000000.item.npy", lambda a: put(a, 5, 99999))	99999
		seq-train	array("sequences/000000.item.npy", lambda a: put(a, 5, -1))	-1
		seq-train	array("sequences/000000.item.npy", lambda a: a.astype("<f4"))	item
		seq-train	array("sequences/000000.item.npy", lambda a: a[:-1])	item
		seq-train	array("sequences/000000.indptr.npy", lambda a: put(a, 1, 1 << 60))	indptr
		seq-rank	array("model/count.npy", lambda a: put(a, 3, numpy.nan))	model/count
		seq-rank	array("model/count.npy", lambda a: a[:-1])	model/count
		seq-rank	array("model/count.npy", lambda a: a.astype("<i4"))	model/count
		seq-rank	members.remove(data("model/count.npy"))	count
		seq-rank	array("model/item_events.npy", lambda a: put(a, 3, -2))	model/item_events.npy: row 3: -2 events, 0 or more were expected
		seq-rank	array("model/item_events.npy", lambda a: a[:-1])	model/item_events.npy
		seq-rank	array("model/item_events.npy", lambda a: a.astype("<f4"))	model/item_events.npy
		seq-rank	m = data("model/item_events.npy"); members.insert(members.index(m), list(m))	a second item_events.npy
		seq-rank	members.remove(data("catalog/end.json"))	catalog
	END
	refuse "$ranking" <<-'END'
		rec-eval	array("ranking/000000.greater.npy", lambda a: put(a, 0, 2000000000))	2000000000
		rec-eval	array("ranking/000000.top_item.npy", lambda a: put(a, 0, 5000))	5000
	END
}

@test "values of other widths and orders are converted, or refused by name" {
	needs_numpy
	rec-eval "$ranking" >expected
	edited "$model" 'array("sequences/000000.item.npy", lambda a: a.astype("<i8"))
array("model/count.npy", lambda a: a.astype("<f8"))'
	seq-rank -q edited.1.tar | rec-eval | cmp expected -
	refuse "$model" <<-'END'
		seq-rank	array("sequences/000000.item.npy", lambda a: a.astype(">i4"))	item.npy
		seq-rank	array("sequences/000000.item.npy", lambda a: a.astype("<i8") + (1 << 40))	item
	END
}

@test "a catalog whose ids were exchanged under its fingerprint" {
	needs_numpy
	refuse "$model" <<-'END'
		seq-rank	m = data("catalog/000000.item_id.txt"); m[1] = m[1].replace(b"10133", b"x0133")	fingerprint
	END
}

@test "broken configuration of a model names the member and the key" {
	needs_numpy
	refuse "$model" <<-'END'
		seq-rank	data("model/config.json")[1] = b"{"	model/config.json
		seq-rank	data("model/config.json")[1] = b"[]"	model/config.json
		seq-rank	data("model/config.json")[1] = b"{}"	model/config.json
		seq-rank	data("model/config.json")[1] = b"{\"architecture\": \"no-such\"}"	model/config.json
		seq-rank	data("model/config.json")[1] = b"{\"architecture\": 5}"	model/config.json
		seq-rank	data("model/config.json")[1] = b"{\"architecture\": \"sasrec\", \"hidden_size\": 1000000000000}"	model/
		seq-rank	data("model/config.json")[1] = b"{\"architecture\": \"sasrec\", \"hidden_size\": -64}"	model/
	END
}

@test "wrong usage is one line and exit 2" {
	for tool in seq-tokenize item-project seq-train seq-rank rec-eval; do
		misused $tool --no-such-option
		misused $tool -j 0
		misused $tool -j many
		misused $tool --seed x
		misused $tool -o
	done
	misused seq-train --arch no-such
	says sasrec
	misused seq-rank --shard 3/2
	misused seq-rank --seen maybe
	misused rec-eval --ties maybe
}

@test "--help and --version go to standard output" {
	for tool in seq-tokenize item-project seq-train seq-rank rec-eval; do
		$tool --help >help 2>err
		[ ! -s err ]
		grep -q 'Examples:' help
		grep -q -- '--seed' help
		$tool --version | grep "^$tool (recpipe) "
	done
}

@test "nothing binary goes to a terminal, and no arguments there mean usage" {
	needs script
	for tool in seq-tokenize item-project seq-train seq-rank; do
		run script -qec "$tool $shop" /dev/null </dev/null
		[ "$status" = 2 ]
		says terminal
		run script -qec "$tool" /dev/null
		[ "$status" = 2 ]
		says Usage
	done
}

@test "RECPIPE_CPU lowers the instructions, and is no other word" {
	local level
	for level in none avx2; do
		RECPIPE_CPU=$level seq-train -q --epochs 1 --hidden-size 8 "$shop" |
			tar --zstd -xO --wildcards 'log/*-seq-train.json' >history.json
		grep -E "\"instructions\":\"(none|$level)\"" history.json
	done
	RECPIPE_CPU=fast fails seq-train -q "$shop" -o out
	says 'RECPIPE_CPU is "fast": none, avx2, avx512, vnni, bf16 or amx was expected'
}

@test "more threads than OpenBLAS was built for are no line of its own" {
	seq-tokenize -q "$EXAMPLE/events.csv" | seq-train -q --hidden-size 8 --epochs 1 -o model.tar.zst
	seq-rank -q -j 100 model.tar.zst -o out.tar.zst 2>said
	[ ! -s said ]
	# where it has no room for so many
	seq-rank -q -j 2000 model.tar.zst -o out.tar.zst 2>said || [ "$(wc -l <said)" = 1 ]
}

@test "tools that multiply no matrices do not wait for OpenBLAS to start, and none for a server nobody asked for" {
	ldd "$RECPIPE_BIN/seq-train" | grep blas
	[ "$(ldd "$RECPIPE_BIN"/{seq-tokenize,rec-eval} | grep -c blas)" = 0 ]
	[ "$(ldd "$RECPIPE_BIN"/* | grep -cE 'microhttpd|tls')" = 0 ]
}

@test "progress is one line on a terminal, gone at the end, and lines now and then elsewhere" {
	needs script
	script -qec "stty cols 80; seq-train -j1 --epochs 2 --batch-size 1 --hidden-size 128 $shop -o out" /dev/null </dev/null >screen
	tr '\r' '\n' <screen | sed 's/\x1b\[K//g' | grep '^seq-train: [0-9]* of [0-9]* batches, [0-9.]*/s, [0-9]* s left' >drawn
	[ "$(awk 'length > 80' drawn | wc -l)" = 0 ]
	seq-train --epochs 3 --hidden-size 8 "$shop" -o out 2>said
	[ "$(grep -c "$(printf '\r')" said)" = 0 ]
}

@test "one user, item or event is told as one" {
	printf 'user_id,item_id,timestamp\nu,a,1\nu,b,2\nu,c,3\nu,d,4\nv,a,5\n' >events.csv
	printf 'item_id,title\na,one\nb,two\nc,three\nd,four\n' >items.csv
	{
		printf 'user_id,item_id\nu,a\n' | seq-tokenize --holdout none | seq-train --arch popular | seq-rank --format tsv
		seq-tokenize --items items.csv events.csv -o events
		seq-train --epochs 1 --hidden-size 8 events -o sasrec
		seq-train --arch ease events -o ease
		seq-rank -o ranking sasrec
		seq-rank --model sasrec --model ease events -o both
		rec-eval ranking
		rec-eval ranking --versus both
		echo v | seq-rank --users - --split next --format tsv sasrec
		item-project --from tfidf events -o /dev/null
	} >said 2>&1
	[ "$(wc -l <said)" -gt 30 ]
	(! grep -E '(^|[^0-9.,])1 ([a-z]+ )?(users|items|events|rows|ids|targets|tokens|texts|positions|words|dimensions)\b' said) || return 1
}
