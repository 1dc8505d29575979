# Shared by every plot, which has set `run` (a run's directory) and `out` (OUT.png or OUT.svg; "": the terminal):
# where it goes, and how it looks.
if (run eq "") { print "usage: gnuplot -c SCRIPT RUN_DIR [OUT.png|OUT.svg]"; exit status 2 }
if (out eq "") {
  set terminal dumb size 110, 34
} else {
  if (strlen(out) > 4 && out[strlen(out)-3:*] eq ".svg") {
    set terminal svg size 1000, 560 font "sans,14" background "white"
  } else {
    set terminal pngcairo size 1000, 560 font "sans,11" background "white"
  }
  set output out
}
set datafile separator ","
set datafile missing ""
set border 3 linecolor rgb "#59636e"
set tics nomirror out
set grid linecolor rgb "#d5dae0" linewidth 1
set key outside below horizontal Left reverse noenhanced
set title noenhanced
set linetype 1 linecolor rgb "#0a62c4" linewidth 2
set linetype 2 linecolor rgb "#0b7a75" linewidth 2
set linetype 3 linecolor rgb "#b42318" linewidth 2
set linetype 4 linecolor rgb "#59636e" linewidth 1.5 dashtype 2
set linetype 5 linecolor rgb "#8a5a00" linewidth 2
