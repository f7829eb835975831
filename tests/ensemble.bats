# Several models that rank together: seq-rank --model A --model B.
# shellcheck shell=bash disable=SC2314 # ! before the last command of a test is the test
load helpers

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o shop
	tail -n +2 "$EXAMPLE/events.csv" | cut -d, -f 1 | sort -u | awk 'NR % 5 == 0' >some
	seq-train -q --arch ease --set text=none shop -o ease
	seq-train -q --arch nearest shop -o nearest
	seq-train -q --arch sasrec --hidden-size 16 --epochs 3 -j1 shop -o sasrec
	awk -F, 'NR == 1 || NR % 2' "$EXAMPLE/items.csv" >half.csv
	awk -F, 'NR == FNR { has[$1]; next } FNR == 1 || $2 in has' half.csv "$EXAMPLE/events.csv" >half-events.csv
	seq-tokenize -q --items half.csv half-events.csv | seq-train -q --arch markov -o half
}

setup() {
	own_folder
}

# scores MODEL...: all of them for some users, by user and item
scores() {
	seq-rank -q -j2 --split next --users some --seen keep -k 1000000 --format tsv "$@" shop | cut -f 1,3,4
}

# valid STREAM: NDCG@10
ndcg() {
	rec-eval -q --no-slices -m ndcg -k 10 "$1" | awk -F'\t' '$1 == "ndcg@10" { print $3 }'
}

@test "scores are the weighted sum of those of the models, standardised, and completed by texts where items were seldom met" {
	needs_numpy
	local model
	for model in ease nearest sasrec; do
		scores --model $model >$model.tsv
	done
	scores --model ease --model sasrec --model nearest --weights .5,0.2,0.3 >all.tsv
	scores --model ease --model sasrec --weights .7,.3 >ids.tsv
	tar --zstd -xf ease model/item_id.txt model/item_events.npy
	tail -n +2 "$EXAMPLE/events.csv" | cut -d, -f 1,2 | awk -F, 'NR == FNR { some[$1]; next } $1 in some' some - >history
	python3 - <<-'END'
		import numpy
		def read(name):
		    rows = [line.rstrip("\n").split("\t") for line in open(name + ".tsv")]
		    users, items = sorted({r[0] for r in rows}), sorted({r[1] for r in rows})
		    u, i = {x: n for n, x in enumerate(users)}, {x: n for n, x in enumerate(items)}
		    table = numpy.full((len(users), len(items)), numpy.nan)
		    for user, item, score in rows:
		        table[u[user], i[item]] = float(score)
		    assert not numpy.isnan(table).any()
		    global seen, met
		    seen = numpy.zeros(table.shape, bool)
		    for line in open("history"):
		        user, item = line.split(",")[0], line.rstrip("\n").split(",")[1]
		        seen[u[user], i[item]] = True
		    met = numpy.zeros(len(items))
		    met[[i[x] for x in open("model/item_id.txt").read().split("\n")[:-1]]] = numpy.load("model/item_events.npy")
		    return table
		def alike(x):
		    x = x - x.mean(1, keepdims=True)
		    return x / numpy.sqrt(x.std(1, keepdims=True))
		def height(x):
		    return numpy.sort(numpy.where(seen, -numpy.inf, x), 1)[:, [-10]] - x.mean(1, keepdims=True)
		ease, sasrec, nearest = alike(read("ease")), alike(read("sasrec")), alike(read("nearest"))
		def completed(x):
		    return x + 1.3 * (1 - 1 / (1 + 2 * met)).mean() ** 2 / (1 + 2 * met) * height(x) / height(nearest) * nearest
		for name, expected in (("all", .5 * completed(ease) + .2 * completed(sasrec) + .3 * nearest), ("ids", .7 * ease + .3 * sasrec)):
		    assert numpy.abs(read(name) - expected).max() < 1e-5 * numpy.abs(expected).max(), name
		assert (met < 3).any() and (met > 9).any()
	END
}

@test "items that no model has met are found beside a model that reads their texts" {
	# a tenth of the items has no event in training, and is what some are tested by
	awk -F, 'NR == FNR { last[$1] = FNR; next } FNR == 1 || $2 % 10 != 7 || last[$1] == FNR' \
		"$EXAMPLE/events.csv" "$EXAMPLE/events.csv" >cold.csv
	seq-tokenize -q --items "$EXAMPLE/items.csv" cold.csv -o cold
	seq-train -q --arch ease --set text=none cold -o ids
	seq-train -q --arch itemknn --set text_weight=0.1 cold -o words
	seq-train -q --arch itemknn --set text_weight=0.1 --set text_unmet=0 cold -o buried
	seq-train -q --arch nearest cold -o texts
	cold_items() {
		seq-rank -q "$@" cold | rec-eval -q --format lines -m ndcg -k 10 | awk -F'\t' '$1 == "ndcg@10" && $2 == "target:cold" { print $3 }'
	}
	local texts
	texts=$(cold_items --model texts)
	local of
	for of in "--model ids --model texts --weights 1,0.1" "--model words"; do
		# shellcheck disable=SC2086
		awk "BEGIN { exit !($(cold_items $of) > .5 * $texts && $texts > 0) }"
	done
	awk "BEGIN { exit !($(cold_items --model buried) < .2 * $texts) }"
	# what models of before did not say is not guessed
	tar --zstd -xf ids
	tar --zstd -tf ids | grep -v item_events >members
	tar --zstd -cf old -T members
	(! cmp <(seq-rank -q --no-history --model old --model texts --weights 1,0.1 cold) \
		<(seq-rank -q --no-history --model ids --model texts --weights 1,0.1 cold) >/dev/null)
}

@test "weights are chosen on the validation items, told and written down" {
	output=$(seq-rank --model ease --model nearest shop -o test 2>&1)
	says 'seq-rank: weights 0.'
	says ' ease (alone 0.'
	says ' validation items'
	local weights best alone
	weights=$(sed -n 's/^seq-rank: weights \([0-9.]*\) ease .*, \([0-9.]*\) nearest .*/\1,\2/p' <<<"$output")
	seq-rank -q --split valid --model ease --model nearest shop -o valid
	best=$(ndcg valid)
	grep -q "NDCG@10 $best of " <<<"$output"
	for alone in ease nearest; do
		seq-rank -q --split valid $alone -o valid
		awk "BEGIN { exit !($best > $(ndcg valid)) }"
	done
	# the same given; shards; the test item counts nothing
	seq-rank -q --no-history --model ease --model nearest shop | tar --zstd -xO --wildcards 'ranking/0*' >chosen
	seq-rank -q --no-history --weights "$weights" --model ease --model nearest shop | tar --zstd -xO --wildcards 'ranking/0*' | cmp chosen -
	for alone in 1 2; do
		seq-rank -q --shard $alone/2 --model ease --model nearest shop
	done | rec-eval -q --no-slices -m ndcg -k 10 >joined
	grep -q "^ndcg@10	all	$(ndcg test)" joined
	tar --zstd -xOf test --wildcards 'log/*-seq-rank.json' >history
	python3 - "$weights" <<-'END'
		import json, sys
		models = json.load(open("history"))["models"]
		assert [m["architecture"] for m in models] == ["ease", "nearest"] and models[0]["file"] == "ease"
		assert [m["weight"] for m in models] == [float(w) for w in sys.argv[1].split(",")]
	END
	rec-eval -q test | grep '^model	all	ease+nearest'
	(! tar --zstd -tf test | grep '^model/')
}

@test "together models are no worse on the validation items than the best alone; one that has all the weight ranks as if alone" {
	seq-train -q --arch popular shop -o popular
	local pair one other measured
	valid() {
		seq-rank --split valid "$@" shop 2>said >valid
		rec-eval -q --no-slices --digits 6 -m ndcg -k 10 valid | awk -F'\t' '$1 == "ndcg@10" { print $3 }'
	}
	for pair in "ease nearest" "popular ease" "ease popular" "half ease" "sasrec half"; do
		read -r one other <<<"$pair"
		measured=$(valid --model "$one" --model "$other")
		grep -q '^seq-rank: weights ' said
		awk "BEGIN { exit !($measured >= $(valid --model "$one") && $measured >= $(valid --model "$other")) }"
	done
	# how popular an item is tells ease nothing
	for pair in "popular ease" "ease popular"; do
		read -r one other <<<"$pair"
		output=$(seq-rank --model "$one" --model "$other" shop 2>&1 >both)
		says 'seq-rank: ease ranks without the others: together they are no better'
		seq-rank -q --model ease shop -o alone
		cmp <(tar --zstd -xO --wildcards 'ranking/*' <both) <(tar --zstd -xO --wildcards 'ranking/*' <alone)
	done
	# an item that it does not know is not recommended; nothing completes what it knows
	seq-rank -q --model half shop --format tsv -o alone
	seq-rank -q --model half --model nearest --weights 1,0 shop --format tsv | cmp - alone
	# one with vectors
	seq-rank -q --model sasrec --split next --why --format json shop -o alone
	seq-rank -q --model ease --model sasrec --weights 0,1 --split next --why --format json shop | cmp - alone
}

@test "a question alone is answered as all are, with reasons" {
	local models=(--model ease --model sasrec --weights '.9,.1')
	seq-rank -q -j2 --split next -k 5 --format json --why "${models[@]}" shop >all
	sed 's/^{"user": \("[^"]*"\).*/{"user": \1, "k": 5, "why": true}/' all | seq-rank -q -j2 --serve "${models[@]}" shop >one
	python3 - <<-'END'
		import json
		for a, b in zip(open("all"), open("one"), strict=True):
		    assert json.loads(a)["items"] == json.loads(b)["items"]
	END
	grep -q '"why": *\["' one
	# weights from the validation items of the stream's users, too
	output=$(head -n 1 all | sed 's/^{"user": \("[^"]*"\).*/{"user": \1}/' | seq-rank --serve --model ease --model nearest shop 2>&1 >one)
	says 'weights 0.'
}

@test "an item is ranked where one model knows it, and with the others counts as their average one" {
	output=$(seq-rank --split next --seen keep -k 1000000 --format tsv --model half --model nearest --weights 1,0.001 shop 2>&1 >ranked.tsv)
	says 'items are new to the model of half'
	[ "$(cut -f 3 ranked.tsv | sort -u | wc -l)" = "$(tail -n +2 "$EXAMPLE/items.csv" | wc -l)" ]
	seq-train -q --arch popular half -o popular
	seq-rank -q --split next --seen keep -k 1000000 --format tsv --model half --model popular --weights 1,1 shop >known.tsv
	[ "$(cut -f 3 known.tsv | sort -u | wc -l)" -lt "$(cut -f 3 ranked.tsv | sort -u | wc -l)" ]
}

@test "models and weights that do not go together are refused" {
	misused seq-rank --model ease --weights 1 shop -o out
	says '--weights has 1 number, and --model is given 1 time'
	misused seq-rank --model ease --model nearest --weights 1,2,3 shop -o out
	misused seq-rank --model ease --model nearest --weights 0,0 shop -o out
	says 'one of them must be more than 0'
	misused seq-rank --model ease --model nearest --weights 1,2000000 shop -o out
	says 'numbers from 0 to 1000000 were expected'
	misused seq-rank --model ease --model nearest --weights 1,-1 shop -o out
	misused seq-rank --model ease --model nearest --weights 1,x shop -o out
	misused seq-rank --model ease --model ease shop -o out
	says '--model ease is given twice'
	misused seq-rank --model 1 --model 2 --model 3 --model 4 --model 5 --model 6 --model 7 --model 8 --model 9 shop -o out
	says '8 models at most are taken'
	misused seq-rank --similar --model ease --model nearest shop
	says '--similar goes by the vectors of one model: --model is given 2 times'
	fails seq-rank --model ease --model shop shop -o out
	says 'shop: no model in it; seq-train trains one'
	fails seq-rank --model ease --model missing shop -o out
	says 'missing'
	seq-tokenize -q --holdout none --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o all
	fails seq-rank --model ease --model nearest all -o out
	says 'nobody has a validation item to choose the models'\'' weights on; --weights gives them'
	seq-rank -q --format tsv --model ease --model nearest --weights 2,1 all >out
	[ -s out ]
}

@test "models that may have learned what is held out are told, as weights are chosen by what they say of it" {
	local model=(seq-rank -q -j1 --model all --model nearest)
	seq-tokenize -q --holdout none --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" |
		seq-train -q --arch ease --set text=none -o all
	told() {
		grep -c 'the model of all was trained on events of seq-tokenize --holdout none, and these are of --holdout last:' said
	}
	"${model[@]}" shop 2>said -o out
	[ "$(told)" = 1 ]
	"${model[@]}" --split next --users some --format tsv shop 2>said >out
	[ "$(told)" = 1 ]
	# rec-eval does not see these
	seq-rank -q -j1 --model all --format trec shop 2>said >out
	[ "$(told)" = 1 ]
	# nothing is measured, or learned
	"${model[@]}" --split next --users some --weights 1,1 --format tsv shop 2>said >out
	[ ! -s said ]
	seq-rank -q -j1 --model ease --model nearest shop 2>said -o out
	[ ! -s said ]
}
