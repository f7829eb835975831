#!/usr/bin/env bats
# emb-align-train: what it learns, the pipeline on it, that trainings can be repeated and resumed to the byte, and what
# it refuses. The language model is trained here, on a part of the example's items.

load helpers

# part FIRST LAST NAME: the example's items in these lines, and the events that have them
part() {
	sed -n "1p;$1,$2p" "$EXAMPLE/items.csv" >"$3-items.csv"
	awk -F, 'NR == FNR { has[$1]; next } FNR == 1 || $2 in has' "$3-items.csv" "$EXAMPLE/events.csv" >"$3-events.csv"
}

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	part 2 121 few
	part 2 161 more
	seq-tokenize -q --items few-items.csv few-events.csv -o shop.tar.zst
	seq-train -q --arch llama --hidden-size 32 --layers 1 --heads 2 --template '{title}' --learning-rate 0.01 --batch-size 32 \
		--epochs 8 shop.tar.zst -o llm.tar.zst
}

setup() {
	own_folder
}

# the history differs from run to run by its seconds
align() {
	case " $* " in
	*" --projector table "*) emb-align-train -q --no-history --template '{title}' "$@" ;;
	*) emb-align-train -q --no-history --template '{title}' --hidden-size 16 --moments 2 "$@" ;;
	esac
}

# history FILE CODE: python with h, what the last emb-align-train wrote
history() {
	tar --zstd -xOf "$1" --wildcards 'log/*-emb-align-train.json' >history.json
	python3 -c "import json
h = json.load(open('history.json'))
$2"
}

# rows OLD NEW CODE: python with the tables of two streams, each id -> vector
rows() {
	for side in "$1" "$2"; do
		rm -rf "seen-$side" && mkdir "seen-$side" && tar --zstd -xf "$side" -C "seen-$side"
	done
	python3 -c "import numpy, sys
old, new = ({i: v for i, v in zip(open(f'seen-{s}/projector/item_id.txt').read().split(), numpy.load(f'seen-{s}/projector/vectors.npy'))}
	for s in sys.argv[1:])
$3" "$1" "$2"
}

@test "emb-align-train: a table and a network learn, and the NLL falls" {
	emb-align-train -q --projector table --template '{title}' --epochs 12 llm.tar.zst -o table.tar.zst
	history table.tar.zst 'c = h["curve"]
assert len(c) == 12 and c[-1]["nll"] < c[0]["nll"] - 0.15 and c[-1]["accuracy"] > c[0]["accuracy"], c
assert h["all"]["items"] == 120 and abs(h["all"]["nll"] - c[-1]["nll"]) < 0.1, h'
	emb-align-train -q --template '{title}' --epochs 6 --hidden-size 32 --learning-rate 0.01 --patience 6 llm.tar.zst -o mlp.tar.zst
	history mlp.tar.zst 'c = h["curve"]
nll = [p["held_out_nll"] for p in c]
assert len(c) == 6 and c[-1]["loss"] < c[0]["loss"] - 0.05, c
assert h["best_epoch"] == 1 + nll.index(min(nll)) and abs(h["held_out"]["nll"] - min(nll)) < 1e-4, h
assert h["learned"]["items"] == 108 and h["held_out"]["items"] == 12, h'
	tar --zstd -tf mlp.tar.zst | grep -x projector/projector.1.weight.npy >out
}

@test "emb-align-train: a network that learns from a sample serves all items" {
	emb-align-train -q --template '{title}' --hidden-size 16 --epochs 2 --sample 45 llm.tar.zst -o mlp.tar.zst
	history mlp.tar.zst 'assert h["learned"]["items"] == 41 and h["held_out"]["items"] == 4, h'
	item-project -q mlp.tar.zst | tar --zstd -xO embedding/end.json | grep '"rows": *120' >out
	emb-align-train -q --template '{title}' --hidden-size 16 --epochs 2 --sample 1000 llm.tar.zst -o more.tar.zst
	history more.tar.zst 'assert h["learned"]["items"] == 108 and h["held_out"]["items"] == 12, h'
}

@test "emb-align-train: with the LLM in integers it learns the same, and tells what the LLM itself says" {
	for kind in table mlp; do
		align --projector $kind --epochs 8 llm.tar.zst -o floats.tar.zst
		align --projector $kind --epochs 8 --integers llm.tar.zst -o integers.tar.zst
		align --projector $kind --epochs 8 --integers llm.tar.zst -o again.tar.zst
		cmp integers.tar.zst again.tar.zst
		run cmp -s floats.tar.zst integers.tar.zst
		[ "$status" = 1 ]
		for how in "" --integers; do
			emb-align-train -q --projector $kind --template '{title}' --epochs 8 $how llm.tar.zst -o learned.tar.zst
			history learned.tar.zst 'print((h.get("all") or h["learned"])["nll"], h["curve"][0]["loss"])'
		done >out
		awk 'NR == 1 { nll = $1; first = $2 } NR == 2 { exit !($1 < nll + 0.01 && $1 > nll - 0.01 && $1 < first) }' out
	done
	item-project -q --from llm --template '{title}' llm.tar.zst -o floats.tar.zst
	item-project -q --from llm --template '{title}' --integers llm.tar.zst -o integers.tar.zst
	for how in floats integers; do
		mkdir $how && tar --zstd -xf $how.tar.zst -C $how
	done
	python3 -c 'import glob, numpy
a, b = (numpy.load(glob.glob(f"{how}/embedding/*.vector.npy")[0]) for how in ("floats", "integers"))
assert 0 < numpy.linalg.norm(a - b) < 1e-3 * numpy.linalg.norm(a), numpy.linalg.norm(a - b) / numpy.linalg.norm(a)'
	align --projector mlp --epochs 3 --checkpoint state.ckpt --integers llm.tar.zst -o integers.tar.zst
	fails emb-align-train -q --template '{title}' --hidden-size 16 --moments 2 --epochs 3 --checkpoint state.ckpt --resume \
		llm.tar.zst -o other.tar.zst
	says "state.ckpt: is of another training"
}

@test "emb-align-train: its vectors are the features of a model that ranks" {
	for kind in table mlp; do
		align --projector $kind --epochs 3 llm.tar.zst | item-project -q | tee $kind.tar.zst |
			seq-train -q --hidden-size 16 --epochs 3 | seq-rank -q | rec-eval -q -m ndcg -k 10 --format lines --no-slices >out
		awk '$1 == "ndcg@10" && $2 == "all" && $3 > 0 { found = 1 } END { exit !found }' out
		tar --zstd -xOf $kind.tar.zst embedding/meta.json | grep '"source": *"projector"' >out
		tar --zstd -xOf $kind.tar.zst embedding/meta.json | grep '"width": *32' >out
	done
}

@test "emb-align-train: the same seed gives the same bytes, and a projector that is replaced" {
	for kind in table mlp; do
		align --projector $kind --epochs 2 llm.tar.zst -o one.tar.zst
		align --projector $kind --epochs 2 llm.tar.zst -o two.tar.zst
		cmp one.tar.zst two.tar.zst
		align --projector $kind --epochs 2 one.tar.zst | tar --zstd -t >names
		[ "$(grep -c '^projector/meta.json$' names)" = 1 ]
		[ "$(grep -c '^model/meta.json$' names)" = 1 ]
	done
}

# a function runs in a shell of its own, and what is to die is its child
kill_it() {
	kill -KILL "$(pgrep -P "$1")" "$1"
}

@test "emb-align-train: stopped, it writes what it has, and does not wait for all items to be said" {
	timeout 3 emb-align-train --projector table --template '{title}' --epochs 100000 llm.tar.zst -o stopped.tar.zst 2>told || [ $? = 124 ]
	grep -q "stopped in epoch" told
	history stopped.tar.zst 'assert "stopped" in h and "all" not in h and len(h["curve"]) >= 1, h'
	item-project -q stopped.tar.zst >items.tar.zst
}

# resumed KIND: killed again and again, it ends with the bytes of an undisturbed training
resumed() {
	local command=(align --batch-size 4 --projector "$@" llm.tar.zst)
	"${command[@]}" -o whole.tar.zst
	killed_and_resumed state.ckpt resumed.tar.zst "${command[@]}"
	cmp whole.tar.zst resumed.tar.zst
}

@test "emb-align-train: killed and resumed gives the same bytes, table" {
	resumed table --epochs 20 --learning-rate 0.2
}

@test "emb-align-train: a table that has ended goes on from its checkpoint for more epochs" {
	local command=(align --projector table --checkpoint state.ckpt llm.tar.zst)
	align --projector table --epochs 7 llm.tar.zst -o whole.tar.zst
	"${command[@]}" --epochs 3 -o short.tar.zst
	"${command[@]}" --epochs 7 --resume -o long.tar.zst
	cmp <(tar --zstd -xOf whole.tar.zst --wildcards 'projector/*.npy') <(tar --zstd -xOf long.tar.zst --wildcards 'projector/*.npy')
	[ "$(cmp -s whole.tar.zst short.tar.zst; echo $?)" = 1 ]
}

@test "emb-align-train: killed and resumed gives the same bytes, mlp" {
	resumed mlp --epochs 20 --patience 20
}

@test "emb-align-train: --show prints an item, its text, and what the model says" {
	emb-align-train -q --projector table --template '{title}' --epochs 1 --show 3 llm.tar.zst 2>shown >/dev/null
	[ "$(grep -c '^item  ' shown)" = 3 ]
	[ "$(grep -c '^says  ' shown)" = 3 ]
	grep -qx "text  $(sed -n 2p few-items.csv | cut -d, -f2)" shown
}

@test "emb-align-train: what is said exactly is what --show says" {
	printf 'item_id,title\nd,DOG\nc,CAT\nb,BOX\n' >items.csv
	printf 'user_id,item_id,timestamp\nu,d,1\nu,c,2\nu,b,3\nv,c,1\nv,b,2\nv,d,3\n' >events.csv
	seq-tokenize -q --tokenizer shop.tar.zst --items items.csv events.csv -o three.tar.zst
	seq-train -q --arch llama --hidden-size 32 --layers 1 --heads 2 --template '{title}' --learning-rate 0.01 \
		--epochs 100 --patience 100 three.tar.zst -o three-llm.tar.zst
	emb-align-train -q --projector table --template '{title}' --epochs 100 --show 3 three-llm.tar.zst \
		-o said.tar.zst 2>shown
	history said.tar.zst 'print(round(3 * h["all"]["exact"]))' >exact
	[ "$(cat exact)" -gt 0 ]
	[ "$(awk '/^text/ { t = substr($0, 7) } /^says/ { n += substr($0, 7) == t } END { print n + 0 }' shown)" = "$(cat exact)" ]
}

@test "emb-align-train: --only-new leaves the other rows as they are" {
	align --projector table --epochs 3 llm.tar.zst -o old.tar.zst
	seq-tokenize -q --tokenizer old.tar.zst --items more-items.csv more-events.csv -o more.tar.zst
	fails align --projector table --epochs 3 old.tar.zst more.tar.zst -o new.tar.zst
	says "--only-new"
	align --only-new --projector table --epochs 3 old.tar.zst more.tar.zst -o new.tar.zst
	align --only-new --projector table --epochs 1 old.tar.zst more.tar.zst -o less.tar.zst
	rows old.tar.zst new.tar.zst 'assert len(old) == 120 and len(new) == 160
assert all((old[i] == new[i]).all() for i in old)'
	rows less.tar.zst new.tar.zst 'print(sum((old[i] != new[i]).any() for i in new))' >changed
	[ "$(cat changed)" = 40 ]
	item-project -q new.tar.zst -o items.tar.zst
	fails item-project -q old.tar.zst more.tar.zst -o x.tar.zst
	says "catalog"
	fails align --only-new --projector table llm.tar.zst -o x.tar.zst
	says "no projector"
	[ ! -e x.tar.zst ]
}

@test "emb-align-train: --start takes the projector of another stream and its language model, and no other catalog" {
	align --projector table --epochs 2 llm.tar.zst -o old.tar.zst
	seq-tokenize -q --tokenizer old.tar.zst --items more-items.csv more-events.csv -o more.tar.zst
	align --only-new --projector table --epochs 2 old.tar.zst more.tar.zst -o joined.tar.zst
	align --only-new --projector table --epochs 2 --start old.tar.zst more.tar.zst -o new.tar.zst
	cmp <(tar --zstd -xOf joined.tar.zst projector) <(tar --zstd -xOf new.tar.zst projector)
	[ "$(tar --zstd -tf new.tar.zst | grep -c 'meta.json$')" = "$(tar --zstd -tf new.tar.zst | grep 'meta.json$' | sort -u | wc -l)" ]
	item-project new.tar.zst 2>said >items.tar.zst
	! grep replaced said || return 1
	fails align --start more.tar.zst more.tar.zst -o x.tar.zst
	says "more.tar.zst: no model in it; --llm names a language model, seq-train --arch llama trains one"
	misused emb-align-train --start - <more.tar.zst -o x.tar.zst
	says "--start - and the stream cannot both be read from stdin"
	[ ! -e x.tar.zst ]
}

# same training, though all its defaults are given
@test "emb-align-train: a default that is given changes nothing, and a checkpoint goes on by it" {
	align --projector table --epochs 1 --checkpoint a.ckpt llm.tar.zst -o a.tar.zst
	align --projector table --epochs 1 --max-tokens 32 --start-token yes --checkpoint a.ckpt --resume llm.tar.zst -o b.tar.zst
	cmp <(tar --zstd -xOf a.tar.zst projector) <(tar --zstd -xOf b.tar.zst projector)
}

@test "emb-align-train: --only-new of a network needs no training" {
	align --epochs 3 llm.tar.zst -o old.tar.zst
	seq-tokenize -q --tokenizer old.tar.zst --items more-items.csv more-events.csv -o more.tar.zst
	align --only-new old.tar.zst more.tar.zst -o new.tar.zst
	for side in old new; do
		tar --zstd -xOf $side.tar.zst projector/projector.0.weight.npy >$side.npy
	done
	cmp old.npy new.npy
	item-project -q new.tar.zst | tar --zstd -xO embedding/end.json | grep '"rows": *160' >out
}

@test "emb-align-train: a table starts from a network's vectors" {
	align --epochs 4 --learning-rate 0.01 llm.tar.zst -o mlp.tar.zst
	align --projector table --epochs 1 --learning-rate 1e-30 mlp.tar.zst -o table.tar.zst
	mkdir mlp table
	item-project -q mlp.tar.zst | tar --zstd -x -C mlp
	item-project -q table.tar.zst | tar --zstd -x -C table
	cmp mlp/embedding/000000.vector.npy table/embedding/000000.vector.npy
	# a network knows texts, whichever catalog they are of
	seq-tokenize -q --tokenizer mlp.tar.zst --items more-items.csv more-events.csv -o more.tar.zst
	align --projector table --epochs 1 --learning-rate 1e-30 mlp.tar.zst more.tar.zst -o wider.tar.zst
	rows table.tar.zst wider.tar.zst 'assert len(old) == 120 and len(new) == 160
assert all((old[i] == new[i]).all() for i in old)'
	fails align --moments 3 mlp.tar.zst -o x.tar.zst
	says "another kind or size"
}

@test "emb-align-train: the vector alone, to the letter, is another training" {
	align --projector table --epochs 2 llm.tar.zst -o start.tar.zst
	align --projector table --epochs 2 --start-token no llm.tar.zst -o alone.tar.zst
	tar --zstd -xOf alone.tar.zst projector/config.json | grep '"start_token": *false' >out
	rows start.tar.zst alone.tar.zst 'assert any((old[i] != new[i]).any() for i in old)'
}

@test "emb-align-train: --model takes the language model of another stream, and nothing else" {
	align --epochs 1 llm.tar.zst -o whole.tar.zst
	align --epochs 1 --model llm.tar.zst shop.tar.zst -o other.tar.zst
	cmp <(tar --zstd -xOf whole.tar.zst projector) <(tar --zstd -xOf other.tar.zst projector)
	[ "$(tar --zstd -tf other.tar.zst | grep -c catalog/meta.json)" = 1 ]
	align --epochs 1 --model other.tar.zst shop.tar.zst -o anew.tar.zst
	cmp <(tar --zstd -xOf whole.tar.zst projector) <(tar --zstd -xOf anew.tar.zst projector)
	misused emb-align-train --llm x --model llm.tar.zst shop.tar.zst
	says "--model does not go with --llm"
	fails align --model shop.tar.zst shop.tar.zst -o x.tar.zst
	says "shop.tar.zst: no model in it"
	[ ! -e x.tar.zst ]
}

@test "emb-align-train: streams and models it cannot learn from" {
	fails align shop.tar.zst -o x.tar.zst
	says "no LLM"
	seq-train -q --arch popular -o popular.tar.zst shop.tar.zst
	fails align popular.tar.zst -o x.tar.zst
	says "no LLM"
	seq-tokenize -q few-events.csv -o textless.tar.zst
	fails align textless.tar.zst -o x.tar.zst
	says "no text"
	seq-tokenize -q --items more-items.csv more-events.csv -o other.tar.zst
	fails align llm.tar.zst other.tar.zst -o x.tar.zst
	says "tokenizer"
	fails align --template '{colour}' llm.tar.zst -o x.tar.zst
	says "title"
	head -c 20000 llm.tar.zst >cut.tar.zst
	fails align cut.tar.zst -o x.tar.zst
	says "truncated"
	fails align -o x.tar.zst </dev/null
	says "empty input"
	misused emb-align-train --resume -o x.tar.zst llm.tar.zst
	misused emb-align-train --projector table --moments 3 -o x.tar.zst llm.tar.zst
	misused emb-align-train --only-new --sample 30 -o x.tar.zst llm.tar.zst
	misused emb-align-train --projector table --sample 30 -o x.tar.zst llm.tar.zst
	misused emb-align-train --projector nothing -o x.tar.zst llm.tar.zst
	says "table, mlp"
	[ ! -e x.tar.zst ]
}

@test "emb-align-train: a checkpoint is of one training" {
	align --projector table --epochs 2 --checkpoint a.ckpt -o a.tar.zst llm.tar.zst
	fails align --projector table --epochs 2 --seed 9 --checkpoint a.ckpt --resume -o x.tar.zst llm.tar.zst
	says "another training"
	fails align --projector table --epochs 2 --start-token no --checkpoint a.ckpt --resume -o x.tar.zst llm.tar.zst
	says "another training"
	[ ! -e x.tar.zst ]
}

@test "emb-align-train: weights that are no LLM" {
	for name in no.gguf no.safetensors no; do
		printf 'nothing at all\n' >$name
		fails align --llm $name shop.tar.zst -o x.tar.zst
		says "$name: neither a GGUF nor a safetensors file, nor a Hugging Face folder"
	done
	fails align --llm shop.tar.zst shop.tar.zst -o x.tar.zst
	says "shop.tar.zst: neither a GGUF"
	fails align --llm missing.gguf shop.tar.zst -o x.tar.zst
	says missing.gguf
	mkdir folder
	printf '{"model_type": "mamba", "architectures": ["MambaForCausalLM"]}\n' >folder/config.json
	printf '\x02\0\0\0\0\0\0\0{}' >folder/model.safetensors
	fails align --llm folder shop.tar.zst -o x.tar.zst
	says mamba
	[ ! -e x.tar.zst ]
}

# changed FROM TO CODE: python with data, the bytes of FROM; TO gets them
changed() {
	python3 -c "import struct, sys
data = bytearray(open(sys.argv[1], 'rb').read())
def put(name, behind, new):  # over what stands so far behind a name
    at = data.index(name) + len(name) + behind
    data[at:at + len(new)] = new
$3
open(sys.argv[2], 'wb').write(data)" "$1" "$2"
}

@test "emb-align-train: a GGUF that is another's, cut, out of range, overlapping, or not known" {
	tar --zstd -xOf "$ROOT/tests/golden/weights.tar.zst" yarn.gguf >long.gguf
	changed long.gguf llm.gguf 'put(b"qwen2.rope.scaling.type", 12, b"none")'
	fails align --llm llm.gguf shop.tar.zst -o x.tar.zst
	says "llm.gguf: its tokenizer is "
	tar --zstd -xOf "$ROOT/tests/golden/weights.tar.zst" llama3.gguf >none.gguf
	fails align --llm none.gguf shop.tar.zst -o x.tar.zst
	says "none.gguf: no tokenizer"
	local size at line
	size=$(stat -c %s llm.gguf)
	for at in 4 100 1000 $((size / 2)) $((size - 64)); do
		head -c "$at" llm.gguf >cut.gguf
		fails align --llm cut.gguf shop.tar.zst -o x.tar.zst
		says "cut.gguf: "
	done
	# behind a tensor's name: its dimensions, type and offset
	while IFS='|' read -r code line; do
		changed llm.gguf bad.gguf "$code"
		fails align --llm bad.gguf shop.tar.zst -o x.tar.zst
		says "bad.gguf: $line"
	done <<-'END'
		put(b"general.architecture", 12, b"mamba")|general.architecture is "mamba"
		put(b"blk.0.ffn_up.weight", 20, struct.pack("<I", 99))|blk.0.ffn_up.weight: tensor type 99 is not known
		put(b"blk.0.ffn_up.weight", 20, struct.pack("<I", 20))|blk.0.ffn_up.weight: rows of 8 
		put(b"blk.0.ffn_up.weight", 24, struct.pack("<Q", 1 << 20))|blk.0.ffn_up.weight: 
		put(b"blk.0.ffn_up.weight", 24, struct.pack("<Q", 1 << 63))|blk.0.ffn_up.weight: 
		put(b"blk.0.ffn_up.weight", 24, struct.pack("<Q", 0))|token_embd.weight: its data overlap another tensor's
		put(b"blk.0.ffn_up.weight", 4, struct.pack("<Q", 1 << 62))|blk.0.ffn_up.weight: 
	END
	[ ! -e x.tar.zst ]
}

@test "emb-align-train: safetensors that are another's, cut, out of range, or overlapping" {
	tar --zstd -xf "$ROOT/tests/golden/weights.tar.zst" qwen2
	fails align --llm qwen2 shop.tar.zst -o x.tar.zst
	says "qwen2: its tokenizer is "
	local size at line
	cp qwen2/model.safetensors whole
	size=$(stat -c %s whole)
	for at in 5 100 $((size / 2)) $((size - 1)); do
		head -c "$at" whole >qwen2/model.safetensors
		fails align --llm qwen2 shop.tar.zst -o x.tar.zst
		says "qwen2/model.safetensors: "
	done
	while IFS='|' read -r code line; do
		changed whole qwen2/model.safetensors "$(printf '%s\n' 'import json
n = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + n])
norm = header["model.norm.weight"]' "$code" 'text = json.dumps(header).encode()
data[:8 + n] = struct.pack("<Q", len(text)) + text')"
		fails align --llm qwen2 shop.tar.zst -o x.tar.zst
		says "qwen2$line"
	done <<-'END'
		norm["dtype"] = "Q4"|/model.safetensors: model.norm.weight: dtype "Q4" is not known
		norm["data_offsets"] = [1 << 40, (1 << 40) + 32]|/model.safetensors: model.norm.weight: bytes 1099511627776
		norm["data_offsets"] = [0, norm["data_offsets"][1] - norm["data_offsets"][0]]|/model.safetensors: 
		norm["shape"] = [1 << 40]|/model.safetensors: model.norm.weight: its shape takes
		header["model.morn.weight"] = header.pop("model.norm.weight")|: tensor model.norm.weight is missing
	END
	[ ! -e x.tar.zst ]
}

@test "emb-align-train: of few items none are held out, and nothing is said of how well these do" {
	printf '%s\n' item,title x,'red lamp' y,'blue lamp' z,'green chair' >items.csv
	printf '%s\n' user,item,time a,x,1 a,y,2 a,z,3 b,y,1 b,z,2 >events.csv
	seq-tokenize -q --items items.csv events.csv -o few.tar.zst
	seq-train --arch llama --hidden-size 16 --layers 1 --heads 2 --epochs 2 few.tar.zst -o llm.tar.zst 2>said
	grep -q 'nothing is held out to validate on: all of 2 epochs, and the last one is kept' said
	(! grep NLL said) || return 1
	emb-align-train --epochs 2 llm.tar.zst -o said.tar.zst 2>said
	(! grep -e held-out -e 'NLL 0[.]0000' said) || return 1
	grep -q 'best epoch 2 of 2: NLL' said
}
