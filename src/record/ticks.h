/* ticks.csv: one row a second.  Columns: time_s, the counters of the metric table (cumulative), the
 * gauges, outcome_NAME and status_Nxx (cumulative), then p50, p99 and maximum of every latency of
 * that second, empty when there was none.  A reader goes by the header, so that columns can be
 * added. */
#ifndef RECORD_TICKS_H
#define RECORD_TICKS_H

#include "base/diag.h"
#include "base/sink.h"
#include "record/interval.h"

#include <stdbool.h>
#include <stdint.h>

void ticks_header(struct sink *sink);
/* `time_ns` since the start of the run. */
void ticks_row(struct sink *sink, uint64_t time_ns, const struct interval *tick,
               const struct interval *cumulative);

/* Told each whole row in turn: the cumulative counts and the gauges at that time. */
struct ticks_listener {
    void (*row)(double time_s, const struct interval *cumulative, void *context);
    void *context;
};

struct ticks_end {
    uint64_t n; /* whole rows */
    uint64_t time_ns;
    bool torn; /* an incomplete last line was dropped */
};

/* Sets counts, outcomes, statuses and gauges of `ret_last` to the last whole row (zeros when there
 * is none).  `listener` may be NULL.  False with one mistake when the file is not of this
 * format. */
bool ticks_load(const char *path, const struct ticks_listener *listener, struct interval *ret_last,
                struct ticks_end *ret_end, struct diag *diag) __attribute__((warn_unused_result));

#endif
