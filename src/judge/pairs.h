/* Pairs: the early stop judged on a series.  Of two dwells that differ in one factor only, in which
 * did memory grow more?  That is asked of the second half of each dwell: what is held for a moment
 * and given back within half a dwell (open connections, buffers, work in progress) is there as well
 * by then, so that it does not pass for growth.  Where readings are floors there is one a dwell,
 * and the growth is that from floor to floor.  The allowed bytes per event are taken off first, and
 * the e-process bets on the signs.
 *
 * No evidence comes from a pair over a restart or a gap, nor from one that begins before a declared
 * or known bound of the factor's store was passed or a declared time to live had gone by; and what
 * the factor is said to keep must be there: memory grew by most of it over the pairs that count. So
 * neither a declared store that is filling nor one whose entries expire in a declared time is ever
 * stopped on; one that nobody declared shows itself in a run that goes on: what a store was proven
 * to fill with has ceased when memory grows no longer in the pairs after the call. */
#ifndef JUDGE_PAIRS_H
#define JUDGE_PAIRS_H

#include "judge/verdict.h"

#include <stdbool.h>
#include <stddef.h>

struct pairs_finding {
    bool reached;                      /* by the data up to called_s; stays as the series goes on */
    double called_s;                   /* end of the pair at which it was; 0: not yet */
    double e;                          /* of 1000 that it takes: at the call, else now */
    bool ceased;                       /* reached, but memory went on to grow so no longer */
    size_t n_pairs;                    /* that count, up to the call */
    size_t n_more;                     /* of these: memory grew more in the dwell with the factor */
    size_t n_later;                    /* that count, after the call */
    size_t n_unusable;                 /* pairs over a restart or a gap */
    size_t n_too_early;                /* pairs before the bound or the time to live */
    double bytes_per_event, low, high; /* 95 %; NAN with fewer than three pairs that count */
    char reason[384];                  /* one plain sentence */
};

/* Judges the complete pairs of options->pairs: those after whose end a reading came.  Costs some
 * ten microseconds, so that it may be asked at the end of each dwell.  The interval is that of
 * Tukey and McLaughlin (1963) for the trimmed mean of the pairs' differences of growth over their
 * differences of events. */
void judge_pairs(const struct series *series, const struct judge_options *options,
                 struct pairs_finding *ret_finding);

#endif
