/* run.json, schema "tlsoak.run/1": what was said at the start and, when the run finished, totals
 * and latency summaries.  Durations are in seconds and latencies in microseconds; the seed is a
 * string, because JSON numbers lose digits beyond 2^53. */
#ifndef RECORD_RUN_JSON_H
#define RECORD_RUN_JSON_H

#include "base/diag.h"
#include "base/sink.h"
#include "record/run.h"

#include <stdbool.h>

/* `total` is NULL while the run goes on. */
void run_json_write(struct sink *sink, const struct run_meta *meta, const struct interval *total);

/* Reads what was said at the start, and `finished`, `interrupted`, `invalid`.  False with one
 * mistake when `path` is not a run.json of this schema. */
bool run_json_load_meta(const char *path, struct run_meta *ret_meta, struct diag *diag)
    __attribute__((warn_unused_result));

/* Reads elapsed time and totals of a finished run.  The latencies of `stored->total` come from the
 * logs before: minimum, maximum and mean, which logs keep only roughly, are set exactly for those
 * that have as many values as run.json says.  False with one mistake. */
bool run_json_load_totals(const char *path, struct stored_run *stored, struct diag *diag)
    __attribute__((warn_unused_result));

#endif
