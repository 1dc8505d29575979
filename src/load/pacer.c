#include "load/pacer.h"

#include "base/mono.h"

#include <math.h>

static double step_of(double per_s)
{
    return per_s > 0 ? (double)NS_PER_S / per_s : INFINITY;
}

static void begin_at(struct pacer *pacer, double due_ns)
{
    pacer->base_ns = due_ns;
    pacer->due_ns = due_ns;
    pacer->n = 0;
}

void pacer_init(struct pacer *pacer, const struct plan *plan, unsigned worker, unsigned n_workers)
{
    pacer->arrivals = plan->pace.arrivals;
    pacer->per_s = plan->pace.rate_per_s / n_workers;
    pacer->step_ns = step_of(pacer->per_s);
    pacer->phase = (double)worker / n_workers;
    rng_init(&pacer->rng, plan->run.seed, "pacer", worker);
    if (pacer->per_s <= 0) {
        begin_at(pacer, INFINITY);
    } else if (pacer->arrivals == ARRIVALS_CONSTANT) {
        /* Not phase * step: worker / rate rounds exactly as the single worker's n * step does. */
        begin_at(pacer, worker * step_of(plan->pace.rate_per_s));
    } else {
        begin_at(pacer, rng_exponential(&pacer->rng) * pacer->step_ns);
    }
}

void pacer_set_rate(struct pacer *pacer, double per_s, unsigned n_workers, uint64_t now_ns)
{
    double now = (double)now_ns;
    double old_step = pacer->step_ns;
    double due = pacer->due_ns;
    pacer->per_s = per_s / n_workers;
    pacer->step_ns = step_of(pacer->per_s);
    if (isfinite(due) && due <= now) {
        begin_at(pacer, due);
    } else if (isinf(pacer->step_ns)) {
        begin_at(pacer, INFINITY);
    } else if (isfinite(old_step)) {
        begin_at(pacer, now + (due - now) / old_step * pacer->step_ns);
    } else if (pacer->arrivals == ARRIVALS_CONSTANT) {
        begin_at(pacer, now + pacer->phase * pacer->step_ns);
    } else {
        begin_at(pacer, now + rng_exponential(&pacer->rng) * pacer->step_ns);
    }
}

uint64_t pacer_due(const struct pacer *pacer)
{
    /* Beyond 2^63 ns (292 years) there is nothing to start. */
    return pacer->due_ns < 0x1p63 ? (uint64_t)llrint(pacer->due_ns) : UINT64_MAX;
}

void pacer_next(struct pacer *pacer)
{
    if (pacer->arrivals == ARRIVALS_CONSTANT) {
        pacer->n++;
        pacer->due_ns = pacer->base_ns + (double)pacer->n * pacer->step_ns;
    } else {
        pacer->due_ns += rng_exponential(&pacer->rng) * pacer->step_ns;
    }
}
