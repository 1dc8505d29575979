# A horizontal axis of time since the start: 0:05, 1:30:00.
set xlabel "time since the start"
set xdata time
set timefmt "%s"
set format x "%tH:%tM:%tS"
set autoscale xfix
