#!/usr/bin/env bash
# Whether products in bfloat16 train as well as floats do: sasrec with --precision f32, split and bf16, the same seeds and
# epochs. Prints NDCG@10 of the test item for each, their mean, and how much the seeds of f32 differ.
#
#     tests/precision.sh [SET...]        scientific and ml-1m
#
# $PRECISION (f32 split bf16) and $SEEDS (1 2 3) say which, $EPOCHS (15) how long, $JOBS (all) on how many threads. Precisions
# are as asked for on any processor, though slow where it has no instructions for them. The data are looked for in
# $RECPIPE_DATA (default ../shared/data); what is in $PRECISIONS (default build/precision) is not computed again, what was
# interrupted goes on from its checkpoint.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=tests/data.bash
. tests/data.bash
work=${PRECISIONS:-build/precision}
read -ra seeds <<<"${SEEDS:-1 2 3}"
mkdir -p "$work"
export RECPIPE_PRECISION=strict

measure() { # SET PRECISION SEED: NDCG@10, kept in a file
	local name=$work/$1.$2.$3 options=(--epochs "${EPOCHS:-15}" --precision "$2" --seed "$3" ${JOBS:+-j "$JOBS"})
	if [ ! -e "$name.tsv" ]; then
		case $1 in
		ml-1m) options+=(--hidden-size 64 --max-length 200) ;;
		*) options=("${recbole[@]}" "${options[@]}") ;;
		esac
		seq-train "${options[@]}" --checkpoint "$name.ckpt" --resume -o "$name.tar.zst" "$work/$1.tar.zst" 2>>"$name.log"
		seq-rank -q "$name.tar.zst" | rec-eval -q -k 10 -m ndcg >"$name.part"
		rm -f "$name.tar.zst" "$name.ckpt"
		mv "$name.part" "$name.tsv"
	fi
	awk -F'\t' '$2 == "all" && $1 == "ndcg@10" { print $3 }' "$name.tsv"
}

[ $# != 0 ] || set -- scientific ml-1m
for set; do
	if [ ! -d "$data/$set" ]; then
		echo "$set: skipped, no $data/$set"
		continue
	fi
	[ -e "$work/$set.tar.zst" ] || events "$set" | seq-tokenize -q -o "$work/$set.tar.zst"
	for precision in ${PRECISION:-f32 split bf16}; do
		for seed in "${seeds[@]}"; do
			measure "$set" "$precision" "$seed"
		done | awk -v name="$set $precision" '
			{ all = all " " $1; sum += $1; least = NR == 1 || $1 < least ? $1 : least; most = $1 > most ? $1 : most }
			END { printf "%-18s%s  mean %.4f, from %.4f to %.4f\n", name, all, sum / NR, least, most }'
	done
done
