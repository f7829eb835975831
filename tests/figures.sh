#!/usr/bin/env bash
# Published figures, reproduced: trains with the protocol of each source, three seeds, and prints the mean beside the
# target. Each line takes minutes to an hour on two cores.
#
#     tests/figures.sh             list the figures
#     tests/figures.sh NAME ...    reproduce these (or: all)
#
# The data are looked for in $RECPIPE_DATA (default ../shared/data), models and logs are kept in $FIGURES (default
# build/figures); what is there is not computed again, what was interrupted goes on from its checkpoint.
set -euo pipefail
cd "$(dirname "$0")/.."

# shellcheck source=tests/data.bash
. tests/data.bash
work=${FIGURES:-build/figures}
seeds=${SEEDS:-1 2 3}

# The settings of Klenitskiy & Vasilev 2023 (arXiv 2309.07602); RecBole's are in data.bash
td=(--set norm=original --heads 1 --hidden-size 64 --layers 2 --set intermediate_size=64 --set hidden_act=relu --dropout 0.1
    --set scale_embedding=yes --set positions=start --set initialiser=normal --epochs 100 --patience 10 --batch-size 128)

# name, set, seen items, targets HR@10 and NDCG@10 with what may lie between, then the options of seq-train
figure() {
	case $1 in
	ml-1m-ce) set -- ml-1m remove .3152 .010 .1821 .006 "${td[@]}" --max-length 200 --set valid_users=10000 ;;
	ml-1m-bce) set -- ml-1m remove .2500 .015 .1341 .010 "${td[@]}" --max-length 200 --set valid_users=10000 --loss bce ;;
	ml-1m-gru) set -- ml-1m remove .2811 - .1566 - --arch gru --set score=dot --hidden-size 64 --max-length 200 --epochs 100 --patience 10 ;;
	ml-1m-default) set -- ml-1m remove .3152 - .1821 - ;;
	scientific) set -- scientific keep .1013 .008 .0559 .006 "${recbole[@]}" --set seen=keep --batch-size 400 ;;
	scientific-default) set -- scientific keep .1013 - .0559 - --set seen=keep ;;
	beauty) set -- beauty keep .0830 .006 .0416 .004 "${recbole[@]}" --set seen=keep --batch-size 300 ;;
	beauty-default) set -- beauty keep .0830 - .0416 - --set seen=keep ;;
	popular-ml-1m) set -- ml-1m remove .0369 .00005 .0180 .00005 --arch popular ;;
	popular-ml-1m-kept) set -- ml-1m keep .0162 .00005 .0079 .00005 --arch popular ;;
	popular-scientific) set -- scientific keep .0309 .00005 .0171 .00005 --arch popular ;;
	popular-scientific-removed) set -- scientific remove .0316 .00005 .0180 .00005 --arch popular ;;
	popular-beauty) set -- beauty keep .0112 .00005 .0053 .00005 --arch popular ;;
	popular-beauty-removed) set -- beauty remove .0114 .00005 .0055 .00005 --arch popular ;;
	markov-ml-1m) set -- ml-1m remove .249 - .144 - --arch markov ;;
	markov-scientific) set -- scientific remove .108 - .076 - --arch markov ;;
	markov-beauty) set -- beauty remove .087 - .056 - --arch markov ;;
	*) echo "$0: no figure \"$1\"" >&2; exit 2 ;;
	esac
	printf '%s\n' "$@"
}
names=(popular-ml-1m popular-ml-1m-kept popular-scientific popular-scientific-removed popular-beauty popular-beauty-removed
markov-ml-1m markov-scientific markov-beauty scientific scientific-default beauty beauty-default
ml-1m-bce ml-1m-ce ml-1m-gru ml-1m-default)

tokenize() { # SET: the stream of a set, made once
	local set=$1 stream=$work/$1.tar.zst
	[ -e "$stream" ] && return
	events "$set" | seq-tokenize -q -o "$stream" --items "$data/$set/items.csv"
}

measure() { # NAME SEED SET SEEN OPTION...: prints "recall ndcg" of one seed
	local name=$1 seed=$2 set=$3 seen=$4 model=$work/$1.$2.tar.zst
	shift 4
	if [ ! -e "$model" ]; then
		local kept=(--checkpoint "$work/$name.$seed.ckpt" --resume)
		case $name in popular* | markov*) kept=() ;; esac # they are counted in one go
		seq-train "$@" --seed "$seed" "${kept[@]}" -o "$model" "$work/$set.tar.zst" 2>>"$work/$name.$seed.log"
		rm -f "$work/$name.$seed.ckpt"
	fi
	# counts tie: the anchors give a tied target the best of its places
	local ties=average
	case $name in popular*) ties=best ;; esac
	seq-rank -q --seen "$seen" "$model" | rec-eval -q -k 10 -m recall,ndcg --ties $ties |
		awk -F'\t' '$2 != "all" { next } $1 == "recall@10" { r = $3 } $1 == "ndcg@10" { n = $3 } END { print r, n }'
}

reproduce() { # NAME
	local lines options set seen
	mapfile -t lines < <(figure "$1")
	set=${lines[0]} seen=${lines[1]} options=("${lines[@]:6}")
	if [ ! -d "$data/$set" ]; then
		printf '%-28s skipped: no %s\n' "$1" "$data/$set"
		return
	fi
	tokenize "$set"
	local some=$seeds
	case $1 in popular* | markov*) some=1 ;; esac
	for seed in $some; do
		measure "$1" "$seed" "$set" "$seen" "${options[@]}"
	done | awk -v name="$1" -v target="${lines[2]} ${lines[3]} ${lines[4]} ${lines[5]}" '
		function say(what, sum, squares, n, target, within,    mean, deviation, verdict) {
			mean = sum / n
			deviation = n > 1 ? sqrt((squares - sum * sum / n) / (n - 1)) : 0
			verdict = within == "-" ? "" : (mean - target <= within && target - mean <= within) ? "met" : mean > target ? "above" : "BELOW"
			printf "%-28s %-8s %.4f (sd %.4f, %d seeds)  target %.4f %s  %s\n", name, what, mean, deviation, n, target,
				within == "-" ? "(orientation)" : "+- " within, verdict
		}
		{ r += $1; rr += $1 * $1; n += $2; nn += $2 * $2; count++ }
		END {
			if (!count || r != r + 0) {
				print name ": nothing was measured, see the logs"
				exit 1
			}
			split(target, t, " ")
			say("HR@10", r, rr, count, t[1], t[2])
			say("NDCG@10", n, nn, count, t[3], t[4])
		}'
}

if [ $# = 0 ]; then
	printf "%s\n" "${names[@]}"
	exit
fi
mkdir -p "$work"
[ "$1" != all ] || set -- "${names[@]}"
for name; do
	figure "$name" >"$work/.options"
	reproduce "$name"
done
