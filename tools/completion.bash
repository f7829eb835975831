# Bash completion for recpipe's tools. It asks the tools themselves: --help for the options, and the complaint
# about an empty value for the words that an option takes.
# shellcheck shell=bash

_recpipe() {
	local tool=$1 current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} words=
	if [[ $current == '=' ]]; then
		current=
	elif [[ $option == '=' ]]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if [[ $option == -* ]]; then
		# the unknown option ends the run where any value is good
		words=$("$tool" "$option" '' --no-such-option 2>&1 </dev/null | sed -n 's/.*: one of \(.*\) was expected.*/\1/p')
	fi
	if [[ -z $words && $current == -* ]]; then
		words=$("$tool" --help 2>/dev/null </dev/null | grep -oE '^ +(-., )?--[a-z][a-z0-9-]*' | grep -oE -- '--[a-z0-9-]+')
	fi
	mapfile -t COMPREPLY < <(compgen -W "${words//,/}" -- "$current")
}

complete -o default -F _recpipe seq-tokenize emb-align-train item-project seq-train seq-rank rec-eval
