#!/usr/bin/env bash
# Prints every file that documents, man pages or comments name and that is not there. Exit 1 if there is any.
cd "$(dirname "$0")/.." || exit

# of others
others='ggml-quants.c gguf.md llama2.c cblas.h zstd.h getopt.h'
there=$(find . -name 'build*' -prune -o -name .git -prune -o -type f -print | sed 's|.*/||')

{
	grep -nH . ./*.md man/* tests/*.md
	grep -nHE '^[[:space:]]*(/\*|\*)' lib/*/*.[ch] tools/*.[ch] tests/*/*.[ch]
	grep -nHE '^[[:space:]]*#' tests/*.sh tests/*.bats tests/*.bash tests/*/*.sh .ci/run examples/*.sh
} | awk -v there="$there" -v others="$others" '
	BEGIN { split(there " " others, names, /[ \n]/); for (i in names) known[names[i]] }
	{
		split($0, part, ":")
		text = substr($0, length(part[1]) + length(part[2]) + 3)
		while (match(text, /[A-Za-z0-9_-]+\.(c|h|sh|bash|bats|py|md)($|[^A-Za-z0-9_])/)) {
			name = substr(text, RSTART, RLENGTH)
			sub(/[^A-Za-z0-9_]$/, "", name)
			if (!(name in known)) { print part[1] ":" part[2] ": no file " name; bad = 1 }
			text = substr(text, RSTART + RLENGTH - 1)
		}
	}
	END { exit bad }'
