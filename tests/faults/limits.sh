#!/usr/bin/env bash
# limits.sh FOLDER: each tool in address spaces from too short to start in to long enough, and with a full folder for temporary
# files. Each is one line and exit 1, or the right bytes; never a wait for ever.
set -u
folder=$(cd "$1" && pwd)
export PATH=$RECPIPE_BIN:$PATH OMP_NUM_THREADS=1 LC_ALL=C.UTF-8
work=$(mktemp -d "$folder/limits.XXXX")
cd "$work" || exit
bad=0
small="--epochs 1 --hidden-size 8 --layers 1 --heads 1"

# judge WHAT STATUS: counts what became of a run that wrote out and said
declare -A seen
judge() {
	local outcome="exit $2"
	case $2 in
	0) cmp -s out want && outcome=right || outcome="wrong bytes" ;;
	1) [ "$(wc -l <said)" = 1 ] && outcome=error || outcome="$(wc -l <said) lines" ;;
	127) outcome="not loaded" ;;
	137) outcome=hang ;;
	esac
	! compgen -G '.recpipe*' >/dev/null || outcome="a file left"
	seen[$outcome]=$((${seen[$outcome]:-0} + 1))
	case $outcome in
	right | error | "not loaded") ;;
	*)
		bad=1
		printf 'BAD %s: %s: %s\n' "$1" "$outcome" "$(tail -n 1 said | cut -c 1-150)"
		;;
	esac
	rm -f out .recpipe*
}

tell() {
	local outcome
	printf '%s:' "$1"
	for outcome in "${!seen[@]}"; do printf ' %s %s' "${seen[$outcome]}" "$outcome"; done
	printf '\n'
	seen=()
}

while read -r tool arguments; do
	# shellcheck disable=SC2086
	set -- "$tool" -q -j1 --no-history $arguments -o out
	"$@" && mv out want
	for kilobytes in $(seq 60000 15000 420000); do
		(ulimit -v "$kilobytes" && exec timeout -s KILL 30 "$@") 2>said
		judge "$tool, ulimit -v $kilobytes" $?
	done
	tell "$tool, address space"
done <<-END
	seq-train $small $folder/data.tar.zst
	seq-rank -k 3 $folder/model.tar.zst
	item-project --from tfidf $folder/data.tar.zst
	emb-align-train --projector table --epochs 1 --max-tokens 8 $folder/llm.tar.zst
	seq-tokenize --items $folder/items.csv $folder/events.csv
	rec-eval $folder/ranking.tar.zst
END
cd / && rm -r "$work"
exit $bad
