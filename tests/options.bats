#!/usr/bin/env bats
# The options that a tool has, and those of its man page, are the same, with the same defaults.

load helpers

setup() {
	needs python3
	own_folder
}

# described TOOL WORDS...: each of WORDS chooses options, as "--arch=gru"
described() {
	local tool=$1
	shift
	"$ROOT/tests/options.py" "$tool" "$ROOT/man/$tool.1" "$@"
}

# choices TOOL OPTION: the words it takes
choices() {
	"$1" --help=rows | awk -F'\t' -v o="$2" '$1 == o { gsub(/,/, "", $5); print $5 }'
}

# described_by_choice TOOL OPTION...: whatever is chosen by any of these
described_by_choice() {
	local tool=$1 option word words=()
	shift
	for option; do
		for word in $(choices "$tool" "$option"); do
			words+=("--$option=$word")
		done
	done
	[ "${#words[@]}" -gt 1 ]
	described "$tool" "" "${words[@]}"
}

@test "options of seq-tokenize, seq-rank and rec-eval are described" {
	described seq-tokenize
	described seq-rank
	described rec-eval
}

@test "options of emb-align-train are described, by --projector" {
	described_by_choice emb-align-train projector
}

@test "options of item-project are described, by --from" {
	described_by_choice item-project from
}

@test "options of seq-train are described, by --arch and --task" {
	described_by_choice seq-train arch task
}

@test "an option that is not described is found, and one that is none, and a wrong default" {
	sed -e '/^\.It Fl -digits/s/digits/decimals/' -e 's/10,\{0,1\}000/77/' "$ROOT/man/rec-eval.1" >page.1
	run "$ROOT/tests/options.py" rec-eval page.1
	[ "$status" = 1 ]
	says "--digits is not described"
	says "-decimals is described, and is no option"
	says "--resamples: its default 10000 is not given"
}

# forms TOOL: those of its synopsis
forms() {
	"$ROOT/tests/synopsis.py" "$1" "${2:-$ROOT/man/$1.1}"
}

@test "each form of a synopsis has the options that it takes, and no others" {
	forms seq-rank
	forms rec-eval
	sed -e '/^\.Op Fl -seen/d' -e 's/^\.Op Fl -items.*/&\n.Op Fl -why/' "$ROOT/man/seq-rank.1" >page.1
	run forms seq-rank page.1
	[ "$status" = 1 ]
	says "--seen is taken by the form serve"
	says "--why is not taken by the form similar"
}

@test "--help keeps to 80 columns" {
	local tool
	for tool in "$RECPIPE_BIN"/*; do
		"$tool" --help >said
		grep -q '^Examples:' said
		(! grep -E '.{81}' said) || return 1
	done
}

@test "commands in man pages are shown as they are written, in 80 columns" {
	needs mandoc
	local page
	for page in "$ROOT"/man/*; do
		mandoc -Tutf8 -O width=78 "$page" >said
		python3 - "$page" <<-'END'
			import re, sys
			shown = re.sub(".\b", "", open("said", encoding="utf-8").read()) # bold and underlined
			wide = [line for line in shown.split("\n") if len(line) > 80]
			assert not wide, wide
			for line in open(sys.argv[1]):
			    # of a line that is filled, mandoc breaks what is longer and takes quotes for those of an argument
			    if re.match(r"\.D[l1] ", line):
			        assert '"' not in line and len(line.replace(r"\(dq", '"')) < 71, line
		END
	done
}
