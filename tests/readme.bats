# README's commands, as they stand, on the data they are written for: every block marked sh. What they end with is better than
# the most popular items, and what README shows of it has the form of what comes out. Trainings by epochs that are told nothing
# about these end after the eighth, of 80 or so: tests/defaults.sh has them whole.
load helpers

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	cp "$EXAMPLE"/*.csv .
	# block-1 and so on, without the fences
	awk '/^```/ { inside = !inside; if (inside && (sh = /^```sh$/)) n++; next } inside && sh { print >("block-" n) }' "$ROOT/README.md"
	awk '/^```/ { inside = !inside; if (inside && (text = /^```text$/)) n++; next }
		inside && text { print >("shown-" n) }' "$ROOT/README.md"
	# a machine called big, which is this one
	mkdir path
	printf '#!/bin/sh\nshift\nexec "$@"\n' >path/ssh
	cat >path/seq-train <<-END
		#!/bin/sh
		case " \$* " in
		*" --arch "* | *" --task "* | *" --like "* | *" --epochs "*) exec "$RECPIPE_BIN/seq-train" "\$@" ;;
		esac
		exec "$RECPIPE_BIN/seq-train" --set stop_after=8 "\$@"
	END
	chmod +x path/*
	[ "$(ls block-* | wc -l)" = 6 ]
	# what half of the blocks begin with
	seq-tokenize -q --items items.csv events.csv -o shop.tar.zst
	seq-train -q --arch popular shop.tar.zst | seq-rank -q | rec-eval --format lines -o popular.tsv
}

setup() {
	own_folder
	export PATH=$PWD/path:$PATH
}

# block N: runs it; what it prints is left in said
block() {
	bash -eu -o pipefail "block-$1" >said 2>errors || { cat errors; return 1; }
	(! grep -E 'warning|error' errors | grep -v 'trains on the future')
}

# beats_popular FILE: each figure of NDCG@10 for all users in FILE, lines of rec-eval
beats_popular() {
	awk -F '\t' '$1 != "ndcg@10" || $2 != "all" { next } NR == FNR { least = $3; next } { n++; bad += $3 <= least }
		END { exit !n || bad }' popular.tsv "$1" || { cat "$1"; return 1; }
}

# titled FILE FIRST: lines whose columns from FIRST on are item, score, title; each title is that of the item
titled() {
	awk -F, 'NR == FNR { title[$1] = $2; next } !($3 in title) || $5 != title[$3] { print; bad = 1 }
		END { exit bad || FNR == 0 }' items.csv <(tr '\t' , <"$1")
}

@test "every command of README is in a block that is run" {
	awk '/^```/ { inside = !inside; sh = /^```sh$/; next }
		!inside && /^(    |\t)/ || inside && !sh && /^(seq|rec|emb|item)-/ { print; bad = 1 } END { exit bad }' "$ROOT/README.md"
}

@test "the first table in, and recommendations with titles; for some users; questions one by one" {
	# what README shows of the files is what stands there
	paste <(head -n 3 events.csv) <(head -n 3 items.csv) | tr '\t' ' ' >files
	sed 1d shown-1 | tr -s ' ' | cmp - files
	block 1
	[ "$(wc -l <said)" = 3 ]
	titled said
	titled shown-2
	cmp <(cut -f 1,2 said) <(cut -f 1,2 shown-2)

	block 3
	head -n 1 said | grep -x 'user,rank,item,score,title,price,why_1,why_2'
	[ "$(grep -c '^[12],' said)" = 20 ]
	[ "$(grep -c '^{"user":"1","items":\[{"rank":1,' said)" = 1 ]
	[ "$(grep -c '^{"items":\[{"rank":1,.*"title":' said)" = 1 ]
	(! grep -q '^[12],[0-9]*,21524,' said)
}

@test "models compared on held-out items" {
	block 2
	for model in ease sasrec; do
		rec-eval --format lines $model.tar.zst >$model.tsv
		beats_popular $model.tsv
	done
	grep -q 'ndcg@10' said
}

@test "the model of the week" {
	seq-train -q --epochs 3 shop.tar.zst -o model.tar.zst
	block 4
	[ "$(wc -l <next.tsv)" = 6840 ]
	awk -F '\t' 'NR == FNR { split($0, f, ","); met[f[1], f[2]]; next } ($1, $3) in met { bad = 1 } END { exit bad }' events.csv next.tsv
}

@test "SAID, with a language model that is no more than a shape" {
	needs_numpy
	llm shop.tar.zst
	mv llm llm.gguf
	block 5
	beats_popular said
}

@test "Recformer, zero-shot and fine-tuned" {
	block 6
	[ "$(grep -c '^ndcg@10	all' said)" = 2 ]
	beats_popular said
	# tuned it is better than as it was
	awk -F '\t' '$1 == "ndcg@10" && $2 == "all" { value[++n] = $3 } END { exit !(value[2] > 1.2 * value[1]) }' said || { cat said; return 1; }
}

# What of recpipe-cookbook(7) needs nothing but the tools, NumPy and a trained model; a smaller one, as it is trained here
@test "the cookbook's commands" {
	needs zstd python3 mandoc
	needs_numpy
	seq-train -q --epochs 3 shop.tar.zst -o model.tar.zst
	# a script for each section, in the order of the page
	awk '/^\.Ss / { n++ } /^\.Bd / { inside = 1; next } /^\.Ed/ { inside = 0 }
		inside { gsub(/\\e/, "\\"); print >("section-" n) }' "$ROOT/man/recpipe-cookbook.7"
	section() { bash -eu -o pipefail <(grep -v '^psql' "section-$1") >said 2>errors || { cat errors; return 1; }; }
	section 2 # what a stream holds
	grep -qx model/config.json said
	section 5 # models together
	grep -q 'weights [0-9.]* ease (alone [0-9.]*), [0-9.]* sasrec (alone' errors
	grep -q '^ndcg@10' said
	section 6 # every week
	[ "$(grep -c '^[0-9]*,[0-9]*,' next.csv)" = 6840 ]
	[ "$(grep -c '"title"' next.json)" = 684 ]
	section 7 # questions
	[ "$(wc -l <said)" = 2 ]
	section 8 # similar items
	[ "$(sed -n 2p said | cut -f 1,3)" = "23493	23494" ] # another of the same sewing kits
	[ "$(cut -f 1 alike.tsv | sort -u | wc -l)" = 1105 ]
	section 9 # vectors
	[ "$(grep -cP '^[^\t]+\t\[(-?[0-9.e-]+, )*-?[0-9.e-]+\]$' vectors.tsv)" = 1105 ]
	cmp <(tar --zstd -xOf items.tar.zst embedding/000000.vector.npy) vectors/embedding/000000.vector.npy
	needs parallel
	section 10 # shards
	grep -q '^ndcg@10' said
}
