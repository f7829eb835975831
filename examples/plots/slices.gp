# rec-eval --format tsv a.tar.zst b.tar.zst >figures.tsv; gnuplot -c slices.gp figures.tsv slices.png [MEASURE]
measure = ARGC > 2 ? ARG3 : "ndcg@10"
set terminal pngcairo size 900,540 font "Sans,11" noenhanced
set output ARG2
set datafile separator "\t"
set datafile columnheaders
set style data histograms
set style fill solid 0.8
set xtics rotate by -30
set yrange [0:*]
set ylabel measure
set key outside right top
names = system("awk -F'\t' 'NR > 1 && !seen[$1]++ { printf \"\\\"%s\\\" \", $1 }' ".ARG1)
of(name) = sprintf("<awk -F'\t' 'NR == 1 || ($1 == \"%s\" && $4 > 0)' %s", name, ARG1)
plot for [i = 1:words(names)] of(word(names, i)) using measure:xticlabels(sprintf("%s (%s)", strcol("slice"), strcol("users"))) \
	title word(names, i)
