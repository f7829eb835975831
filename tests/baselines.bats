# The models without gradients: ease, itemknn, nearest.
# shellcheck shell=bash disable=SC2314 # ! before the last command of a test is the test
load helpers

# events of some of the example's users, whose catalog has all of its items; and of half of these items
setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	awk -F, 'NR == 1 || $1 % 31 == 0' "$EXAMPLE/events.csv" >events.csv
	seq-tokenize -q --items "$EXAMPLE/items.csv" events.csv -o shop
	item-project -q --from tfidf --width 24 shop -o vectors
	awk 'NR == 1 || NR % 2' "$EXAMPLE/items.csv" >half.csv
	awk -F, 'NR == FNR { has[$1]; next } FNR == 1 || $2 in has' half.csv events.csv >half-events.csv
	seq-tokenize -q --items half.csv half-events.csv -o half
}

setup() {
	own_folder
}

# ranks MODEL: all items for all users' whole histories, as TSV
ranks() {
	seq-rank -q -j2 --split next --seen keep -k 1000000 --format tsv "$1"
}

# equals_numpy MODEL KEY=VALUE...: its scores are those of the definition
equals_numpy() {
	needs_numpy
	ranks "$1" >"$1.tsv"
	"$ROOT/tests/baselines.py" "$1" "$1.tsv" "${@:2}"
}

@test "nearest goes by all words of the catalog where the stream has no embedding" {
	seq-train -q --arch nearest shop -o model
	equals_numpy model text=words decay=0.7
	seq-train -q --arch nearest --set decay=0 shop -o latest
	equals_numpy latest decay=0.0
	seq-train -q --arch nearest --set decay=1 shop -o mean
	equals_numpy mean decay=1.0
	(! cmp -s latest.tsv mean.tsv)
}

@test "nearest goes by the embedding, whitened or as it is, and by words beside one where it is told to" {
	seq-train -q --arch nearest vectors -o model
	equals_numpy model text=embedding text_whiten=True text_source=tfidf
	seq-train -q --arch nearest --set text_whiten=no vectors -o raw
	equals_numpy raw text_whiten=False
	seq-train -q --arch nearest --set text=words vectors -o words
	equals_numpy words text=words
}

@test "nearest ranks items that are new to it by their words, and by vectors where the stream has theirs" {
	seq-train -q --arch nearest half -o words
	seq-rank --split next --seen keep -k 1000000 --format tsv --model words shop >grown.tsv 2>said
	grep -q '^seq-rank: 55[23] of 1105 items are new to the model of words and ranked by their words$' said
	seq-train -q --arch nearest shop -o model
	ranks model | cmp grown.tsv -

	item-project -q --from tfidf --width 24 half | seq-train -q --arch nearest -o of-half
	seq-rank --split next --seen keep -k 1000000 --format tsv --model of-half vectors >grown.tsv 2>said
	grep -q 'items are new to the model of of-half and ranked by their embedding$' said
	seq-train -q --arch nearest vectors -o model
	ranks model | cmp grown.tsv -
	seq-rank --split next --format tsv --model of-half shop >old.tsv 2>said
	grep -q 'items are new to the model of of-half and are not recommended' said
	cut -f 3 old.tsv | sort -u >ids
	[ "$(grep -cxFf <(cut -d, -f 1 half.csv) ids)" = "$(wc -l <ids)" ]

	item-project -q --from tfidf --width 30 shop -o wide
	output=$(seq-rank --split next --format tsv --model of-half wide 2>&1 >other.tsv)
	says 'embedding of wide: 30 wide, from tfidf: the model'\''s items are known by vectors 24 wide, from tfidf'
	cmp old.tsv other.tsv
}

@test "nearest answers one question as it does all, and says why" {
	seq-train -q --arch nearest shop -o model
	seq-rank -q --split next -k 5 --format json --why model >all.json
	sed 's/^{"user": \("[^"]*"\).*/{"user": \1, "k": 5, "why": true}/' all.json | seq-rank -q --serve model >one.json
	python3 - <<-'END'
		import json
		for a, b in zip(open("all.json"), open("one.json"), strict=True):
		    assert json.loads(a)["items"] == json.loads(b)["items"]
	END
	grep -q '"why": *\["' one.json
}

@test "nearest without anything to go by is refused" {
	fails seq-train --arch nearest --set text=none shop
	says "nearest goes by the texts of items or by an embedding"
	fails seq-train --arch nearest --set text=embedding shop
	says '--set text=embedding: no embedding in the stream; item-project adds one'
	seq-tokenize -q events.csv -o bare
	fails seq-train --arch nearest bare
	says "nearest goes by the texts of items or by an embedding, and has neither; seq-tokenize --items gives texts"
	fails seq-train --arch nearest --set text=words bare
	says 'the stream has no items with text; seq-tokenize --items gives them one'
	misused seq-train --arch nearest --set text_weight=2 shop
	misused seq-train --arch nearest --set decay=2 shop
	misused seq-train --arch nearest --set text=letters shop
	fails seq-rank --model <(seq-train -q --arch nearest shop) bare
	says 'no texts of the items, as they were read'
}

@test "items whose texts have no words are known by events alone, and that is told" {
	sed '1!s/,.*/," ",-/' "$EXAMPLE/items.csv" | cut -d , -f 1-3 | seq-tokenize -q --items - events.csv -o blank
	for name in ease itemknn; do
		seq-train --arch $name blank -o model 2>said
		grep -qx "seq-train: $name: there is no word in the texts of the items: it goes by events alone" said
		seq-train -q --arch $name --set text=none shop -o none
		cmp <(ranks model) <(ranks none)
		fails seq-train -q --arch $name --set text=words blank -o x
		says '--set text=words: there is no word in the texts of the items; --set text=none goes by events alone'
	done
	fails seq-train --arch nearest blank -o x
	says 'nearest goes by the texts of items or by an embedding, and has neither'
}

@test "ease is the closed form, alone, beside words and beside an embedding" {
	seq-train -q --arch ease --set text=none shop -o model
	equals_numpy model text=none lambda=100.0
	seq-train -q --arch ease --lambda 3 --set decay=0.9 --set text_weight=0.25 shop -o words
	equals_numpy words lambda=3.0 decay=0.9 text=words text_weight=0.25
	seq-train -q --arch ease --set text_weight=0.25 vectors -o embedding
	equals_numpy embedding text=embedding text_weight=0.25
}

@test "ease and itemknn count pairs of items for less the further apart a user met them, of repeated ones the last time" {
	local arch decay
	awk -F, '{ print } $1 == user { print $1 "," before "," $3 } { user = $1; before = $2 }' events.csv >again.csv
	seq-tokenize -q --items "$EXAMPLE/items.csv" again.csv -o again
	for arch in ease itemknn; do
		for decay in 0.01 0.5 1.0; do
			seq-train -q --arch $arch --set text=none --set pair_decay=$decay again -o model
			equals_numpy model pair_decay=$decay
		done
		misused seq-train --arch $arch --set pair_decay=1.5 half
	done
}

@test "itemknn keeps the neighbours of largest cosine, alone and beside words" {
	seq-train -q --arch itemknn --set text=none shop -o model
	equals_numpy model neighbours=200 shrinkage=10.0
	seq-train -q --arch itemknn --neighbours 7 --shrinkage 0 --set text_weight=2 shop -o few
	equals_numpy few neighbours=7 shrinkage=0.0 text_weight=2.0
}

@test "the weight of text is a good one for the validation items, and told; the test item counts nothing" {
	local arch weight best other
	for arch in ease itemknn; do
		output=$(seq-train --arch $arch shop -o model 2>&1)
		says "$arch: text_weight "
		says 'validation items: NDCG@10'
		weight=$(sed -n 's/.*text_weight \([0-9.e-]*\) chosen.*/\1/p' <<<"$output")
		best=$(sed -n 's/.*valid NDCG@10 \([0-9.]*\)$/\1/p' <<<"$output")
		for other in 0 "$(awk "BEGIN { print $weight / 8 }")" "$(awk "BEGIN { print $weight * 8 }")"; do
			output=$(seq-train --arch $arch --set "text_weight=$other" shop 2>&1 >/dev/null)
			awk "BEGIN { exit !($best >= $(sed -n 's/.*valid NDCG@10 \([0-9.]*\)$/\1/p' <<<"$output")) }"
		done
		tar --zstd -xOf model model/config.json | grep "\"text_weight\": *$weight"
	done
	# other test items, the same model
	awk -F, 'NR > 1 { last[$1] = NR } { line[NR] = $0 } END { for (u in last) is[last[u]]; for (i = 1; i <= NR; i++) if (i in is) { split(line[i], f, ","); print f[1] ",10133," f[3] } else print line[i] }' events.csv >other.csv
	seq-tokenize -q --items "$EXAMPLE/items.csv" other.csv -o other
	seq-train -q --no-history --arch ease shop | tar --zstd -xO --wildcards 'model/item_weight*' | cmp - \
		<(seq-train -q --no-history --arch ease other | tar --zstd -xO --wildcards 'model/item_weight*')
}

@test "where no two events of anybody are trained on, texts alone decide" {
	awk -F, 'NR == 1 || ++n[$1] <= 3' events.csv >three.csv
	seq-tokenize -q --items "$EXAMPLE/items.csv" three.csv -o three
	local arch
	for arch in ease itemknn; do
		output=$(seq-train --arch $arch three -o model 2>&1)
		awk '/valid NDCG@10/ { found = $NF > .05 } END { exit !found }' <<<"$output"
		seq-train -q --arch $arch --set text=none three -o $arch
	done
	output=$(seq-rank --split next --model ease --model itemknn three 2>&1 >/dev/null)
	says 'seq-rank: weights 1 ease'
}

@test "without validation items text counts nothing, and that is told" {
	seq-tokenize -q --holdout none --items "$EXAMPLE/items.csv" events.csv -o all
	output=$(seq-train --arch ease all 2>&1 >model)
	says 'nobody has a validation item to choose text_weight on: it is 0'
	seq-train -q --arch ease shop -o tuned
	seq-train -q --like tuned all -o next
	tar --zstd -xOf next model/config.json >config
	grep -q "\"text_weight\": *$(tar --zstd -xOf tuned model/config.json | sed 's/.*"text_weight": *\([0-9.]*\).*/\1/')" config
}

@test "ease and itemknn rank a grown catalog: known items by what was met, new ones by their texts" {
	local arch
	for arch in ease itemknn; do
		seq-train -q --arch $arch --set text_weight=0.1 half -o old
		seq-rank --split next --seen keep -k 1000000 --format tsv --model old shop >grown.tsv 2>said
		grep -q 'items are new to the model of old and ranked by their words$' said
		ranks old >half.tsv
		# without text, new items have no score of their own, and are left out
		seq-train -q --arch $arch --set text=none half -o bare
		seq-rank --split next --seen keep -k 1000000 --format tsv --model bare shop >bare.tsv 2>said
		grep -q 'items are new to the model of bare and are not recommended' said
		[ "$(cut -f 3 bare.tsv | sort -u | wc -l)" -lt "$(cut -f 3 grown.tsv | sort -u | wc -l)" ]
		[ "$(cut -f 3 grown.tsv | sort -u | wc -l)" = "$(tail -n +2 "$EXAMPLE/items.csv" | wc -l)" ]
	done
}

@test "a broken or too large ease is refused" {
	seq-train -q --no-history --arch ease --set text=none half -o model
	mkdir m && tar --zstd -xf model -C m
	broken() { # PYTHON of an array a
		python3 -c "import numpy; a = numpy.load('m/model/item_weight.000000.npy'); numpy.save('w.npy', $1)"
		cp m/model/item_weight.000000.npy kept && cp w.npy m/model/item_weight.000000.npy
		(cd m && tar --zstd -cf ../broken catalog/meta.json catalog/0* catalog/end.json sequences/meta.json sequences/0* \
			sequences/end.json model/meta.json model/config.json model/item_id.txt model/item_weight.000000.npy model/end.json)
		cp kept m/model/item_weight.000000.npy
	}
	needs python3
	broken 'a.astype("f8")'
	seq-rank -q --no-history broken --format tsv | diff - <(seq-rank -q --no-history model --format tsv)
	broken 'a[:-1]'
	fails seq-rank broken -o out
	says 'parts of the model are missing'
	broken 'a[:, :-1]'
	fails seq-rank broken -o out
	says 'model/item_weight.000000.npy: ('
	broken 'numpy.vstack([a, a[:1]])'
	fails seq-rank broken -o out
	says 'rows of '
	broken 'a * numpy.nan'
	fails seq-rank broken -o out
	awk 'BEGIN { print "user_id,item_id"; for (i = 0; i < 50001; i++) print i % 99 "," i }' >many.csv
	fails sh -c 'seq-tokenize -q many.csv | seq-train --arch ease'
	says 'ease keeps a weight for each pair of items: 10 GB for these 50001, and 50000 items at most are taken'
	misused seq-train --arch ease --lambda 0 half
	misused seq-train --arch itemknn --neighbours 0 half
	misused seq-train --arch ease --neighbours 3 half
}
