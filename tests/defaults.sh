#!/usr/bin/env bash
# The guides' trainings that take minutes, with their defaults, on the data that is shipped: each has to be better than the most
# popular items, or this exits 1. Half an hour on two cores.
#
#     tests/defaults.sh [PART...]     all, or some of: next pretrain finetune language
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/data.bash
. tests/data.bash
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
items=examples/online-retail/items.csv events=examples/online-retail/events.csv
[ $# -gt 0 ] || set -- next pretrain finetune language
failed=0

# figure NAME: of a model on stdin; NAME popular comes first
figure() {
	local ndcg
	ndcg=$(seq-rank -q "${@:2}" | rec-eval -q -m ndcg -k 10 --format lines | awk -F '\t' '$1 == "ndcg@10" && $2 == "all" { print $3 }')
	[ "$1" != popular ] || least=$ndcg
	printf '%-40s %s\n' "$1" "$ndcg"
	[ "$1" = popular ] || awk -v ndcg="$ndcg" -v least="$least" 'BEGIN { exit ndcg <= least }' || failed=1
}

seq-tokenize -q --items $items $events -o "$work/shop.tar.zst"
figure popular < <(seq-train -q --arch popular "$work/shop.tar.zst")
for part; do
	case $part in
	next) # recpipe(7): a network of each architecture
		for name in sasrec gru esasrec; do
			figure "$name" < <(seq-train -q --arch $name "$work/shop.tar.zst")
		done
		;;
	pretrain) # recpipe-recformer(7): pre-training, then zero-shot
		seq-train -q --task pretrain "$work/shop.tar.zst" -o "$work/recformer.tar.zst"
		figure "recformer, pre-trained" <"$work/recformer.tar.zst"
		;;
	finetune) # recpipe-recformer(7): the two stages behind it
		[ -e "$work/recformer.tar.zst" ] || seq-train -q --task pretrain "$work/shop.tar.zst" -o "$work/recformer.tar.zst"
		figure "recformer, fine-tuned" < <(seq-train -q --task finetune "$work/recformer.tar.zst" "$work/shop.tar.zst")
		;;
	language) # recpipe(7): SAID with a small language model of the items' own texts
		figure "SAID, its own language model" < <(seq-train -q --arch llama "$work/shop.tar.zst" | emb-align-train -q |
			item-project -q | seq-train -q)
		;;
	*) echo "$0: no part \"$part\"" >&2; exit 2 ;;
	esac
done
exit $failed
