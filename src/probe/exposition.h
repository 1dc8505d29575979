/* A page of metrics, as Prometheus asks for: the text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/) and OpenMetrics 1.0, which adds
 * exemplars and "# EOF".  One metric is looked for; the samples that carry the wanted labels are
 * summed, such as the pools of a heap.  A page is a stranger's text: what is malformed elsewhere is
 * passed over, what is malformed in the metric itself, or no number of bytes, is no reading. */
#ifndef PROBE_EXPOSITION_H
#define PROBE_EXPOSITION_H

#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exposition {
    double bytes;        /* sum of the samples that match */
    size_t n_samples;    /* of these */
    int64_t start_ms;    /* process_start_time_seconds; 0: not on the page */
    const char *runtime; /* that the names of all metrics tell (reading_runtime); NULL: none */
};

/* Reads the page for memory->metric with memory->labels.  False with one sentence in `why`: the
 * metric is not there, has no such labels, only counts up, or is not a finite number of bytes. */
bool exposition_read(const char *text, size_t len, const struct plan_memory *memory,
                     struct exposition *ret_exposition, char *why, size_t size)
    __attribute__((warn_unused_result));

#endif
