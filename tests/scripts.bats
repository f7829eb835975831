# The scripts that measure on real data, on a slice of the shipped set under the names they ask for: every part runs to its
# table. What the figures are is not tested here.
load helpers

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	mkdir -p data/scientific
	# 200 items by number, as tables of tabs; users with three of them
	awk -F, -v OFS=, 'NR == 1 { print; next } NR <= 201 { $1 = NR; print }' "$EXAMPLE/items.csv" >data/scientific/items.csv
	awk -F, -v OFS='\t' 'NR == FNR { if (FNR > 1 && FNR <= 201) row[$1] = FNR; next }
		FNR == 1 { print "user_id", "item_id", "timestamp"; next } $2 in row { print $1, row[$2], $3 }' \
		"$EXAMPLE/items.csv" "$EXAMPLE/events.csv" >data/scientific/events.tsv
	cp -r data/scientific data/beauty
	for set in ml-1m online-retail-medium; do
		mkdir "data/$set"
		cp data/scientific/items.csv "data/$set/"
		tr '\t' , <data/scientific/events.tsv >"data/$set/events.csv"
	done
}

setup() {
	own_folder
	export RECPIPE_DATA=$PWD/data SAID=$PWD/work RECFORMER=$PWD/work SEEDS=1
	RECPIPE_BIN=$(realpath --relative-to="$ROOT" "$RECPIPE_BIN")
	export RECPIPE_BIN
}

@test "said.sh: a table of variants, and what the items make the LLM say" {
	needs python3 zstd
	needs_numpy
	seq-tokenize -q --items data/scientific/items.csv data/scientific/events.tsv -o data.tar.zst
	llm data.tar.zst
	export ARCHS=sasrec VARIANTS="ids tokens-initial mlp table-trainable" ALIGN="--epochs 1" TABLE="--epochs 1"
	TRAIN="--epochs 1" "$ROOT/tests/said.sh" "$PWD/llm" scientific | tee table
	[ "$(grep -c '^\(popular\|markov\|sasrec\) .* 0\.[0-9]* *0\.[0-9]*' table)" = 6 ]
	[ "$(grep -c '^sasrec *.* 0\.[0-9]*   [0-9.e-][0-9.e-]*$' table)" = 3 ] # with a p
	TRAIN="--epochs 1" ARCHS=ease+sasrec VARIANTS="ids mlp" "$ROOT/tests/said.sh" "$PWD/llm" scientific | tee table
	grep -q '^ease+sasrec *ids .*   | ease [0-9.e-]*$' table
	grep -q '^ease+sasrec *mlp .*   [0-9.e-]* | ease [0-9.e-]*$' table
	ITEMS=20 SAY="--epochs 2" "$ROOT/tests/said.sh" "$PWD/llm" say | tee said
	grep -q 'all: 20 items' said
	grep -q '^says' said
}

@test "recformer.sh: each part" {
	needs zstd
	size="--layers 1 --hidden-size 8 --set num_attention_heads=2"
	SIZE=$size PRETRAIN="--epochs 1" CONTRAST="--epochs 1" FINETUNE="--epochs 1" OWN="--epochs 1 --set item_vectors=learned" \
		"$ROOT/tests/recformer.sh" pretrain zero-shot finetune own scratch few cold | tee table
	[ "$(grep -c '0\.[0-9]* (sd ' table)" = 20 ]
}

@test "pretraining.sh: an encoder as it is, trained on shares, and elsewhere before; what is there is not made again" {
	needs python3 zstd
	needs_numpy
	tar --zstd -xf "$ROOT/tests/golden/recformer_encoder.tar.zst" bert
	for domain in electronics clothing health; do
		mkdir -p data/pretrain/$domain
		cp data/scientific/* data/pretrain/$domain/
	done
	export ENCODER=$PWD/bert PRETRAINING=$PWD/work MEASURED=1 CONTRAST="--epochs 1" FINETUNE="--epochs 1" OWN="--epochs 1" PRECISION=f32
	"$ROOT/tests/pretraining.sh" zero-shot tenth own elsewhere beside | tee table
	[ "$(grep -c ' 0\.[0-9]*  0\.[0-9]*$' table)" = 12 ]
	grep -q '^ndcg@10.*[[:space:]]0[.]' table
	grep -q "^rank correlation of the items' cosines *0\.[0-9]*$" table
	rm work/scientific/start.tenth.1.tar.zst
	touch -d '1 hour ago' work/scientific/*.tar.zst
	"$ROOT/tests/pretraining.sh" zero-shot tenth own elsewhere beside | cmp - table
	[ "$(find work -name '*.tar.zst' -mmin -30 | grep -vcE '/(alone|together)')" = 1 ]
}

@test "recipes.sh: a table of recipes, kept, with p-values beside the first" {
	export KEPT=$PWD/work SETS=scientific RECIPES=$PWD/recipes SEEDS="1 2"
	printf '%s\n' 'ids ids --epochs 1 --hidden-size 16' 'tfidf tfidf --epochs 1 --hidden-size 16 --set reversal=.5' >recipes
	SPLIT="test" "$ROOT/tests/recipes.sh" | tee table
	grep -qE '^ids +0\.[0-9]{4}  0\.[0-9]{4} \(0\.[0-9]{4}\)$' table
	grep -qE '^tfidf +0\.[0-9]{4}  0\.[0-9]{4} \(0\.[0-9]{4}\)  p [0-9.e-]+ [0-9.e-]+$' table
	[ "$(SPLIT=valid "$ROOT/tests/recipes.sh" tfidf)" = "$(sed -n 's/^\(tfidf *0\.[0-9]*\).*/\1/p' table)" ]
}

@test "evidence.sh: a table of models by sets, from what is there; what the machine lacks is a dash" {
	needs zstd
	export EVIDENCE=$PWD/work SETS="scientific none"
	"$ROOT/tests/evidence.sh" popular nearest-words ease-tfidf ease+nearest-words nearest-encoder | tee table
	[ "$(grep -c '0\.[0-9]*, 0\.[0-9]* (0\.[0-9]*) *- *$' table)" = 4 ]
	grep -q '^nearest-encoder  *-  *- *$' table
	# again, from what was kept
	"$ROOT/tests/evidence.sh" popular | grep -F "$(grep ^popular table)"
	run "$ROOT/tests/evidence.sh" unheard-of
	[ "$status" = 2 ]
}

@test "weekly.sh: ten parts, nine of them warm, and what is there is not trained again" {
	needs python3
	export WEEKLY=$PWD/work SEEDS="1 2" MODEL="--epochs 1 --hidden-size 8 -j1"
	"$ROOT/tests/weekly.sh" online-retail-medium | tee table
	[ "$(grep -c 'scratch 0\.[0-9]* (0\.[0-9]* to 0\.[0-9]*) in  1\.0 epochs' table)" = 10 ]
	[ "$(grep -c 'warm 0\.[0-9]* in  1, ' table)" = 9 ]
	touch mark
	"$ROOT/tests/weekly.sh" online-retail-medium | cmp - table
	[ -z "$(find work -name '*.json' -newer mark)" ]
}

@test "plots: curves, slices and a map of the items, from what the tools print" {
	needs python3
	cd "$BATS_TEST_TMPDIR" || return
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o shop.tar.zst
	seq-train -q --epochs 2 --hidden-size 16 shop.tar.zst | seq-rank -q -o sasrec.tar.zst
	seq-train -q --arch gru --epochs 1 --hidden-size 16 shop.tar.zst | seq-rank -q -o "a gru.tar.zst"
	rec-eval --curve sasrec.tar.zst "a gru.tar.zst" -o curves.tsv
	rec-eval --format tsv sasrec.tar.zst "a gru.tar.zst" -o slices.tsv
	"$ROOT/examples/plots/map.sh" sasrec.tar.zst >map.tsv
	tar --zstd -xOf sasrec.tar.zst model/item_embedding.weight.npy >vectors.npy
	python3 - <<-'END'
		import csv, numpy
		rows = list(csv.DictReader(open("map.tsv"), delimiter="\t", quoting=csv.QUOTE_NONE))
		place = numpy.array([[float(row["x"]), float(row["y"])] for row in rows])
		v = numpy.load("vectors.npy").astype("f8")
		v -= v.mean(axis=0)
		size = numpy.linalg.svd(v, compute_uv=False)
		assert len(rows) == len(v) and rows[0]["title"] != rows[0]["item"]
		# the spread along the axes is that of principal components, which 60 steps find nearly
		assert (numpy.linalg.norm(place, axis=0) > .98 * size[:2]).all() and numpy.linalg.norm(place[:, 0]) < 1.001 * size[0]
	END
	needs gnuplot
	for plot in curves slices map; do
		gnuplot -c "$ROOT/examples/plots/$plot.gp" $plot.tsv $plot.png 2>errors
		[ ! -s errors ]
		[ "$(head -c 4 $plot.png | tail -c 3)" = PNG ]
		[ "$(wc -c <$plot.png)" -gt 8000 ]
	done
}

@test "benches: one that lacks what it needs says so in a line, and the others go on" {
	needs python3
	local bench module
	mkdir none
	for module in torch transformers faiss sklearn tokenizers; do
		echo "raise ImportError(name='$module')" >"none/$module.py"
	done
	for bench in encode llm rank recformer tfidf tokenize train; do
		PYTHONPATH=none ENCODER="$PWD" RECPIPE_BENCH=/none "$ROOT/tests/bench/bench_$bench.py" | tee said
		[ "$(wc -l <said)" = 1 ]
		grep -q "^bench_$bench: skipped, no " said
	done
}

@test "benches: a peer at the fastest of its settings; one that cannot be tried is told of, and left out" {
	needs python3
	cat >peer.py <<-'END'
		import sys
		if sys.argv[1] == "bf16":
		    sys.exit("no such instructions")
		for line in sys.stdin:
		    print(1, {"f32": 3, "f32 compiled": 2}[sys.argv[1]], 0, 0, flush=True)
	END
	CXX=true PYTHONPATH=$ROOT/tests/bench python3 - <<-'END' | tee said
		import sys
		from turns import Program, fastest
		best, program, took = fastest(lambda setting: Program(sys.executable, "peer.py", setting), lambda p: p.ask("go"),
		                              {"f32": 1, "bf16": 1})
		print(best, program.ask("go"), took)
		program.end()
	END
	[ "$(head -n 1 said)" = "  PyTorch, bf16, could not be tried: no such instructions" ]
	[ "$(tail -n 1 said)" = "f32 compiled [1.0, 2.0, 0.0, 0.0] {'f32': 3.0, 'f32 compiled': 2.0}" ]
}
