# Response and service time by percentile.  gnuplot -c plots/latency.gp RUN_DIR [OUT.png|OUT.svg]
run = ARGC >= 1 ? ARG1 : ""
out = ARGC >= 2 ? ARG2 : ""
here = ARG0[1:strlen(ARG0) - strlen("latency.gp")]
load here."style.gp"
load here."percentile.gp"
set title "Latency by percentile: ".run
plot run."/latency.response.hgrm" using 4:1 with lines linetype 1 title "response time, from when it was due", \
     run."/latency.service.hgrm" using 4:1 with lines linetype 2 title "service time, from when it was sent"
