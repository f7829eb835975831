#!/usr/bin/env bash
# demo.sh [FOLDER]: from the purchases in online-retail/ to figures beside three models that only count, and to what three users
# are recommended. LLM=path, a GGUF file or a Hugging Face folder, adds SAID, where that model teaches the items' vectors.
# Prints each command before running it, and leaves all files in FOLDER. The tools come from RECPIPE_BIN, else from PATH.
set -euo pipefail
PATH=${RECPIPE_BIN:+$RECPIPE_BIN:}$PATH
[ -z "${LLM:-}" ] || LLM=$(realpath "$LLM")
plots=$(cd "$(dirname "$0")"/plots && pwd)
folder=${1:-$(mktemp -d "${TMPDIR:-/tmp}/recpipe-demo.XXXXXX")}
mkdir -p "$folder"
cp "$(dirname "$0")"/online-retail/*.csv "$folder"
cd "$folder"

run() {
	printf '\n$ %s\n' "$1"
	eval "$1"
}

run "seq-tokenize --items items.csv events.csv -o shop.tar.zst"
run "tar --zstd -tf shop.tar.zst"
models="popular markov ease sasrec tfidf"
for arch in popular markov ease; do
	run "seq-train --arch $arch shop.tar.zst | seq-rank -o $arch.tar.zst"
done
run "seq-train shop.tar.zst | seq-rank -o sasrec.tar.zst"
run "item-project --from tfidf shop.tar.zst | seq-train | seq-rank -o tfidf.tar.zst"
if [ -n "${LLM:-}" ]; then
	llm=$(printf %q "$LLM")
	run "seq-tokenize --tokenizer $llm --items items.csv events.csv -o llm.tar.zst"
	run "emb-align-train --llm $llm --epochs 3 --template '{title}' --show 3 llm.tar.zst -o vectors.tar.zst"
	run "item-project vectors.tar.zst | seq-train | seq-rank -o said.tar.zst"
	models="$models said"
fi
run "rec-eval --format table --no-slices tfidf.tar.zst --versus popular.tar.zst"

printf '\nNDCG@10 of the item each user took last, and how far off it may be with so few users (95 %% of the time).\n'
printf 'Models whose ranges overlap, as those of sasrec and tfidf do, are not told apart by this table.\n\n'
for name in $models; do
	rec-eval -u --no-slices -m ndcg@10 --format lines $name.tar.zst | awk -F '\t' -v name=$name '
		$1 == "ndcg@10" && $2 != "all" { n++; sum += $3; squares += $3 * $3 }
		END { mean = sum / n; printf "%-10s %.3f +- %.3f\n", name, mean, 1.96 * sqrt((squares / n - mean * mean) / n) }'
done

printf '1\n2\n3\n' >users.txt
run "seq-rank --split next --users users.txt -k 5 --format tsv --fields title tfidf.tar.zst -o next.tsv"
while read -r user; do
	printf '\nUser %s took, the latest last:\n' "$user"
	awk -F, -v user="$user" 'NR == FNR { title[$1] = $2; next } $1 == user { print $3 "\t" FNR "\t  " title[$2] }' items.csv events.csv |
		sort -n | cut -f 3 | tail -n 5
	printf 'and may want next:\n'
	awk -F '\t' -v user="$user" '$1 == user { printf "  %s\n", $5 }' next.tsv
done <users.txt

if command -v gnuplot >/dev/null; then
	run "rec-eval --curve sasrec.tar.zst tfidf.tar.zst -o curves.tsv"
	run "rec-eval --format tsv tfidf.tar.zst markov.tar.zst popular.tar.zst -o slices.tsv"
	run "$(printf %q "$plots")/map.sh tfidf.tar.zst > map.tsv"
	for plot in curves slices map; do
		run "gnuplot -c $(printf %q "$plots")/$plot.gp $plot.tsv $plot.png"
	done
else
	printf '\nNo gnuplot here: the pictures of the training, of figures by slice and of the items are left out.\n'
fi

printf '\nAll files are in %s.\n' "$PWD"
printf 'Your own purchases, a CSV whose first line names the columns of user, item and time:\n'
printf '  seq-tokenize YOUR.csv | seq-train -o model.tar.zst && seq-rank --split next --format csv model.tar.zst\n'
