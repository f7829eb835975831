# What seq-tokenize made of a table, as text. Loaded by its .bats files.
# shellcheck shell=bash

# member FILE NAME
member() {
	tar --zstd -xOf "$1" "$2"
}

# sequences FILE: a line a user, "user: item item ..."
sequences() {
	rm -rf seen && mkdir seen && tar --zstd -xf "$1" -C seen
	numbers seen/sequences/000000.indptr.npy 8 >seen/indptr
	numbers seen/sequences/000000.item.npy >seen/item
	awk 'of == "id" { id[FNR - 1] = $0 } of == "item" { item[FNR - 1] = $0 } of == "indptr" { at[FNR] = $0 }
		of == "user" { line = $0 ":"; for (k = at[FNR]; k < at[FNR + 1]; k++) line = line " " id[item[k]]; print line }' \
		of=id seen/catalog/000000.item_id.txt of=item seen/item of=indptr seen/indptr of=user seen/sequences/000000.user_id.txt
}

# makes EVENTS-TEXT EXPECTED-SEQUENCES OPTION...
makes() {
	local text=$1 expected=$2
	shift 2
	printf "%b" "$text" | seq-tokenize -q "$@" -o made.tar.zst
	output=$(sequences made.tar.zst | paste -sd/ -)
	[ "$output" = "$expected" ] || { printf 'expected %s, made %s\n' "$expected" "$output"; return 1; }
}

# tells MESSAGE TEXT OPTION...: the text is read, and the message is among what is said
tells() {
	local message=$1 text=$2
	shift 2
	printf "%b" "$text" >told.csv
	seq-tokenize "$@" told.csv 2>said >told.tar.zst
	output=$(<said)
	says "$message"
}

# refuses MESSAGE TEXT OPTION...: the text, in the file bad.csv, is at fault
refuses() {
	local message=$1 text=$2
	shift 2
	printf "%b" "$text" >bad.csv
	fails seq-tokenize "$@" bad.csv -o bad.tar.zst
	says "seq-tokenize: bad.csv: "
	says "$message"
	[ ! -e bad.tar.zst ]
}
