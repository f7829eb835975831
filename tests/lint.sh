#!/usr/bin/env bash
# What can be said of the sources without running them: whether they are as .clang-format has them, and what cppcheck
# finds. (Shell scripts, man pages and the floors of lib/ are held to theirs by tests/run.)
set -u
cd "$(dirname "$0")/.." || exit
# shellcheck source=tests/report.bash
. tests/report.bash

# other versions lay some lines out otherwise
formatter=$(command -v clang-format-14 || command -v clang-format) || formatter=
version=$([ -z "$formatter" ] || "$formatter" --version | grep -o 'version [0-9]*' | cut -d' ' -f 2)
if [ "$version" = 14 ]; then
	while IFS= read -r source; do
		lint "clang-format $source" "$formatter" --dry-run -Werror "$source"
	done < <(find lib tools tests -name '*.[ch]')
else
	skip clang-format "the sources follow version 14, and here is ${version:-none}"
fi

# clang-format leaves comments and texts as long as they are
wide_lines() {
	! expand -t 4 "$1" | LC_ALL=C.UTF-8 grep -nE '^.{121,}'
}
while IFS= read -r source; do
	lint "at most 120 columns $source" wide_lines "$source"
done < <(find lib tools tests -name '*.[ch]')

# counted() and by_number() know that there may be one
bare_plurals() {
	! grep -nE '(%lld|PRId64 ")( [a-z]+)? (users|items|events|rows|lines|ids|targets|tokens|texts|positions|parameters|epochs|words)\b' "$1" |
		grep -vE '(was|were) expected'
}
while IFS= read -r source; do
	lint "numbers agree with their nouns $source" bare_plurals "$source"
done < <(find lib tools -name '*.c')

# bash -e passes over a negated command that fails: as it is, only the last one of a test decides anything
negated_checks() {
	! awk '/^\t+! / && !/\|\|/ { line = FNR ": " $0; next } line && !/^}/ { print line; found = 1 } { line = "" } END { exit !found }' "$1"
}
for file in tests/*.bats; do
	lint "negated checks can fail $file" negated_checks "$file"
done

# with pipefail, what stops reading early fails the writer, now and then
early_readers() {
	! grep -nE '\| *grep -[a-zA-Z]*[qm]' "$1"
}
for file in tests/*.bats; do
	lint "pipes are read to their ends $file" early_readers "$file"
done

# What cppcheck cannot see by itself: jansson's loops, and, without their definitions, functions that do not return. It
# believes in the latter where it is told their arguments too.
library=$(mktemp --suffix .cfg)
trap 'rm "$library"' EXIT
{
	echo '<?xml version="1.0"?><def format="2">
		<define name="json_object_foreach(object, key, value)" value="for (key = json_object_iter_key(json_object_iter(object)); key &amp;&amp; (value = json_object_get(object, key)); key = json_object_iter_key(json_object_iter_next(object, json_object_key_to_iter(key))))"/>
		<define name="json_array_foreach(array, index, value)" value="for (index = 0; index &lt; json_array_size(array) &amp;&amp; (value = json_array_get(array, index)); index++)"/>'
	cat lib/*/*.h | tr '\n' ' ' | grep -oE '_Noreturn void [a-z_]+\([^;]*\)' |
		sed -E 's/\) PRINTF_LIKE.*//; s/_Noreturn void ([a-z_]+)\(/\1,/' | while IFS=, read -r -a words; do
		printf '<function name="%s"><noreturn>true</noreturn>' "${words[0]}"
		for ((i = 1; i < ${#words[@]}; i++)); do
			case ${words[i]} in *...*) echo '<arg nr="variadic"/>' ;; *) echo "<arg nr=\"$i\"/>" ;; esac
		done
		echo '</function>'
	done
	echo '</def>'
} >"$library"

# analyse PATH...: the suppressions have their reasons beside them
analyse() {
	cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,performance,portability --error-exitcode=1 -D_GNU_SOURCE -Ilib \
		--library="$library" --suppressions-list=tests/cppcheck.suppressions "$@"
}
for folder in lib tools tests/unit tests/bench tests/fuzz; do
	lint "cppcheck $folder" analyse $folder
done

closing_line
