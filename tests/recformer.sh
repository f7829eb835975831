#!/usr/bin/env bash
# What Recformer is worth: pre-trained on beauty, ml-1m and online-retail together, it ranks scientific, which it never saw.
#
#     tests/recformer.sh pretrain    the model, from those three
#     tests/recformer.sh zero-shot   scientific without training, beside popular; seen items removed and kept
#     tests/recformer.sh finetune    scientific: contrast of its histories and items, two stages; beside sasrec with ids
#     tests/recformer.sh own         the same, where the second stage trains items' own vectors beside those of their texts
#     tests/recformer.sh scratch     the same without pre-training (the paper's ablation 5), from the same start
#     tests/recformer.sh few         the same two tuned on a tenth of scientific's users, ranking for all
#     tests/recformer.sh cold        a tenth of the items left out of training: in-set and cold targets (its Table 3)
#
# TOKENIZER (a file; else one is learned from the three), SEEDS ("1 2 3"), SIZE, PRETRAIN, CONTRAST, FINETUNE and OWN
# (options of seq-train) change it; SPLIT=valid ranks the validation item: what choices are to be made by. Data are looked for in
# $RECPIPE_DATA (../shared/data); models and logs are kept in $RECFORMER (build/recformer): what is there is not computed
# again, what was interrupted goes on from its checkpoint. THREADS (1).
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 1 ] || { sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 2; }
# shellcheck source=tests/data.bash
. tests/data.bash
work=${RECFORMER:-build/recformer}
split=${SPLIT:-test}
threads=${THREADS:-1}
read -ra seeds <<<"${SEEDS:-1 2 3}"
read -ra size <<<"${SIZE:---layers 1 --hidden-size 512 --set num_attention_heads=4}"
read -ra pretrain <<<"${PRETRAIN:---batch-size 256 --epochs 2 --learning-rate 0.0003 --set warmup=10}"
read -ra contrast <<<"${CONTRAST:---batch-size 512 --epochs 10 --learning-rate 0.0003 --set warmup=10}"
read -ra finetune <<<"${FINETUNE:---batch-size 64 --epochs 6 --learning-rate 0.0001}"
own="--batch-size 128 --epochs 25 --set stop_after=1 --set second_stop_after=24 --patience 10 --learning-rate 0.0001"
own+=" --set warmup=20 --set item_vectors=learned --set temperature=0.1 --set valid_users=2000"
read -ra own <<<"${OWN:-$own}"
start=("${size[@]}" --max-tokens 128 --set max_items=5)
sasrec=("${recbole[@]}" --batch-size 400)
mkdir -p "$work"

pretrained() { # the three domains, and the model
	local tokenizer=()
	[ -z "${TOKENIZER:-}" ] || tokenizer=(--tokenizer "$TOKENIZER")
	if [ ! -e "$work/domains.tar.zst" ]; then
		events beauty >"$work/beauty.tsv"
		events ml-1m >"$work/ml-1m.csv"
		seq-tokenize -q "${tokenizer[@]}" --domain "beauty=$data/beauty/items.csv,$work/beauty.tsv" \
			--domain "film=$data/ml-1m/items.csv,$work/ml-1m.csv" \
			--domain "shop=$data/online-retail-medium/items.csv,$data/online-retail-medium/events.csv" \
			-o "$work/domains.tar.zst"
	fi
	train pretrained --task pretrain --set words_weight=0 "${start[@]}" "${pretrain[@]}" "$work/domains.tar.zst"
}

# tuned NAME SEED DATA [MODEL or OPTION...]: from a model, or anew, first as pre-trained, then fine-tuned
tuned() {
	local name=$1 seed=$2 stream=$3
	shift 3
	[ -e "$work/$name.$seed.tar.zst" ] && return
	train "$name.contrast.$seed" --task pretrain --set words_weight=0 "${contrast[@]}" --seed "$seed" "$@" "$stream"
	train "$name.$seed" --task finetune "${finetune[@]}" --seed "$seed" "$work/$name.contrast.$seed.tar.zst" "$stream"
}

scientific() { # its stream, in the model's tokens
	[ -e "$work/scientific.tar.zst" ] || seq-tokenize -q --tokenizer "${TOKENIZER:-$work/pretrained.tar.zst}" \
		--items "$data/scientific/items.csv" "$data/scientific/events.tsv" -o "$work/scientific.tar.zst"
}

# A tenth of the items: no one is trained on them, nor validated. Events that are a user's last stay.
held_out() {
	[ -e "$work/cold.data.tar.zst" ] && return
	awk -F '\t' 'FNR == 1 { next } NR == FNR { if (!($1 in last) || $3 >= time[$1]) { last[$1] = FNR; time[$1] = $3 } next }
		$2 % 10 != 7 || last[$1] == FNR' "$data/scientific/events.tsv" "$data/scientific/events.tsv" |
		sed '1i user_id\titem_id\ttimestamp' >"$work/cold.tsv"
	seq-tokenize -q --tokenizer "$work/pretrained.tar.zst" --items "$data/scientific/items.csv" "$work/cold.tsv" \
		-o "$work/cold.data.tar.zst"
}

# A tenth of the users.
few_users() {
	[ -e "$work/few.data.tar.zst" ] && return
	awk -F '\t' 'FNR == 1 || $1 % 10 == 7' "$data/scientific/events.tsv" >"$work/few.tsv"
	seq-tokenize -q --tokenizer "$work/pretrained.tar.zst" --items "$data/scientific/items.csv" "$work/few.tsv" \
		-o "$work/few.data.tar.zst"
}

# figures TITLE SEEN USERS FILE...: NDCG@10 and recall@10 of all users or a slice, mean of the models
figures() {
	local title=$1 seen=$2 users=$3 file
	shift 3
	for file; do
		seq-rank -q -j "$threads" --split "$split" --seen "$seen" "$work/$file.tar.zst" "${to_rank[@]}" | rec-eval -q -m ndcg,recall -k 10
	done | awk -F '\t' -v title="$title" -v seen="$seen" -v part="$users" '
		$2 == part && $1 == "ndcg@10" { n += $3; nn += $3 * $3; count++ }
		$2 == part && $1 == "recall@10" { r += $3 }
		END {
			deviation = count > 1 ? sqrt((nn - n * n / count) / (count - 1)) : 0
			printf "%-28s %-8s %-14s %.4f (sd %.4f, %d models)  %.4f\n", title, seen, part, n / count, deviation, count, r / count
		}'
}

of_seeds() { # NAME: of the models, by seed
	local seed
	for seed in "${seeds[@]}"; do echo "$1.$seed"; done
}

part() {
	local seed seen slice files
	to_rank=()
	case $1 in
	pretrain) tail -n 4 "$work/pretrained.log" ;;
	zero-shot)
		seq-train -q --arch popular "$work/scientific.tar.zst" -o "$work/popular.tar.zst"
		for seen in remove keep; do
			figures popular $seen all popular
			to_rank=("$work/scientific.tar.zst")
			figures "recformer, zero-shot" $seen all pretrained
			to_rank=()
		done
		;;
	finetune)
		for seed in "${seeds[@]}"; do
			tuned finetuned "$seed" "$work/scientific.tar.zst" "$work/pretrained.tar.zst"
			train "sasrec.$seed" "${sasrec[@]}" --seed "$seed" "$work/scientific.tar.zst"
		done
		for seen in remove keep; do
			mapfile -t files < <(of_seeds finetuned)
			figures "recformer, fine-tuned" $seen all "${files[@]}"
			mapfile -t files < <(of_seeds sasrec)
			figures sasrec $seen all "${files[@]}"
		done
		;;
	own)
		for seed in "${seeds[@]}"; do
			train "own.contrast.$seed" --task pretrain --set words_weight=0 "${contrast[@]}" --seed "$seed" "${start[@]}" \
				"$work/scientific.tar.zst"
			train "own.$seed" --task finetune "${own[@]}" --seed "$seed" "$work/own.contrast.$seed.tar.zst" "$work/scientific.tar.zst"
		done
		mapfile -t files < <(of_seeds own)
		for seen in remove keep; do figures "recformer, items' own vectors" $seen all "${files[@]}"; done
		;;
	scratch)
		for seed in "${seeds[@]}"; do
			tuned scratch "$seed" "$work/scientific.tar.zst" "${start[@]}"
		done
		mapfile -t files < <(of_seeds scratch)
		for seen in remove keep; do figures "recformer, not pre-trained" $seen all "${files[@]}"; done
		;;
	few)
		few_users
		for seed in "${seeds[@]}"; do
			tuned few "$seed" "$work/few.data.tar.zst" "$work/pretrained.tar.zst"
			tuned few.scratch "$seed" "$work/few.data.tar.zst" "${start[@]}"
		done
		to_rank=("$work/scientific.tar.zst")
		for seen in remove keep; do
			mapfile -t files < <(of_seeds few)
			figures "few users, pre-trained" $seen all "${files[@]}"
			mapfile -t files < <(of_seeds few.scratch)
			figures "few users, not pre-trained" $seen all "${files[@]}"
		done
		;;
	cold)
		held_out
		for seed in "${seeds[@]}"; do
			tuned cold "$seed" "$work/cold.data.tar.zst" "$work/pretrained.tar.zst"
			train "cold.sasrec.$seed" "${sasrec[@]}" --seed "$seed" "$work/cold.data.tar.zst"
		done
		for slice in target:in-set target:cold; do
			mapfile -t files < <(of_seeds cold)
			figures "recformer, fine-tuned" keep $slice "${files[@]}"
			mapfile -t files < <(of_seeds cold.sasrec)
			figures sasrec keep $slice "${files[@]}"
		done
		;;
	*) echo "$0: no part \"$1\"" >&2; exit 2 ;;
	esac
}

for set in beauty ml-1m online-retail-medium scientific; do
	[ -d "$data/$set" ] || { echo "skipped: no $data/$set"; exit; }
done
printf '%-28s %-8s %-14s %-32s %s\n' "$split item" seen targets NDCG@10 recall@10
for name; do
	case "$name${TOKENIZER:+ with tokens}" in
	"own with tokens" | "scratch with tokens") ;; # go on from no model
	*) pretrained ;;
	esac
	scientific
	part "$name"
done
