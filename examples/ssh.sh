#!/usr/bin/env bash
# ssh.sh HOST EVENTS [ITEMS]: the expensive stage on another machine that has recpipe too, the others here.
# What comes back is the whole stream with the model in it; model.tar.zst keeps a copy on the way.
# A connection that drops is a truncated stream: seq-rank fails, and ranking.tar.zst does not appear.
set -euo pipefail
host=${1:?usage: ssh.sh HOST EVENTS [ITEMS]} events=${2:?usage: ssh.sh HOST EVENTS [ITEMS]} items=${3:-}
PATH=${RECPIPE_BIN:+$RECPIPE_BIN:}$PATH

seq-tokenize ${items:+--items "$items"} "$events" |
	ssh "$host" seq-train --arch sasrec |
	tee model.tar.zst |
	seq-rank -o ranking.tar.zst
rec-eval ranking.tar.zst
