/* The state of a run as dashboards read it: Prometheus text 0.0.4, or OpenMetrics 1.0 for a scraper
 * that asks for it, both from the metric table.  Names begin with tlsoak_ and end in their unit,
 * which is always seconds or bytes; counters end in _total.  Labels are few and from closed lists:
 * memory sources, phases, outcomes, never an identity.
 *
 * A latency is a classic histogram with fixed buckets, whose bounds fall into slots of ours, so
 * that a count may be off by what lies within 0.1 % of its bound; latency.*.hlog has it all. */
#ifndef REPORT_EXPOSITION_H
#define REPORT_EXPOSITION_H

#include "base/sink.h"
#include "judge/verdict.h"
#include "record/interval.h"
#include "record/reading.h"

#include <stdbool.h>
#include <stddef.h>

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };

struct exposition_source {
    const char *name;             /* of [memory NAME] */
    const struct reading *newest; /* good or not; NULL: none yet */
};

struct exposition_frame {
    const char *version, *tls_library, *run_id;
    double start_wall_s; /* seconds since the epoch */
    double planned_s;
    const struct exposition_source *sources;
    size_t n_sources;
    const struct interval
        *total; /* cumulative; NULL: the load has not begun, nor has what follows */
    double elapsed_s;
    const char *phase;          /* without what it counts: "dwell", "burst", "steady" */
    double rate_asked;          /* a second; 0: closed loop */
    double judged_s, lagging_s; /* of the generator's time */
    bool invalid;               /* its measurements can't be used, as far as is known now */
    const struct memory_finding *finding; /* provisional, of the first source; NULL: none yet */
};

/* What an Accept header asks for (RFC 9110, section 12.5.1); empty: anything. */
enum exposition_format exposition_wanted(const char *accept);
/* The media type of an answer. */
const char *exposition_type(enum exposition_format format);
void exposition_write(struct sink *sink, enum exposition_format format,
                      const struct exposition_frame *frame);

#endif
