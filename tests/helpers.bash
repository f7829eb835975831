# Loaded by every .bats file: the tools on PATH, the data, and a few assertions.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ROOT
export RECPIPE_BIN=${RECPIPE_BIN:-$ROOT/build/bin}
export PATH=$RECPIPE_BIN:$PATH
export LC_ALL=C.UTF-8
# leaks of a process that dies or ends are not errors; others are
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:allocator_may_return_null=1}
# a stage that fails must fail the pipe, unless a test says otherwise
set -o pipefail

EXAMPLE=$ROOT/examples/online-retail
export EXAMPLE

# folder=$(shared_data ml-1m) || skip "no ml-1m": the folder of a data set that is not shipped
shared_data() {
	local folder=${RECPIPE_DATA:-$ROOT/../shared/data}/$1
	[ -d "$folder" ] && printf '%s\n' "$folder"
}

# For setup(): tests of a file run side by side, so each has a folder of its own with what setup_file() made.
own_folder() {
	cd "$BATS_TEST_TMPDIR" || return
	cp -Rl "$BATS_FILE_TMPDIR/." .
}

needs() {
	local program
	for program; do
		command -v "$program" >/dev/null || skip "no $program"
	done
}

# as NumPy takes longer to start than most tools to end, it is asked for once
needs_numpy() {
	needs python3
	[ -e "$BATS_RUN_TMPDIR/numpy" ] || python3 -c 'import numpy' 2>/dev/null || skip "no NumPy"
	touch "$BATS_RUN_TMPDIR/numpy"
}

# numbers FILE [BYTES]: of an .npy of integers of so many bytes (4), a line each
numbers() {
	tail -c +129 "$1" | od -An -v -w"${2:-4}" -t d"${2:-4}" | tr -d ' '
}

# fails COMMAND...: it exits 1 with one line on stderr, which is left in $output
fails() {
	fails_with 1 "$@"
}

# misused COMMAND...: the same with exit 2, for wrong usage
misused() {
	fails_with 2 "$@"
}

fails_with() {
	local expected=$1 status=0
	shift
	"$@" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/stderr")
	if [ "$status" != "$expected" ] || [ "$(wc -l <"$BATS_TEST_TMPDIR/stderr")" != 1 ]; then
		printf '%s: status %s (expected %s), stderr:\n%s\n' "$*" "$status" "$expected" "$output"
		return 1
	fi
}

# says PATTERN: $output contains the fixed text
says() {
	case $output in
	*"$1"*) ;;
	*)
		printf 'expected "%s" in: %s\n' "$1" "$output"
		return 1
		;;
	esac
}

# llm STREAM: the folder llm/, a LLaMA with the stream's tokenizer whose one block adds nothing; python leaves its token
# vectors in llm/table.npy. The last norm brings states to LENGTH (2).
llm() {
	mkdir -p llm && tar --zstd -xOf "$1" tokenizer/tokenizer.json >llm/tokenizer.json
	python3 - <<-'END'
		import json, numpy, os, struct
		random = numpy.random.default_rng(3)
		vocabulary = max(json.load(open("llm/tokenizer.json"))["model"]["vocab"].values()) + 1
		d = 16
		table = random.normal(size=(vocabulary, d)).astype("<f4")
		square, block = numpy.zeros((d, d), "<f4"), "model.layers.0."
		tensors = {"model.embed_tokens.weight": table, "model.norm.weight": numpy.full(d, float(os.environ.get("LENGTH", 2)), "<f4")}
		for name in "q", "k", "v":
		    tensors[block + f"self_attn.{name}_proj.weight"] = random.normal(size=(d, d)).astype("<f4")
		tensors[block + "self_attn.o_proj.weight"] = square
		for name in "gate", "up":
		    tensors[block + f"mlp.{name}_proj.weight"] = random.normal(size=(d, d)).astype("<f4")
		tensors[block + "mlp.down_proj.weight"] = square
		for name in "input_layernorm", "post_attention_layernorm":
		    tensors[block + name + ".weight"] = numpy.ones(d, "<f4")
		at, header = 0, {}
		for name, array in tensors.items():
		    header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [at, at + array.nbytes]}
		    at += array.nbytes
		text = json.dumps(header).encode()
		with open("llm/model.safetensors", "wb") as file:
		    file.write(struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in tensors.values()))
		json.dump({"model_type": "llama", "hidden_size": d, "intermediate_size": d, "num_hidden_layers": 1,
		           "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": vocabulary, "rms_norm_eps": 1e-5,
		           "max_position_embeddings": 32, "tie_word_embeddings": True}, open("llm/config.json", "w"))
		numpy.save("llm/table.npy", table)
	END
}

# how killed_and_resumed kills a process, which may have ended by then; a file may have a way of its own
kill_it() {
	# where the command is a function, $1 is a shell, and what it started would go on
	local children
	children=$(cat "/proc/$1/task/$1/children" 2>/dev/null) || true
	# shellcheck disable=SC2086 # none, or one
	kill -KILL $children "$1" 2>/dev/null || true
}

# killed_once CHECKPOINT OUT COMMAND...: runs the command until it has saved more than $BATS_TEST_TMPDIR/state, its
# checkpoint of before, if there is one; fails where it ended first
killed_once() {
	local checkpoint=$1 out=$2 process state=$BATS_TEST_TMPDIR/state mark=$BATS_TEST_TMPDIR/mark
	shift 2
	rm -f "$checkpoint" "$out"
	touch -d '1 hour ago' "$mark"
	[ ! -e "$state" ] || { cp -p "$state" "$checkpoint" && touch -r "$checkpoint" "$mark"; }
	"$@" --checkpoint "$checkpoint" --checkpoint-every 0 --resume -o "$out" 3>&- &
	process=$!
	until [ "$checkpoint" -nt "$mark" ] || ! kill -0 $process 2>/dev/null; do
		sleep 0.01
	done
	kill_it $process
	wait $process || true
	[ ! -e "$out" ]
}

# killed_and_resumed CHECKPOINT OUT COMMAND...: runs the command, which keeps its state in CHECKPOINT and ends with OUT,
# three times just until it has saved more, and then to its end. On a busy machine it may end before it is killed: then
# it is run again from where it was.
killed_and_resumed() {
	local checkpoint=$1 out=$2 kills tries
	shift 2
	rm -f "$checkpoint" "$BATS_TEST_TMPDIR/state"
	for kills in 1 2 3; do
		for tries in {1..20}; do
			killed_once "$checkpoint" "$out" "$@" && break
		done
		[ ! -e "$out" ] || { echo "ended before it was killed for time $kills, $tries times" >&2; return 1; }
		[ -e "$checkpoint" ] || { echo "left no checkpoint at time $kills" >&2; return 1; }
		cp -p "$checkpoint" "$BATS_TEST_TMPDIR/state"
	done
	"$@" --checkpoint "$checkpoint" --checkpoint-every 0 --resume -o "$out"
}
