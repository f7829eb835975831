#!/usr/bin/env bats
# Every architecture that ranks items, as it is when no option says otherwise, is better than the most popular items on the data
# that is shipped. What takes minutes so, a Recformer of the default size for 32 epochs, is smaller here; tests/defaults.sh
# has it whole.

load helpers

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	seq-tokenize -q --items "$EXAMPLE/items.csv" "$EXAMPLE/events.csv" -o shop.tar.zst
	seq-train -q --arch popular shop.tar.zst | ndcg >popular
}

setup() {
	own_folder
}

# of the epochs that there may be; by ids gru learns later
first=(--set stop_after=8)
later=(--set stop_after=20)

# NDCG@10 of a model on stdin
ndcg() {
	seq-rank -q | rec-eval -q -m ndcg -k 10 --format lines | awk -F '\t' '$1 == "ndcg@10" && $2 == "all" { print $3 }'
}

# beats_popular WHAT: a model on stdin
beats_popular() {
	ndcg >ours
	echo "$1: $(<ours), popular $(<popular)"
	awk 'NR == FNR { least = $1; next } { n++; bad = $1 <= least } END { exit !n || bad }' popular ours
}

@test "defaults: every architecture is better than popular" {
	local names name options
	names=$(seq-train --arch ? 2>&1 | sed 's/.*one of \(.*\) was expected.*/\1/; s/,//g' || true)
	[ "$(wc -w <<<"$names")" -ge 7 ]
	for name in $names; do
		case $name in
		popular | llama | gpt2) continue ;; # the measure, and what ranks no items
		recformer) options=(--task pretrain --size tiny --epochs 1) ;;
		sasrec | esasrec) options=(--arch "$name" "${first[@]}") ;;
		gru) options=(--arch "$name" "${later[@]}") ;;
		*) options=(--arch "$name") ;;
		esac
		seq-train -q "${options[@]}" shop.tar.zst | beats_popular "$name"
	done
}

@test "defaults: features of each kind" {
	item-project -q --from tfidf shop.tar.zst -o features.tar.zst
	local name
	for name in sasrec gru; do
		seq-train -q --arch $name "${first[@]}" features.tar.zst | beats_popular "$name with TF-IDF"
	done
}
