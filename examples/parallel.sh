#!/usr/bin/env bash
# parallel.sh MODEL [SHARDS]: ranks a stream with a model in shards, two at a time, and joins them with cat.
# With `parallel --sshlogin a,b --transferfile MODEL` the shards run on other machines.
set -euo pipefail
model=${1:?usage: parallel.sh MODEL [SHARDS]} shards=${2:-4}
PATH=${RECPIPE_BIN:+$RECPIPE_BIN:}$PATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

parallel --will-cite --halt now,fail=1 --jobs 2 \
	"seq-rank --shard {}/$shards $(printf %q "$model") -o $folder/{}.tar.zst" ::: $(seq "$shards")
cat "$folder"/*.tar.zst | rec-eval
