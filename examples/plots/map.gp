# map.sh model.tar.zst >map.tsv; gnuplot -c map.gp map.tsv map.png [EVERY]
every = ARGC > 2 ? int(ARG3) : 40
set terminal pngcairo size 1200,900 font "Sans,9" noenhanced
set output ARG2
set datafile separator "\t"
set datafile columnheaders
set key off
set xlabel "first axis"
set ylabel "second axis"
plot ARG1 using "x":"y" with points pt 7 ps 0.4 lc rgb "#8899bb", \
	ARG1 using (int($0) % every ? NaN : column("x")):(column("y")):(substr(strcol("title"), 1, 28)) with labels left offset 0.5,0
