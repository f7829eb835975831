#!/usr/bin/env bats
# The answers of every kind of pipeline, to the byte, as tests/golden/same.*.txt has them: a change that means to leave
# them as they are shows here that it does. Where it means to change some, the lines are recorded anew with
# tests/same.sh, and the commit's message says why.

load helpers

# what is recorded for this machine, for it without tiles, or for the instructions that nearly all have
setup_file() {
	recorded && return
	export RECPIPE_CPU=bf16
	recorded && return
	export RECPIPE_CPU=avx2 OPENBLAS_CORETYPE=Haswell
	recorded || true
}

recorded() {
	"$ROOT/tests/same.sh" "$RECPIPE_BIN" true >"$BATS_FILE_TMPDIR/machine"
	grep -lFxf "$BATS_FILE_TMPDIR/machine" "$ROOT"/tests/golden/same.*.txt >"$BATS_FILE_TMPDIR/golden"
}

# as_recorded PIPELINE...
as_recorded() {
	local golden
	golden=$(<"$BATS_FILE_TMPDIR/golden")
	[ -n "$golden" ] || skip "no bytes are recorded for $(cut -c 3- "$BATS_FILE_TMPDIR/machine")"
	"$ROOT/tests/same.sh" "$RECPIPE_BIN" "$@" >"$BATS_TEST_TMPDIR/now"
	grep -Fxvf "$golden" "$BATS_TEST_TMPDIR/now" >"$BATS_TEST_TMPDIR/other" || true
	# what nobody has recorded on such a machine yet has a line "NAME WHAT ?"
	awk 'FILENAME == ARGV[1] { if ($NF == "?") missing[$1 " " $2] = 1; next } ($1 " " $2) in missing { print $1, $2 }' \
		"$golden" "$BATS_TEST_TMPDIR/other" >"$BATS_TEST_TMPDIR/missing"
	awk 'FILENAME == ARGV[1] { missing[$1 " " $2] = 1; next } !(($1 " " $2) in missing) { print "changed:", $0; bad = 1 } END { exit bad }' \
		"$BATS_TEST_TMPDIR/missing" "$BATS_TEST_TMPDIR/other"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/now")" -gt 1 ]
	[ ! -s "$BATS_TEST_TMPDIR/missing" ] || skip "not recorded for this machine yet: $(paste -sd, "$BATS_TEST_TMPDIR/missing")"
}

@test "same: nothing is approximated as one maker's processors do" {
	case $(uname -m) in x86_64) ;; *) skip "not this processor's instructions" ;; esac
	objdump -d --no-show-raw-insn "$RECPIPE_BIN/seq-train" >"$BATS_TEST_TMPDIR/code"
	grep -q vfmadd "$BATS_TEST_TMPDIR/code"
	(! grep -E '\bv?r(cp|sqrt)(14|28)?[ps]s\b' "$BATS_TEST_TMPDIR/code")
}

@test "same: tables in" {
	as_recorded tokenize
}

@test "same: sasrec" {
	as_recorded sasrec
}

@test "same: losses" {
	as_recorded losses
}

@test "same: popular, markov, gru" {
	as_recorded others
}

@test "same: models without gradients" {
	as_recorded baselines
}

@test "same: language models" {
	as_recorded language
}

@test "same: recformer" {
	as_recorded recformer
}

@test "same: projectors" {
	as_recorded align
}

@test "same: vectors of items" {
	as_recorded project
}

@test "same: models with features" {
	as_recorded features
}

@test "same: rankings and figures" {
	as_recorded rank
}
