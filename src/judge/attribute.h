/* Attribution: which event does the server's memory grow with, and by how many bytes each?  Memory
 * LEVELS are regressed on the cumulative counters of all drivers and on time (increments lose the
 * slow part and blame the innocent).  Short means of the rates and the open connections take up
 * what is only held for a while, and lag, since N(t - l) is about N(t) - l rate(t).  A driver can
 * only be told from the others if its counter moved apart from theirs, which the load must see to
 * by design; in steady load nothing is separable. */
#ifndef JUDGE_ATTRIBUTE_H
#define JUDGE_ATTRIBUTE_H

#include "judge/verdict.h"

#include <stdbool.h>
#include <stddef.h>

struct attribution {
    bool fitted; /* false: too few readings, or nothing is separable */
    struct driver_finding driver[DRIVER_COUNT];
    double
        upper[DRIVER_COUNT]; /* bytes per event with 2 % error shared by all; NAN: not separable */
    bool explains[DRIVER_COUNT];     /* grows with it, or with the group that it stands for */
    bool overwhelming[DRIVER_COUNT]; /* explains, beyond what any shape of an innocent could */
    double refresh_s;                /* the metric changes so seldom that nothing is separable */
    size_t n;                        /* rows: those of the series from `from` on */
    size_t from;
    double
        *exposure; /* owns: bytes that the explaining drivers account for, from the first row on */
    double *held;  /* owns: bytes that rates and open connections account for */
};

/* Attributes rows [from, to) of the series, which must be of one incarnation.  `driver` is
 * indexed by driver, with zeros for those without events.  Ends with attribution_end. */
void attribution_make(const struct series *series, size_t from, size_t to,
                      const struct judge_options *options, struct attribution *ret_attribution);
void attribution_end(struct attribution *attribution);

#endif
