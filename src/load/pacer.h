/* The pacer: due times of a worker's exchanges as a pure function of plan, worker and seed: an
 * increasing series that never depends on the server.  Open loop only.
 *
 * Constant arrivals are computed, never summed up (start + n * step), so that a day has no drift
 * and the workers' series interleave into exactly the series that one worker would have.
 * Poisson arrivals are exponential gaps from the worker's own stream; their union is Poisson
 * with the summed rate.  A change of rate (a dwell) stretches what is left of the current gap,
 * which keeps the workers evenly interleaved and a Poisson process a Poisson process. */
#ifndef LOAD_PACER_H
#define LOAD_PACER_H

#include "base/rng.h"
#include "profile/plan.h"

#include <stdint.h>

struct pacer {
    enum arrivals arrivals;
    double per_s;   /* this worker's share */
    double due_ns;  /* next due time since the start of the run */
    double base_ns; /* constant: due = base + n * step */
    double step_ns; /* constant: between two of this worker's due times */
    uint64_t n;
    double phase; /* worker / n_workers: where in a step this worker stands */
    struct rng rng;
};

/* Worker `worker` of `n_workers`; constant arrivals of the workers interleave evenly. */
void pacer_init(struct pacer *pacer, const struct plan *plan, unsigned worker, unsigned n_workers);
/* Rate of all workers together (per second) from `now_ns` after the start on.  A due time that
 * is not after now_ns stays; what follows it has the new rate. */
void pacer_set_rate(struct pacer *pacer, double per_s, unsigned n_workers, uint64_t now_ns);
/* The next due time, ns since the start; UINT64_MAX when the rate is 0. */
uint64_t pacer_due(const struct pacer *pacer);
/* Moves on to the one after. */
void pacer_next(struct pacer *pacer);

#endif
