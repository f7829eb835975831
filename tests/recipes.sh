#!/usr/bin/env bash
# Recipes of sequence models, a line each: mean over seeds of NDCG@10 of the validation item, by which choices are made;
# with SPLIT=test also NDCG@10 and Recall@10 of the test item, and p-values of the paired test against the first recipe,
# seed by seed. Seen items are removed.
#
#     tests/recipes.sh               all that are listed below
#     tests/recipes.sh NAME ...      these
#     SETS="scientific beauty" SEEDS="1 2 3 4 5" SPLIT=test RECIPES=FILE tests/recipes.sh
#
# RECIPES names a file of lines as those at the end of this one. The data are looked for in $RECPIPE_DATA (default
# ../shared/data); models and logs are kept in $KEPT (build/recipes): what is there is not computed again, what was
# interrupted goes on from its checkpoint.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=tests/data.bash
. tests/data.bash
work=${KEPT:-build/recipes}
split=${SPLIT:-valid}
read -ra sets <<<"${SETS:-scientific beauty}"
read -ra seeds <<<"${SEEDS:-1 2}"
threads=${THREADS:-1}
first=

recipes() {
	if [ -n "${RECIPES:-}" ]; then cat "$RECIPES"; else sed '1,/^exit$/d' "$0"; fi
}

# encoded OPTION...: items by the encoder
encoded() {
	item-project -q -j "$threads" --from encoder --encoder "${ENCODER:?is a folder}" "$@"
}

# stream SET KIND: the path of its items as recipes of that kind know them, made once
stream() {
	local set=$1 kind=$2
	local items=$work/$set.ids.tar.zst
	[ -e "$items" ] || events "$set" | seq-tokenize -q --items "$data/$set/items.csv" -o "$items"
	path=$work/$set.$kind.tar.zst
	[ -e "$path" ] && return
	case $kind in
	tfidf) item-project -q --from tfidf "$items" -o "$path" ;;
	tfidf-*) item-project -q --from tfidf --width "${kind#*-}" "$items" -o "$path" ;;
	encoder) encoded "$items" -o "$path" ;;
	relaxed) encoded --whiten-groups 4 "$items" -o "$path" ;;
	joined) item-project -q --from tfidf "$items" | encoded --join >"$path.part" && mv "$path.part" "$path" ;;
	*) echo "$0: no items of kind \"$kind\"" >&2; exit 2 ;;
	esac
}

# rank SET NAME SEED SPLIT: the path of the ranking, made once
rank() {
	ranking=$work/$1.$2.$3.$4.tar.zst
	[ -e "$ranking" ] || seq-rank -q -j "$threads" --split "$4" "$work/$1.$2.$3.model.tar.zst" -o "$ranking"
}

# measured SET NAME SEED SPLIT: "ndcg recall"
measured() {
	local ranking
	rank "$@"
	rec-eval -q --no-slices -k 10 -m ndcg,recall "$ranking" |
		awk -F'\t' '$1 == "ndcg@10" { n = $3 } $1 == "recall@10" { r = $3 } END { print n, r }'
}

# against SET NAME SEED: p of NDCG@10 beside the first recipe
against() {
	local ranking other
	rank "$1" "$first" "$3" test
	other=$ranking
	rank "$1" "$2" "$3" test
	rec-eval -q --format lines -m ndcg -k 10 "$ranking" --versus "$other" | awk -F '\t' '$2 == "p" { print $3; exit }'
}

# line NAME KIND OPTION...: a recipe on each set
line() {
	local name=$1 kind=$2 set seed path
	shift 2
	first=${first:-$name}
	printf '%-20s' "$name"
	for set in "${sets[@]}"; do
		stream "$set" "$kind"
		for seed in "${seeds[@]}"; do
			train "$set.$name.$seed.model" --seed "$seed" "$@" "$path"
			printf '%s %s %s\n' "$(measured "$set" "$name" "$seed" valid)" \
				"$([ "$split" = valid ] || measured "$set" "$name" "$seed" test)" \
				"$([ "$split" = valid ] || [ "$name" = "$first" ] || against "$set" "$name" "$seed")"
		done | awk '{ v += $1; n += $3; r += $4; if (NF > 4) p = p " " $5 }
			END { printf "  %.4f", v / NR; if (n) printf "  %.4f (%.4f)", n / NR, r / NR; if (p) printf "  p%s", p }'
	done
	printf '\n'
}

mkdir -p "$work"
while read -ra recipe; do
	[ $# = 0 ] || [[ " $* " == *" ${recipe[0]} "* ]] || continue
	line "${recipe[@]}" </dev/null
done < <(recipes)
exit
ids ids
plain ids --set history_mean=0 --set average=0
average ids --set history_mean=0
mean ids --set average=0
mean-1 ids --set history_mean=1
mean-2 ids --set history_mean=2
mean-8 ids --set history_mean=8
decay-.5 ids --set history_decay=.5
decay-.9 ids --set history_decay=.9
backwards ids --set reversal=.5
left-out ids --set item_dropout=.3
both ids --set reversal=.5 --set item_dropout=.3
esasrec ids --arch esasrec
esasrec-unscaled ids --arch esasrec --set scale_embedding=no
esasrec-plain ids --arch esasrec --set scale_embedding=no --set history_mean=0 --set average=0
esasrec-sampled ids --arch esasrec --loss sampled --negatives 256 --dropout .1 --set scale_embedding=no --set history_mean=0
tfidf tfidf
tfidf-plain tfidf --set history_mean=0 --set average=0
tfidf-both tfidf --set reversal=.5 --set item_dropout=.3
cosine ids --set score=cosine
wide ids --hidden-size 128
wider ids --hidden-size 256
tfidf-wide tfidf --hidden-size 128
tfidf-876 tfidf-876 --hidden-size 128
from-end ids --set positions=end
slow ids --learning-rate .0005
sampled ids --loss sampled --negatives 256
axes tfidf --features initial
axes-small tfidf --features initial --set feature_scale=.02
alphafuse tfidf --features alphafuse
encoder encoder
relaxed relaxed
joined joined
