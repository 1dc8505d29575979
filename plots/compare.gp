# Response times of two runs by percentile.  gnuplot -c plots/compare.gp BASE_DIR NEW_DIR [OUT.png|OUT.svg]
run = ARGC >= 2 ? ARG1 : ""
new = ARGC >= 2 ? ARG2 : ""
out = ARGC >= 3 ? ARG3 : ""
here = ARG0[1:strlen(ARG0) - strlen("compare.gp")]
load here."style.gp"
load here."percentile.gp"
set title "Response time: ".run." and ".new
plot run."/latency.response.hgrm" using 4:1 with lines linetype 4 title run, \
     new."/latency.response.hgrm" using 4:1 with lines linetype 1 title new
