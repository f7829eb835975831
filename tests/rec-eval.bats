#!/usr/bin/env bats
# rec-eval against the definitions (tests/ranking.py), against trec_eval, and its manners.

load helpers

setup_file() {
	command -v python3 >/dev/null || return 0
	cd "$BATS_FILE_TMPDIR" || return
	make_ranking a --ties --expected
	make_ranking b --ties --skill 1.3 --order reverse
}

setup() {
	needs python3
	own_folder
}

make_ranking() {
	python3 "$ROOT/tests/ranking.py" "$@"
}

# grep -q on a pipe, without leaving before its end: that would be SIGPIPE and a failed pipe
has() {
	grep "$@" >/dev/null
}

# same_figures EXPECTED ACTUAL: lines "measure of value", in any order, equal to 1e-10
same_figures() {
	awk -F'\t' '
		NR == FNR { figure[$1, $2] = $3; next }
		($1, $2) in figure { n++; d = figure[$1, $2] - $3; if (d > 1e-10 || d < -1e-10) { print "expected " figure[$1, $2] ": " $0; bad = 1 } }
		!(($1, $2) in figure) && $3 ~ /\./ { print "not expected: " $0; bad = 1 }
		END { for (i in figure) expected++; if (n != expected) { print n " of " expected " figures"; bad = 1 }; exit bad }' "$1" "$2"
}

@test "rec-eval: every measure, slice and tie rule follows its definition" {
	for rule in best worst average; do
		rec-eval --ties $rule --digits 12 -m all a/base.tar a/ranking.tar >"$rule.out"
		same_figures "a/expected.$rule" "$rule.out"
		grep -qx "ties	all	$rule" "$rule.out"
	done
	rec-eval a/base.tar a/ranking.tar | has -x "ties	all	average"
}

@test "rec-eval: validation targets; a split by time is stated" {
	make_ranking valid --split valid --seen remove --ties --expected
	rec-eval --digits 12 -m all valid/base.tar valid/ranking.tar >lines
	same_figures valid/expected.average lines
	grep -qx "split	all	valid" lines
	grep -qx "seen	all	removed" lines
	needs seq-tokenize seq-train seq-rank
	printf '%s\n' user,item,time a,x,1 a,y,2 a,z,9 b,y,1 b,x,3 b,z,8 c,z,1 c,x,2 c,y,7 |
		seq-tokenize -q --split-time 5 | seq-train -q --arch popular | seq-rank -q | rec-eval >lines
	grep -qx "holdout	all	time 5" lines
	grep -qx "equal_times	all	file" lines
	grep -qx "users	all	3" lines
}

@test "rec-eval: a ranking of what is in stock says so, and is not taken for that of the whole catalog" {
	needs seq-tokenize seq-train seq-rank
	printf '%s\n' user,item,time a,w,1 a,x,2 a,y,3 a,z,4 b,z,1 b,y,2 b,w,3 b,x,4 | seq-tokenize -q | seq-train -q --arch popular -o model
	printf '%s\n' w z >stock
	printf '%s\n' x y >sold
	seq-rank model -o all.tar.zst 2>said
	grep -q '2 users, test targets among 4 items' said
	seq-rank --candidates stock model -o some.tar.zst 2>said
	grep -q '2 users, test targets among 2 items' said
	seq-rank -q --exclude sold model -o same.tar.zst
	rec-eval -q some.tar.zst >lines
	grep -qx "items	all	4" lines
	grep -qx "offered	all	2" lines
	rec-eval -q all.tar.zst >lines
	(! grep ^offered lines) || return 1
	rec-eval -q --format table some.tar.zst | has 'ranks among 2 that were offered, of 4 items'
	# the same items are one ranking, others are another
	rec-eval --format json --no-slices some.tar.zst same.tar.zst 2>said | has '"offered": 2'
	(! grep offered said) || return 1
	rec-eval --format tsv --no-slices all.tar.zst some.tar.zst 2>said >lines
	[ "$(cut -f 1 lines | tail -n +2 | paste -sd ' ' -)" = "all some" ]
	grep -q 'all.tar.zst and some.tar.zst were ranked with other --candidates or --exclude: 4 and 2 items were offered, of 4' said
	seq-rank -q --shard 1/2 model -o 1.tar.zst
	seq-rank -q --shard 2/2 --candidates stock model -o 2.tar.zst
	fails rec-eval -q 1.tar.zst 2.tar.zst
	says "shard 2 of 2 is missing"
}

@test "rec-eval: a model that may have learned the targets is told" {
	needs seq-tokenize seq-train seq-rank
	printf '%s\n' user,item,time a,w,1 a,x,2 a,y,3 a,z,4 b,z,1 b,y,2 b,w,3 b,x,4 >events.csv
	seq-tokenize -q events.csv -o held.tar.zst
	seq-tokenize -q --holdout none events.csv | seq-train -q --arch markov -o all.tar.zst
	seq-train -q --arch markov held.tar.zst -o model.tar.zst
	seq-rank -q --model all.tar.zst held.tar.zst -o told.tar.zst
	rec-eval --no-slices told.tar.zst 2>said >lines
	grep -q 'told.tar.zst: its model was trained on events of seq-tokenize --holdout none, and these are of --holdout last: as far as it learned the targets, its figures are too good' said
	seq-tokenize -q --split-time 4 events.csv | seq-rank -q --model model.tar.zst | rec-eval --no-slices 2>said >lines
	grep -q 'seq-tokenize --split-time none, and these are of --split-time 4:' said
	# of a later week, and what its vectors of the items came from
	head -n 8 events.csv | seq-tokenize -q | seq-rank -q --model model.tar.zst | rec-eval --no-slices 2>said >lines
	grep -q 'its model was trained where there were 8 events, and these are 7: as far as it learned the targets' said
	seq-tokenize -q --holdout none events.csv | seq-train -q --hidden-size 8 --epochs 1 -o all-sasrec.tar.zst
	item-project -q --from model --model all-sasrec.tar.zst held.tar.zst | seq-train -q --hidden-size 8 --epochs 1 |
		seq-rank -q | rec-eval --no-slices 2>said >lines
	grep -q 'its model was trained on events of seq-tokenize --holdout none' said
	# of the same, of newer events, and where there is no history
	head -n 4 events.csv | seq-tokenize -q | seq-train -q --arch markov -o older.tar.zst
	for model in model older; do
		seq-rank -q --model $model.tar.zst held.tar.zst | rec-eval --no-slices 2>said >lines
		(! grep learned said) || return 1
	done
	seq-rank -q --no-history --model all.tar.zst held.tar.zst | rec-eval --no-slices 2>said >lines
	# what was pre-trained on the same, and then on another domain
	printf '%s\n' item,title w,wine x,xylophone y,yarn z,zebra >items.csv
	mkdir other && sed 's/^[w-z],/other-&/' items.csv >other/items.csv
	sed 's/,[w-z],/,other-&/; s/-,/-/' events.csv >other/events.csv
	seq-tokenize -q --holdout none --items items.csv events.csv |
		seq-train -q --task pretrain --hidden-size 8 --layers 2 --set num_attention_heads=2 --epochs 0 -o encoder.tar.zst
	for folder in . other; do
		seq-tokenize -q --tokenizer encoder.tar.zst --items $folder/items.csv $folder/events.csv |
			seq-rank -q --model encoder.tar.zst | rec-eval --no-slices 2>$folder/said >lines
	done
	grep -q learned said
	(! grep learned other/said) || return 1
}

# figures STREAM OPTION...: of each user and of all, as tests/golden/trec_eval.tar.zst has trec_eval's
figures() {
	rec-eval -u --no-slices -m ndcg,recall,precision,hr,mrr@20 -k 5,10,20 "$@" | grep '^[^	]*@' | sort
}

@test "rec-eval: the figures of trec_eval on the same ranking, user by user" {
	tar --zstd -xf "$ROOT/tests/golden/trec_eval.tar.zst"
	sort plain.figures >theirs
	[ "$(wc -l <theirs)" = $((13 * 101)) ]
	figures plain.tar | diff - theirs
}

@test "rec-eval: trec_eval's on what seq-rank writes for it, equal without ties, between the rules with them" {
	tar --zstd -xf "$ROOT/tests/golden/trec_eval.tar.zst"
	for model in sasrec markov; do
		# scores may differ in their last digit from one processor to another
		seq-rank -q -k 20 --format trec $model.tar | cut -d' ' -f 1-4,6 | diff - <(cut -d' ' -f 1-4,6 $model.run)
		seq-rank -q --format qrels $model.tar | diff - $model.qrels
		sort $model.figures >theirs
		for rule in worst best; do
			seq-rank -q $model.tar | figures --ties $rule >$rule
			diff <(cut -f 1,2 theirs) <(cut -f 1,2 $rule)
		done
		paste theirs worst best | awk -F'\t' '$3 < $6 || $3 > $9 { print; bad = 1 } $6 != $9 { tied++ }
			END { print tied + 0; exit bad || NR != 13 * 98 }' >$model.tied
	done
	[ "$(<sasrec.tied)" = 0 ]
	[ "$(<markov.tied)" -gt 0 ]
}

@test "rec-eval: shards join, as arguments, through cat, in any order" {
	rec-eval a/base.tar a/ranking.tar >whole
	rec-eval a/base.tar a/ranking.1.tar a/ranking.2.tar | diff whole -
	rec-eval a/ranking.2.tar a/base.tar a/ranking.1.tar | diff whole -
	for part in a/base.tar a/ranking.1.tar a/ranking.2.tar; do zstd -q -c $part; done | rec-eval | diff whole -
	fails rec-eval a/base.tar a/ranking.1.tar
}

@test "rec-eval: users with -u average to the whole, slices add up to it" {
	rec-eval -u --digits 12 -m ndcg,mrr -k 10 a/base.tar a/ranking.tar >lines
	for measure in ndcg@10 mrr; do
		awk -F'\t' -v measure=$measure '
			$1 == "users" { users[$2] = $3 }
			$1 == measure && $2 ~ /^user-/ { n++; sum += $3 }
			$1 == measure && $2 == "all" { all = $3 }
			$1 == measure && $2 ~ /^target:/ && $2 != "target:in-set" { target += users[$2] * $3; in_target += users[$2] }
			$1 == measure && $2 ~ /^history:/ { history += users[$2] * $3; in_history += users[$2] }
			function near(a, b) { return a - b < 1e-9 && b - a < 1e-9 }
			END { exit !(n == 300 && in_target == 300 && in_history == 300 && near(sum / n, all) && near(target / n, all) && near(history / n, all)) }' lines
	done
}

@test "rec-eval: a user who is called as a slice is told, as lines do not tell them apart" {
	needs seq-tokenize seq-train seq-rank
	printf '%s\n' user,item,time all,w,1 all,x,2 all,y,3 b,x,1 b,y,2 b,w,3 >events.csv
	seq-tokenize -q events.csv | seq-train -q --arch markov | seq-rank -q -o run.tar.zst
	rec-eval -q -u -m mrr run.tar.zst >lines 2>said
	grep -q 'run.tar.zst: a user is called "all", as what follows' said
	[ "$(grep -c '^mrr	all	' lines)" = 2 ]
	rec-eval -q -u -m mrr --json run.tar.zst >json 2>said
	(! grep called said) || return 1
}

@test "rec-eval: slices where the options put them; none without sequences" {
	rec-eval --head 100 --history 2,4 a/base.tar a/ranking.tar >lines
	grep -q "^users	target:tail	0$" lines
	[ "$(grep -c '^users	history:' lines)" = 3 ]
	grep -q '^users	history:5-	' lines
	rec-eval --head 0 a/base.tar a/ranking.tar | has "^users	target:head	0$"
	[ "$(rec-eval a/ranking.tar | cut -f 2 | sort -u)" = all ]
	[ "$(rec-eval --no-slices a/base.tar a/ranking.tar | cut -f 2 | sort -u)" = all ]
}

@test "rec-eval: users without a target are counted and left out" {
	make_ranking targetless --spoil targetless
	rec-eval targetless/ranking.tar >lines
	grep -qx "users	all	299" lines
	grep -qx "targetless	all	1" lines
}

@test "rec-eval: a table on a terminal, lines elsewhere" {
	needs script
	rec-eval --format table a/base.tar a/ranking.tar >table
	cat >expected <<'END'
synthetic: test targets of 300 users, leave-one-out
ranks among all 400 items, seen items kept
equal scores: average rank; 100 targets share theirs
head: 10 training events or more (80 items), tail: fewer (311), cold: none (9)

                          NDCG                    Recall                  MRR
                   users      @5     @10     @20      @5     @10     @20
all                  300  0.1315  0.1526  0.1715  0.1863  0.2534  0.3275  0.1367
target  cold           8  0.1788  0.2234  0.2234  0.2500  0.3750  0.3750  0.1862
        in-set       292  0.1302  0.1506  0.1700  0.1845  0.2501  0.3262  0.1353
        tail         128  0.1164  0.1380  0.1541  0.1620  0.2315  0.2942  0.1243
        head         164  0.1409  0.1604  0.1825  0.2021  0.2646  0.3511  0.1439
history 1-5          106  0.0790  0.0999  0.1099  0.1475  0.2117  0.2515  0.0794
        6-10          65  0.1063  0.1274  0.1578  0.1365  0.2038  0.3219  0.1230
        11-20         68  0.1950  0.2196  0.2393  0.2508  0.3331  0.4096  0.1989
        21-50         55  0.1852  0.2046  0.2281  0.2423  0.3036  0.3965  0.1882
        51-            6  0.1184  0.1184  0.1184  0.1667  0.1667  0.1667  0.1188

Coverage  @5 0.9800  @10 1.0000  @20 1.0000
END
	diff expected table
	script -qec "stty cols 80; rec-eval a/base.tar a/ranking.tar" /dev/null </dev/null | tr -d '\r' | diff table -
	# a wider table on a wider terminal
	script -qec "stty cols 100; rec-eval -k 5,10,20,50 a/base.tar a/ranking.tar" /dev/null </dev/null | has "NDCG.*Recall.*MRR"
	rec-eval --format lines a/base.tar a/ranking.tar | diff - <(rec-eval a/base.tar a/ranking.tar)
}

@test "rec-eval: JSON says the same, with the protocol" {
	rec-eval --json -u -m ndcg,coverage a/base.tar a/ranking.tar >report.json
	rec-eval -u --digits 15 -m ndcg,coverage a/base.tar a/ranking.tar >lines
	python3 - <<'END'
import json
report = json.load(open("report.json"))
n = 0
for line in open("lines"):
    measure, of, value = line.rstrip("\n").split("\t")
    where = [report["protocol"]] if of == "all" and measure in report["protocol"] else []
    where += [part[of] for part in (report["figures"], report["users"]) if of in part and measure in part[of]]
    assert len(where) == 1, line
    found = where[0][measure]
    assert str(found) == value or abs(found - float(value)) < 1e-14, (line, found)
    n += 1
assert n > 900 and report["protocol"]["seen"] == "kept" and report["protocol"]["holdout"] == "leave-one-out"
END
}

@test "rec-eval --versus: difference, interval and p-value against an independent bootstrap" {
	rec-eval a/ranking.tar --versus b/ranking.tar --digits 9 -m ndcg,recall,mrr -k 10 >lines
	rec-eval -u --digits 12 -m ndcg,recall,mrr -k 10 a/ranking.tar >a.users
	rec-eval -u --digits 12 -m ndcg,recall,mrr -k 10 b/ranking.tar >b.users
	python3 - <<'END'
import random

def users(path):
    lines = (line.split("\t") for line in open(path))
    return {(m, u): float(v) for m, u, v in lines if u.startswith("user-")}

a, b = users("a.users"), users("b.users")
got = {(m, of): v for m, of, v in (line.rstrip("\n").split("\t") for line in open("lines"))}
random.seed(5)
for measure in ("ndcg@10", "recall@10", "mrr"):
    d = [a[key] - b[key] for key in a if key[0] == measure]
    mean = sum(d) / len(d)
    assert len(d) == 300 and abs(mean - float(got[measure, "difference"])) < 1e-8
    assert int(got[measure, "wins"]) == sum(x > 0 for x in d) and int(got[measure, "losses"]) == sum(x < 0 for x in d)
    means = sorted(sum(random.choices(d, k=300)) / 300 for _ in range(4000))
    width = means[3900] - means[100]
    assert abs(float(got[measure, "low"]) - means[100]) < 0.05 * width, (measure, means[100])
    assert abs(float(got[measure, "high"]) - means[3900]) < 0.05 * width
    p = sum(abs(m - mean) >= abs(mean) - 1e-12 for m in means) / 4000
    assert abs(float(got[measure, "p"]) - p) < 0.03, (measure, p)
END
}

@test "rec-eval --versus: itself, the other way round, threads and seeds" {
	rec-eval a/ranking.tar --versus a/ranking.tar -m mrr >lines
	grep -qx "mrr	p	1.0000" lines
	grep -qx "mrr	ties	300" lines
	rec-eval a/ranking.tar --versus b/ranking.tar >ab
	rec-eval b/ranking.tar --versus a/ranking.tar >ba
	[ "$(grep '	wins	' ab | cut -f 3)" = "$(grep '	losses	' ba | cut -f 3)" ]
	awk -F'\t' '$2 == "versus" { print $1, $3 }' ab >b.alone
	awk -F'\t' '$2 == "all" && $1 ~ /@|^mrr/ { print $1, $3 }' ba | diff b.alone -
	rec-eval -j 1 a/ranking.tar --versus b/ranking.tar --json >one
	rec-eval -j 5 a/ranking.tar --versus b/ranking.tar --json | diff one -
	[ "$(rec-eval --seed 2 a/ranking.tar --versus b/ranking.tar --json)" != "$(<one)" ]
	rec-eval a/ranking.tar --versus b/ranking.tar --format table >table
	grep -qx 'B: b/ranking.tar' table
	[ "$(grep -c ' won/lost/tied$' table)" = 1 ]
	[ "$(awk 'length > 80' table)" = "" ]
}

@test "rec-eval --versus: users that are in one run only are counted" {
	make_ranking fewer --ties --first 40
	rec-eval a/ranking.tar --versus fewer/ranking.tar >lines 2>warning
	grep -q "40 users of a/ranking.tar are not in fewer/ranking.tar" warning
	grep -qx "compared	all	260" lines
}

@test "rec-eval --versus: what cannot be compared is an error, another rule for seen items a warning" {
	make_ranking catalog --item-prefix x
	fails rec-eval a/ranking.tar --versus catalog/ranking.tar
	says "a/ranking.tar and catalog/ranking.tar rank items of different catalogs (400 items and 400 items)"
	make_ranking valid --split valid
	fails rec-eval a/ranking.tar --versus valid/ranking.tar
	says "validation targets"
	make_ranking targets --seed 2
	fails rec-eval a/ranking.tar --versus targets/ranking.tar
	says "has another target"
	make_ranking seen --seen remove
	rec-eval a/ranking.tar --versus seen/ranking.tar 2>&1 >/dev/null | has "one removes seen items"
	fails rec-eval a/ranking.tar --versus a/base.tar
	says "no ranking in the stream"
}

@test "rec-eval: streams without a ranking, of another catalog, with wrong values" {
	fails rec-eval a/base.tar
	says "no ranking in the stream"
	fails rec-eval </dev/null
	make_ranking nobody --first 300
	fails rec-eval nobody/ranking.tar
	says "no users"
	make_ranking catalog --item-prefix x
	fails rec-eval a/base.tar catalog/ranking.tar
	says "ranking of catalog/ranking.tar: of another catalog than that of a/base.tar"
	make_ranking sequences --seed 2
	fails rec-eval sequences/base.tar a/ranking.tar
	says "the target of user"
	for wrong in target greater equal item; do
		make_ranking wrong --spoil $wrong
		fails rec-eval wrong/ranking.tar
		says "row 3: "
	done
	make_ranking wrong --spoil user
	fails rec-eval wrong/ranking.tar
	says "user user-4 is there twice"
	make_ranking wrong --spoil n_items
	fails rec-eval wrong/base.tar wrong/ranking.tar
	says "ranking of 401 items, the catalog has 400"
}

@test "rec-eval: coverage needs lists as long as its cut-off" {
	fails rec-eval a/ranking.tar -m coverage@51
	says "the best 50 items of each user"
	rec-eval a/ranking.tar -m coverage@50 | has "^coverage@50	all	1.0000$"
	# not chosen, only the default: what cannot be known is left out
	rec-eval a/ranking.tar -k 10,100 >lines
	grep -q '^ndcg@100	' lines
	grep -q '^coverage@10	' lines
	[ "$(grep -c '^coverage@100	' lines)" = 0 ]
}

@test "rec-eval: a stream cut anywhere is an error and says nothing" {
	zstd -q -c a/ranking.tar >whole.tar.zst
	size=$(stat -c %s whole.tar.zst)
	for ((cut = 0; cut < size; cut += 512)); do
		head -c $cut whole.tar.zst >cut.tar.zst
		fails rec-eval cut.tar.zst
		[ ! -s "$BATS_TEST_TMPDIR/stdout" ]
	done
}

@test "rec-eval: -o FILE appears when complete; a full disk is an error" {
	rec-eval -o report a/ranking.tar
	rec-eval a/ranking.tar | diff report -
	fails rec-eval -o missing/report a/ranking.tar
	fails rec-eval -o other a/base.tar
	[ ! -e other ]
	[ -e /dev/full ] || skip "no /dev/full"
	status=0
	rec-eval a/ranking.tar >/dev/full 2>error || status=$?
	[ "$status" = 1 ]
	[ "$(wc -l <error)" = 1 ]
}

@test "rec-eval: wrong usage, and help from the same table" {
	misused rec-eval -m map a/ranking.tar
	says "no such measure"
	misused rec-eval -m ndcg@0 a/ranking.tar
	misused rec-eval -m coverage@x a/ranking.tar
	misused rec-eval -k 5,,10 a/ranking.tar
	misused rec-eval --ties random a/ranking.tar
	says "one of best, worst, average"
	misused rec-eval --history 10,5 a/ranking.tar
	misused rec-eval --head 101 a/ranking.tar
	misused rec-eval -u --versus b/ranking.tar a/ranking.tar
	rec-eval --help | has -F "1 / log2(1 + r) if r <= k, else 0"
}

# what the tools leave of trainings: three seeds of one model, two of another, a third and a fourth
seeds() {
	needs seq-tokenize seq-train seq-rank
	seq-tokenize -q "$EXAMPLE/events.csv" -o data.tar.zst
	for seed in 1 2 3; do
		seq-train -q -j 1 --seed $seed --epochs 2 --hidden-size 16 data.tar.zst | seq-rank -q -o sasrec-$seed.tar.zst
	done
	for seed in 1 2; do
		seq-train -q -j 1 --arch gru --seed $seed --epochs 1 --hidden-size 16 data.tar.zst | seq-rank -q -o gru-$seed.tar.zst
	done
	seq-train -q --arch markov data.tar.zst | seq-rank -q -o markov.tar.zst
}

@test "rec-eval a b c: a column for each system, mean and deviation over its seeds" {
	seeds
	rec-eval --digits 12 sasrec-?.tar.zst markov.tar.zst gru-?.tar.zst >lines
	for run in sasrec-1 sasrec-2 sasrec-3 gru-1 gru-2 markov; do
		rec-eval --digits 12 $run.tar.zst >$run.lines
	done
	python3 - <<-'END'
		import statistics
		def figures(path):
		    return {tuple(f[:2]): float(f[2]) for f in map(str.split, open(path)) if "." in f[2]}
		got = {}
		for fields in (line.rstrip("\n").split("\t") for line in open("lines")):
		    if len(fields) > 3 and "." in fields[2]:
		        got[fields[3], fields[0], fields[1]] = [float(fields[2]), float(fields[4]) if len(fields) > 4 else None]
		n = 0
		for system, runs in (("sasrec", 3), ("gru", 2), ("markov", 1)):
		    each = [figures(f"{system}-{run + 1}.lines" if runs > 1 else system + ".lines") for run in range(runs)]
		    for key in each[0]:
		        values, (mean, deviation) = [of[key] for of in each], got[(system, *key)]
		        assert abs(mean - statistics.mean(values)) < 1e-11, (system, key)
		        assert (deviation is None) == (runs == 1)
		        assert runs == 1 or abs(deviation - statistics.stdev(values)) < 1e-11, (system, key)
		        n += 1
		assert n == len(got) and n > 150
	END
	grep -qx "runs	all	3	sasrec" lines
	grep -qx "items	all	1105" lines
	# the order of systems is that of the files; what one stream holds, or cat joins, is the same
	cat sasrec-?.tar.zst markov.tar.zst gru-?.tar.zst | rec-eval --digits 12 | diff lines -
	rec-eval --format table sasrec-?.tar.zst markov.tar.zst gru-?.tar.zst >table
	grep -q '^sasrec: 3 runs (sasrec-1.tar.zst, sasrec-2.tar.zst, sasrec-3.tar.zst);' table
	grep -q '^markov: markov.tar.zst; --arch markov$' table
	grep -q '^ndcg@10 .*±0.[0-9]* .*±0' table
	# one that comes twice is one
	rec-eval --digits 12 sasrec-?.tar.zst markov.tar.zst gru-?.tar.zst sasrec-1.tar.zst 2>&1 | diff lines -
}

@test "rec-eval a b c: other options, versions and streams without history are other systems" {
	needs seq-tokenize seq-train seq-rank item-project
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o data.tar.zst
	local short=(--epochs 1 --hidden-size 8)
	for seed in 1 2; do
		seq-train -q --seed $seed "${short[@]}" data.tar.zst | seq-rank -q -o plain-$seed.tar.zst
		seq-train -q --seed $seed "${short[@]}" --dropout 0.1 data.tar.zst | seq-rank -q -o dropout-$seed.tar.zst
		seq-train -q --no-history --seed $seed "${short[@]}" --dropout 0.2 data.tar.zst | seq-rank -q -o bare-$seed.tar.zst
	done
	rec-eval --no-slices --format tsv {plain,dropout,bare}-?.tar.zst | cut -f 1,2 >systems
	printf '%s\t%s\n' name runs plain 2 dropout 2 bare-1 1 bare-2 1 | diff - systems
	rec-eval --format table plain-1.tar.zst dropout-1.tar.zst | has "^dropout-1: .*; .*--dropout 0.1"
	# other seeds of what came before the training are other seeds too, other sources are not
	for seed in 1 2; do
		item-project -q --from tfidf --width 8 --seed $seed data.tar.zst | seq-train -q "${short[@]}" --seed $seed |
			seq-rank -q -o narrow-$seed.tar.zst
		item-project -q --from tfidf --width 9 --seed $seed data.tar.zst | seq-train -q "${short[@]}" --seed $seed |
			seq-rank -q -o wide-$seed.tar.zst
	done
	rec-eval --no-slices --format tsv {narrow,wide}-?.tar.zst | cut -f 1,2 >systems
	printf '%s\t%s\n' name runs narrow 2 wide 2 | diff - systems
	cat narrow-1.tar.zst wide-1.tar.zst | rec-eval --no-slices --format tsv | cut -f 1 >systems
	printf '%s\n' name "--width 8" "--width 9" | diff - systems
	# the model of another stream is one of its seeds too
	for seed in 1 2; do
		seq-train -q --seed $seed "${short[@]}" data.tar.zst -o model-$seed.tar.zst
		seq-rank -q --model model-$seed.tar.zst data.tar.zst -o of-model-$seed.tar.zst
	done
	[ "$(rec-eval --no-slices --format tsv of-model-?.tar.zst | sed -n '2s/\t[^\t]*/&/;2p' | cut -f 1,2)" = "of-model	2" ]
}

@test "rec-eval a b c: at most 80 columns, however many there are" {
	for id in 1 2 3 4 5 6 7 8 9 10 11 12; do
		make_ranking r$id --id $id --skill 1.$id
		mv r$id/ranking.tar a-name-that-is-longer-than-a-column-$id.tar
	done
	rec-eval --format table a/base.tar a-name*.tar >table
	[ "$(wc -L <table)" -le 80 ]
	[ "$(grep -c '^ndcg@10  *0' table)" -gt 1 ]
	[ "$(grep '^ndcg@10  *0' table | wc -w)" = $((12 + $(grep -c '^ndcg@10  *0' table))) ]
	[ "$(grep -o ' \.\.[^ ]*than-a-column-[0-9]*' table | sort -u | wc -l)" = 12 ]
	script -qec "stty cols 200; rec-eval a/base.tar a-name*.tar" /dev/null </dev/null | tr -d '\r' | wc -L >width
	[ "$(<width)" -gt 80 ]
}

@test "rec-eval a b c: TSV and JSON say what lines say" {
	seeds
	rec-eval --digits 12 {sasrec,gru}-?.tar.zst markov.tar.zst >lines
	rec-eval --digits 12 --format tsv {sasrec,gru}-?.tar.zst markov.tar.zst >table.tsv
	rec-eval --json {sasrec,gru}-?.tar.zst markov.tar.zst >report.json
	python3 - <<-'END'
		import csv, json
		report = json.load(open("report.json"))
		systems = {system["name"]: system for system in report["systems"]}
		table = {(row["name"], row["slice"]): row for row in csv.DictReader(open("table.tsv"), delimiter="\t")}
		n = 0
		for measure, of, value, *more in (line.rstrip("\n").split("\t") for line in open("lines")):
		    if not more:
		        assert str(report["protocol"][measure]) == value
		        continue
		    system = systems[more[0]]
		    if measure in system["protocol"]:
		        assert str(system["protocol"][measure]) == value
		        continue
		    assert abs(system["figures"][of][measure] - float(value)) < 1e-11
		    assert table[more[0], of][measure] == value
		    assert table[more[0], of].get(measure + " deviation", "") == "".join(more[1:])
		    assert len(more) == 1 or abs(system["deviations"][of][measure] - float(more[1])) < 1e-11
		    n += 1
		assert n > 150 and systems["sasrec"]["protocol"]["runs"] == 3 and len(systems["gru"]["streams"]) == 2
	END
	rec-eval --format tsv a/base.tar a/ranking.tar | awk -F'\t' 'NR == 1 { n = NF } NF != n { bad = 1 } END { exit bad || NR != 11 }'
}

@test "rec-eval a b c: what does not rank the same is an error, other users a warning" {
	make_ranking other --id 5 --item-prefix x
	fails rec-eval a/ranking.tar other/ranking.tar
	says "a/ranking.tar and other/ranking.tar rank items of different catalogs (400 items and 400 items)"
	make_ranking valid --id 5 --split valid
	fails rec-eval a/ranking.tar valid/ranking.tar
	says "validation targets"
	make_ranking targets --id 5 --seed 2
	fails rec-eval a/ranking.tar targets/ranking.tar
	says "has another target"
	make_ranking fewer --id 5 --first 40
	rec-eval a/ranking.tar fewer/ranking.tar 2>&1 >/dev/null | has "260 are in all, and one has 40 more"
	make_ranking more --id 5
	fails rec-eval a/ranking.1.tar more/ranking.tar
	says "shard 2 of 2 is missing"
	rec-eval a/base.tar a/ranking.1.tar a/ranking.2.tar more/ranking.1.tar more/ranking.2.tar | has "^ndcg@10	all	0.[0-9]*	"
	misused rec-eval -u a/ranking.tar more/ranking.tar
	says "there are 2"
	misused rec-eval -u --format tsv a/ranking.tar
}

@test "rec-eval a b c: a model that nobody ranked with is told" {
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o shop.tar.zst
	seq-train -q --arch popular shop.tar.zst -o popular.tar.zst
	seq-train -q --arch markov shop.tar.zst | seq-rank -q -o markov.tar.zst
	rec-eval popular.tar.zst markov.tar.zst 2>said >/dev/null
	grep -Fq "popular.tar.zst: a model and no ranking" said
	rec-eval shop.tar.zst markov.tar.zst 2>said >/dev/null
	[ ! -s said ]
}

@test "rec-eval: few targets and a catalog of one item are warned of" {
	make_ranking few --first 201
	rec-eval few/ranking.tar 2>&1 >/dev/null | has "only 99 targets"
	make_ranking enough --first 200
	[ -z "$(rec-eval enough/ranking.tar 2>&1 >/dev/null)" ]
	needs seq-tokenize seq-train seq-rank
	printf '%s\n' user,item,time a,x,1 a,x,2 a,x,3 b,x,1 b,x,2 b,x,3 | seq-tokenize -q |
		seq-train -q --arch popular | seq-rank -q --seen keep | rec-eval 2>&1 >/dev/null | has "one item"
}

@test "rec-eval --versus: over users and seeds, against an independent bootstrap of both" {
	seeds
	versus=(--versus gru-1.tar.zst --versus gru-2.tar.zst)
	rec-eval sasrec-?.tar.zst "${versus[@]}" --digits 9 -m ndcg,mrr -k 10 >lines
	for run in sasrec-1 sasrec-2 sasrec-3 gru-1 gru-2; do
		rec-eval -u --digits 12 -m ndcg,mrr -k 10 $run.tar.zst >$run.users
	done
	python3 - <<-'END'
		import random, statistics
		def users(path):
		    return {(f[0], f[1]): float(f[2]) for f in map(str.split, open(path)) if f[1].isdigit()}
		a = [users(f"sasrec-{i}.users") for i in (1, 2, 3)]
		b = [users(f"gru-{i}.users") for i in (1, 2)]
		got = {(m, of): v for m, of, v in (line.rstrip("\n").split("\t") for line in open("lines"))}
		assert got["runs", "all"] == "3" and got["versus_runs", "all"] == "2"
		random.seed(5)
		for measure in ("ndcg@10", "mrr"):
		    keys = [key for key in a[0] if key[0] == measure]
		    d = [sum(r[k] for r in a) / 3 - sum(r[k] for r in b) / 2 for k in keys]
		    mean, n = sum(d) / len(d), len(d)
		    assert n == 684 and abs(mean - float(got[measure, "difference"])) < 1e-8
		    of_runs = [[statistics.mean(r[k] for k in keys) for r in side] for side in (a, b)]
		    def shift(runs):
		        return (statistics.mean(random.choices(runs, k=len(runs))) - statistics.mean(runs)) * (len(runs) / (len(runs) - 1)) ** .5
		    means = sorted(sum(random.choices(d, k=n)) / n + shift(of_runs[0]) - shift(of_runs[1]) for _ in range(4000))
		    width = means[3900] - means[100]
		    assert abs(float(got[measure, "low"]) - means[100]) < 0.05 * width, (measure, means[100])
		    assert abs(float(got[measure, "high"]) - means[3900]) < 0.05 * width, (measure, means[3900])
		    p = sum(abs(m - mean) >= abs(mean) - 1e-12 for m in means) / 4000
		    assert abs(float(got[measure, "p"]) - p) < 0.03, (measure, p)
	END
	rec-eval --format table sasrec-?.tar.zst "${versus[@]}" >table
	grep -q "of 3 runs of A and 2 runs of B" table
	[ "$(grep -c "not covered" table)" = 0 ]
	rec-eval --format table sasrec-?.tar.zst --versus markov.tar.zst | has "^B: one run.*is not covered"
	# several systems against one: a comparison each
	rec-eval sasrec-?.tar.zst gru-?.tar.zst --versus markov.tar.zst -m mrr >lines
	[ "$(grep -c '^mrr	p	0.[0-9]*	\(sasrec\|gru\)$' lines)" = 2 ]
	[ "$(rec-eval sasrec-?.tar.zst gru-?.tar.zst --versus markov.tar.zst --format tsv -m mrr | wc -l)" = 3 ]
	fails rec-eval sasrec-1.tar.zst --versus gru-1.tar.zst --versus markov.tar.zst
	says "runs of one system"
}

@test "rec-eval --curve: each epoch of each training, as the history has it" {
	seeds
	rec-eval --curve sasrec-1.tar.zst gru-1.tar.zst markov.tar.zst >curves.tsv
	tar --zstd -xOf sasrec-1.tar.zst log/01-seq-train.json >sasrec.json
	python3 - <<-'END'
		import csv, json
		rows = list(csv.DictReader(open("curves.tsv"), delimiter="\t"))
		assert [(row["name"], row["epoch"]) for row in rows] == [("sasrec-1", "1"), ("sasrec-1", "2"), ("gru-1", "1")]
		assert 0 < float(rows[0]["seconds"]) < float(rows[1]["seconds"])
		record = json.load(open("sasrec.json"))
		for row, point in zip(rows, record["curve"]):
		    assert row["log"] == "01-seq-train" and row["best"] == str(int(point["epoch"] == record["best_epoch"]))
		    assert all(abs(float(row[key]) - value) < 1e-7 for key, value in point.items())
	END
	fails rec-eval --curve markov.tar.zst
	says "no training curve"
	misused rec-eval --curve --versus gru-1.tar.zst sasrec-1.tar.zst
	misused rec-eval --curve --json sasrec-1.tar.zst
}

@test "rec-eval: a history that leads in circles, that says nothing or is broken" {
	for log in '{"tool":"x","options":{},"read":{"ranking":"ID"},"wrote":{"ranking":"ID"}}' '{"wrote":{"ranking":"ID"}}' \
		'{"tool":7,"options":[],"read":[1],"wrote":{"ranking":"ID"}}' '{"curve":[1,{"epoch":"x"},[]],"wrote":0}' \
		'{"tool":"x","options":{},"read":{"ranking":7},"wrote":{"ranking":"ID"}}'; do
		make_ranking one --id 1 --log "$log"
		make_ranking two --id 2 --skill 1.2 --log "$log"
		[ "$(rec-eval --no-slices --format tsv one/ranking.tar two/ranking.tar | wc -l)" = 3 ]
		rec-eval --curve one/ranking.tar >curves 2>/dev/null || [ ! -s curves ]
	done
	a=$(printf %016x 1) b=$(printf %016x 2)
	make_ranking one --id 1 --log '{"tool":"x","options":{},"read":{"ranking":"'$b'"},"wrote":{"ranking":"ID"}}'
	make_ranking two --id 2 --skill 1.2 --log '{"tool":"x","options":{},"read":{"ranking":"'$a'"},"wrote":{"ranking":"ID"}}'
	[ "$(rec-eval --no-slices --format tsv one/ranking.tar two/ranking.tar | wc -l)" = 3 ]
	make_ranking broken --log '{"tool":'
	fails rec-eval broken/ranking.tar
	says "log/00-seq-rank.json"
	make_ranking broken --log '[]'
	fails rec-eval broken/ranking.tar
	says "not a JSON object"
}
