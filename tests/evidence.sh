#!/usr/bin/env bash
# What each model is worth, one table: NDCG@10 of the validation item, and NDCG@10 and Recall@10 of the test item, seen items
# removed, for each set. Options are the defaults, but for what is chosen on validation items by the tools themselves.
#
#     tests/evidence.sh             all models that are listed below, on all sets
#     tests/evidence.sh MODEL ...   these
#     SETS="scientific beauty" ENCODER=folder LLM=file.gguf tests/evidence.sh
#
# Models that read an encoder's or an LLM's vectors are left out where ENCODER or LLM does not name one. The data are looked
# for in $RECPIPE_DATA (default ../shared/data); what was computed is kept in $EVIDENCE (default build/evidence) and not
# computed again, so it goes on where it was stopped.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=tests/data.bash
. tests/data.bash
work=${EVIDENCE:-build/evidence}
read -ra sets <<<"${SETS:-scientific beauty ml-1m online-retail-medium}"
threads=${THREADS:-2}
models=(popular markov itemknn itemknn-words ease ease-words nearest-words nearest-tfidf ease-tfidf
	nearest-encoder ease-encoder nearest-llm ease-llm ease-words+nearest-encoder)

# what a model is made of: the stream it reads, then the options of seq-train
recipe() {
	case $1 in
	popular | markov) echo "items --arch $1" ;;
	itemknn | ease) echo "items --arch $1 --set text=none" ;;
	nearest-words | itemknn-words | ease-words) echo "items --arch ${1%-*}" ;;
	nearest-* | ease-*) echo "${1#*-} --arch ${1%-*}" ;;
	*) echo "$0: no model \"$1\"" >&2; exit 2 ;;
	esac
}

# keep FILE COMMAND...: makes a file once, whole or not at all
keep() {
	local file=$1
	shift
	[ -e "$file" ] || "$@" -o "$file" 2>>"$work/log"
}

# stream SET KIND: the stream of a set with the items' vectors of a kind; fails where nothing makes them here
stream() {
	local set=$1 kind=$2 tokenizer=() from=()
	case $kind in
	tfidf) from=(--from tfidf) ;;
	encoder) from=(--from encoder --encoder "${ENCODER:-}") ;;
	llm)
		tokenizer=(--tokenizer "${LLM:-}")
		from=(--from llm --integers --llm "${LLM:-}")
		;;
	esac
	[ "$kind" != encoder ] || [ -n "${ENCODER:-}" ] || return
	[ "$kind" != llm ] || [ -n "${LLM:-}" ] || return
	local items=$work/$set.${tokenizer:+llm-}items.tar.zst
	[ -e "$items" ] || events "$set" | seq-tokenize -q "${tokenizer[@]}" --items "$data/$set/items.csv" -o "$items"
	path=$items
	[ "$kind" = items ] && return
	path=$work/$set.$kind.tar.zst
	keep "$path" item-project -q -j "$threads" "${from[@]}" "$items"
}

# trained SET MODEL: its stream
trained() {
	local kind options
	read -ra options < <(recipe "$2")
	kind=${options[0]}
	stream "$1" "$kind" || return
	local read_from=$path
	path=$work/$1.$2.model.tar.zst
	keep "$path" seq-train -j "$threads" "${options[@]:1}" "$read_from"
}

# ranked SPLIT SET MODEL: "ndcg recall"; models joined by + rank together
ranked() {
	local split=$1 set=$2 model parts=() path
	for model in ${3//+/ }; do
		trained "$set" "$model" || return
		parts+=(--model "$path")
	done
	stream "$set" items
	seq-rank -j "$threads" --split "$split" "${parts[@]}" "$path" 2>>"$work/log" | rec-eval -q --no-slices -k 10 -m ndcg,recall |
		awk -F'\t' '$1 == "ndcg@10" { n = $3 } $1 == "recall@10" { r = $3 } END { print n, r }'
}

# cell SET MODEL: "valid, test (recall)", or a dash where it cannot be had here
cell() {
	local file=$work/$1.$2.txt valid test
	if [ ! -e "$file" ]; then
		valid=$(ranked valid "$1" "$2") && test=$(ranked test "$1" "$2") || return 0
		printf '%s, %s (%s)\n' "${valid% *}" "${test% *}" "${test#* }" >"$file.part"
		mv "$file.part" "$file"
		# a weight for each pair of items is much to keep
		rm -f "$work/$1".ease*.model.tar.zst
	fi
	cat "$file"
}

mkdir -p "$work"
[ $# -gt 0 ] || set -- "${models[@]}"
for model; do
	for part in ${model//+/ }; do recipe "$part" >"$work/.recipe"; done
done
printf '%-28s' 'valid, test (recall)'
printf ' %-24s' "${sets[@]}"
printf '\n'
for model; do
	printf '%-28s' "$model"
	for set in "${sets[@]}"; do
		value='-'
		[ ! -d "$data/$set" ] || value=$(cell "$set" "$model")
		printf ' %-24s' "${value:--}"
	done
	printf '\n'
done
