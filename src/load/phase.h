/* What the run is doing, in words, for the person who watches it. */
#ifndef LOAD_PHASE_H
#define LOAD_PHASE_H

#include "load/schedule.h"
#include "load/timeline.h"

#include <stdbool.h>
#include <stdint.h>

#define PHASE_TEXT 128

/* The phase's name without what it counts, for machines: "burst", "dwell", "search", "steady" and
 * so on, as below.  Borrows from the plan. */
const char *phase_name(const struct timeline *timeline, const struct schedule *schedule,
                       uint64_t t_ns, bool ramped, bool draining);
/* "burst (3 of 8)", "rest (4 of 8), idle"; of a search "step 3, search 400/s"; without phases
 * "ramp", "warm-up", "steady", "dwell 7 of 32: full rate, reconnecting, fresh certificates",
 * "cooling down"; "draining": at `t_ns` after the start.  `ramped`: all connections have stood at
 * once.  Returns `text`. */
const char *phase_text(const struct timeline *timeline, const struct schedule *schedule,
                       uint64_t t_ns, bool ramped, bool draining, char text[PHASE_TEXT]);
/* Exchanges a second asked for at that time; 0 where none fall due. */
double phase_rate(const struct timeline *timeline, const struct schedule *schedule, uint64_t t_ns);

#endif
