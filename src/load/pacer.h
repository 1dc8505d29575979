/* The pacer: due times of a worker's exchanges as a pure function of plan, worker and seed: an
 * increasing series that never depends on the server.  Open loop only.
 *
 * All workers together follow one course, and its count N(t) is their clock.  Constant arrivals
 * are due when N passes a whole number (those of worker w of n: w, w + n, w + 2 n, ...), so a day
 * has no drift, the workers' series interleave into exactly the series that one worker would have,
 * and in any span their due times add up to the whole part of the integral of the rate.  Poisson
 * arrivals are due when N / n has grown by exponential gaps from the worker's own stream: a
 * Poisson process with that rate however it moves (time rescaling; Cinlar, Introduction to
 * Stochastic Processes, 4.7); their union is Poisson with the summed rate.  A change of course
 * leaves what is left of the current gap, in counts, as it is.
 *
 * Replayed times are the plan's, read from a file: worker w of n has number w, w + n, w + 2 n, ...,
 * and the series begins again each pace.replay_every, or ends. */
#ifndef LOAD_PACER_H
#define LOAD_PACER_H

#include "base/rng.h"
#include "load/course.h"
#include "profile/plan.h"

#include <stdint.h>

struct pacer {
    enum arrivals arrivals;
    unsigned n_workers;
    struct course course;           /* of all workers together */
    double first;                   /* constant: count at the first due time of this course */
    uint64_t n;                     /* constant: due times since that */
    double count;                   /* on the course's clock, at the next due time */
    const struct plan_pace *replay; /* where the due times are read from a file, borrowed */
    uint64_t k;                     /* of them, from 0 on, whoever's they are: the next */
    struct rng rng;
};

/* Worker `worker` of `n_workers`, at pace.rate; constant arrivals of the workers interleave
 * evenly. */
void pacer_init(struct pacer *pacer, const struct plan *plan, unsigned worker, unsigned n_workers);
/* From course->start_ns on, up to which every due time has been passed by pacer_next. */
void pacer_steer(struct pacer *pacer, const struct course *course);
/* The next due time, ns since the start; UINT64_MAX when the rate is 0. */
uint64_t pacer_due(const struct pacer *pacer);
/* Moves on to the one after. */
void pacer_next(struct pacer *pacer);

#endif
