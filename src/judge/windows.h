/* A limit that holds throughout: in each window of its length, stepping by a part.  Parts are what
 * is stored of a run, in their order: rows of ticks.csv, or intervals of a histogram log.  Those
 * that are in the window lie in memory, packed, and their sum beside them, so that a run of days
 * takes no more than a minute.  Fed live or from disk, the same parts give the same answer. */
#ifndef JUDGE_WINDOWS_H
#define JUDGE_WINDOWS_H

#include "record/limit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hist;

/* Of all windows the one that comes nearest to breaking the limit, or breaks it most. */
struct worst_window {
    double value; /* NAN: no window had anything to measure */
    double from_s, to_s;
};

struct windows;

/* `part_ns`: as limit_part_ns.  What came before `from_s` is left out, and what comes after `to_s`
 * is of the last whole part before it (HUGE_VAL: no such end). */
struct windows *windows_new(const struct limit *limit, uint64_t part_ns, double from_s, double to_s)
    __attribute__((warn_unused_result));
void windows_free(struct windows *windows);
/* What came since the call before, up to `end_s`; `hist` is NULL but of latencies.  A rate is not
 * judged in windows with `idle` parts, in which nobody asks. */
void windows_add(struct windows *windows, double end_s, const struct hist *hist,
                 const struct limit_counts *counts, bool idle);
/* The last part is over. */
void windows_end(struct windows *windows);
/* So far: of the windows whose parts are all over. */
struct worst_window windows_worst(const struct windows *windows);

#endif
