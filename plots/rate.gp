# Rates asked and reached over a run.  gnuplot -c plots/rate.gp RUN_DIR [OUT.png|OUT.svg]
run = ARGC >= 1 ? ARG1 : ""
out = ARGC >= 2 ? ARG2 : ""
here = ARG0[1:strlen(ARG0) - strlen("rate.gp")]
load here."style.gp"
load here."time.gp"
file = run."/ticks.csv"
set title "Rates: ".run
set ylabel "a second"
set yrange [0:*]
# The counters are cumulative.
past = 0; past_t = 0
rate(t, n) = (d_n = n - past, d_t = t - past_t, past = n, past_t = t, d_t > 0 ? d_n / d_t : 0)
plot past = past_t = 0, file using "time_s":(rate(column("time_s"), column("due"))) with lines linetype 4 title "due", \
     past = past_t = 0, file using "time_s":(rate(column("time_s"), column("completed"))) with lines linetype 1 title "completed", \
     past = past_t = 0, file using "time_s":(rate(column("time_s"), column("failed"))) with lines linetype 3 title "failed", \
     past = past_t = 0, file using "time_s":(rate(column("time_s"), column("handshake_full"))) with lines linetype 2 title "full handshakes"
