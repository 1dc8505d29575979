#include "cmd/ceiling.h"

#include "base/mono.h"
#include "base/unit.h"
#include "profile/plan.h"

#include <stdio.h>
#include <string.h>

#define LEAST_AHEAD_S 3.0 /* a tick, and what is in flight */

void ceiling_init(struct ceiling *ceiling, const struct plan *plan)
{
    *ceiling = (struct ceiling){.plan = plan};
}

/* How long the load may go on after the reading that ends it: to the next reading, which with
 * settling comes at the end of a dwell, and until it is over. */
static double ahead_s(const struct plan *plan, const struct plan_memory *memory)
{
    bool dwells = memory->settle != NULL && plan->attribution.mode != ATTRIBUTION_OFF;
    uint64_t dwell_ns = dwells ? plan->attribution.dwell_ns : 0;
    uint64_t every_ns = memory->every_ns > dwell_ns ? memory->every_ns : dwell_ns;

    return LEAST_AHEAD_S + (double)(2 * every_ns + plan->run.drain_ns) / (double)NS_PER_S;
}

/* Keeps those of the last `span_s`, and the one before them; of many, some. */
static void add(struct ceiling_source *source, double t_s, double bytes, double span_s)
{
    size_t n = source->n;

    if (n >= 2 && t_s - source->t[n - 2] < span_s / (CEILING_MARKS - 2)) {
        source->t[n - 1] = t_s;
        source->y[n - 1] = bytes;
    } else {
        if (n == CEILING_MARKS) {
            memmove(source->t, source->t + 1, (n - 1) * sizeof *source->t);
            memmove(source->y, source->y + 1, (n - 1) * sizeof *source->y);
            n--;
        }
        source->t[n] = t_s;
        source->y[n] = bytes;
        source->n = n + 1;
    }
    size_t old = 0;
    while (old + 1 < source->n && source->t[old + 1] <= t_s - span_s) {
        old++;
    }
    memmove(source->t, source->t + old, (source->n - old) * sizeof *source->t);
    memmove(source->y, source->y + old, (source->n - old) * sizeof *source->y);
    source->n -= old;
}

/* By how much it may grow in the time ahead: as it has in as much time before, where that is known;
 * what a server takes at its start says less, and nothing is made of a moment. */
static double growth_ahead(const struct ceiling_source *source, double span_s)
{
    double grown = source->y[source->n - 1] - source->y[0];
    double span = source->t[source->n - 1] - source->t[0];

    return grown > 0 && span >= span_s / 2 ? grown * span_s / span : 0;
}

void ceiling_reading(struct ceiling *ceiling, const struct reading *reading, double t_s)
{
    const struct plan_memory *memory = &ceiling->plan->memories[reading->source];
    struct ceiling_source *source = &ceiling->sources[reading->source];
    double span_s = ahead_s(ceiling->plan, memory);
    char text[UNIT_TEXT], now[UNIT_TEXT];

    if (!reading->ok || memory->stop_at_bytes <= 0 || ceiling->ended[0] != '\0') {
        return;
    }
    if (source->incarnation != reading->incarnation) {
        source->incarnation = reading->incarnation;
        source->n = 0;
    }
    double bytes = (double)reading->value[reading_metric(reading)];
    add(source, t_s, bytes, span_s);
    if (bytes + growth_ahead(source, span_s) < memory->stop_at_bytes) {
        return;
    }
    (void)snprintf(ceiling->ended, sizeof ceiling->ended,
                   "memory of %.64s is %s%s, and memory.stop_at is %s", memory->name,
                   unit_bytes(now, bytes), bytes < memory->stop_at_bytes ? " and grows" : "",
                   unit_bytes(text, memory->stop_at_bytes));
}
