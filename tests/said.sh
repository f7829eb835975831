#!/usr/bin/env bash
# What an LLM's item vectors give a sequence model (SAID, WWW 2024): popular, markov, learned ids, and items by TF-IDF,
# by token vectors, by an LLM's mean hidden states and by SAID, frozen and trainable, for sasrec and gru; with the
# paired test against learned ids. VARIANT-initial are vectors that are learned from the principal axes of these on;
# VARIANT+tfidf are beside TF-IDF's in one embedding.
#
#     tests/said.sh LLM SET ...      LLM: a GGUF file, a Hugging Face folder or a stream with one (of seq-train --task histories);
#                                    sets: scientific, beauty, ml-1m
#     tests/said.sh LLM say          what 200 (ITEMS) items of scientific make the LLM say, with a table; hours
#     ARCHS=ease+sasrec VARIANTS="ids tfidf mlp" tests/said.sh LLM SET ...
#                                    what they add to the linear model with the items' words: both rank together, as much of each
#                                    as is best on the validation items; with the paired test against `ease` alone, too
#
# SEEDS ("1 2 3 4 5"), ARCHS ("sasrec gru") and VARIANTS narrow it down; MODEL has more options of seq-train, TRAIN those
# for items with features alone, ALIGN of emb-align-train (for mlp; a stream with the projector of another set among them
# is where it starts), TABLE (for table, which starts from mlp) and SAY. SPLIT=valid ranks the validation item: what
# choices are to be made by. Data are looked for in $RECPIPE_DATA (../shared/data); models and logs are kept in $SAID
# (build/said): what is there is not computed again, what was interrupted goes on from its checkpoint. THREADS: of each
# tool.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 2 ] || { sed -n '2,21s/^# \{0,1\}//p' "$0"; exit 2; }
# shellcheck source=tests/data.bash
. tests/data.bash
work=${SAID:-build/said}
split=${SPLIT:-test}
read -ra seeds <<<"${SEEDS:-1 2 3 4 5}"
read -ra archs <<<"${ARCHS:-sasrec gru}"
read -ra variants <<<"${VARIANTS:-ids tfidf tokens llm mlp mlp-trainable table table-trainable}"
read -ra all <<<"${MODEL:-}"
read -ra alone <<<"${TRAIN:-}"
read -ra align <<<"${ALIGN:---epochs 2}"
read -ra table <<<"${TABLE:---epochs 20}"
read -ra say <<<"${SAY:---epochs 300 --integers}"
threads=${THREADS:-$(nproc)}
llm=$1 by=(--llm "$1")
[[ $llm != *.tar.zst ]] || by=(--model "$llm")
shift
mkdir -p "$work"

tokens_of() { # SET: its stream in the LLM's tokens
	[ -e "$work/$1.tar.zst" ] ||
		events "$1" | seq-tokenize -q --tokenizer "$llm" --items "$data/$1/items.csv" -o "$work/$1.tar.zst"
}

# teach SET KIND STREAM OPTION...: a projector for the items of STREAM, kept
teach() {
	local name=$1-$2 from=$3
	[ -e "$work/$name.said.tar.zst" ] && return
	shift 3
	emb-align-train -j "$threads" "${by[@]}" "$@" --checkpoint "$work/$name.ckpt" --resume -o "$work/$name.said.tar.zst" "$from" \
		2>>"$work/$name.log"
	rm -f "$work/$name.ckpt"
}

vectors() { # SET VARIANT: the stream with the embedding, made once
	local set=$1 variant=${2%%-*}
	local out=$work/$set-$variant.tar.zst
	[ -e "$out" ] && return
	case $variant in
	ids) ln -sf "$set.tar.zst" "$out" ;;
	tfidf) item-project -q --from tfidf "$work/$set.tar.zst" -o "$out" ;;
	*+tfidf)
		vectors "$set" "${variant%+tfidf}"
		item-project -q --from tfidf --join "$work/$set-${variant%+tfidf}.tar.zst" -o "$out"
		;;
	tokens | llm) item-project -q -j "$threads" --from "$variant" "${by[@]}" --max-tokens 32 "$work/$set.tar.zst" -o "$out" ;;
	mlp)
		teach "$set" mlp "$work/$set.tar.zst" "${align[@]}"
		item-project -q "$work/$set-mlp.said.tar.zst" -o "$out"
		;;
	table)
		vectors "$set" mlp
		teach "$set" table "$work/$set-mlp.said.tar.zst" --projector table "${table[@]}"
		item-project -q "$work/$set-table.said.tar.zst" -o "$out"
		;;
	*) echo "$0: no variant \"$variant\"" >&2; exit 2 ;;
	esac
}

model() { # SET ARCH VARIANT SEED: its file, trained once; of ease and what only counts there is one for all variants and seeds
	local set=$1 arch=$2 variant=$3 seed=$4 features=frozen
	local options=("${alone[@]}")
	path=$work/$set-$arch-$variant.$seed.model.tar.zst
	case $variant in
	ids) features=none options=() ;;
	*-trainable | *-initial) features=${variant#*-} ;;
	esac
	case $arch in
	popular | markov | ease)
		path=$work/$set-$arch.model.tar.zst
		[ -e "$path" ] || seq-train -q -j "$threads" --arch "$arch" -o "$path" "$work/$set.tar.zst"
		;;
	*)
		train "$(basename "$path" .tar.zst)" --arch "$arch" --features $features "${all[@]}" "${options[@]}" --seed "$seed" \
			"$work/$set-${variant%%-*}.tar.zst"
		;;
	esac
}

rank() { # SET ARCH VARIANT SEED: the ranking, made once; models joined by + rank together
	local set=$1 seed=$4 out=$work/$1-$2-$3.$4.$split.tar.zst arch path models=()
	[ -e "$out" ] && return
	for arch in ${2//+/ }; do
		model "$set" "$arch" "$3" "$seed"
		models+=(--model "$path")
	done
	seq-rank -q -j "$threads" --split "$split" -o "$out" "${models[@]}" "$work/$set.tar.zst"
}

mean() { # MEASURE FILE...: of all users, over the rankings
	local measure=$1 file
	shift
	for file; do rec-eval -q --format lines -k 10 "$file"; done |
		awk -F '\t' -v m="$measure" '$1 == m && $2 == "all" { s += $3; n++ } END { printf "%.4f", s / n }'
}

rankings() { # SET ARCH VARIANT: their files
	local seed
	for seed in "${seeds[@]}"; do echo "$work/$1-$2-$3.$seed.$split.tar.zst"; done
}

# versus RANKING OTHER: the p-value of the paired test of NDCG@10
versus() {
	rec-eval -q --format lines -m ndcg -k 10 "$1" --versus "$2" | awk -F '\t' '$2 == "p" { print $3; exit }'
}

# against SET ARCH VARIANT: p-values beside ids, seed by seed; of models that rank with ease, beside ease alone, too
against() {
	local seed p=() of=$work/$1-$2
	for seed in "${seeds[@]}"; do
		[ "$3" = ids ] || [ ! -e "$of-ids.$seed.$split.tar.zst" ] ||
			p+=("$(versus "$of-$3.$seed.$split.tar.zst" "$of-ids.$seed.$split.tar.zst")")
	done
	case $2 in
	ease+*)
		p+=('| ease')
		for seed in "${seeds[@]}"; do
			p+=("$(versus "$of-$3.$seed.$split.tar.zst" "$work/$1-ease-ids.1.$split.tar.zst")")
		done
		;;
	esac
	echo "${p[*]}"
}

report() { # SET
	local set=$1 arch variant seed files simple=(popular markov)
	[[ "${archs[*]}" != *ease+* ]] || simple+=(ease)
	tokens_of "$set"
	printf '\n%s, %s item, seen items removed, mean of %d seeds\n' "$set" "$split" "${#seeds[@]}"
	printf '%-12s %-16s %10s %10s   %s\n' model items NDCG@10 Recall@10 'p against ids, seed by seed'
	for arch in "${simple[@]}"; do
		rank "$set" "$arch" ids 1
		printf '%-12s %-16s %10s %10s\n' "$arch" - "$(mean ndcg@10 "$work/$set-$arch-ids.1.$split.tar.zst")" \
			"$(mean recall@10 "$work/$set-$arch-ids.1.$split.tar.zst")"
	done
	for arch in "${archs[@]}"; do
		for variant in "${variants[@]}"; do
			vectors "$set" "$variant"
			for seed in "${seeds[@]}"; do rank "$set" "$arch" "$variant" "$seed"; done
			mapfile -t files < <(rankings "$set" "$arch" "$variant")
			printf '%-12s %-16s %10s %10s   %s\n' "$arch" "$variant" "$(mean ndcg@10 "${files[@]}")" \
				"$(mean recall@10 "${files[@]}")" "$(against "$set" "$arch" "$variant")"
		done
	done
}

# Exact greedy reconstruction of $ITEMS items from all over the catalog, each cut to 32 tokens: the catalog's network first,
# which knows what all have in common, then a table from there.
say() {
	local set=scientific items=${ITEMS:-200}
	if [ ! -e "$work/say.tar.zst" ]; then
		awk -v n="$items" -v all="$(($(wc -l <"$data/$set/items.csv") - 1))" \
			'NR == 1 || int((NR - 1) * n / all) > int((NR - 2) * n / all)' "$data/$set/items.csv" >"$work/say.csv"
		events $set | awk -F '\t' 'NR == FNR { split($0, f, ","); keep[f[1]]; next } FNR == 1 || $2 in keep' "$work/say.csv" - |
			seq-tokenize -q --tokenizer "$llm" --items "$work/say.csv" -o "$work/say.tar.zst"
	fi
	vectors $set mlp
	teach say table "$work/say.tar.zst" --projector table "${say[@]}" --show 5 "$work/$set-mlp.said.tar.zst"
	tail -n 40 "$work/say-table.log"
}

for what; do
	if [ "$what" = say ]; then
		say
	elif [ -d "$data/$what" ]; then
		report "$what"
	else
		printf '%s skipped: no %s\n' "$what" "$data/$what"
	fi
done
