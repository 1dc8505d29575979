#include "load/pacer.h"

#include <math.h>

/* In counts of all workers together. */
static double poisson_gap(struct pacer *pacer)
{
    return rng_exponential(&pacer->rng) * pacer->n_workers;
}

static void begin_at(struct pacer *pacer, double count)
{
    pacer->first = count;
    pacer->count = count;
    pacer->n = 0;
}

void pacer_init(struct pacer *pacer, const struct plan *plan, unsigned worker, unsigned n_workers)
{
    double per_s = plan->pace.rate_per_s;
    *pacer = (struct pacer){.arrivals = plan->pace.arrivals,
                            .n_workers = n_workers,
                            .replay = &plan->pace,
                            .k = worker,
                            .course = {.from = per_s, .to = per_s}};
    rng_init(&pacer->rng, plan->run.seed, "pacer", worker);
    begin_at(pacer, pacer->arrivals == ARRIVALS_CONSTANT ? worker : poisson_gap(pacer));
}

void pacer_steer(struct pacer *pacer, const struct course *course)
{
    if (pacer->arrivals == ARRIVALS_REPLAY) {
        return;
    }
    double left = pacer->count - course_count(&pacer->course, course->start_ns);
    pacer->course = *course;
    begin_at(pacer, fmax(left, 0));
}

static uint64_t replay_due(const struct plan_pace *replay, uint64_t k)
{
    if (replay->n_replay == 0 || (k >= replay->n_replay && replay->replay_every_ns == 0)) {
        return UINT64_MAX;
    }
    return replay->replay_ns[k % replay->n_replay] + k / replay->n_replay * replay->replay_every_ns;
}

uint64_t pacer_due(const struct pacer *pacer)
{
    if (pacer->arrivals == ARRIVALS_REPLAY) {
        return replay_due(pacer->replay, pacer->k);
    }
    double due_ns = course_when(&pacer->course, pacer->count);
    /* Beyond 2^63 ns (292 years) there is nothing to start. */
    return due_ns < 0x1p63 ? (uint64_t)llrint(due_ns) : UINT64_MAX;
}

void pacer_next(struct pacer *pacer)
{
    if (pacer->arrivals == ARRIVALS_REPLAY) {
        pacer->k += pacer->n_workers;
    } else if (pacer->arrivals == ARRIVALS_CONSTANT) {
        pacer->n++;
        pacer->count = pacer->first + (double)pacer->n * pacer->n_workers;
    } else {
        pacer->count += poisson_gap(pacer);
    }
}
