# Bash completion for recpipe's tools. It asks the tools themselves: --help=rows, with the words there are already, prints
# a line for each option that goes with them: name, letter, key, argument, the words it takes, and more.
# shellcheck shell=bash

# The words of a command line, without the = that Bash makes a word of its own: _recpipe_words N, the first N
_recpipe_words() {
	local word
	for word in "${COMP_WORDS[@]:1:$1}"; do
		[[ $word == '=' ]] || printf '%s\n' "${word#=}"
	done | sed -E 's/^(--[a-z-]+)=(.)/\1\n\2/'
}

_recpipe() {
	local tool=$1 current=${COMP_WORDS[COMP_CWORD]} rows words='' chosen=() before=() i option='' key=''
	[[ $current == '=' ]] && current=
	mapfile -t before < <(_recpipe_words $((COMP_CWORD - 1)))
	# what decides about other options, as far as it is there
	for ((i = 0; i + 1 < ${#before[@]}; i++)); do
		[[ ${before[i]} =~ ^--(arch|task|projector|from)$ ]] && chosen+=("${before[i]}=${before[i + 1]}")
	done
	rows=$("$tool" "${chosen[@]}" --help=rows 2>/dev/null </dev/null) || rows=
	i=${#before[@]}
	((i < 1)) || option=${before[i - 1]}
	((i < 2)) || [[ ${before[i - 2]} != --set ]] || key=$option
	if [[ -n $key ]]; then # of --set KEY=
		words=$(awk -F'\t' -v k="$key" '$3 == k { print $5 }' <<<"$rows")
	elif [[ $option == --set ]]; then
		words=$(awk -F'\t' '$1 == "" { print $3 "=" }' <<<"$rows")
		compopt -o nospace 2>/dev/null || true # outside of a completion
	elif [[ $option == -* ]]; then
		words=$(awk -F'\t' -v o="$option" '"--" $1 == o || "-" $2 == o { print $5 }' <<<"$rows")
	fi
	if [[ -z $words && $current == -* ]]; then
		words=$(awk -F'\t' '$1 != "" { print "--" $1 }' <<<"$rows")
	fi
	mapfile -t COMPREPLY < <(compgen -W "${words//,/}" -- "$current")
}

complete -o default -F _recpipe seq-tokenize emb-align-train item-project seq-train seq-rank rec-eval
