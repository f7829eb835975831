#!/usr/bin/env bash
# What each model is worth, one table: NDCG@10 of the validation item, and NDCG@10 and Recall@10 of the test item, seen items
# removed, for each set. Options are the defaults, but for what is chosen on validation items by the tools themselves.
#
#     tests/evidence.sh             all models that are listed below, on all sets
#     tests/evidence.sh MODEL ...   these
#     SETS="scientific beauty" ENCODER=folder LLM=file.gguf tests/evidence.sh
#     SETTING=tenth tests/evidence.sh
#
# SETTING: all users train (the default), a tenth or a hundredth of them does, and all are measured; or cold: a tenth of the
# items is left out of training, but for what is held out, and those whose item is such a one are measured.
# SEEDS ("1 2 3") are of sasrec and gru, whose figures are means.
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
read -ra seeds <<<"${SEEDS:-1 2 3}"
setting=${SETTING:-all}
threads=${THREADS:-2}
models=(popular markov itemknn itemknn-words ease ease-words nearest-words nearest-tfidf ease-tfidf
	nearest-encoder ease-encoder nearest-llm ease-llm ease-words+nearest-encoder
	sasrec sasrec-tfidf sasrec-encoder sasrec-llm gru gru-tfidf ease-words+sasrec-tfidf)
case $setting in all | tenth | hundredth | cold) ;; *) echo "$0: no setting \"$setting\"" >&2; exit 2 ;; esac

# what a model is made of: the stream it reads, then the options of seq-train
recipe() {
	case $1 in
	popular | markov) echo "items --arch $1" ;;
	itemknn | ease) echo "items --arch $1 --set text=none" ;;
	nearest-words | itemknn-words | ease-words) echo "items --arch ${1%-*}" ;;
	sasrec | gru) echo "items --arch $1" ;;
	nearest-* | ease-* | sasrec-* | gru-*) echo "${1#*-} --arch ${1%-*}" ;;
	*) echo "$0: no model \"$1\"" >&2; exit 2 ;;
	esac
}

# trains SET: the events that this setting trains on
trains() {
	local part=1
	case $setting in
	tenth) part=10 ;;
	hundredth) part=100 ;;
	cold)
		cold_events "$1"
		return
		;;
	esac
	events "$1" | awk -F '[,\t]' -v part=$part 'FNR == 1 || $1 % part == 0'
}

# stream SET KIND WHICH: the stream of a set with the items' vectors of a kind, of the users who train or of all; fails
# where nothing makes them here
stream() {
	local set=$1 kind=$2 which=$3 tokenizer=() from=()
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
	local items=$work/$set.$which.${tokenizer:+llm-}items.tar.zst of=trains
	[ "$which" != measured ] || of=events
	[ -e "$items" ] || $of "$set" | seq-tokenize -q "${tokenizer[@]}" --items "$data/$set/items.csv" -o "$items"
	path=$items
	[ "$kind" = items ] && return
	path=$work/$set.$which.$kind.tar.zst
	keep "$path" item-project -q -j "$threads" "${from[@]}" "$items"
}

# trained SET MODEL SEED: its stream
trained() {
	local kind options seed=()
	read -ra options < <(recipe "$2")
	kind=${options[0]}
	case $2 in
	sasrec* | gru*) seed=(--seed "$3") path=$work/$1.$setting.$2.$3.model.tar.zst ;;
	*) path=$work/$1.$setting.$2.model.tar.zst ;;
	esac
	[ ! -e "$path" ] || return 0
	local model=$path
	stream "$1" "$kind" "$setting" || return
	keep "$model" seq-train -j "$threads" "${seed[@]}" "${options[@]:1}" "$path"
	path=$model
}

# ranked SPLIT SET MODEL SEED: "ndcg recall"; models joined by + rank together
ranked() {
	local split=$1 set=$2 model parts=() path measured=measured
	for model in ${3//+/ }; do
		trained "$set" "$model" "$4" || return
		parts+=(--model "$path")
	done
	[ "$setting" != cold ] || measured=cold
	[ "$setting" != all ] || measured=all
	stream "$set" items $measured
	seq-rank -j "$threads" --split "$split" "${parts[@]}" "$path" 2>>"$work/log" |
		rec-eval -q --format lines -k 10 -m ndcg,recall |
		awk -F '\t' -v slice="$([ "$setting" = cold ] && echo target:cold || echo all)" '$2 == slice { value[$1] = $3 }
			END { print value["ndcg@10"], value["recall@10"] }'
}

# mean SPLIT SET MODEL: over the seeds, of a model that has any
mean() {
	local seed of=("${seeds[0]}")
	case $3 in *sasrec* | *gru*) of=("${seeds[@]}") ;; esac
	for seed in "${of[@]}"; do
		ranked "$@" "$seed" || return
	done | awk '{ n += $1; r += $2 } END { if (!NR) exit 1; printf "%.4f %.4f\n", n / NR, r / NR }'
}

# cell SET MODEL: "valid, test (recall)", or a dash where it cannot be had here. What is cold is nobody's validation item
cell() {
	local file=$work/$1.$setting.$2.txt valid=- test
	if [ ! -e "$file" ]; then
		[ "$setting" = cold ] || valid=$(mean valid "$1" "$2") || return 0
		test=$(mean test "$1" "$2") || return 0
		printf '%s, %s (%s)\n' "${valid% *}" "${test% *}" "${test#* }" >"$file.part"
		mv "$file.part" "$file"
		# a weight for each pair of items is much to keep
		rm -f "$work/$1.$setting".ease*.model.tar.zst
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
