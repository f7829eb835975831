#!/usr/bin/env bash
# rec-eval beside trec_eval on one ranking of 20,000 users x 100 items: whole processes, medians of five, in turn, each from
# its own format. And the paired bootstrap, which has no peer. Prints: what, ours, peer, ratio (above 1: ours is faster).
# trec_eval is the one on PATH or $TREC_EVAL; in its source folder `make CFLAGS="-O3 -I. ..."` gains it nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
PATH=$RECPIPE_BIN:$PATH

seconds() {
	local TIMEFORMAT=%R
	{ time "$@" >/dev/null; } 2>&1
}

median() {
	printf '%s\n' "$@" | sort -n | sed -n 3p
}

python3 "$here/../ranking.py" a --users 20000 --items 12000 --top 100
python3 "$here/../ranking.py" b --users 20000 --items 12000 --top 100 --skill 1.1
cat a/base.tar a/ranking.tar | zstd -q -1 >run.tar.zst
trec_eval=${TREC_EVAL:-trec_eval}
measures=(-m "ndcg_cut.5,10,20" -m "recall.5,10,20" -m recip_rank)
ours=() theirs=() versus=()
for _ in 1 2 3 4 5; do
	ours+=("$(seconds rec-eval run.tar.zst)")
	versus+=("$(seconds rec-eval run.tar.zst --versus b/ranking.tar)")
	! command -v "$trec_eval" >/dev/null || theirs+=("$(seconds "$trec_eval" "${measures[@]}" a/qrels a/run.trec)")
done
if [ ${#theirs[@]} = 0 ]; then
	printf '%-34s %9.3f s %11s\n' "rec-eval 20,000 x 100" "$(median "${ours[@]}")" "no trec_eval"
else
	awk -v ours="$(median "${ours[@]}")" -v theirs="$(median "${theirs[@]}")" \
		'BEGIN { printf "%-34s %9.3f s %9.3f s %6.2f\n", "rec-eval 20,000 x 100, trec_eval", ours, theirs, theirs / ours }'
fi
printf '%-34s %9.3f s\n' "the same --versus another run" "$(median "${versus[@]}")"
