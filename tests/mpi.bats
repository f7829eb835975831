#!/usr/bin/env bats
# seq-train on several ranks: the training of one process, from one stream into one, whoever dies on the way.

load helpers

setup_file() {
	MPI_BIN=${RECPIPE_BIN%-mpi/bin}
	export MPI_BIN=${MPI_BIN%/bin}-mpi/bin
	can_run || return 0
	# mpirun's event loop may warn of a socket that a dying rank has closed, with epoll alone
	export EVENT_NOEPOLL=1
	export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
	# ranks that wait share the processors with all that runs beside; mpirun does not wait for the dying
	export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_odls_base_sigkill_timeout=0 BATS_NO_PARALLELIZE_WITHIN_FILE=true
	cd "$BATS_FILE_TMPDIR" || exit
	awk -F, 'NR == 1 || $1 % 7 == 0' "$EXAMPLE/events.csv" >events.csv
	seq-tokenize -q --items "$EXAMPLE/items.csv" --vocab-size 400 events.csv -o data.tar.zst
	head -n 40 events.csv | seq-tokenize -q -o few.tar.zst
	seq-train "${PRETRAIN[@]}" data.tar.zst -o pre.tar.zst
}

setup() {
	can_run || skip "no mpirun, or no build with MPI=1"
	own_folder
}

can_run() {
	command -v mpirun >/dev/null && [ -x "$MPI_BIN/seq-train" ]
}

PRETRAIN=(-q --task pretrain --hidden-size 16 --layers 2 --set num_attention_heads=2 --set attention_window=8 --max-tokens 48 --epochs 2 --batch-size 16
	--set accumulate=2 --learning-rate 0.002)
FINETUNE=(-q --task finetune --epochs 1 --batch-size 16 --learning-rate 0.002 --set valid_users=30)

# ranks N OPTIONS...: a training on N ranks
ranks() {
	local n=$1
	shift
	timeout 60 mpirun -q --oversubscribe --bind-to none -n "$n" "$MPI_BIN/seq-train" "$@"
}

# like_one OPTIONS...: two ranks of a thread each learn what one process does: the same curve
like_one() {
	seq-train -j1 "$@" -o one.tar.zst
	ranks 2 -j1 "$@" -o two.tar.zst
	for run in one two; do
		tar --zstd -tf $run.tar.zst | grep seq-train.json | tail -n 1 >name
		tar --zstd -xOf $run.tar.zst "$(<name)" >$run.json
	done
	python3 - <<-'END'
		import json
		one, two = (json.load(open(f"{run}.json")) for run in ("one", "two"))
		assert two["ranks"] == 2 and "ranks" not in one
		assert len(one["curve"]) == len(two["curve"]) > 0
		for a, b in zip(one["curve"], two["curve"]):
		    assert a.keys() == b.keys() and abs(a["loss"] - b["loss"]) < 1e-4, (a, b)
		    # one of a hundred users may fall on the other side of what is nearly a tie
		    assert all(abs(a[key] - b[key]) < 0.015 for key in a if key != "seconds"), (a, b)
	END
}

@test "mpi: the loss curve of one process, sasrec and gru" {
	like_one -q --epochs 2 --hidden-size 16 data.tar.zst
	like_one -q --epochs 2 --hidden-size 16 --arch gru --loss gbce --negatives 8 data.tar.zst
}

@test "mpi: the loss curve of one process, items by their features" {
	item-project -q --from tfidf --width 24 data.tar.zst -o items.tar.zst
	like_one -q --epochs 2 --hidden-size 16 --features trainable --set adaptor=mlp --set feature_ids=yes --set score=cosine items.tar.zst
}

@test "mpi: the loss curve of one process, language models" {
	like_one -q --arch llama --hidden-size 16 --layers 1 --heads 2 --epochs 1 --max-tokens 12 data.tar.zst
	like_one -q --arch gpt2 --hidden-size 16 --layers 1 --heads 2 --epochs 1 --max-tokens 12 data.tar.zst
}

@test "mpi: the loss curve of one process, recformer" {
	like_one "${PRETRAIN[@]}" data.tar.zst
	like_one "${FINETUNE[@]}" data.tar.zst pre.tar.zst
}

@test "mpi: more ranks than there is work, and the same bytes again" {
	ranks 3 -q -j2 --no-history --epochs 2 --hidden-size 16 --batch-size 2 few.tar.zst -o a.tar.zst
	ranks 3 -q -j2 --no-history --epochs 2 --hidden-size 16 --batch-size 2 few.tar.zst -o b.tar.zst
	cmp a.tar.zst b.tar.zst
}

@test "mpi: rank 0 alone reads and writes" {
	options=(-j1 --no-history --epochs 1 --hidden-size 16)
	ranks 2 -q "${options[@]}" data.tar.zst -o file.tar.zst
	cat data.tar.zst | ranks 2 "${options[@]}" >piped.tar.zst 2>said
	cmp file.tar.zst piped.tar.zst
	[ "$(grep -c 'epoch   1 loss' said)" = 1 ]
	# published weights are files too
	mkdir folder
	tar --zstd -xf "$ROOT/tests/golden/recformer.tar.zst" -C folder narrow/checkpoint
	fails ranks 2 -q --task pretrain --weights folder/narrow/checkpoint data.tar.zst -o x.tar.zst
	says "vocab_size"
}

@test "mpi: errors are one line, and the end of all ranks" {
	head -c 20000 data.tar.zst >cut.tar.zst
	fails ranks 2 cut.tar.zst -o x.tar.zst
	says "cut.tar.zst: truncated stream"
	fails ranks 2 -q --epochs 1 data.tar.zst -o /dev/full
	says "No space left"
	fails ranks 2 -q -j1 --hidden-size 16 --learning-rate 10 --epochs 1000 --patience 1000 --set norm=original --set beta2=0 data.tar.zst \
		-o x.tar.zst
	says "step"
	misused ranks 2 --nothing data.tar.zst -o x.tar.zst
	[ ! -e x.tar.zst ]
	# what only another rank knows
	fails_with 2 timeout 60 mpirun -q --oversubscribe -n 1 "$MPI_BIN/seq-train" -q data.tar.zst -o x.tar.zst : \
		-n 1 "$MPI_BIN/seq-train" -q --heads 3 data.tar.zst -o x.tar.zst
	says "not a multiple of --heads 3"
}

# a rank dies, and by mpirun the others
kill_it() {
	local ranks
	ranks=$(cat /proc/"$1"/task/*/children)
	kill -KILL "${ranks%% *}"
}

# resumed OPTIONS...: killed again and again, it ends with the bytes of an undisturbed training
resumed() {
	ranks 2 -j1 --no-history "$@" -o whole.tar.zst
	killed_and_resumed run.ckpt resumed.tar.zst mpirun -q --oversubscribe --bind-to none -n 2 \
		"$MPI_BIN/seq-train" -j1 --no-history "$@"
	cmp whole.tar.zst resumed.tar.zst
}

@test "mpi: killed and resumed gives the same bytes, gru" {
	options=(-q --arch gru --epochs 8 --hidden-size 16 --batch-size 16)
	resumed "${options[@]}" data.tar.zst
	fails ranks 3 -j1 --no-history "${options[@]}" --checkpoint run.ckpt --resume data.tar.zst -o x.tar.zst
	says "another training"
}

@test "mpi: killed and resumed gives the same bytes, fine-tuning" {
	resumed "${FINETUNE[@]}" --epochs 6 data.tar.zst pre.tar.zst
}
