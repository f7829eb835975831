#!/usr/bin/env bash
# Prints every include that looks up the stairs of lib/ (stream; data and nn on it; model on these; rank on model; task on all), and every
# library header, question to the processor and risky call, outside the one file that may know it. Exit 1 if there is any.
cd "$(dirname "$0")/.." || exit
shopt -s nullglob
bad=0

# only FLOOR REGEX: files of the floor include from lib/ only what matches
only() {
	grep -nE '^#include "' "lib/$1"/*.[ch] /dev/null | grep -vE "#include \"($2)/" && bad=1
}
# home HEADER FILE...: who may include a library's header
home() {
	local header=$1 file
	shift
	for file in $(grep -lE "^#[[:space:]]*include <$header>" lib/*/*.[ch] tools/*.c); do
		case " $* " in
		*" $file "*) ;;
		*) echo "$file: includes <$header>, which is for $*"; bad=1 ;;
		esac
	done
}

only stream stream
only data 'stream|data'
only nn 'stream|nn'
only model 'stream|data|nn|model'
only rank 'stream|data|nn|model|rank'
only task 'stream|data|nn|model|rank|task'
home 'zstd\.h' lib/stream/bytes.c
home 'csv\.h' lib/data/rows_csv.c
home 'zlib\.h' lib/data/container.c
home 'pcre2\.h' lib/data/pattern.c
home 'utf8proc\.h' lib/data/unicode.c
home 'cblas\.h' lib/nn/blas.c
home 'immintrin\.h' lib/nn/bf16_kernels.c lib/nn/bf16_model.c lib/nn/kernel.c lib/nn/integer.c lib/rank/rank_scan.c
home 'mpi\.h' lib/stream/ranks.c
home 'microhttpd\.h' lib/rank/http.c
grep -nE '^#include "nn/(bf16|integer|kernel)' lib/*/*.[ch] tools/*.c | grep -vE '^lib/nn/((bf16(_kernels|_model)?|integer|kernel|matrix|loss|softmax)\.c|bf16_parts\.h):' && bad=1
grep -nE '__builtin_cpu|__get_cpuid|target_clones' lib/*/*.[ch] tools/*.c | grep -v '^lib/nn/cpu\.c:' && bad=1
grep -nE '^#include <(zstd|zlib|csv|pcre2|utf8proc|cblas|immintrin)' tools/*.c && bad=1
# calls whose failure has one answer: interrupted and waiting ones, signals, JSON that cannot hold its text
grep -nE '[^_>.a-z](open\(|read\((STDIN|[a-z>-]*(fd|file)\>)|f?sync\(|fopen\(|fdopen\(|getc_unlocked\()' lib/*/*.c tools/*.c | grep -vE '^lib/stream/(descriptor|process|ranks|util)\.c:|^[^:]*:[^:]*: ?[/*]|"' && bad=1
grep -nE '[^_a-z](signal|sigaction)\(' lib/*/*.c tools/*.c | grep -vE '^lib/(stream/process|nn/blas_buffers)\.c:' && bad=1
grep -nE 'json_pack\(|^\s*json_(object_set_new|array_append_new)\(' lib/*/*.c tools/*.c | grep -v '^lib/stream/json\.c:' && bad=1
exit $bad
