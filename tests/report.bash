# Of the scripts that run tests: one line for each failure or skipped case, and a closing line with the numbers. What a
# case says is kept in $log.
# shellcheck shell=bash
passed=0 failed=0 skipped=0
log=${log:-/dev/null}

pass() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); printf 'FAILED  %s\n' "$1"; }
# skip NAME REASON
skip() {
	if [ -z "$2" ]; then
		fail "$1: skipped, and does not say why"
	else
		skipped=$((skipped + 1))
		printf 'skipped %s: %s\n' "$1" "$2"
	fi
}

# lint NAME COMMAND...: one case
lint() {
	local name=$1 said
	shift
	if said=$("$@" 2>&1); then
		pass
	else
		fail "$name"
		printf '%s\n' "$said" | sed 's/^/        /'
	fi
	printf '== %s\n%s\n' "$name" "$said" >>"$log"
}

# the numbers; false unless nothing failed
closing_line() {
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	[ "$failed" = 0 ]
}
