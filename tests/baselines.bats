# The models without gradients: nearest.
# shellcheck shell=bash disable=SC2314 # ! before the last command of a test is the test
load helpers

# events of some of the example's users, whose catalog has all of its items; and of half of these items
setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	awk -F, 'NR == 1 || $1 % 9 == 0' "$EXAMPLE/events.csv" >events.csv
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
	python3 -c 'import numpy' 2>/dev/null || skip "no NumPy"
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
	! cmp -s latest.tsv mean.tsv
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
	seq-rank -q --split next --seen keep -k 1000000 --format tsv --model words shop >grown.tsv
	seq-train -q --arch nearest shop -o model
	ranks model | cmp grown.tsv -

	item-project -q --from tfidf --width 24 half | seq-train -q --arch nearest -o of-half
	seq-rank --split next --seen keep -k 1000000 --format tsv --model of-half vectors >grown.tsv 2>said
	! grep 'are new to the model' said
	seq-train -q --arch nearest vectors -o model
	ranks model | cmp grown.tsv -
	seq-rank --split next --format tsv --model of-half shop >old.tsv 2>said
	grep -q 'items are new to the model of of-half' said
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
	says 'nearest goes by words or by an embedding'
	fails seq-train --arch nearest --set text=embedding shop
	says '--set text=embedding: no embedding in the stream; item-project adds one'
	seq-tokenize -q events.csv -o bare
	fails seq-train --arch nearest bare
	says 'nearest goes by words or by an embedding'
	fails seq-train --arch nearest --set text=words bare
	says 'the stream has no items with text; seq-tokenize --items gives them one'
	misused seq-train --arch nearest --set text_weight=2 shop
	misused seq-train --arch nearest --set decay=2 shop
	misused seq-train --arch nearest --set text=letters shop
	fails seq-rank --model <(seq-train -q --arch nearest shop) bare
	says 'catalog: no text of the items'
}
