# What seq-tokenize made of a table, as text. Loaded by its .bats files.
# shellcheck shell=bash

# member FILE NAME
member() {
	tar --zstd -xOf "$1" "$2"
}

# sequences FILE: a line a user, "user: item item ..."
sequences() {
	rm -rf seen && mkdir seen && tar --zstd -xf "$1" -C seen
	python3 - <<-'END'
		import numpy
		users = open("seen/sequences/000000.user_id.txt").read().split("\n")[:-1]
		items = open("seen/catalog/000000.item_id.txt").read().split("\n")[:-1]
		indptr, item = (numpy.load(f"seen/sequences/000000.{name}.npy") for name in ("indptr", "item"))
		for i, user in enumerate(users):
		    print(user + ":", *(items[k] for k in item[indptr[i]:indptr[i + 1]]))
	END
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
