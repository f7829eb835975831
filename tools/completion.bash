# Bash completion for recpipe's tools. It asks the tools themselves: --help=rows, with the words there are already, prints
# a line for each option that goes with them: name, letter, key, argument, the words it takes, and more.
# shellcheck shell=bash

_recpipe() {
	local tool=$1 current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} rows words="" chosen=()
	if [[ $current == '=' ]]; then
		current=
	elif [[ $option == '=' ]]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	# what decides about other options, as far as it is there
	[[ " ${COMP_WORDS[*]:1:COMP_CWORD-1} " =~ \ (--(arch|task|projector|from))\ ?[=\ ]\ ?([a-z0-9-]+)\  ]] &&
		chosen=("${BASH_REMATCH[1]}=${BASH_REMATCH[3]}")
	rows=$("$tool" "${chosen[@]}" --help=rows 2>/dev/null </dev/null) || rows=
	if [[ $option == -* ]]; then
		words=$(awk -F'\t' -v o="$option" '"--" $1 == o || "-" $2 == o { print $5 }' <<<"$rows")
	fi
	if [[ -z $words && $current == -* ]]; then
		words=$(awk -F'\t' '$1 != "" { print "--" $1 }' <<<"$rows")
	fi
	mapfile -t COMPREPLY < <(compgen -W "${words//,/}" -- "$current")
}

complete -o default -F _recpipe seq-tokenize emb-align-train item-project seq-train seq-rank rec-eval
