/* What a stored run did over time, for charts: its seconds gathered into at most CURVES_MAX points
 * of equal length, rates from the counters of ticks.csv and quantiles from the histogram logs, so
 * that those of a point are exact whatever its length. */
#ifndef RECORD_CURVES_H
#define RECORD_CURVES_H

#include "record/run.h"

#define CURVES_MAX       300
#define CURVES_LATENCIES 2 /* response and service */

struct curve_point {
    double from_s, to_s; /* since the start */
    double due_per_s;    /* what fell due: exchanges, or connections where those do */
    double begun_per_s;  /* of that */
    double completed_per_s;
    double failed_per_s; /* exchanges, and dials that failed */
    double open;         /* connections, at its end */
    struct {
        uint64_t n, p50_ns, p99_ns, max_ns; /* n 0: no value in this time */
    } latency[CURVES_LATENCIES];            /* by enum latency */
};

struct curves {
    size_t n;
    struct curve_point point[CURVES_MAX];
};

/* The caller frees it with free().  NULL with mistakes. */
struct curves *curves_load(const struct stored_run *stored, struct diag *diag)
    __attribute__((warn_unused_result));

#endif
