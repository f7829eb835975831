#!/usr/bin/env bash
# The whole pipeline on the purchases in online-retail/: a model beside two baselines that only count.
# Prints each command before running it. The tools come from RECPIPE_BIN, else from PATH.
set -euo pipefail
PATH=${RECPIPE_BIN:+$RECPIPE_BIN:}$PATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$(dirname "$0")"/online-retail/*.csv "$folder"
cd "$folder"

run() {
	printf '\n$ %s\n' "$1"
	eval "$1"
}

run "seq-tokenize --items items.csv events.csv -o shop.tar.zst"
run "tar --zstd -tf shop.tar.zst"
run "tar --zstd -xOf shop.tar.zst catalog/000000.item_id.txt | head -n 3"
for arch in popular markov sasrec; do
	run "seq-train --arch $arch shop.tar.zst | seq-rank -o $arch.tar.zst"
	rec-eval --format lines "$arch.tar.zst" >"$arch.tsv"
done
run "rec-eval --format table --no-slices sasrec.tar.zst --versus markov.tar.zst"

printf '\n%-12s %8s %8s %8s\n' measure popular markov sasrec
paste popular.tsv markov.tsv sasrec.tsv |
	awk -F '\t' '$2 == "all" && $1 ~ /@|mrr/ { printf "%-12s %8s %8s %8s\n", $1, $3, $6, $9 }'
