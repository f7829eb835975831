#!/usr/bin/env bash
# map.sh STREAM...: the items of a model's catalog on two axes, the first principal components of their vectors, as TSV:
# x, y, item and title. For map.gp.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
item-project -q --from model "$@" | tar --zstd -x -C "$folder" --wildcards 'embedding/*' 'catalog/*.txt' 'catalog/meta.json'
cd "$folder"
width=$(grep -o '"width":[0-9]*' embedding/meta.json | cut -d: -f2)
titles=(catalog/*.title.txt)
[ -e "${titles[0]}" ] || titles=(catalog/*.item_id.txt)
# behind the header of a .npy, 128 bytes, come floats, a row after another
for chunk in embedding/*.vector.npy; do
	tail -c +129 "$chunk" | od -An -v -tf4 -w$((4 * width))
done | paste -d '\t' - <(cat catalog/*.item_id.txt) <(cat "${titles[@]}" | tr '\t' ' ') | awk -F '\t' '
	# the direction of the largest variance of what is left, by power iteration on the covariance; then it is taken away
	function axis(k, i, j, step, length_, dot) {
		for (i = 1; i <= d; i++) direction[i] = i % 7 + 1
		for (step = 0; step < 60; step++) {
			length_ = 0
			for (i = 1; i <= d; i++) {
				dot = 0
				for (j = 1; j <= d; j++) dot += covariance[i, j] * direction[j]
				next_[i] = dot
				length_ += dot * dot
			}
			length_ = sqrt(length_)
			for (i = 1; i <= d; i++) direction[i] = length_ ? next_[i] / length_ : 0
		}
		for (i = 1; i <= n; i++)
			for (j = 1; j <= d; j++) place[k, i] += v[i, j] * direction[j]
		for (i = 1; i <= d; i++)
			for (j = 1; j <= d; j++) covariance[i, j] -= length_ * direction[i] * direction[j]
	}
	{
		n++
		d = split($1, value, " ")
		name[n] = $2 "\t" $3
		for (i = 1; i <= d; i++) mean[i] += v[n, i] = value[i]
	}
	END {
		for (r = 1; r <= n; r++)
			for (i = 1; i <= d; i++) v[r, i] -= mean[i] / n
		for (r = 1; r <= n; r++)
			for (i = 1; i <= d; i++)
				for (j = 1; j <= i; j++) covariance[i, j] = covariance[j, i] += v[r, i] * v[r, j] / n
		axis(1)
		axis(2)
		print "x\ty\titem\ttitle"
		for (r = 1; r <= n; r++) printf "%.6g\t%.6g\t%s\n", place[1, r], place[2, r], name[r]
	}'
