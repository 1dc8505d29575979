# What the growth follows: bytes that each event keeps, with 95 % intervals.
# gnuplot -c plots/attribution.gp RUN_DIR [OUT.png|OUT.svg]
run = ARGC >= 1 ? ARG1 : ""
out = ARGC >= 2 ? ARG2 : ""
here = ARG0[1:strlen(ARG0) - strlen("attribution.gp")]
load here."style.gp"
file = run."/findings.csv"
set title "Bytes kept per event: ".run
set xlabel "bytes, with 95 % intervals"
set ytics noenhanced
set yrange [*:*] reverse
set key off
set style fill solid 0.8
set boxwidth 0.6
rows = system("tail -n +2 '".file."' | awk -F, '$12 != \"\"' | wc -l") + 0
if (rows == 0) { print file, ": nothing was told apart"; exit status 1 }
set yrange [rows - 0.4:-0.6]
plot file using (column("bytes_per_event")):0:(0):(column("bytes_per_event")):($0 - 0.3):($0 + 0.3):(strcol("blamed") eq "true" ? 0xb42318 : 0x59636e):ytic(strcol("driver")) \
       with boxxyerror linecolor rgb variable, \
     file using "bytes_per_event":0:"low":"high" with xerrorbars linecolor rgb "#1b1f24" pointtype 0
