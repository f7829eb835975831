#!/usr/bin/env bats
# Recformer by the tools: pre-trained, fine-tuned, zero-shot; repeated and resumed to the byte; and its manners.

load helpers

setup_file() {
	# some users of the example, and all its items: most of them are in no event
	awk -F, 'NR == 1 || $1 % 7 == 0' "$EXAMPLE/events.csv" >"$BATS_FILE_TMPDIR/events.csv"
	cp "$EXAMPLE/items.csv" "$BATS_FILE_TMPDIR"
	cd "$BATS_FILE_TMPDIR" || exit
	seq-tokenize -q --items items.csv --vocab-size 400 events.csv -o data.tar.zst
	pretrain data.tar.zst -o pre.tar.zst
}

setup() {
	own_folder
}

# short trainings of a small model
PRETRAIN=(seq-train -q --no-history --task pretrain --hidden-size 16 --layers 2 --set num_attention_heads=2 --set attention_window=8 --max-tokens 48
	--epochs 2 --batch-size 16 --learning-rate 0.002)
FINETUNE=(seq-train -q --no-history --task finetune --epochs 2 --batch-size 16 --learning-rate 0.002 --set valid_users=60)

pretrain() {
	"${PRETRAIN[@]}" "$@"
}

finetune() {
	"${FINETUNE[@]}" "$@"
}

# member FILE NAME
member() {
	tar --zstd -xOf "$1" "$2"
}

@test "recformer: the lines of its pipeline run" {
	seq-tokenize -q --tokenizer pre.tar.zst --items items.csv events.csv | finetune pre.tar.zst - | seq-rank -q | rec-eval -q >fine.out
	seq-tokenize -q --tokenizer pre.tar.zst --items items.csv events.csv | item-project -q pre.tar.zst - | seq-rank -q | rec-eval -q >zero.out
	grep -q '^model	all	recformer$' fine.out
	grep -q '^ndcg@10	all	0\.' fine.out
	grep -q '^items	all	1105$' zero.out
}

@test "recformer: items in the stream, or encoded by seq-rank, are the same; new items need only their text" {
	item-project -q data.tar.zst pre.tar.zst | seq-rank -q --format tsv -k 5 | cut -f1-3 >given.tsv
	seq-rank -q --format tsv -k 5 data.tar.zst pre.tar.zst | cut -f1-3 >encoded.tsv
	cmp given.tsv encoded.tsv
	{ cat items.csv; echo 'new,GLASS STAR FROSTED T-LIGHT HOLDER NEW,4.25'; } >more.csv
	seq-tokenize -q --tokenizer pre.tar.zst --items more.csv events.csv -o more.tar.zst
	seq-rank -q --format tsv -k 1106 --seen keep pre.tar.zst more.tar.zst | awk -F'\t' '$3 == "new"' >new.tsv
	[ "$(wc -l <new.tsv)" = "$(seq-rank -q --format qrels pre.tar.zst more.tar.zst | wc -l)" ]
	# of another catalog's items: they are encoded anew
	item-project -q data.tar.zst pre.tar.zst -o old.tar.zst
	seq-rank -q --format tsv -k 5 old.tar.zst more.tar.zst >both.tsv
	seq-rank -q --format tsv -k 5 pre.tar.zst more.tar.zst | cmp - both.tsv
}

# same_model TABLE OTHER OPTION...: whether two tables of items make the same parameters
same_model() {
	local one=$1 other=$2 items
	shift 2
	for items in "$one" "$other"; do
		seq-tokenize -q --tokenizer data.tar.zst --items "$items" events.csv |
			pretrain -j1 --epochs 1 "$@" | tar --zstd -xO --wildcards 'model/*.npy' >"$items.parameters"
	done
	cmp -s "$one.parameters" "$other.parameters"
}

@test "recformer: attributes behind max_attr_num, and tokens behind max_attr_length, are not read" {
	sed '2,$s/,[^,]*$/,7.77/' items.csv >prices.csv
	sed -E '2,$s/"?,[^,]*$/ AND SO ON&/' items.csv >titles.csv
	local normal=(--set initialiser=normal) # the other one knows how frequent words are in all of the catalog
	same_model items.csv prices.csv "${normal[@]}" --set max_attr_num=1
	run same_model items.csv prices.csv "${normal[@]}" --set max_attr_num=2
	[ "$status" = 1 ]
	same_model items.csv titles.csv "${normal[@]}" --set max_attr_num=1 --set max_attr_length=3
	run same_model items.csv titles.csv "${normal[@]}" --set max_attr_num=1
	[ "$status" = 1 ]
}

@test "recformer: tied words have no matrix of their own" {
	pretrain --set tie_word_embeddings=yes --epochs 1 data.tar.zst | tar --zstd -t | sort >tied
	tar --zstd -tf pre.tar.zst | sort | comm -23 - tied | grep '^model/' >untied
	[ "$(cat untied)" = model/lm_head.decoder.weight.npy ]
}

@test "recformer: what fine-tuning writes is what it found best" {
	finetune data.tar.zst pre.tar.zst -o fine.tar.zst
	output=$(member fine.tar.zst embedding/meta.json)
	says '"source":"recformer"'
	says "\"model\":\"$(member fine.tar.zst model/meta.json | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')\""
	seq-rank fine.tar.zst 2>said | rec-eval -q >/dev/null
	output=$(<said)
	says "users, test targets"
	case $output in *encoded*) false ;; esac
	# the validation it stopped by is what seq-rank and rec-eval measure
	seq-train -q --task finetune --epochs 2 --batch-size 16 --learning-rate 0.002 --set seen=keep data.tar.zst pre.tar.zst -o told.tar.zst
	tar --zstd -xO --wildcards -f told.tar.zst 'log/*-seq-train.json' >told.json
	seq-rank -q --split valid --seen keep told.tar.zst | rec-eval -q -m ndcg -k 10 >valid.out
	python3 - <<-'END'
		import json
		log = json.load(open("told.json"))
		best = max(point["ndcg@10"] for point in [log["start"], *log["curve"]])
		got = [line.split()[2] for line in open("valid.out") if line.startswith("ndcg@10\tall")][0]
		assert abs(best - float(got)) < 6e-5, (best, got)
	END
}

parameters() {
	tar --zstd -xOf "$1" --wildcards 'model/*.npy'
}

@test "recformer: where neither stage of fine-tuning is better than zero-shot, nor pre-training, the start is kept" {
	for task in finetune pretrain; do
		seq-train --task $task --epochs 3 --patience 2 --batch-size 16 --learning-rate 0.5 pre.tar.zst data.tar.zst -o kept.tar.zst 2>said
		grep -qE '(zero-shot|before training): (valid NDCG@10|in-batch accuracy) 0\.' said
		grep -qE 'no epoch of [0-9] is better than the start, which is kept: (valid NDCG@10|in-batch accuracy) 0\.' said
		seq-train -q --task $task --epochs 0 pre.tar.zst data.tar.zst -o none.tar.zst
		cmp <(parameters kept.tar.zst) <(parameters none.tar.zst)
	done
	# items are the start's, too
	seq-train -q --task finetune --epochs 3 --patience 2 --batch-size 16 --learning-rate 0.5 pre.tar.zst data.tar.zst -o kept.tar.zst
	seq-train -q --task finetune --epochs 0 pre.tar.zst data.tar.zst -o none.tar.zst
	cmp <(member kept.tar.zst embedding/000000.vector.npy) <(member none.tar.zst embedding/000000.vector.npy)
	member kept.tar.zst model/training.json | grep '"best":{"second_stop_after":0,"stop_after":0}\|"best":{"stop_after":0,"second_stop_after":0}'
	# a second stage alone
	seq-train --task finetune --epochs 3 --set stop_after=0 --set second_stop_after=2 --batch-size 16 --learning-rate 0.002 pre.tar.zst data.tar.zst \
		-o second.tar.zst 2>said
	[ "$(grep -c 'epoch *[0-9]* loss' said)" = 2 ]
	[ "$(grep -c 'stage 1 is over' said)" = 0 ]
}

LEARNED=(--set item_vectors=learned --set stop_after=1 --set second_stop_after=3 --set temperature=0.1 --set item_decay=0.5)

@test "recformer: items' own vectors, beside those of their texts" {
	needs_numpy
	seq-tokenize -q --tokenizer pre.tar.zst --holdout none --items items.csv events.csv -o all.tar.zst
	finetune "${LEARNED[@]}" --epochs 4 pre.tar.zst all.tar.zst -o own.tar.zst
	# the same model without them: no training with a task that has none keeps them
	seq-train -q --task pretrain --set words_weight=0 --epochs 0 own.tar.zst all.tar.zst -o text.tar.zst
	run member text.tar.zst model/item_vectors.weight.npy
	[ "$status" != 0 ]
	for name in own text; do
		item-project -q --from recformer $name.tar.zst all.tar.zst -o $name.items.tar.zst
		seq-rank -q --split next --seen keep -k 1105 --format tsv $name.items.tar.zst >$name.tsv
		mkdir $name
		tar --zstd -xf $name.items.tar.zst -C $name
	done
	python3 - <<-'END'
		import numpy
		load = lambda run, name: numpy.load(run + "/" + name + ".npy").astype(float)
		unit = lambda x: x / numpy.linalg.norm(x, axis=-1, keepdims=True)
		own, texts, items = load("own", "model/item_vectors.weight"), *(unit(load(run, "embedding/000000.vector")) for run in ("text", "own"))
		events, starts = load("own", "sequences/000000.item").astype(int), load("own", "sequences/000000.indptr").astype(int)
		trained = {item for first, end in zip(starts, starts[1:]) for item in events[first:end]}
		assert 100 < len(trained) < len(own) - 100 and {*numpy.flatnonzero(abs(own).sum(1))} == trained
		assert abs(items - unit(texts + 10 * own)).max() < 1e-5
		# histories' vectors: those of their texts from their scores, then the items' own
		ids, users = (open("own/" + name + ".txt").read().splitlines() for name in ("catalog/000000.item_id", "sequences/000000.user_id"))
		row = {item: i for i, item in enumerate(ids)}
		def scores(name):
		    found = {}
		    for line in open(name + ".tsv"):
		        user, rank, item, score = line.split("\t")[:4]
		        found.setdefault(user, numpy.zeros(len(ids)))[row[item]] = float(score)
		    return found
		alone, joined = scores("text"), scores("own")
		assert len(alone) == len(users)
		for u, user in enumerate(users):
		    history = events[starts[u]:starts[u + 1]][::-1][:50]
		    text = unit(numpy.linalg.lstsq(texts, alone[user], rcond=None)[0])
		    weight = .5 ** numpy.arange(len(history))
		    query = unit(text + 10 * (weight / weight.sum()) @ own[history])
		    assert abs(items @ query - joined[user]).max() < 2e-4, abs(items @ query - joined[user]).max()
	END
	# what fine-tuning writes is what it found best; of another catalog texts alone are known
	seq-train -q --task finetune --epochs 6 --batch-size 16 --learning-rate 0.002 "${LEARNED[@]}" data.tar.zst pre.tar.zst -o told.tar.zst
	tar --zstd -xO --wildcards -f told.tar.zst 'log/*-seq-train.json' >told.json
	seq-rank -q --split valid told.tar.zst | rec-eval -q -m ndcg -k 10 --format lines | awk '$1 == "ndcg@10" && $2 == "all" { print $3 }' >valid.out
	python3 -c 'import json; log = json.load(open("told.json"))
best = max(point["ndcg@10"] for point in [log["start"], *log["curve"]])
got = float(open("valid.out").read()); assert abs(best - got) < 6e-5, (best, got)'
	{ cat items.csv; echo 'new,GLASS STAR FROSTED T-LIGHT HOLDER NEW,4.25'; } >more.csv
	seq-tokenize -q --tokenizer pre.tar.zst --items more.csv events.csv -o more.tar.zst
	seq-rank -q --format tsv -k 5 own.tar.zst more.tar.zst | cut -f1-3 >other.tsv
	seq-rank -q --format tsv -k 5 text.tar.zst more.tar.zst | cut -f1-3 | cmp - other.tsv
}

@test "recformer: killed and resumed gives the same bytes, items' own vectors" {
	resumed "${FINETUNE[@]}" "${LEARNED[@]}" --epochs 9 data.tar.zst pre.tar.zst
}

@test "recformer: histories that are means of their items' vectors" {
	needs_numpy
	seq-tokenize -q --tokenizer pre.tar.zst --holdout none --items items.csv events.csv -o all.tar.zst
	finetune --set histories=items --set item_vectors=learned --set temperature=0.1 --set item_decay=0.5 --epochs 4 \
		pre.tar.zst all.tar.zst -o own.tar.zst
	mkdir own
	tar --zstd -xf own.tar.zst -C own
	cut -d, -f1 events.csv | sed 1d | uniq | head -n 60 >users.txt
	local every=(--split next --users users.txt --seen keep -k 1105 --format tsv)
	seq-rank -q "${every[@]}" own.tar.zst >scores.tsv
	# the same where items are encoded anew
	item-project -q --from recformer own.tar.zst all.tar.zst -o bare.tar.zst
	seq-rank -q "${every[@]}" bare.tar.zst >bare.tsv
	python3 - <<-'END'
		import numpy
		load = lambda name: numpy.load("own/" + name + ".npy").astype(float)
		unit = lambda x: x / numpy.linalg.norm(x, axis=-1, keepdims=True)
		items, own = unit(load("embedding/000000.vector")), load("model/item_vectors.weight")
		events, starts = load("sequences/000000.item").astype(int), load("sequences/000000.indptr").astype(int)
		assert {*numpy.flatnonzero(abs(own).sum(1))} == {*events}
		ids, users = (open("own/" + name + ".txt").read().splitlines() for name in ("catalog/000000.item_id", "sequences/000000.user_id"))
		row, user = ({name: i for i, name in enumerate(names)} for names in (ids, users))
		for name in ("scores", "bare"):
		    n = 0
		    for line in open(name + ".tsv"):
		        of, rank, item, score = line.split("\t")[:4]
		        history = events[starts[user[of]]:starts[user[of] + 1]][::-1]
		        query = unit(.5 ** numpy.arange(len(history)) @ items[history])
		        n += 1
		        assert abs(query @ items[row[item]] - float(score)) < 1e-4, line
		    assert n == 60 * len(ids)
	END
	# what reads texts is left as it is
	cmp <(member own.tar.zst model/longformer.encoder.layer.0.output.dense.weight.npy) \
		<(member pre.tar.zst model/longformer.encoder.layer.0.output.dense.weight.npy)
	misused finetune --set histories=items pre.tar.zst all.tar.zst -o x.tar.zst
	says "--set histories=items trains items' own vectors alone: it needs --task finetune --set item_vectors=learned"
	resumed "${FINETUNE[@]}" --set histories=items --set item_vectors=learned --epochs 150 --patience 150 data.tar.zst pre.tar.zst
}

@test "recformer: --serve answers" {
	item=$(member data.tar.zst catalog/000000.item_id.txt | sed -n 3p)
	printf 'ann\t%s\nbob\t\n' "$item" | seq-rank -q --serve -k 3 data.tar.zst pre.tar.zst >answers
	[ "$(sed -n 1p answers | cut -f2 | wc -w)" = 3 ]
	[ "$(sed -n 2p answers | cut -f2 | wc -w)" = 3 ]
}

@test "recformer: the same seed, the same bytes" {
	pretrain -j2 data.tar.zst -o a.tar.zst
	pretrain -j2 data.tar.zst -o b.tar.zst
	cmp a.tar.zst b.tar.zst
	finetune -j2 data.tar.zst pre.tar.zst -o a.tar.zst
	finetune -j2 data.tar.zst pre.tar.zst -o b.tar.zst
	cmp a.tar.zst b.tar.zst
}

# resumed COMMAND...: killed again and again, it ends with the bytes of an undisturbed training
resumed() {
	"$@" -j1 -o whole.tar.zst
	killed_and_resumed run.ckpt resumed.tar.zst "$@" -j1
	cmp whole.tar.zst resumed.tar.zst
}

@test "recformer: killed and resumed gives the same bytes, pre-training" {
	resumed "${PRETRAIN[@]}" --epochs 10 --set accumulate=2 data.tar.zst
}

@test "recformer: killed and resumed gives the same bytes, both stages of fine-tuning" {
	resumed "${FINETUNE[@]}" --epochs 5 data.tar.zst pre.tar.zst
}

@test "recformer: published weights" {
	mkdir folder && cd folder
	tar --zstd -xf "$ROOT/tests/golden/recformer.tar.zst" narrow/checkpoint
	cd narrow/checkpoint
	# a vocabulary of as many tokens: the bytes do not fit, so letters
	python3 - <<-'END'
		import json
		vocab = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>"] + list("abcdefghijklmnopqrstuvwxyzĠ-:.,()'!?"))}
		assert len(vocab) == 41, len(vocab)
		json.dump({"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "ByteLevel",
		    "add_prefix_space": False, "trim_offsets": True, "use_regex": True}, "decoder": {"type": "ByteLevel"},
		    "model": {"type": "BPE", "unk_token": "<unk>", "vocab": vocab, "merges": []}}, open("tokenizer.json", "w"))
	END
	seq-tokenize -q --tokenizer tokenizer.json --items <(tr '[:upper:]' '[:lower:]' <../../../items.csv | tr 0-9 a-j | sed '1s/.*/item_id,title,price/') \
		<(tr '[:upper:]' '[:lower:]' <../../../events.csv | tr 0-9 a-j | sed '1s/.*/user_id,item_id/; s/^\([^,]*,[^,]*\),.*/\1/') -o letters.tar.zst
	seq-train -q --task pretrain --weights . --epochs 0 letters.tar.zst -o given.tar.zst
	[ "$(member given.tar.zst model/longformer.embeddings.LayerNorm.bias.npy | tail -c 32 | od -An -tx1 | tr -d ' \n')" = \
		"$(python3 -c '
import json, struct
data = open("model.safetensors", "rb").read()
n = struct.unpack("<Q", data[:8])[0]
a, b = json.loads(data[8:8 + n])["longformer.embeddings.LayerNorm.bias"]["data_offsets"]
print(data[8 + n + a:8 + n + b].hex())')" ]
	seq-rank -q given.tar.zst | rec-eval -q >/dev/null
	# a tensor that is missing, and one of another shape, are named
	python3 - <<-'END'
		import json, struct
		data = open("model.safetensors", "rb").read()
		n = struct.unpack("<Q", data[:8])[0]
		def write(folder, change):
		    import os, shutil
		    os.mkdir(folder)
		    shutil.copy("config.json", folder)
		    header = json.loads(data[8:8 + n])
		    change(header)
		    text = json.dumps(header).encode()
		    text += b" " * (-len(text) % 8)
		    open(folder + "/model.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data[8 + n:])
		def rename(header):
		    name = "longformer.encoder.layer.1.output.dense.weight"
		    header["other"] = header.pop(name)
		def reshape(header):
		    header["longformer.encoder.layer.1.output.dense.weight"]["shape"].reverse()
		write("missing", rename)
		def deepen(header):
		    header["longformer.embeddings.token_type_embeddings.weight"]["shape"] = [1, 8, 4]
		write("misshapen", reshape)
		write("deep", deepen)
	END
	fails seq-train -q --task pretrain --weights missing --epochs 0 letters.tar.zst -o x.tar.zst
	says "no tensor longformer.encoder.layer.1.output.dense.weight"
	fails seq-train -q --task pretrain --weights misshapen --epochs 0 letters.tar.zst -o x.tar.zst
	says "longformer.encoder.layer.1.output.dense.weight is (20, 8) <f4, (8, 20) <f4 was expected"
	fails seq-train -q --task pretrain --weights deep --epochs 0 letters.tar.zst -o x.tar.zst
	says "longformer.embeddings.token_type_embeddings.weight is (1, 8, 4) <f4, (4, 8) <f4 was expected"
	fails seq-train -q --task pretrain --weights . --epochs 0 ../../../data.tar.zst -o x.tar.zst
	says ".: its tokenizer is "
	# as many tokens, but others
	sed 's/"q": \([0-9]*\)/"Q": \1/' tokenizer.json >other.json
	seq-tokenize -q --tokenizer other.json --items <(printf 'item_id,title\na,red\n') <(printf 'user_id,item_id\nu,a\n') -o other.tar.zst
	fails seq-train -q --task pretrain --weights . --epochs 0 other.tar.zst -o x.tar.zst
	says ".: its tokenizer is "
	rm tokenizer.json
	fails seq-train -q --task pretrain --weights . --epochs 0 ../../../data.tar.zst -o x.tar.zst
	says "vocab_size"
	fails seq-train -q --task pretrain --weights ../../../items.csv --epochs 0 letters.tar.zst -o x.tar.zst
	says "items.csv: neither a GGUF nor a safetensors file"
	tar --zstd -xOf "$ROOT/tests/golden/weights.tar.zst" yarn.gguf >llm.gguf
	fails seq-train -q --task pretrain --weights llm.gguf --epochs 0 letters.tar.zst -o x.tar.zst
	says 'llm.gguf: a Recformer cannot go on from "qwen2", whose layers are others: longformer, bert, distilbert, roberta, xlm-roberta are supported'
	[ ! -e x.tar.zst ]
}

@test "recformer: a model in the stream with tensors that are missing, or of other shapes" {
	mkdir parts && tar --zstd -xf pre.tar.zst -C parts
	local name=model/longformer.encoder.layer.0.output.dense.weight.npy
	(cd parts && tar --format=ustar -cf ../missing.tar --exclude=$name model/meta.json model/config.json model/*.npy model/end.json)
	cp parts/model/longformer.encoder.layer.0.intermediate.dense.weight.npy parts/$name
	(cd parts && tar --format=ustar -cf ../misshapen.tar model/meta.json model/config.json model/*.npy model/end.json)
	for command in seq-rank "item-project --from recformer" "seq-train --task finetune"; do
		# shellcheck disable=SC2086
		fails $command -q data.tar.zst missing.tar -o x.tar.zst
		says "$(basename $name) is missing"
		# shellcheck disable=SC2086
		fails $command -q data.tar.zst misshapen.tar -o x.tar.zst
		says "$name: (64, 16) <f4, (16, 64) <f4 was expected"
	done
	[ ! -e x.tar.zst ]
}

@test "recformer: a start from the words: the mean of them, and an LLM's" {
	needs_numpy
	llm data.tar.zst
	anew=(seq-train -q --no-history --task pretrain --hidden-size 8 --layers 2 --set num_attention_heads=2 --epochs 0)
	"${anew[@]}" --words llm --set words_weight=0 data.tar.zst -o start.tar.zst
	"${anew[@]}" --initialiser normal data.tar.zst -o normal.tar.zst
	for name in start normal; do mkdir $name; tar --zstd -xf $name.tar.zst -C $name; done
	python3 - <<-'END'
		import glob, numpy
		def get(run, name):
		    return numpy.load(run + "/model/longformer." + name + ".npy")
		items = numpy.load("start/catalog/000000.input_ids.npy")
		table = numpy.load("llm/table.npy").astype(float)
		words = get("start", "embeddings.word_embeddings.weight")
		# the longest axes, of one deviation
		centred = table - table.mean(0)
		values, axes = numpy.linalg.eigh(centred.T @ centred)
		expected = centred @ axes[:, :-9:-1]
		expected *= .02 / expected.std(0)
		sign = numpy.sign((expected * words).sum(0))
		# but for the first column, of weights: no document frequency is higher than that of the names of attributes
		assert abs(words - expected * sign)[:, 1:].max() < 1e-5, abs(words - expected * sign).max()
		names = words[items[numpy.load("start/catalog/000000.token_type_ids.npy") == 1], 0]
		assert names.min() == words[:, 0].min() and names.min() < 0 < words[:, 0].max()
		eye = numpy.eye(8)
		for layer in "01":
		    of = "encoder.layer." + layer + ".attention."
		    assert (get("start", of + "self.value_global.weight") == eye - numpy.outer(eye[0], eye[0])).all()
		    assert (get("start", of + "output.dense.weight") == 30 * eye).all()
		    assert abs(get("normal", of + "output.dense.weight")).max() < .2
		others = "embeddings.position_embeddings.weight"
		assert abs(get("start", others).std() - .0002) < 2e-5 and abs(get("normal", others).std() - .02) < 2e-3
		assert glob.glob("normal/model/lm_head*") and not glob.glob("start/model/lm_head*")
	END
	# what starts so is trained on, with the same words where they are frozen
	seq-train -q --task pretrain --set words_weight=0 --set frozen_words=yes --epochs 1 start.tar.zst -o trained.tar.zst
	cmp <(member start.tar.zst model/longformer.embeddings.word_embeddings.weight.npy) \
		<(member trained.tar.zst model/longformer.embeddings.word_embeddings.weight.npy)
	fails "${anew[@]}" --words llm start.tar.zst -o x.tar.zst
	says "is for a new model"
	fails "${anew[@]}" --hidden-size 32 --words llm data.tar.zst -o x.tar.zst
	says "token vectors are 16 wide"
	seq-tokenize -q --items items.csv --vocab-size 300 events.csv -o other.tar.zst
	fails "${anew[@]}" --words llm other.tar.zst -o x.tar.zst
	says "llm: its tokenizer is "
	misused seq-train --task finetune --set mask_rate=0.1 data.tar.zst -o x.tar.zst
}

@test "recformer: options for a new model, where there is one" {
	for option in "--size tiny" "--words x" "--initialiser normal" "--weights x"; do
		# shellcheck disable=SC2086
		misused seq-train -q --task pretrain $option --model pre.tar.zst data.tar.zst -o x.tar.zst
		says "${option% *} does not go with --model"
	done
	fails seq-train -q --task pretrain --size tiny pre.tar.zst data.tar.zst -o x.tar.zst
	says "--size is for a new model, the stream has one"
	# whose width decides the learning rate, which another one does not take over
	seq-train -q --task pretrain --size tiny --epochs 0 data.tar.zst -o tiny.tar.zst
	seq-train --task pretrain --like tiny.tar.zst --size small --epochs 0 data.tar.zst -o small.tar.zst 2>said
	grep -qx "seq-train: --hidden-size 64 of tiny.tar.zst is not taken over, as --size is another" said
	member small.tar.zst model/config.json | grep '"hidden_size":128'
}

@test "recformer: bad input" {
	seq-tokenize -q events.csv -o plain.tar.zst
	fails pretrain plain.tar.zst -o x.tar.zst
	says "no items with text"
	fails seq-rank -q pre.tar.zst plain.tar.zst
	says "no text of the items"
	seq-tokenize -q --items items.csv --vocab-size 300 events.csv -o other.tar.zst
	fails finetune pre.tar.zst other.tar.zst -o x.tar.zst
	says "model of pre.tar.zst: its tokenizer is not the one that the items of other.tar.zst were read with"
	fails seq-rank -q pre.tar.zst other.tar.zst
	says "model of pre.tar.zst: its tokenizer is not the one that the items of other.tar.zst were read with"
	fails item-project -q pre.tar.zst other.tar.zst -o x.tar.zst
	says "model of pre.tar.zst: its tokenizer is not the one that the items of other.tar.zst were read with"
	fails finetune data.tar.zst -o x.tar.zst
	says "no model in the stream to fine-tune"
	seq-train -q --arch popular data.tar.zst -o popular.tar.zst
	fails finetune popular.tar.zst -o x.tar.zst
	says "popular, where recformer was expected"
	misused seq-train --arch recformer data.tar.zst -o x.tar.zst
	misused seq-train --arch gru --task finetune data.tar.zst -o x.tar.zst
	misused seq-train --task pretrain --size huge data.tar.zst -o x.tar.zst
	# items without any text
	awk -F, 'NR == 1 { print "item_id,title"; next } { print $1 "," }' "$EXAMPLE/items.csv" >empty.csv
	seq-tokenize -q --tokenizer pre.tar.zst --items empty.csv events.csv -o empty.tar.zst
	for command in "pretrain" "finetune pre.tar.zst" "seq-rank -q pre.tar.zst" "item-project -q pre.tar.zst"; do
		# shellcheck disable=SC2086
		fails $command empty.tar.zst -o x.tar.zst
		says "none of its items has any text"
	done
	[ ! -e x.tar.zst ]
	# some items without text, histories longer than every limit
	awk -F, 'NR == 1 { print "item_id,title"; next } NR % 2 { print $1 "," } NR % 2 == 0 { print $1 ",red pen" }' "$EXAMPLE/items.csv" >half.csv
	seq-tokenize -q --tokenizer pre.tar.zst --items half.csv events.csv -o half.tar.zst
	finetune --max-tokens 5 --set max_items=2 pre.tar.zst half.tar.zst | seq-rank -q | rec-eval -q >/dev/null
}

# encoder NAME: a folder as others publish it, with items and events of its words, and cosines that PyTorch computed
encoder() {
	tar --zstd -xf "$ROOT/tests/golden/recformer_encoder.tar.zst"
	seq-tokenize -q --tokenizer "$1" --holdout none --items items.csv events.csv -o "$1.tar.zst"
}

@test "recformer: a start from a trained encoder reads texts as PyTorch does" {
	local name
	for name in bert roberta distilbert; do
		encoder $name
		seq-train -q --task pretrain --weights $name --set words_weight=0 --epochs 0 $name.tar.zst -o start.tar.zst
		seq-rank -q --split next --seen keep -k 40 --format tsv $name.tar.zst start.tar.zst >scores
		awk -F '\t' 'NR == FNR { is[$1, $2] = $3; next }
			{ n++; off = $4 - is[$1, $3]; if (off < -1e-4 || off > 1e-4 || !(($1, $3) in is)) { print; bad = 1 } }
			END { exit bad || n != 280 }' $name/scores.tsv scores
	done
}

@test "recformer: what starts from a trained encoder has its vectors of items, and is trained on from there" {
	needs_numpy
	encoder bert
	start=(seq-train -q --no-history --task pretrain --weights bert --set words_weight=0)
	"${start[@]}" --set pooler=no --epochs 0 bert.tar.zst -o plain.tar.zst
	item-project -q plain.tar.zst bert.tar.zst -o ours.tar.zst
	item-project -q --from encoder --encoder bert --template '{title} {brand}' bert.tar.zst -o theirs.tar.zst
	for name in ours theirs; do mkdir $name; tar --zstd -xf $name.tar.zst -C $name; done
	python3 - <<-'END'
		import numpy
		ours, theirs = (numpy.load(name + "/embedding/000000.vector.npy") for name in ("ours", "theirs"))
		unit = lambda x: x / numpy.linalg.norm(x, axis=1, keepdims=True)
		assert abs(unit(ours) - unit(theirs)).max() < 1e-5
	END
	# attributes as long as the encoder's 120 positions let three of them be, and a window as wide
	output=$(member plain.tar.zst model/config.json)
	says '"max_attr_length":39,'
	says '"attention_window":238,'
	"${start[@]}" --set max_attr_num=1 --set max_attr_length=7 --epochs 0 bert.tar.zst -o short.tar.zst
	output=$(member short.tar.zst model/config.json)
	says '"max_attr_length":7,'
	says '"attention_window":18,'
	seq-tokenize -q --tokenizer bert --items items.csv events.csv -o held.tar.zst
	# without validation, by which the start might be kept
	seq-tokenize -q --tokenizer bert --holdout none --items items.csv events.csv -o all.tar.zst
	"${start[@]}" -j2 --epochs 2 all.tar.zst -o a.tar.zst
	"${start[@]}" -j2 --epochs 2 all.tar.zst -o b.tar.zst
	cmp a.tar.zst b.tar.zst
	"${start[@]}" -j2 --epochs 2 --set attention=window --set positions=text --set item_decay=1 all.tar.zst -o other.tar.zst
	run cmp -s a.tar.zst other.tar.zst
	[ "$status" = 1 ]
	seq-train -q --task finetune --epochs 2 a.tar.zst held.tar.zst | seq-rank -q | rec-eval -q >/dev/null
	# what has learned has correlations again, which another catalog may take away
	seq-train -q --task pretrain --set whiten=yes --set words_weight=0 --epochs 0 a.tar.zst -o anew.tar.zst
	for name in a anew; do
		mkdir whitened.$name
		item-project -q $name.tar.zst | tar --zstd -x -C whitened.$name
	done
	python3 - <<-'END'
		import numpy
		def off(name): # variances along the principal axes are 1, or 0 where there are none
		    x = numpy.load(f"whitened.{name}/embedding/000000.vector.npy").astype("f8")
		    variances = numpy.linalg.eigvalsh(x.T @ x / len(x))
		    return max(min(abs(v), abs(v - 1)) for v in variances)
		assert off("anew") < 1e-4 < off("a"), (off("anew"), off("a"))
	END
	# and so beside items' own vectors, which are none of it
	seq-train -q --task finetune --set whiten=yes --set item_vectors=learned --set histories=items --epochs 1 a.tar.zst held.tar.zst |
		member - model/pooler.dense.weight.npy >own.npy
	member anew.tar.zst model/pooler.dense.weight.npy | cmp - own.npy
	fails seq-train -q --task pretrain --set whiten=yes --epochs 0 plain.tar.zst bert.tar.zst -o x.tar.zst
	says "--set whiten=yes: the stream's model has no pooler, which whitens"
	# masked words need a head, which starts anew
	seq-train -q --task pretrain --weights bert --epochs 1 held.tar.zst -o words.tar.zst
	member words.tar.zst model/lm_head.dense.weight.npy >/dev/null
}

@test "recformer: encoders that it cannot go on from" {
	encoder bert
	tar --zstd -xf "$ROOT/tests/golden/encoder.tar.zst"
	cannot() { # FOLDER WHAT
		fails seq-train -q --task pretrain --weights "$1" --epochs 0 bert.tar.zst -o x.tar.zst
		says "$2"
	}
	cannot mpnet 'mpnet: a Recformer cannot go on from "mpnet", whose layers are others: longformer, bert, distilbert, roberta, xlm-roberta'
	cannot modernbert 'modernbert: a Recformer cannot go on from "modernbert"'
	cannot bert 'bert: a Dense behind the pooling is not supported for a Recformer'
	cannot roberta 'roberta: pooling by "lasttoken" is not supported for a Recformer'
	sed -i 's/"gelu"/"relu"/' distilbert/config.json
	cannot distilbert 'distilbert: "hidden_act" is not "gelu"'
	sed -i '/"model_type"/s/xlm-roberta/gru/' xlm-roberta/config.json
	cannot xlm-roberta 'gru'
	encoder bert
	fails seq-train -q --task pretrain --weights bert --hidden-size 16 --epochs 0 bert.tar.zst -o x.tar.zst
	says 'bert: bert.embeddings.word_embeddings.weight is (37, 8) <f4, (37, 16) <f4 was expected'
	fails seq-train -q --task pretrain --weights bert --epochs 0 data.tar.zst -o x.tar.zst
	says "bert: its tokenizer is "
	fails seq-train -q --task pretrain --weights bert --set max_attr_length=60 --epochs 0 bert.tar.zst -o x.tar.zst
	says 'items of "max_attr_num" 3 times "max_attr_length" 60 tokens, at most 118 were expected'
	[ ! -e x.tar.zst ]
}
