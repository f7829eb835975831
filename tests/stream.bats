#!/usr/bin/env bats
# Tensor streams in the hands of standard tools: tar, bsdtar, zstd, Python, NumPy, cat, ssh, nc.

load helpers

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o shop.tar.zst
	seq-train -q --arch popular shop.tar.zst -o model.tar.zst
}

setup() {
	own_folder
}

@test "the commands that look into a stream" {
	needs tar zstd python3
	tar --zstd -tvf model.tar.zst | grep 'sequences/000000.item.npy'
	# head ends tar early, which is no failure of either
	run bash -c "tar --zstd -xOf model.tar.zst catalog/000000.title.txt | head -n 3 | wc -l | tr '\n' ' '"
	[ "$output" = "3 " ]
	mkdir -p "$BATS_TEST_TMPDIR/x" && cd "$BATS_TEST_TMPDIR/x"
	tar --zstd -xf "$BATS_FILE_TMPDIR/model.tar.zst"
	run python3 -c 'import numpy; print(type(numpy.load("sequences/000000.item.npy", mmap_mode="r")).__name__)'
	[ "$output" = memmap ]
}

# names READER...: the member names of the stream on standard input, as the reader lists them
python_names='import sys, tarfile
for member in tarfile.open(fileobj=sys.stdin.buffer, mode="r|"):
    print(member.name)'

@test "tar, bsdtar and Python list the same members, after cat as well" {
	needs tar bsdtar python3
	zstd -dc shop.tar.zst model.tar.zst >two.tar
	tar -tf two.tar >tar.txt
	bsdtar -tf two.tar >bsdtar.txt
	python3 -c "$python_names" <two.tar >python.txt
	cmp tar.txt bsdtar.txt
	cmp tar.txt python.txt
	cat shop.tar.zst model.tar.zst | tar --zstd -tf - | cmp tar.txt -
	cat shop.tar.zst model.tar.zst | bsdtar -tf - | cmp tar.txt -
	[ "$(grep -c 'catalog/meta.json' tar.txt)" = 2 ]
}

@test "every array is mapped by NumPy, aligned, and of the announced size" {
	needs_numpy
	mkdir -p "$BATS_TEST_TMPDIR/x" && cd "$BATS_TEST_TMPDIR/x"
	tar --zstd -xf "$BATS_FILE_TMPDIR/model.tar.zst"
	find . -name '*.npy' | grep .
	find . -name '*.npy' | python3 -c '
import sys, numpy
for name in sys.stdin.read().split():
    array = numpy.load(name)
    assert array.flags.c_contiguous and array.dtype.str in ("<f4", "<f2", "<i4", "<i8", "|u1"), (name, array.dtype)
    if array.size:
        mapped = numpy.load(name, mmap_mode="r")
        assert mapped.offset == 128 and (mapped == array).all(), name
'
}

@test "members are plain ustar with fixed metadata, data on 64-byte bounds" {
	needs python3
	zstd -dcq model.tar.zst | python3 -c '
import re, sys, tarfile
last = None
for m in tarfile.open(fileobj=sys.stdin.buffer, mode="r|"):
    assert m.isreg() and re.fullmatch(r"[A-Za-z0-9._/-]{1,100}", m.name), m.name
    assert (m.uid, m.gid, m.mtime, m.mode, m.uname, m.gname) == (0, 0, 0, 0o644, "", ""), m.name
    assert m.offset_data % 64 == 0
    last = m
'
	# no end-of-archive blocks
	[ "$(zstd -dcq model.tar.zst | tail -c 1024 | tr -d '\0' | wc -c)" -gt 0 ]
	zstd -tq model.tar.zst
	zstd -lv model.tar.zst | grep 'Check: XXH64'
}

@test "what is no stream is told as what it is" {
	local name
	printf 'user,item\nu,a\n' >events.csv
	printf '{"a": 1}\n' >a.json
	printf 'GGUF\3\0\0\0' >a.gguf
	printf '\223NUMPY\1\0' >a.npy
	printf 'PK\3\4\24\0' >a.zip
	zstd -q events.csv
	for name in events.csv:text events.csv.zst:text a.json:JSON "a.gguf:a GGUF model" "a.npy:a NumPy array" "a.zip:a zip archive"; do
		fails rec-eval "${name%%:*}"
		says "${name%%:*}: not a tensor stream: ${name#*:}"
	done
	fails seq-train events.csv -o x
	says "text (seq-tokenize makes a stream of a table)"
}

@test "text members are UTF-8 lines and json members one document" {
	needs python3
	zstd -dcq model.tar.zst | python3 -c '
import json, sys, tarfile
tar = tarfile.open(fileobj=sys.stdin.buffer, mode="r|")
for m in tar:
    data = tar.extractfile(m).read()
    if m.name.endswith(".txt"):
        assert data.decode("utf-8").endswith("\n"), m.name
    if m.name.endswith(".json"):
        json.loads(data)
'
}

@test "a stream unpacked and packed again by tar is the same stream" {
	needs tar zstd
	zstd -dcq model.tar.zst | tar -tf - >"$BATS_TEST_TMPDIR/names"
	mkdir "$BATS_TEST_TMPDIR/x"
	zstd -dcq model.tar.zst | tar -C "$BATS_TEST_TMPDIR/x" -xf -
	tar -C "$BATS_TEST_TMPDIR/x" --format=ustar --no-recursion -T "$BATS_TEST_TMPDIR/names" -cf packed.tar
	seq-rank -q --no-history packed.tar >packed.out
	zstd -q -3 -c packed.tar | seq-rank -q --no-history | cmp packed.out -
	seq-rank -q --no-history model.tar.zst | cmp packed.out -
}

@test "cat joins: catalog and model from two files, by name or on standard input" {
	seq-train -q --no-history --arch markov shop.tar.zst -o other.tar.zst
	seq-rank -q --no-history shop.tar.zst other.tar.zst -o named.tar.zst
	cat shop.tar.zst other.tar.zst | seq-rank -q --no-history -o joined.tar.zst
	cat shop.tar.zst | seq-rank -q --no-history - other.tar.zst -o mixed.tar.zst
	cmp named.tar.zst joined.tar.zst
	cmp named.tar.zst mixed.tar.zst
	rec-eval named.tar.zst >named.txt
	seq-rank -q other.tar.zst | rec-eval | cmp named.txt -
}

@test "a later model replaces an earlier one" {
	seq-train -q --arch markov shop.tar.zst | seq-rank -q | rec-eval >markov.txt
	seq-train -q --arch markov model.tar.zst | seq-rank -q | rec-eval | cmp markov.txt -
	[ "$(seq-train -q --arch markov model.tar.zst | tar --zstd -tf - | grep -c '^model/meta.json')" = 1 ]
}

@test "a group that a later stream replaces is told in a line, with the files it was in" {
	seq-train -q --arch markov shop.tar.zst -o markov.tar.zst
	seq-rank model.tar.zst markov.tar.zst -o ranked.tar.zst 2>said.txt
	[ "$(grep -c 'replaced' said.txt)" = 1 ]
	grep -qx 'seq-rank: model of model.tar.zst replaced by that of markov.tar.zst' said.txt
	cat model.tar.zst markov.tar.zst | seq-rank -o ranked.tar.zst 2>said.txt
	grep -qx 'seq-rank: model of stdin replaced by a later one in it' said.txt
	[ -z "$(seq-rank -q model.tar.zst markov.tar.zst 2>&1 >ranked.tar.zst)" ]
	# a copy of the same is no replacement
	seq-rank model.tar.zst shop.tar.zst -o ranked.tar.zst 2>said.txt
	run grep replaced said.txt
	[ "$status" = 1 ]
}

# with_meta GROUP EDIT STREAM: the stream, as tar, with the group's meta.json changed by a line of Python
with_meta() {
	zstd -dcq "$3" | python3 -c '
import io, json, sys, tarfile
source, to = tarfile.open(fileobj=sys.stdin.buffer, mode="r|"), tarfile.open(fileobj=sys.stdout.buffer, mode="w|")
for member in source:
    data = source.extractfile(member).read()
    if member.name == sys.argv[1] + "/meta.json":
        meta = json.loads(data)
        exec(sys.argv[2])
        data = json.dumps(meta).encode()
        member.size = len(data)
    to.addfile(member, io.BytesIO(data))' "$1" "$2"
}

@test "every group says its format; a newer one is refused, one without it is the first" {
	needs tar zstd python3
	seq-rank -q model.tar.zst -o ranked.tar.zst
	for group in catalog sequences tokenizer model ranking; do
		tar --zstd -xOf ranked.tar.zst $group/meta.json | grep '"format":1'
	done
	with_meta model 'meta["format"] = 2' model.tar.zst >newer.tar
	fails seq-rank -q newer.tar -o out.tar.zst
	says "newer.tar: model/meta.json: the model is of format 2, this recpipe reads 1: use a newer one"
	with_meta catalog 'meta["format"] = 0' model.tar.zst >none.tar
	fails seq-rank -q none.tar -o out.tar.zst
	says '"format" is not a whole number'
	# what a tool does not read, it passes on
	with_meta ranking 'meta["format"] = 9' ranked.tar.zst >later.tar
	seq-train -q --arch popular later.tar -o trained.tar.zst
	with_meta catalog 'del meta["format"]' model.tar.zst >first.tar
	seq-rank -q --no-history first.tar --format tsv | cmp - <(seq-rank -q --no-history model.tar.zst --format tsv)
}

@test "the catalog carries the attributes of its items as they were read" {
	printf 'item,title,"size (cm), of it",item_id,Title\nx,"a  b\nc",3,own,T\ny,,,,\n' >attributes.csv
	printf 'user,item,time\na,x,1\na,y,2\nb,z,1\n' >few.csv
	seq-tokenize -q --item-id-column item --items attributes.csv few.csv -o few.tar.zst
	tar --zstd -xOf few.tar.zst catalog/meta.json | python3 -c '
import json, sys
meta = json.load(sys.stdin)
assert meta["attributes"] == ["title", "size (cm), of it", "item_id", "Title"], meta
assert meta["attribute_fields"] == ["title", "size__cm___of_it", "item_id-2", "Title-2"], meta'
	[ "$(tar --zstd -xOf few.tar.zst catalog/000000.title.txt)" = "a b c" ]
	[ "$(tar --zstd -xOf few.tar.zst catalog/000000.title.txt | wc -l)" = 3 ]
	[ "$(tar --zstd -xOf few.tar.zst catalog/000000.size__cm___of_it.txt | head -n 1)" = 3 ]
	[ "$(tar --zstd -xOf few.tar.zst catalog/000000.item_id-2.txt | head -n 1)" = own ]
	[ "$(tar --zstd -xOf few.tar.zst catalog/000000.Title-2.txt | head -n 1)" = T ]
}

@test "a catalog of as many attributes as there may be" {
	seq -s, 0 254 | sed 's/^/item_id,/; s/,\([0-9]*\)/,name \1/g' >wide.csv
	printf 'x%s\n' "$(printf ',v%.0s' {0..254})" >>wide.csv
	printf 'user,item,time\na,x,1\n' >one.csv
	seq-tokenize -q --items wide.csv one.csv -o wide.tar.zst
	[ "$(tar --zstd -tf wide.tar.zst | grep -c 'catalog/000000.name_')" = 255 ]
	[ "$(seq-train -q --arch popular wide.tar.zst | tar --zstd -xOf - catalog/000000.name_254.txt)" = v ]
}

@test "shards joined by cat are the whole, in any order" {
	seq-rank -q model.tar.zst | rec-eval -u | sort >whole.txt
	for shard in 1 2 3; do
		seq-rank -q --shard $shard/3 model.tar.zst -o shard$shard.tar.zst
	done
	cat shard1.tar.zst shard2.tar.zst shard3.tar.zst | rec-eval -u | sort | cmp whole.txt -
	cat shard3.tar.zst shard1.tar.zst shard2.tar.zst shard1.tar.zst | rec-eval -u | sort | cmp whole.txt -
	fails rec-eval shard1.tar.zst shard3.tar.zst
	says "shard 2 of 3"
}

@test "what a tool does not know passes through untouched and in place" {
	needs tar zstd
	mkdir -p notes
	echo 'nothing the tools know' >notes/free.txt
	tar --format=ustar --owner=0 --group=0 --mtime=@0 -cf - notes/free.txt | zstd -q >notes.tar.zst
	cat notes.tar.zst shop.tar.zst | seq-train -q --arch popular | seq-rank -q -o passed.tar.zst
	tar --zstd -xOf passed.tar.zst notes/free.txt | cmp notes/free.txt -
	tar --zstd -xOf passed.tar.zst catalog/000000.item_id.txt >ids.txt
	tar --zstd -xOf shop.tar.zst catalog/000000.item_id.txt | cmp ids.txt -
	[ "$(tar --zstd -tf passed.tar.zst | sed -n 1p)" = notes/free.txt ]
}

@test "every tool adds its record to the history, --no-history none" {
	seq-rank -q model.tar.zst -o ranked.tar.zst
	run bash -c "tar --zstd -tf ranked.tar.zst | grep '^log/' | tr '\n' ' '"
	[ "$output" = "log/00-seq-tokenize.json log/01-seq-train.json log/02-seq-rank.json " ]
	tar --zstd -xOf ranked.tar.zst log/01-seq-train.json | python3 -c '
import json, sys
record = json.load(sys.stdin)
assert record["tool"] == "seq-train" and "--arch popular" in record["command"] and record["seed"] == 1, record
assert record["seconds"] >= 0 and record["peak_memory_mib"] > 0 and record["version"], record'
	run bash -c "seq-train -q --no-history --arch popular shop.tar.zst | tar --zstd -tf - | grep -c '^log/'"
	[ "$output" = 1 ]
}

@test "the peak memory in the history is the tool's own, not that of what started it" {
	python3 -c '
import subprocess
parent = b"x" * (600 << 20)
subprocess.run(["seq-rank", "-q", "model.tar.zst", "-o", "started.tar.zst"], check=True)'
	tar --zstd -xOf started.tar.zst log/02-seq-rank.json | python3 -c '
import json, sys
assert 0 < json.load(sys.stdin)["peak_memory_mib"] < 500'
}

@test "same seed, same bytes" {
	for threads in 1 2; do
		for i in 1 2; do
			seq-tokenize -q --no-history -j $threads --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" |
				seq-train -q --no-history -j $threads --epochs 2 --seed 7 |
				seq-rank -q --no-history -j $threads >"same$threads.$i"
		done
		cmp same$threads.1 same$threads.2
	done
	seq-tokenize -q --no-history -j 2 --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" |
		seq-train -q --no-history -j 2 --epochs 2 --seed 8 | seq-rank -q --no-history -j 2 >other
	run cmp same2.1 other
	[ "$status" = 1 ]
}

@test "compression levels change the bytes, not what is in them" {
	for level in 1 3 19; do
		seq-train -q --no-history --arch popular -$level shop.tar.zst | zstd -dcq >level$level.tar
	done
	cmp level1.tar level3.tar
	cmp level1.tar level19.tar
	misused seq-train -20 shop.tar.zst
}

# an sshd of our own on the loopback, with keys of our own
start_sshd() {
	needs ssh ssh-keygen
	local sshd folder=$BATS_TEST_TMPDIR/ssh
	sshd=$(PATH=$PATH:/usr/sbin command -v sshd) || skip "no sshd"
	mkdir -m 700 "$folder"
	ssh-keygen -q -t ed25519 -N '' -f "$folder/host"
	ssh-keygen -q -t ed25519 -N '' -f "$folder/user"
	cp "$folder/user.pub" "$folder/authorized"
	[ "$(id -u)" != 0 ] || mkdir -p /run/sshd
	port=$((20000 + RANDOM % 20000))
	"$sshd" -D -e -f /dev/null -h "$folder/host" -p $port -o ListenAddress=127.0.0.1 -o StrictModes=no -o UsePAM=no \
		-o AuthorizedKeysFile="$folder/authorized" -o PidFile=none -o PermitRootLogin=yes 2>"$folder/log" 3>&- &
	sshd_pid=$!
	remote=(ssh -q -F /dev/null -i "$folder/user" -p "$port" -o StrictHostKeyChecking=no -o BatchMode=yes
		-o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 127.0.0.1)
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		"${remote[@]}" true && return
		sleep 0.2
	done
	kill "$sshd_pid"
	skip "sshd does not start here: $(tail -n 1 "$folder/log")"
}

@test "a stage through ssh localhost gives the same bytes" {
	start_sshd
	seq-train -q --no-history --arch markov <shop.tar.zst >here.tar.zst
	"${remote[@]}" "ASAN_OPTIONS=$ASAN_OPTIONS" "$RECPIPE_BIN/seq-train" -q --no-history --arch markov <shop.tar.zst >there.tar.zst
	kill "$sshd_pid"
	cmp here.tar.zst there.tar.zst
}

@test "a connection that drops is a truncated stream" {
	start_sshd
	set +o pipefail
	status=0
	"${remote[@]}" "head -c 50000 $PWD/shop.tar.zst" | seq-train -q --arch markov -o dropped.tar.zst 2>said.txt || status=$?
	kill "$sshd_pid"
	[ "$status" = 1 ]
	grep -q 'truncated stream' said.txt
	[ ! -e dropped.tar.zst ]
}

@test "a pipe through nc gives the same bytes" {
	needs nc
	local port=$((20000 + RANDOM % 20000)) listener
	timeout 20 nc -l 127.0.0.1 $port 3>&- | seq-train -q --no-history --arch markov >netted.tar.zst 3>&- &
	listener=$!
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		sleep 0.1
		if nc -N 127.0.0.1 $port <shop.tar.zst; then break; fi
	done
	wait $listener
	seq-train -q --no-history --arch markov <shop.tar.zst | cmp netted.tar.zst -
}
