#!/usr/bin/env bash
# inputs.sh FOLDER: small inputs of every tool, made by the tools on PATH
set -e
mkdir -p "$1" && cd "$1"
{
	echo item_id,title,brand
	for i in 1 2 3 4 5 6 7 8 9; do echo "i$i,word$((i % 4)) lamp,b$((i % 2))"; done
} >items.csv
{
	echo user_id,item_id,timestamp
	for u in 1 2 3 4 5 6 7 8; do
		for t in 1 2 3 4 5; do echo "u$u,i$(((u * t + t) % 9 + 1)),$((u + t))"; done
	done
} >events.csv
quiet=(-q --no-history -j1)
seq-tokenize "${quiet[@]}" --vocab-size 300 --items items.csv events.csv -o data.tar.zst
seq-train "${quiet[@]}" --arch llama --epochs 1 --hidden-size 16 --layers 1 --heads 2 data.tar.zst -o llm.tar.zst
emb-align-train "${quiet[@]}" --projector table --epochs 2 --max-tokens 8 llm.tar.zst -o said.tar.zst
seq-train "${quiet[@]}" --arch popular data.tar.zst -o popular.tar.zst
rm -f state
seq-train "${quiet[@]}" --epochs 2 --hidden-size 8 --layers 1 --heads 1 --checkpoint state data.tar.zst -o model.tar.zst
seq-rank "${quiet[@]}" -k 3 model.tar.zst -o ranking.tar.zst
