# rec-eval --curve a.tar.zst b.tar.zst >curves.tsv; gnuplot -c curves.gp curves.tsv curves.png [MEASURE]
measure = ARGC > 2 ? ARG3 : "ndcg@10"
set terminal pngcairo size 900,540 font "Sans,11" noenhanced
set output ARG2
set datafile separator "\t"
set datafile columnheaders
set xlabel "epoch"
set ylabel measure." of validation"
set y2label "loss (thin)"
set ytics nomirror
set y2tics
set key outside right top
names = system("awk -F'\t' 'NR > 1 && !seen[$1]++ { printf \"\\\"%s\\\" \", $1 }' ".ARG1)
of(name) = sprintf("<awk -F'\t' 'NR == 1 || $1 == \"%s\"' %s", name, ARG1)
plot for [i = 1:words(names)] of(word(names, i)) using "epoch":measure with lines lw 2.5 lc i title word(names, i), \
	for [i = 1:words(names)] of(word(names, i)) using "epoch":"loss" axes x1y2 with lines lw 1 dt 3 lc i notitle
