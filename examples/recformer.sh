#!/usr/bin/env bash
# Recformer on the purchases in online-retail/: items are sentences, and what was never sold can be recommended. A tiny
# model, pre-trained on these few users alone: it shows how, not how well.
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

run "seq-tokenize --items items.csv --attributes title events.csv -o shop.tar.zst"
run "seq-train --task pretrain --size tiny --max-tokens 64 --epochs 4 --learning-rate 0.004 --set warmup=5 shop.tar.zst -o recformer.tar.zst"

printf '\n# no training on this catalog, which has an item that no one has bought\n'
run "(cat items.csv; echo 'NEW,WHITE HANGING HEART T-LIGHT HOLDER WITH STAR,2.95') >more.csv"
run "seq-tokenize --tokenizer recformer.tar.zst --items more.csv --attributes title events.csv |
	item-project recformer.tar.zst - -o zero-shot.tar.zst"
run "seq-rank zero-shot.tar.zst | rec-eval --format table --no-slices"

printf '\n# fine-tuned in two stages\n'
run "seq-train --task finetune --epochs 3 --learning-rate 0.002 --set warmup=5 zero-shot.tar.zst -o fine.tar.zst"
run "seq-rank fine.tar.zst | rec-eval --format table --no-slices"
