# Tables of percentiles (.hgrm) over 1 / (1 - quantile).
set datafile separator whitespace
set ylabel "ms"
set xlabel "percentile"
set logscale xy
set xtics ("0 %%" 1, "90 %%" 10, "99 %%" 100, "99.9 %%" 1000, "99.99 %%" 10000, "99.999 %%" 100000, "99.9999 %%" 1000000)
set format y "%g"
