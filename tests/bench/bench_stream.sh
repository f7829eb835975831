#!/usr/bin/env bash
# Writing and reading streams beside zstd -1 and zstd -d on the same bytes; --help of every tool.
# Medians of five, ours and theirs in turn. Prints: what, ours, peer, ratio (above 1: ours is faster).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# paired WHAT OURS THEIRS
paired() {
	local ours=() theirs=()
	for _ in 1 2 3 4 5; do
		ours+=("$(seconds "$2")")
		theirs+=("$(seconds "$3")")
	done
	awk -v what="$1" -v ours="$(median "${ours[@]}")" -v theirs="$(median "${theirs[@]}")" \
		'BEGIN { printf "%-34s %9.3f s %9.3f s %6.2f\n", what, ours, theirs, theirs / ours }'
}

seconds() {
	local TIMEFORMAT=%R
	{ time bash -c "$1" >/dev/null; } 2>&1
}

median() {
	printf '%s\n' "$@" | sort -n | sed -n 3p
}

"$RECPIPE_BENCH"/stream make >"$folder/in.tar.zst"
zstd -q -d "$folder/in.tar.zst"
cd "$folder"
megabytes=$(($(stat -c %s in.tar) / 1000000))
PATH=$RECPIPE_BENCH:$PATH
paired "write $megabytes MB, beside zstd -1" "stream write in.tar >out" "zstd -q -1 -c in.tar >out"
paired "read $megabytes MB, beside zstd -d" "stream read in.tar.zst" "zstd -q -d -c in.tar.zst >/dev/null"
for tool in "$RECPIPE_BIN"/*; do
	runs=$(printf '%s --help >/dev/null;' "$tool"{,,,,,,,,,,,,,,,,,,,})
	awk -v what="$(basename "$tool") --help" -v ten="$(seconds "$runs")" \
		'BEGIN { printf "%-34s %9.1f ms %8s ms %6s\n", what, 1000 * ten / 20, "10.0", "" }'
done
