#!/usr/bin/env bats
# item-project: the vectors it makes of items, and what it refuses.

load helpers

setup_file() {
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o "$BATS_FILE_TMPDIR/shop.tar.zst"
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	shop=$BATS_FILE_TMPDIR/shop.tar.zst
	printf 'user_id,item_id,timestamp\nu1,b,3\nu1,a,1\nu1,c,2\nu2,d,2\nu2,e,3\n' >events.csv
	printf 'item_id,title,brand\na,Red pen,Bic\nb,Blue pen,Bic\nc,Red ink,\nd,Red pen,Bic\n' >items.csv
	seq-tokenize -q --items items.csv events.csv -o small.tar.zst
}

# history KEY FILE: what the last item-project wrote
history() {
	tar --zstd -xOf "$2" --wildcards 'log/*-item-project.json' | tail -n 1 |
		python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

# vectors FILE CODE: python with v, the embedding of one chunk, and meta
vectors() {
	rm -rf seen && mkdir seen && tar --zstd -xf "$1" -C seen
	python3 -c "
import json, numpy
v = numpy.load('seen/embedding/000000.vector.npy')
meta = json.load(open('seen/embedding/meta.json'))
$2"
}

@test "item-project: adds embedding, and passes on all else" {
	item-project -q --from tfidf --width 64 "$shop" -o out.tar.zst
	diff <(tar --zstd -tf "$shop") <(tar --zstd -tf out.tar.zst) >changes || true
	[ "$(grep -c '^<' changes)" = 0 ]
	[ "$(sed -n 's/^> //p' changes | paste -sd' ' -)" = "embedding/meta.json embedding/000000.vector.npy\
 embedding/end.json log/01-item-project.json" ]
	vectors out.tar.zst '
catalog = json.load(open("seen/catalog/meta.json"))
assert v.shape == (catalog["n_items"], 64) and v.dtype == numpy.float32, v.shape
assert meta["catalog"] == catalog["fingerprint"] and meta["width"] == 64 and meta["source"] == "tfidf", meta
assert meta["template"] == "{title} {price}" and meta["standardised"] is False, meta
norms = numpy.linalg.norm(v, axis=0)
assert (norms[:-1] >= norms[1:]).all() and numpy.linalg.norm(v, axis=1).max() < 1.0001'
	[ "$(history words out.tar.zst)" -gt 500 ]
	[ "$(history textless_items out.tar.zst)" = 0 ]
	seq-train -q --arch popular out.tar.zst | seq-rank -q | rec-eval -q >/dev/null
}

@test "item-project: replaces an earlier embedding, and other vectors have another id" {
	item-project -q --from tfidf --width 8 "$shop" | item-project -q --from tfidf --width 4 >out.tar.zst
	[ "$(tar --zstd -tf out.tar.zst | grep -c embedding/meta.json)" = 1 ]
	vectors out.tar.zst 'assert v.shape[1] == 4; print(meta["id"])' >one
	item-project -q --from tfidf --width 4 "$shop" -o out.tar.zst
	vectors out.tar.zst 'print(meta["id"])' >two
	cmp one two
	item-project -q --from tfidf --width 4 --template '{title}' "$shop" -o out.tar.zst
	vectors out.tar.zst 'print(meta["id"])' >two
	run cmp -s one two
	[ "$status" = 1 ]
}

@test "item-project: the same bytes from stdin and a file, and for any number of threads" {
	item-project -q --no-history --from tfidf --width 32 -j 1 "$shop" >a
	item-project -q --no-history --from tfidf --width 32 -j 3 <"$shop" >b
	cmp a b
}

@test "item-project: equal texts are equal vectors, and shared words bring items together" {
	item-project -q --from tfidf --width 3 small.tar.zst -o out.tar.zst 2>said
	vectors out.tar.zst '
items = open("seen/catalog/000000.item_id.txt").read().split()
a, b, c, d, e = (v[items.index(i)] for i in "abcde")
assert (a == d).all() and not e.any(), v
assert abs(a @ a - 1) < 1e-5 and a @ b > b @ c + 0.1 and a @ c > b @ c + 0.1, v @ v.T'
	item-project -q --from tfidf --template 'by {brand}' small.tar.zst -o out.tar.zst
	vectors out.tar.zst '
assert v.shape == (5, 1) and abs(v[:, 0]).tolist() == abs(v[0, 0] * numpy.array([1, 1, 0, 1, 0])).tolist(), v'
}

@test "item-project: items without text are zero vectors, counted and said" {
	item-project --from tfidf --template '{brand}' small.tar.zst 2>said >out.tar.zst
	output=$(<said)
	says "warning: no text in 2 of 5 items"
	says "1 dimension instead of 300"
	[ "$(history textless_items out.tar.zst)" = 2 ]
	[ "$(history width out.tar.zst)" = 1 ]
	printf 'item_id,title\na,Pen\nb,!!!\nc,\n' >items.csv
	printf 'user_id,item_id,timestamp\nu,a,1\nu,b,2\n' >events.csv
	seq-tokenize -q --items items.csv events.csv | item-project --from tfidf 2>said >out.tar.zst
	output=$(<said)
	says "warning: no text in 1 of 3 items"
	says "warning: no words in 2 of 3 items; their vectors are zero"
	[ "$(history wordless_items out.tar.zst)" = 2 ]
}

@test "item-project: titles in Chinese, Japanese and Thai without blanks" {
	printf 'item_id,title\n1,苹果手机壳防摔\n2,苹果手机保护壳\n3,红色钢笔\n4,ノートブック\n5,ノートブックカバー\n6,ถ้วยกาแฟ\n7,ถ้วยกาแฟสีแดง\n' >items.csv
	printf 'user_id,item_id,timestamp\nu,1,1\nu,2,2\n' >events.csv
	seq-tokenize -q --items items.csv events.csv | item-project -q --from tfidf -o out.tar.zst
	vectors out.tar.zst '
near = v @ v.T
assert near[0, 1] > .2 and near[3, 4] > .3 and near[5, 6] > .3, near
assert abs(near[0, 2]) < 1e-5 and abs(near[0, 3]) < 1e-5 and abs(near[4, 6]) < 1e-5, near'
}

@test "item-project: --standardise brings each dimension to mean 0 and variance 1, over items with text" {
	item-project -q --from tfidf --width 40 --standardise "$shop" -o out.tar.zst
	vectors out.tar.zst '
assert abs(v.mean(0)).max() < 1e-5 and abs(v.var(0) - 1).max() < 1e-4 and meta["standardised"] is True'
	item-project -q --from tfidf --standardise small.tar.zst -o out.tar.zst
	vectors out.tar.zst '
items = open("seen/catalog/000000.item_id.txt").read().split()
textless = items.index("e")
assert not v[textless].any()
rest = numpy.delete(v, textless, 0)
assert abs(rest.mean(0)).max() < 1e-5 and abs(rest.var(0) - 1).max() < 1e-4, v'
	item-project -q --from tfidf --template '{brand}' --standardise small.tar.zst -o out.tar.zst
	vectors out.tar.zst 'assert not v.any(), v'
}

@test "item-project: --whiten makes dimensions uncorrelated, and leaves those out that are none" {
	item-project -q --from tfidf --width 40 --whiten "$shop" -o out.tar.zst
	vectors out.tar.zst '
assert abs(v.T @ v / len(v) - numpy.eye(40)).max() < 1e-3 and meta["whitened"] is True'
	item-project -q --from tfidf --whiten small.tar.zst -o out.tar.zst
	vectors out.tar.zst '
rest = v[v.any(1)].astype(float)
assert len(rest) == len(v) - 1
values = numpy.linalg.eigvalsh(rest.T @ rest / len(rest))
assert abs(values * (values - 1)).max() < 1e-3, values'
}

@test "item-project: --whiten-groups adds what each group of dimensions gives alone, as in NumPy" {
	for textless in "" small; do
		stream=${textless:-$shop}
		[ -z "$textless" ] || stream=small.tar.zst
		item-project -q --from tfidf --width 40 "$stream" -o raw.tar.zst
		vectors raw.tar.zst 'numpy.save("raw.npy", v)'
		item-project -q --from tfidf --width 40 --whiten-groups 3 "$stream" -o out.tar.zst
		vectors out.tar.zst '
def whitened(x):
    x = (x - x.mean(0)) / x.std(0)
    values, turn = numpy.linalg.eigh(x.T @ x / len(x))
    return x @ (turn * numpy.where(values > 1e-5 * values.max(), 1 / abs(values) ** .5, 0)) @ turn.T
x = numpy.load("raw.npy").astype(float)
known, width = x.any(1), x.shape[1]
group = [width * i // 3 for i in range(4)]
expected = whitened(x[known]) + numpy.hstack([whitened(x[known, a:b]) for a, b in zip(group, group[1:])])
assert abs(v[known] - expected).max() < 2e-3 and not v[~known].any(), abs(v[known] - expected).max()
assert meta["whiten_groups"] == 3 and meta["whitened"] is True and meta["standardised"] is True, meta'
	done
	fails item-project -q --from tfidf --width 2 --whiten-groups 3 small.tar.zst -o x.tar.zst
	says "--whiten-groups 3: the vectors have 2 dimensions"
	misused item-project -q --from tfidf --whiten-groups 1 small.tar.zst -o x.tar.zst
	[ ! -e x.tar.zst ]
}

@test "item-project: --join puts vectors beside those of the stream, each of the same size" {
	item-project -q --from tfidf --width 40 "$shop" -o words.tar.zst
	item-project -q --from tfidf --template '{title}' --width 24 --standardise "$shop" -o titles.tar.zst
	vectors titles.tar.zst 'numpy.save("titles.npy", v)'
	vectors words.tar.zst 'numpy.save("words.npy", v); print(meta["id"])' >id
	item-project -q --from tfidf --template '{title}' --width 24 --join words.tar.zst -o out.tar.zst
	vectors out.tar.zst '
words, titles = numpy.load("words.npy").astype(float), numpy.load("titles.npy")
assert v.shape == (len(words), 64) and meta["width"] == 64 and meta["beside"]["id"] == open("id").read().strip(), meta
assert abs(v[:, :40] - words / (words ** 2).mean() ** .5).max() < 1e-5
assert abs((v[:, 40:].astype(float) ** 2).mean() - 1) < 1e-5'
	# what is asked for besides is done to all of them, and they may be joined again
	item-project -q --from tfidf --template '{title}' --width 24 --join --standardise words.tar.zst -o out.tar.zst
	vectors out.tar.zst 'assert abs(v[:, 40:] - numpy.load("titles.npy")).max() < 2e-3 and abs(v.var(0) - 1).max() < 1e-3'
	item-project -q --from tfidf --width 8 --join out.tar.zst | seq-train -q --epochs 1 --hidden-size 16 >model.tar.zst
	fails item-project -q --from tfidf --join "$shop" -o x.tar.zst
	says "--join: no embedding in the stream to put these vectors beside"
	cat words.tar.zst small.tar.zst >other.tar.zst
	fails item-project -q --from tfidf --join other.tar.zst -o x.tar.zst
	[ ! -e x.tar.zst ]
}

# the tokens of an item's title with its name, as the catalog has them
titles='
table = numpy.load("llm/table.npy")
items = open("seen/catalog/000000.item_id.txt").read().split()
at, ids, kind = (numpy.load(f"seen/catalog/000000.{name}.npy") for name in ("indptr", "input_ids", "token_type_ids"))
tokens = [ids[a:b][kind[a:b] == 2] for a, b in zip(at, at[1:])]
'

@test "item-project: --from tokens is the mean of the token vectors" {
	seq-tokenize -q --items items.csv --attributes title events.csv -o titles.tar.zst
	llm titles.tar.zst
	item-project --from tokens --llm llm --template '{title}' titles.tar.zst -o out.tar.zst 2>said
	output=$(<said)
	says "warning: no text in 1 of 5 items"
	vectors out.tar.zst "$titles"'
assert v.shape == (5, 16) and meta["source"] == "tokens" and meta["max_tokens"] == 64, meta
for i, item in enumerate(items):
    expected = table[tokens[i]].mean(0) if len(tokens[i]) else numpy.zeros(16)
    assert abs(v[i] - expected).max() < 1e-6, item'
	item-project -q --from tokens --llm llm --template '{title}' --max-tokens 1 titles.tar.zst -o out.tar.zst
	vectors out.tar.zst "$titles"'
for i, item in enumerate(items):
    expected = table[tokens[i][:1]].mean(0) if len(tokens[i]) else numpy.zeros(16)
    assert abs(v[i] - expected).max() < 1e-6, item'
	[ "$(history texts_cut out.tar.zst)" = 4 ]
	[ "$(history tokens out.tar.zst)" = 4 ]
}

@test "item-project: a long description takes no title away, and what was cut is told by attribute" {
	{
		echo item_id,description,brand,Title
		for item in a b c d; do
			echo "$item,$(printf 'word%.0s ' {1..200}),Bic,A red pen of item $item"
		done
	} >long.csv
	seq-tokenize --items long.csv events.csv -o long.tar.zst 2>said
	output=$(<said)
	says "attributes are Title, description, brand"
	llm long.tar.zst
	item-project --from tokens --llm llm --max-tokens 32 long.tar.zst -o out.tar.zst 2>said
	output=$(<said)
	says "4 of 5 texts are longer than 32 tokens, and cut: description in 4"
	[ "$(history attributes_cut out.tar.zst)" = "{'description': 4}" ]
	vectors out.tar.zst 'assert abs(v[0] - v[1]).max() > 1e-4' # titles differ, and nothing else does
	seq-tokenize -q --items long.csv --attributes description,Title events.csv -o long.tar.zst
	llm long.tar.zst
	item-project --from tokens --llm llm --max-tokens 32 --template '{description}' long.tar.zst -o out.tar.zst 2>said
	output=$(<said)
	says "cut: description in 4"
}

@test "item-project: --from llm is the mean of the last hidden states" {
	seq-tokenize -q --items items.csv --attributes title events.csv -o titles.tar.zst
	llm titles.tar.zst
	for threads in 1 2; do
		item-project -q --no-history -j $threads --from llm --llm llm --template '{title}' titles.tar.zst >$threads.tar.zst
	done
	cmp 1.tar.zst 2.tar.zst
	# its block adds nothing: a state is the token's vector, brought to length by the last norm
	vectors 1.tar.zst "$titles"'
states = 2 * table / numpy.sqrt((table ** 2).mean(1, keepdims=True) + 1e-5)
assert v.shape == (5, 16) and meta["source"] == "llm" and meta["max_tokens"] == 32, meta
for i, item in enumerate(items):
    read = numpy.concatenate([[0], tokens[i], [2]])  # what this tokenizer puts around a text: <s> and </s>
    expected = states[read].mean(0) if len(tokens[i]) else numpy.zeros(16)
    assert abs(v[i] - expected).max() < 1e-5, item'
	fails item-project -q --from llm --llm llm "$shop" -o out.tar.zst
	says "llm: its tokenizer is "
}

@test "item-project: --from encoder reads the texts with the encoder's own tokenizer" {
	tar --zstd -xf "$ROOT/tests/golden/encoder.tar.zst" bert roberta
	for threads in 1 2; do
		item-project -q --no-history -j $threads --from encoder --encoder roberta --template '{title}' small.tar.zst >$threads.tar.zst
	done
	cmp 1.tar.zst 2.tar.zst
	vectors 1.tar.zst '
assert v.shape == (5, 24) and meta["source"] == "encoder" and meta["pooling"] == "lasttoken" and meta["prompt"] == "", meta
ids = open("seen/catalog/000000.item_id.txt").read().split()
of = dict(zip(ids, v))
assert abs(of["a"] - of["d"]).max() < 1e-5 and abs(of["a"] - of["b"]).max() > .01 and not of["e"].any(), v' # the same title; none
	# of unit length, as modules.json says
	item-project -q --from encoder --encoder bert --max-tokens 4 small.tar.zst -o out.tar.zst
	vectors out.tar.zst '
assert v.shape == (5, 9) and abs(sorted(numpy.linalg.norm(v, axis=1))[1] - 1) < 1e-5 and meta["max_tokens"] == 4, (v, meta)'
	item-project -q --from encoder --encoder bert/model.gguf --integers small.tar.zst -o out.tar.zst
	vectors out.tar.zst 'assert v.shape == (5, 24) and meta["pooling"] == "cls" and meta["integers"], meta'
	# a prompt is put before each text
	printf '{"prompts": {"d": "un red: "}, "default_prompt_name": "d"}' >roberta/config_sentence_transformers.json
	item-project -q --from encoder --encoder roberta --template '{title}' small.tar.zst -o with.tar.zst
	rm roberta/config_sentence_transformers.json
	item-project -q --from encoder --encoder roberta --template 'un red: {title}' small.tar.zst -o same.tar.zst
	vectors with.tar.zst 'assert meta["prompt"] == "un red: "; numpy.save("with.npy", v)'
	vectors same.tar.zst 'assert (v == numpy.load("with.npy")).all()'
}

@test "item-project: bad encoders" {
	tar --zstd -xf "$ROOT/tests/golden/encoder.tar.zst" mpnet
	tar --zstd -xf "$ROOT/tests/golden/llm.tar.zst" qwen3
	misused item-project --from encoder small.tar.zst
	says "--from encoder needs --encoder PATH"
	misused item-project --from llm --encoder mpnet small.tar.zst
	says "--encoder is no option of --from llm"
	misused item-project --from encoder --encoder mpnet --llm mpnet small.tar.zst
	says "--llm is no option of --from encoder"
	fails item-project -q --from encoder --encoder nowhere small.tar.zst -o out.tar.zst
	says nowhere
	fails item-project -q --from encoder --encoder qwen3 small.tar.zst -o out.tar.zst
	says "qwen3: no tokenizer comes with it"
	fails item-project -q --from llm --llm mpnet small.tar.zst -o out.tar.zst
	says 'mpnet: "mpnet" is an encoder; language models are llama, mistral'
	rm mpnet/tokenizer.json
	fails item-project -q --from encoder --encoder mpnet small.tar.zst -o out.tar.zst
	says "mpnet: no tokenizer comes with it"
}

@test "item-project: the stream's own language model serves as LLM" {
	llm small.tar.zst
	tar --zstd -xf small.tar.zst catalog/meta.json
	python3 - <<-'END'
		import json, numpy, os, struct
		file = open("llm/model.safetensors", "rb")
		header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
		data = file.read()
		os.mkdir("model")
		for name, tensor in header.items():
		    first, end = tensor["data_offsets"]
		    numpy.save(f"model/{name}.npy", numpy.frombuffer(data[first:end], "<f4").reshape(tensor["shape"]))
		config = json.load(open("llm/config.json"))
		json.dump(config | {"architecture": "llama"}, open("model/config.json", "w"))
		json.dump({"group": "model", "id": "0000000000000001", "shard": [1, 1], "tokens": config["vocab_size"],
		           "tokenizer": json.load(open("catalog/meta.json"))["tokenizer"]}, open("model/meta.json", "w"))
		json.dump({"shard": [1, 1]}, open("model/end.json", "w"))
	END
	tar --format=ustar -cf model.tar model/meta.json model/config.json model/*.npy model/end.json
	for source in llm tokens; do
		item-project -q --from $source --llm llm small.tar.zst -o one.tar.zst
		item-project -q --from $source small.tar.zst model.tar -o two.tar.zst
		vectors one.tar.zst 'numpy.save("one.npy", v)'
		vectors two.tar.zst 'assert v.any() and (v == numpy.load("one.npy")).all()'
	done
	tar --zstd -tf two.tar.zst | grep -x model/config.json
}

@test "item-project: an LLM that does not fit" {
	llm small.tar.zst
	fails item-project -q --from tokens --llm llm "$shop" -o out.tar.zst
	says "llm: its tokenizer is "
	says "its tokenizer is not the stream's"
	fails item-project -q --from tokens --llm nowhere small.tar.zst -o out.tar.zst
	says nowhere
	LENGTH=3e38 llm small.tar.zst
	fails item-project -q --from llm --llm llm small.tar.zst -o out.tar.zst
	says "llm: the vector of item a is not finite"
	fails item-project -q --from llm --whiten --llm llm small.tar.zst -o out.tar.zst
	says "llm: the vector of item a is not finite"
	rm llm/tokenizer.json
	fails item-project -q --from tokens --llm llm small.tar.zst -o out.tar.zst
	says "llm: no tokenizer"
	fails item-project -q --from llm small.tar.zst -o out.tar.zst
	says "no LLM: --llm PATH was not given, and the stream has no language model"
	seq-train -q --arch popular small.tar.zst -o popular.tar.zst
	fails item-project -q --from tokens popular.tar.zst -o out.tar.zst
	says "the stream has no language model"
	[ ! -e out.tar.zst ]
	misused item-project --from tokens --llm llm --width 3 small.tar.zst -o out.tar.zst
	misused item-project --from tfidf --llm llm small.tar.zst -o out.tar.zst
	misused item-project --from tfidf --max-tokens 3 small.tar.zst -o out.tar.zst
}

@test "item-project: what it cannot make vectors of" {
	seq-tokenize -q events.csv -o ids.tar.zst
	fails item-project --from tfidf ids.tar.zst -o out.tar.zst
	says "catalog: no text of the items; seq-tokenize --items adds it"
	fails item-project --from tfidf --template '{colour}' small.tar.zst -o out.tar.zst
	says "no attribute {colour}; the catalog has title, brand"
	fails item-project --from tfidf --template 'title' small.tar.zst -o out.tar.zst
	says "an attribute in braces"
	printf 'item_id,title\na,---\nb,...\nc,!\nd,\ne,\n' >marks.csv
	seq-tokenize -q --items marks.csv events.csv -o marks.tar.zst
	fails item-project -q --from tfidf marks.tar.zst -o out.tar.zst
	says "no words in the texts"
	# words are those of the texts as they were read, whatever tokenizer comes later
	seq-tokenize -q --items items.csv --vocab-size 270 events.csv -o other.tar.zst
	mkdir other && tar --zstd -xf other.tar.zst -C other
	tar --format=ustar -cf other.tar -C other tokenizer/meta.json tokenizer/tokenizer.json tokenizer/end.json
	item-project -q --from tfidf small.tar.zst other.tar -o both.tar.zst
	item-project -q --from tfidf small.tar.zst -o alone.tar.zst
	tar --zstd -xOf alone.tar.zst embedding/000000.vector.npy >alone
	tar --zstd -xOf both.tar.zst embedding/000000.vector.npy | cmp - alone
	fails item-project --from tfidf other.tar -o out.tar.zst
	says "no catalog in the stream"
	[ ! -e out.tar.zst ]
}

@test "item-project: wrong usage" {
	fails item-project "$shop" -o out.tar.zst
	says "no projector in the stream: emb-align-train adds one"
	misused item-project --from word2vec "$shop" -o out.tar.zst
	says tfidf
	misused item-project --from tokens --llm llm --integers "$shop" -o out.tar.zst
	misused item-project --from tfidf --width 0 "$shop" -o out.tar.zst
	misused item-project --from tfidf --width 1e9 "$shop" -o out.tar.zst
	misused item-project --template '{title}' "$shop" -o out.tar.zst
	says "--template is no option of a run without --from"
	misused item-project --from tfidf --model "$shop" "$shop" -o out.tar.zst
	says "--model is no option of --from tfidf"
	misused item-project --from llm --llm llm --model "$shop" "$shop" -o out.tar.zst
	says "--llm and --model both name the LLM"
}

@test "item-project --from model: what a model scores items by, by the ids of the catalog" {
	for arch in sasrec gru; do
		item-project -q --from tfidf --width 8 "$shop" | seq-train -q --arch $arch --epochs 1 --hidden-size 16 -o $arch.tar.zst
		item-project -q --from model $arch.tar.zst -o out.tar.zst
		vectors out.tar.zst '
assert meta["source"] == "model" and meta["architecture"] == "'$arch'", meta
assert meta["model"] == json.load(open("seen/model/meta.json"))["id"]
config = json.load(open("seen/model/config.json"))
scored = numpy.load("seen/model/%s.weight.npy" % ("item_embedding" if config["tied"] else "output"))
if config["score"] == "cosine":
    scored = scored / numpy.linalg.norm(scored, axis=1, keepdims=True)
assert v.shape == scored.shape and abs(v - scored).max() < 1e-6, (v[0], scored[0])'
	done
	# of a catalog in another order, with a new item
	{ head -n 1 "$EXAMPLE/items.csv"; echo new,New,1; sed 1d "$EXAMPLE/items.csv" | tac; } >grown.csv
	seq-tokenize -q --items grown.csv "$EXAMPLE/events.csv" -o grown.tar.zst
	item-project --from model --model sasrec.tar.zst grown.tar.zst -o other.tar.zst 2>told
	grep -q "warning: 1 of 1106 items is new to the model; its vector is zero" told
	item-project -q --from model sasrec.tar.zst -o out.tar.zst
	vectors out.tar.zst 'numpy.save("own.npy", v)
open("own.txt", "w").write(open("seen/catalog/000000.item_id.txt").read())'
	vectors other.tar.zst '
of = dict(zip(open("own.txt").read().split("\n"), numpy.load("own.npy")))
for item, row in zip(open("seen/catalog/000000.item_id.txt").read().split("\n"), v):
    assert (row == (0 if item == "new" else of[item])).all(), item'
	seq-train -q --arch markov "$shop" -o markov.tar.zst
	fails item-project --from model markov.tar.zst -o none
	says "markov has no vectors of items"
	fails item-project --from model "$shop" -o none
	says "no model in the stream"
	fails item-project --from model --model sasrec.tar.zst small.tar.zst -o none
	says "model of sasrec.tar.zst"
}

@test "item-project --from file: rows by their ids; what is missing, repeated or unknown is told" {
	python3 -c 'import numpy
v = numpy.arange(12, dtype="f8").reshape(6, 2) + .5
numpy.save("v.npy", v)
numpy.save("half.npy", v.astype("f2"))'
	printf '%s\n' d b nobody a b c >ids.txt
	for file in v half; do
		item-project --from file --vectors $file.npy --ids ids.txt small.tar.zst -o out.tar.zst 2>told
		vectors out.tar.zst '
ids = open("seen/catalog/000000.item_id.txt").read().split()
want = {"d": [.5, 1.5], "b": [2.5, 3.5], "a": [6.5, 7.5], "c": [10.5, 11.5], "e": [0, 0]}
assert v.tolist() == [want[i] for i in ids] and meta["source"] == "file", v'
	done
	grep -q 'ids.txt: 1 of 6 ids is no item of the catalog, the first is "nobody"' told
	grep -q 'ids.txt: 1 id is there before, the first is "b"' told
	grep -q 'warning: no vector of 1 of 5 items; its is zero' told
	[ "$(history items_without out.tar.zst)" = 1 ]
	item-project -q --from file --vectors v.npy --ids - small.tar.zst -o piped.tar.zst <ids.txt 2>/dev/null
	cmp <(tar --zstd -xOf out.tar.zst embedding/000000.vector.npy) <(tar --zstd -xOf piped.tar.zst embedding/000000.vector.npy)
}

@test "item-project --from file: files that do not fit, and hostile ones" {
	python3 - <<-'END'
		import numpy
		v = numpy.ones((2, 3), "f4")
		numpy.save("v.npy", v)
		numpy.save("flat.npy", v[0])
		numpy.save("whole.npy", v.astype("i4"))
		numpy.save("fortran.npy", numpy.asfortranarray(v))
		numpy.save("big.npy", v.astype(">f4"))
		numpy.save("thin.npy", v[:, :0])
		numpy.save("none.npy", v[:0])
		numpy.save("object.npy", numpy.array([["a", "b", "c"], [1, 2, 3]], object), allow_pickle=True)
		v[1, 2] = numpy.nan
		numpy.save("nan.npy", v)
		good = open("v.npy", "rb").read()
		open("cut.npy", "wb").write(good[:-1])
		open("long.npy", "wb").write(good + b"\0")
		open("claims.npy", "wb").write(good.replace(b"(2, 3), ", b"(4611686018427387904, 3), ").replace(b" " * 19 + b"\n", b"\n"))
		open("header.npy", "wb").write(good[:8] + b"\xff\xff" + good[10:])
		open("text.npy", "w").write("0.1 0.2\n")
		open("empty.npy", "w")
	END
	printf 'a\nb\n' >ids.txt
	for wrong in "flat:a row for each item" "whole:<f4 was expected" "fortran:C order was expected" "big:dtype" \
		"thin:a row for each item" "none:2 lines, and none.npy has 0 rows" "object:dtype '|O'" "nan:finite numbers were expected" \
		"cut:bytes of data" "long:bytes of data" "header:header is cut off" "text:not a .npy array" "empty:empty.npy" \
		"claims:claims.npy" "missing:missing.npy"; do
		fails item-project --from file --vectors "${wrong%%:*}.npy" --ids ids.txt small.tar.zst -o none
		says "${wrong#*:}"
		says "${wrong%%:*}.npy"
	done
	printf 'a\nb\nc\n' >three.txt
	fails item-project --from file --vectors v.npy --ids three.txt small.tar.zst -o none
	says "three.txt: 3 lines, and v.npy has 2 rows"
	printf 'x\ny\n' >strange.txt
	fails item-project --from file --vectors v.npy --ids strange.txt small.tar.zst -o none
	says 'strange.txt: its 2 ids are no items of the catalog; the first is "x"'
	printf 'a\nb\xff\n' >latin.txt
	fails item-project --from file --vectors v.npy --ids latin.txt small.tar.zst -o none
	says "latin.txt: line 2: not UTF-8, an id a line was expected"
	fails item-project --from file --vectors v.npy --ids missing.txt small.tar.zst -o none
	misused item-project --from file --vectors v.npy small.tar.zst
	misused item-project --from tfidf --vectors v.npy small.tar.zst
	misused item-project --from file --vectors v.npy --ids - <ids.txt
	[ ! -e none ]
}

@test "item-project: the lines of its page into NumPy, FAISS and COPY, and back" {
	seq-train -q --epochs 1 --hidden-size 16 "$shop" -o model.tar.zst
	awk '/A trained model.s vectors, for NumPy/ { on = 1 } on && /^\.Bd / { inside = 1; next } /^\.Ed/ && inside { exit }
		inside { gsub(/\\e/, "\\"); print }' "$ROOT/man/item-project.1" >script
	bash -euo pipefail script
	python3 - <<-'END'
		import numpy
		v, ids = numpy.load("vectors.npy"), open("ids.txt").read().split("\n")[:-1]
		assert v.shape == (1105, 16) and len(ids) == 1105 and v.flags.c_contiguous and v.dtype == numpy.float32
		lines = open("vectors.tsv").read().split("\n")[:-1]
		for id, row, line in zip(ids, v, lines, strict=True):
		    name, text = line.split("\t")
		    assert name == id and text[0] == "[" and text[-1] == "]"
		    assert (numpy.array(text[1:-1].split(","), "f4") == row).all()
	END
	item-project -q --from file --vectors vectors.npy --ids ids.txt "$shop" -o back.tar.zst
	cmp <(tar --zstd -xOf back.tar.zst embedding/000000.vector.npy) embedding/000000.vector.npy
}
