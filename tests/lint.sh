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

# cppcheck PATH...: the suppressions have their reasons beside them
analyse() {
	cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,performance,portability --error-exitcode=1 -D_GNU_SOURCE -Ilib \
		--library=tests/cppcheck.cfg --suppressions-list=tests/cppcheck.suppressions "$@"
}
for folder in lib tools tests/unit tests/bench tests/fuzz; do
	lint "cppcheck $folder" analyse $folder
done

closing_line
