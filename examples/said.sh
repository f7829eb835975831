#!/usr/bin/env bash
# said.sh EVENTS ITEMS: SAID, whole. A frozen language model teaches the items' vectors, SASRec recommends with them, and
# stands beside SASRec with learned vectors of its own. The result is said.tar.zst.
# LLM=path takes a GGUF file or a Hugging Face folder; without it, a small model of these items' own texts is trained
# first. TEMPLATE='{title}' is the items' text, PROJECTOR=table gives each item a vector of its own.
set -euo pipefail
events=${1:?usage: said.sh EVENTS ITEMS} items=${2:?usage: said.sh EVENTS ITEMS}
PATH=${RECPIPE_BIN:+$RECPIPE_BIN:}$PATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
llm=${LLM:-} text=${TEMPLATE:+--template=$TEMPLATE}

# with the language model in it, unless it is a file
seq-tokenize ${llm:+--tokenizer "$llm"} --items "$items" "$events" |
	if [ -n "$llm" ]; then cat; else seq-train --arch llama ${text:+"$text"}; fi >"$folder/shop.tar.zst"

emb-align-train ${llm:+--llm "$llm"} ${text:+"$text"} ${PROJECTOR:+--projector "$PROJECTOR"} --show 3 "$folder/shop.tar.zst" |
	item-project |
	seq-train --arch sasrec --features frozen |
	seq-rank -o said.tar.zst
seq-train --arch sasrec "$folder/shop.tar.zst" | seq-rank -o "$folder/ids.tar.zst"
rec-eval --format table --no-slices said.tar.zst --versus "$folder/ids.tar.zst"
