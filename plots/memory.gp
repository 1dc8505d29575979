# The server's memory over a run.  gnuplot -c plots/memory.gp RUN_DIR [OUT.png|OUT.svg]
run = ARGC >= 1 ? ARG1 : ""
out = ARGC >= 2 ? ARG2 : ""
here = ARG0[1:strlen(ARG0) - strlen("memory.gp")]
load here."style.gp"
load here."time.gp"
file = run."/memory.csv"
set title "Memory of the server: ".run
set format y "%.1b %BB"
header = ",".system("sed -n '/^#/d;p;q' '".file."'").","
names = ""
# what the profile chose to be judged comes first
chosen = system("sed -n 's/^# metric //p' '".file."'")
do for [name in chosen." command_bytes anon_bytes private_dirty_bytes pss_bytes rss_bytes"] {
  # a column that was never read is empty throughout
  if (strstrt(header, ",".name.",") > 0) {
    filled = system("awk -F, -v name=".name." '/^#/ {next} !c {for (i = 1; i <= NF; i++) if ($i == name) c = i; next} $c != \"\" {n++} END {print n + 0}' '".file."'")
    if (filled > 1) { names = names." ".name }
  }
}
if (words(names) == 0) { print file, ": no memory in it"; exit status 1 }
plot for [i=1:words(names)] file using "time_s":word(names, i) with lines \
  linetype (i == 3 ? 5 : i) title word(names, i)
