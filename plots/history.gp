# What runs measured over the weeks, from the file of [output] history: response times, rate, and what the server keeps.
# gnuplot -c plots/history.gp HISTORY.csv [OUT.png|OUT.svg]
run = ARGC >= 1 ? ARG1 : ""
out = ARGC >= 2 ? ARG2 : ""
here = ARG0[1:strlen(ARG0) - strlen("history.gp")]
load here."style.gp"
# One run more or less is no empty range.
stats run using "time_s" every ::1 name "T" nooutput
n = T_records
set xrange [-0.5:n - 0.5]
set xtics 1 rotate by -30 format ""
set title "History: ".run
set ylabel "milliseconds" textcolor rgb "#1f2328"
set logscale y
set y2label "requests/s" textcolor rgb "#1f2328"
set y2tics
set y2range [0:*]
set ytics nomirror
stamp(t) = strftime("%d %b %H:%M", t)
plot run using 0:(column("response_p99_us") / 1e3):xticlabel(stamp(column("time_s"))) \
       with linespoints linetype 3 pointtype 7 pointsize 0.5 title "response p99", \
     run using 0:(column("response_p50_us") / 1e3) with linespoints linetype 1 pointtype 7 pointsize 0.5 title "response p50", \
     run using 0:(column("rate_reached_per_s")) axes x1y2 with linespoints linetype 4 pointtype 7 pointsize 0.5 title "rate (right)", \
     run using 0:(column("exit_code") == 1 ? column("response_p99_us") / 1e3 : NaN) \
       with points linetype 3 pointtype 6 pointsize 1.6 title "verdict: fail"
