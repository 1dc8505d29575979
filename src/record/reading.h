/* One reading of the server's memory, as the probe thread hands it over by value.  A source that
 * could not be read gives ok = false and is a gap, never a zero. */
#ifndef RECORD_READING_H
#define RECORD_READING_H

#include "record/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct reading {
    uint64_t t_ns; /* monotonic */
    int source;    /* index of [memory NAME] in the plan */
    bool ok;
    bool lost;            /* the process is gone, for good as far as the probe can tell */
    uint64_t incarnation; /* changes when the server restarts: pid and start time */
    int64_t value[MEMORY_METRIC_COUNT]; /* -1: not read this time */
};

/* The metric that tells best what the server keeps, of those that were read: what the profile's
 * command prints or its metric says, else anonymous memory where the kernel tells it. */
enum memory_metric reading_metric(const struct reading *reading);
/* What a server runs on ("jvm", "node", "dotnet", "go"), as the name of one of its Prometheus
 * metrics tells, and those before did (`known`, NULL: nothing): of two the one that hides more
 * garbage. */
const char *reading_runtime(const char *known, const char *metric_name);

#endif
