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
	rec-eval a/ranking.tar --versus b/ranking.tar --format table | has "^B: b/ranking.tar$"
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
	says "a/ranking.tar ranks the catalog"
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
