#!/usr/bin/env bash
# trec_eval.sh TREC_EVAL [BIN]: makes trec_eval.tar.zst, what NIST's trec_eval (10.0) says of rankings, for
# rec-eval.bats. Of each NAME:
#   NAME.tar       the stream: plain has a ranking of tests/ranking.py, the others a model that seq-rank ranks with
#   NAME.run       the ranking in trec_eval's format, and NAME.qrels
#   NAME.figures   lines "measure user value", user `all` last, under the names of rec-eval
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
trec_eval=$(realpath "${1:?usage: trec_eval.sh TREC_EVAL [BIN]}") PATH=$(realpath "${2:-$root/build/bin}"):$PATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 "$root/tests/ranking.py" plain --users 100 --items 80 --top 20
cat plain/base.tar plain/ranking.tar >plain.tar
mv plain/run.trec plain.run
mv plain/qrels plain.qrels
rm -r plain

awk -F, 'NR == 1 || $1 % 7 == 0' "$root/examples/online-retail/events.csv" >events.csv
seq-tokenize -q --no-history events.csv -o data.tar.zst
seq-train -q --no-history -j1 --hidden-size 8 --epochs 3 data.tar.zst | zstd -dc >sasrec.tar
seq-train -q --no-history --arch markov data.tar.zst | zstd -dc >markov.tar
for model in sasrec markov; do
	seq-rank -q -j1 -k 20 --format trec $model.tar >$model.run
	seq-rank -q -j1 --format qrels $model.tar >$model.qrels
done
rm events.csv data.tar.zst

for name in plain sasrec markov; do
	# lists hold 20 items, so what trec_eval calls recip_rank is cut there
	"$trec_eval" -q -m ndcg_cut.5,10,20 -m recall.5,10,20 -m P.5,10,20 -m success.5,10,20 -m recip_rank \
		$name.qrels $name.run | tr -d ' ' |
		sed 's/^ndcg_cut_/ndcg@/; s/^recall_/recall@/; s/^P_/precision@/; s/^success_/hr@/; s/^recip_rank/mrr@20/' >$name.figures
done
tar --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c ./* |
	zstd -q -19 -f -o "$root/tests/golden/trec_eval.tar.zst"
