#!/usr/bin/env bats
# Bash completion offers what the tools have.

load helpers

# complete_words WORD...: the last word is being completed; the offers, a line each
complete_words() {
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	_recpipe "$1"
	printf '%s\n' "${COMPREPLY[@]}"
}

setup() {
	# shellcheck source=/dev/null
	source "$ROOT/tools/completion.bash"
}

@test "every tool is completed" {
	local source
	for source in "$ROOT"/tools/*.c; do
		complete -p "$(basename "$source" .c)"
	done
}

@test "every option of --help is offered" {
	local source tool
	for source in "$ROOT"/tools/*.c; do
		tool=$(basename "$source" .c)
		$tool --help | grep -oE '(^|[ ,])--[a-z][a-z0-9-]*[ =[]' | grep -oE -- '--[a-z0-9-]+' | sort -u >"$BATS_TEST_TMPDIR/help"
		complete_words "$tool" -- | sort -u >"$BATS_TEST_TMPDIR/offered"
		[ "$(wc -l <"$BATS_TEST_TMPDIR/offered")" -gt 8 ]
		run comm -13 "$BATS_TEST_TMPDIR/help" "$BATS_TEST_TMPDIR/offered"
		[ "$output" = "" ]
	done
	run complete_words seq-train --arc
	[ "$output" = --arch ]
}

@test "the words that an option takes are offered" {
	run complete_words seq-train --arch ''
	grep -qx sasrec <<<"$output"
	grep -qx markov <<<"$output"
	run complete_words seq-train --arch = mar
	[ "$output" = markov ]
	run complete_words rec-eval --ties =
	grep -qx average <<<"$output"
	run complete_words seq-rank -j ''
	[ "$output" = "" ]
}

@test "the keys of --set are offered, those of what was chosen, and the words that a key takes" {
	run complete_words seq-train --set ''
	grep -qx history_mean= <<<"$output"
	[ "$(grep -c '^bias=' <<<"$output")" = 0 ]
	run complete_words seq-train --arch = gru --set bi
	[ "$output" = bias= ]
	run complete_words seq-train --task pretrain --set item_v
	[ "$output" = "" ]
	run complete_words seq-train --task=finetune --set item_v
	[ "$(sort <<<"$output" | tr '\n' ' ')" = "item_vector_dropout= item_vector_scale= item_vectors= " ]
	run complete_words seq-train --arch esasrec --task next --set norm = po
	[ "$output" = post ]
	run complete_words seq-train --set tied = ''
	[ "$(tr '\n' ' ' <<<"$output")" = "yes no " ]
	run complete_words emb-align-train --projector mlp --set war
	[ "$output" = warmup= ]
}
