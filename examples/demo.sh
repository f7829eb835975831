#!/usr/bin/env bash
# The whole pipeline on the purchases in online-retail/: a model beside two baselines that only count, and SAID, where a
# frozen language model teaches the items' vectors. LLM=path takes a real one, a GGUF file or a Hugging Face folder;
# without it, a small one is trained on the items' titles first.
# Prints each command before running it. The tools come from RECPIPE_BIN, else from PATH.
set -euo pipefail
PATH=${RECPIPE_BIN:+$RECPIPE_BIN:}$PATH
[ -z "${LLM:-}" ] || LLM=$(realpath "$LLM")
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
run "tar --zstd -xOf shop.tar.zst catalog/000000.item_id.txt | sed -n 1,3p"
for arch in popular markov sasrec; do
	run "seq-train --arch $arch shop.tar.zst | seq-rank -o $arch.tar.zst"
done
run "rec-eval --format table --no-slices sasrec.tar.zst --versus markov.tar.zst"

if [ -n "${LLM:-}" ]; then
	llm=$(printf %q "$LLM")
	run "seq-tokenize --tokenizer $llm --items items.csv events.csv -o llm.tar.zst"
	run "emb-align-train --llm $llm --epochs 3 --template '{title}' --show 3 llm.tar.zst -o vectors.tar.zst"
else
	printf '\nA language model of these titles alone: in-domain, not an off-the-shelf one (LLM=path takes that).\n'
	run "seq-train --arch llama --hidden-size 256 --layers 2 --learning-rate 0.002 --epochs 16 --patience 3 --template '{title}' shop.tar.zst -o llm.tar.zst"
	run "emb-align-train --projector table --epochs 20 --template '{title}' --show 3 llm.tar.zst -o vectors.tar.zst"
fi
run "item-project vectors.tar.zst | seq-train --arch sasrec --features frozen | seq-rank -o said.tar.zst"
run "rec-eval --format table --no-slices said.tar.zst --versus sasrec.tar.zst"

for name in popular markov sasrec said; do
	rec-eval --format lines $name.tar.zst >$name.tsv
done
printf '\n%-12s %8s %8s %8s %8s\n' measure popular markov sasrec SAID
paste popular.tsv markov.tsv sasrec.tsv said.tsv |
	awk -F '\t' '$2 == "all" && $1 ~ /@|mrr/ { printf "%-12s %8s %8s %8s %8s\n", $1, $3, $6, $9, $12 }'
