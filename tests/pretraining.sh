#!/usr/bin/env bash
# What a trained encoder, and pre-training on other domains from it, give a Recformer on a set: untrained, and trained on all, a
# tenth and a hundredth of the users. Everything starts from the same encoder, is chosen on validation, and stays in $PRETRAINING
# (build/pretraining): what was interrupted goes on where it stopped, what is there is not made again.
#
#     ENCODER=all-MiniLM-L6-v2 tests/pretraining.sh PART...     a folder in the layout of sentence-transformers
#
#     zero-shot       the encoder as it is: nearest by its vectors, and as a Recformer; how alike both order the items
#     all tenth hundredth     contrast of the domain's own histories from there, then the two stages of fine-tuning
#     own own-tenth own-hundredth     items' own vectors beside those of their texts from there, histories as means of items
#     cold own-cold   the same two where a tenth of the items is left out of training: of those whose test item is such a one
#     beside          the first of these, together with ease by ids and words, and ease alone
#     elsewhere       pre-training on electronics, clothing and health; then untrained, and the same shares
#
# SET (scientific) names the data, SPLIT (valid) the item ranked, SEEDS ("1"); every so manieth user is measured (MEASURED, 4), and
# trained on of the other domains (ELSEWHERE, 1); START (start) or elsewhere is what items' own vectors are learned beside; THREADS
# (1), PRECISION (bf16), and CONTRAST, FINETUNE and OWN, options of the trainings. Hours on one core.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 1 ] || { sed -n '2,18s/^# \{0,1\}//p' "$0"; exit 2; }
# shellcheck source=tests/data.bash
. tests/data.bash
: "${ENCODER:?the folder of an encoder}"
set=${SET:-scientific} start=${START:-start}
work=${PRETRAINING:-build/pretraining}/$set
threads=${THREADS:-1}
read -ra seeds <<<"${SEEDS:-1}"
read -ra common <<<"${COMMON:---precision ${PRECISION:-bf16} --set max_items=5 --set valid_users=1000}"
read -ra contrast <<<"${CONTRAST:---batch-size 256 --epochs 4 --learning-rate 0.00005 --set warmup=10}"
read -ra finetune <<<"${FINETUNE:---batch-size 64 --epochs 2 --learning-rate 0.00005 --set warmup=10}"
own="--batch-size 128 --epochs 25 --patience 10 --learning-rate 0.0001 --set warmup=20 --set temperature=0.1"
read -ra own <<<"${OWN:-$own}"
[ -d "$data/$set" ] || { echo "skipped: no $data/$set"; exit; }
mkdir -p "$work"

# share NAME REST: of the set's users, every so manieth, or all but cold items, in the encoder's tokens
share() {
	[ -e "$work/$1.data.tar.zst" ] && return
	if [ "$1" = cold ]; then cold_events "$set"; else events "$set" | awk -F '[,\t]' -v part="$2" 'FNR == 1 || $1 % part == 0'; fi |
		seq-tokenize -q --tokenizer "$ENCODER" --items "$data/$set/items.csv" -o "$work/$1.data.tar.zst"
}

# figure TITLE STREAM: by its model, of the users that are measured
figure() {
	local title=$1 users=measured split=${SPLIT:-valid} slice=all
	shift
	[[ $part != *cold ]] || users=cold split=test slice=target:cold
	seq-rank -q -j "$threads" --split "$split" "$@" "$work/$users.data.tar.zst" 2>/dev/null | rec-eval -q -m ndcg,recall -k 10 --format lines |
		awk -F '\t' -v title="$title" -v slice=$slice '$2 == slice { value[$1] = $3 }
			END { printf "%-40s %s  %s\n", title, value["ndcg@10"], value["recall@10"] }'
}

# beside SPLIT: NDCG@10 of the linear model, of it and a Recformer together, what that adds, and by how much chance could
beside() {
	seq-rank -q -j "$threads" --split "$1" --model "$work/ease.tar.zst" "$work/all.data.tar.zst" -o "$work/alone.tar.zst"
	local seed
	for seed in "${seeds[@]}"; do
		seq-rank -q -j "$threads" --split "$1" --model "$work/ease.tar.zst" --model "$work/$start.own.all.$seed.tar.zst" \
			"$work/all.data.tar.zst" -o "$work/together.tar.zst"
		printf '%s, seed %s\n' "$1" "$seed"
		rec-eval -q -m ndcg -k 10 --no-slices "$work/together.tar.zst" --versus "$work/alone.tar.zst"
	done
}

# tuned NAME SHARE START: by contrast of the share's histories, then in two stages
tuned() {
	local name=$1 share=$2 start=$3 seed
	for seed in "${seeds[@]}"; do
		train "$name.$share.contrast.$seed" --task pretrain --set words_weight=0 "${common[@]}" "${contrast[@]}" --seed "$seed" \
			"$work/$start.tar.zst" "$work/$share.data.tar.zst"
		figure "$name, $share, contrast, seed $seed" "$work/$name.$share.contrast.$seed.tar.zst"
		train "$name.$share.$seed" --task finetune "${common[@]}" "${finetune[@]}" --seed "$seed" \
			"$work/$name.$share.contrast.$seed.tar.zst" "$work/$share.data.tar.zst"
		figure "$name, $share, fine-tuned, seed $seed" "$work/$name.$share.$seed.tar.zst"
	done
}

elsewhere() {
	if [ ! -e "$work/domains.tar.zst" ]; then
		local domain options=()
		for domain in electronics clothing health; do
			events "pretrain/$domain" | awk -F '\t' -v part="${ELSEWHERE:-1}" 'FNR == 1 || $1 % part == 0' >"$work/$domain.tsv"
			options+=(--domain "$domain=$data/pretrain/$domain/items.csv,$work/$domain.tsv")
		done
		seq-tokenize -q --tokenizer "$ENCODER" "${options[@]}" -o "$work/domains.tar.zst"
	fi
	train elsewhere --task pretrain --weights "$ENCODER" --set words_weight=0 "${common[@]}" "${contrast[@]}" --epochs 1 \
		"$work/domains.tar.zst"
}

share all 1
share measured "${MEASURED:-4}"
train start --task pretrain --weights "$ENCODER" --set words_weight=0 --epochs 0 --set max_items=5 "$work/all.data.tar.zst"
for part; do
	case $part in
	zero-shot)
		# a Recformer reads what attributes say, without their names
		values=$(head -n 1 "$data/$set/items.csv" | sed 's/^[^,]*,//; s/[^,]*/{&}/g; s/,/ /g')
		[ -e "$work/encoder.tar.zst" ] ||
			item-project -q --from encoder --encoder "$ENCODER" --whiten --template "$values" "$work/all.data.tar.zst" \
				-o "$work/encoder.tar.zst"
		[ -e "$work/start.items.tar.zst" ] ||
			item-project -q --from recformer "$work/start.tar.zst" -o "$work/start.items.tar.zst"
		printf '%-40s ' "rank correlation of the items' cosines"
		tests/order.py "$work/encoder.tar.zst" "$work/start.items.tar.zst"
		keep "$work/nearest.tar.zst" seq-train --arch nearest "$work/encoder.tar.zst"
		figure "nearest by the encoder's vectors" "$work/nearest.tar.zst"
		figure "recformer from it, untrained" "$work/start.tar.zst"
		;;
	all) tuned start all start ;;
	own | own-tenth | own-hundredth | own-cold)
		users=${part#own} users=${users#-}
		case $users in tenth) share tenth 10 ;; hundredth) share hundredth 100 ;; cold) share cold 1 ;; *) users=all ;; esac
		for seed in "${seeds[@]}"; do
			train "$start.own.$users.$seed" --task finetune --set histories=items --set item_vectors=learned --set whiten=yes \
				"${own[@]}" --seed "$seed" "$work/$start.tar.zst" "$work/$users.data.tar.zst"
			figure "$start, items' own vectors, $users, seed $seed" "$work/$start.own.$users.$seed.tar.zst"
		done
		;;
	beside)
		keep "$work/ease.tar.zst" seq-train -q --arch ease --set text=words "$work/all.data.tar.zst"
		beside "${SPLIT:-valid}"
		;;
	cold)
		share cold 1
		figure "$start, untrained" "$work/$start.tar.zst"
		tuned "$start" cold "$start"
		;;
	tenth) share tenth 10; tuned start tenth start ;;
	hundredth) share hundredth 100; tuned start hundredth start ;;
	elsewhere)
		elsewhere
		figure "pre-trained elsewhere, untrained" "$work/elsewhere.tar.zst"
		for name in hundredth tenth all; do
			case $name in hundredth) share $name 100 ;; tenth) share $name 10 ;; esac
			tuned elsewhere $name elsewhere
		done
		;;
	*) echo "$0: no part \"$part\"" >&2; exit 2 ;;
	esac
done
