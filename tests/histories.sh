#!/usr/bin/env bash
# What tuning a language model on histories gives its states as item vectors (seq-train --task histories), beside those of
# its own layers untuned: NDCG@10 of validation and test item, by nearest and ease, by sasrec (mean of SEEDS), and by nearest
# together with the items' words; the tuned one beside the untuned with the paired test.
#
#     tests/histories.sh LLM SET ...      LLM: a GGUF file or a Hugging Face folder; sets: scientific, beauty, ml-1m
#
# VARIANTS ("words states tuned") and MODELS ("nearest ease sasrec") narrow it down; layer-N is the untuned LLM's layer N.
# TUNE has the options of the tuning, which may be ended by Ctrl-C, and is gone on from then. Data are looked for in
# $RECPIPE_DATA (../shared/data); models and logs are kept in $HISTORIES (build/histories): what is there is not computed
# again.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 2 ] || { sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2; }
# shellcheck source=tests/data.bash
. tests/data.bash
work=${HISTORIES:-build/histories}
threads=${THREADS:-1}
read -ra seeds <<<"${SEEDS:-1 2 3}"
read -ra variants <<<"${VARIANTS:-words states tuned}"
read -ra models <<<"${MODELS:-nearest ease sasrec}"
tuning="--template {title} --max-tokens 16 --last 8 --learning-rate 0.0002 --schedule linear --checkpoint-every 300"
read -ra tune <<<"${TUNE:-$tuning}"
llm=$1
shift
mkdir -p "$work"

# vectors SET VARIANT: the stream that models read, in `path`
vectors() {
	local items=$work/$1.items.tar.zst tuned=$work/$1.llm.tar.zst layer=()
	[ -e "$items" ] || events "$1" | seq-tokenize -q --tokenizer "$llm" --items "$data/$1/items.csv" -o "$items"
	path=$work/$1.$2.tar.zst
	case $2 in
	words) path=$items ;;
	tfidf) keep "$path" item-project -q -j "$threads" --from tfidf "$items" ;;
	tuned)
		keep "$tuned" seq-train -j "$threads" --task histories --weights "$llm" --precision bf16 "${tune[@]}" \
			--checkpoint "$work/$1.ckpt" --resume "$items"
		keep "$path" item-project -q -j "$threads" --from llm --max-tokens 32 --precision bf16 "$tuned"
		;;
	states | layer-*)
		[ "$2" = states ] || layer=(--layer "${2#layer-}")
		keep "$path" item-project -q -j "$threads" --from llm --llm "$llm" --max-tokens 32 --precision bf16 "${layer[@]}" "$items"
		;;
	*) echo "$0: no variant \"$2\"" >&2; exit 2 ;;
	esac
}

# ranked SET VARIANT MODEL SEED SPLIT: the ranking, in `path`
ranked() {
	local model=$work/$1.$2.$3.$4.model.tar.zst words=$work/$1.words.nearest.1.model.tar.zst out=$work/$1.$2.$3.$4.$5.tar.zst
	vectors "$1" "$2"
	if [ "$3" = nearest+words ]; then
		keep "$words" seq-train -q -j "$threads" --arch nearest "$work/$1.items.tar.zst"
		keep "$out" seq-rank -q -j "$threads" --split "$5" --model "$words" --model "$work/$1.$2.nearest.$4.model.tar.zst" "$path"
	else
		keep "$model" seq-train -q -j "$threads" --arch "$3" --seed "$4" "$path"
		keep "$out" seq-rank -q -j "$threads" --split "$5" "$model"
	fi
	path=$out
}

# row SET VARIANT MODEL: mean over seeds of validation and test, and p-values against the untuned states, seed by seed
row() {
	local seed split own=("${seeds[@]}") values=() p=()
	[ "$3" = sasrec ] || own=(1)
	for split in valid test; do
		values+=("$(for seed in "${own[@]}"; do
			ranked "$1" "$2" "$3" "$seed" $split
			rec-eval -q --no-slices --format lines -m ndcg -k 10 "$path"
		done | awk -F'\t' '$1 == "ndcg@10" && $2 == "all" { s += $3; n++ } END { printf "%.4f", s / n }')")
	done
	for seed in "${own[@]}"; do
		[ "$2" = tuned ] || break
		ranked "$1" states "$3" "$seed" test
		p+=("$(rec-eval -q --format lines -m ndcg -k 10 "$work/$1.$2.$3.$seed.test.tar.zst" --versus "$path" |
			awk -F'\t' '$2 == "p" { print $3 }')")
	done
	printf '%-12s %-10s %-14s %s, %s   %s\n' "$1" "$2" "$3" "${values[@]}" "${p[*]:+p ${p[*]}}"
}

for set; do
	[ -d "$data/$set" ] || { printf '%s skipped: no %s\n' "$set" "$data/$set"; continue; }
	for variant in "${variants[@]}"; do
		for model in "${models[@]}"; do
			[ "$variant/$model" = words/sasrec ] || row "$set" "$variant" "$model"
		done
		[ "$variant" = words ] || row "$set" "$variant" nearest+words
	done
done
