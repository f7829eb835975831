#!/usr/bin/env bash
# Whether a model that goes on (seq-train --model) is as good as one trained anew, and how much sooner: a set's events in ten
# parts by time; after each part models are trained on all events so far, from scratch with several seeds, and from the warm
# one of the part before.
#
#     tests/weekly.sh SET ...        sets: online-retail-medium, beauty
#
# Prints a line for each part: the NDCG@10 of validation and the epochs it took, from scratch (mean and spread over seeds) and
# warm; the epochs after which warm had reached the mean from scratch; items and how many of them were new. SEEDS ("1 2"), MODEL
# (options of all trainings), WARM (of the warm ones), USERS (every so manieth user of beauty, 4). Data are looked for in
# $RECPIPE_DATA (../shared/data); models are kept in $WEEKLY (build/weekly), and what is there is not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 1 ] || { sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2; }
# shellcheck source=tests/data.bash
. tests/data.bash
work=${WEEKLY:-build/weekly}
read -ra seeds <<<"${SEEDS:-1 2}"
read -ra model <<<"${MODEL:---hidden-size 32 --batch-size 64 --learning-rate 0.003 --patience 5 -j1}"
read -ra warm <<<"${WARM:-}"
mkdir -p "$work"

# train NAME STREAM OPTION...: a model, and its history as JSON
train() {
	local out=$work/$1 stream=$2
	shift 2
	[ -e "$out.json" ] && return
	seq-train -q "${model[@]}" "$@" -o "$out.tar.zst" "$stream"
	tar --zstd -xOf "$out.tar.zst" --wildcards 'log/*-seq-train.json' >"$out.json.new"
	mv "$out.json.new" "$out.json"
}

# tell PART NAME SEED...
tell() {
	python3 - "$@" <<-'END'
		import json, os, sys
		part, name, *seeds = sys.argv[1:]
		def read(kind):
		    history = json.load(open(f"{name}-{kind}.json"))
		    curve = [point["ndcg@10"] for point in history["curve"]]
		    return curve, history["best_epoch"]
		scratch = [read(f"scratch-{seed}") for seed in seeds]
		best = [max(curve) for curve, _ in scratch]
		mean, epochs = sum(best) / len(best), sum(epoch for _, epoch in scratch) / len(scratch)
		line = f"{part:>4}  scratch {mean:.4f} ({min(best):.4f} to {max(best):.4f}) in {epochs:4.1f} epochs"
		if os.path.exists(f"{name}-warm.json"):
		    curve, epoch = read("warm")
		    reached = next((i + 1 for i, value in enumerate(curve) if value >= mean), None)
		    line += f"   warm {max(curve):.4f} in {epoch:2}, scratch's mean after {reached or 'none'}"
		print(line, flush=True)
	END
}

for set; do
	echo "$set"
	thin=1
	[ "$set" = beauty ] && thin=${USERS:-4}
	# the user's column may be of any type: thinned by the order of its first appearance
	events "$set" | tr '\t' , | awk -F , -v thin="$thin" 'NR == 1 { print; next }
		!($1 in n) { n[$1] = users++ } n[$1] % thin == 0' >"$work/$set.csv"
	header=$(head -n 1 "$work/$set.csv")
	sed 1d "$work/$set.csv" | sort -t , -k 3,3n -s >"$work/$set.sorted"
	all=$(wc -l <"$work/$set.sorted")
	before=
	for part in 1 2 3 4 5 6 7 8 9 10; do
		name=$set-$part
		{ echo "$header"; head -n $((all * part / 10)) "$work/$set.sorted"; } | seq-tokenize -q -o "$work/$name.data.tar.zst"
		for seed in "${seeds[@]}"; do
			train "$name-scratch-$seed" "$work/$name.data.tar.zst" --seed "$seed"
		done
		[ -z "$before" ] || train "$name-warm" "$work/$name.data.tar.zst" "${warm[@]}" --model "$work/$before.tar.zst"
		before=$name-warm
		[ "$part" != 1 ] || before=$name-scratch-${seeds[0]}
		tell "$part" "$work/$name" "${seeds[@]}"
	done
done
