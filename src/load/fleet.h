/* The fleet carries out the plan: starts the workers and the probe, merges their intervals each
 * tick, writes the run, shows it, and ends it after its time or when asked to.  What it learnt
 * that the run directory does not say is in fleet_result. */
#ifndef LOAD_FLEET_H
#define LOAD_FLEET_H

#include "base/diag.h"
#include "ident/mint.h"
#include "net/addr.h"
#include "probe/hook.h"
#include "probe/sampler.h"
#include "profile/plan.h"
#include "record/run.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is shown once a second; the same facts as the live view's. */
struct fleet_second {
    double elapsed_s, planned_s;
    double end_s; /* of the row that `second` is in the run directory */
    const char *phase;
    const char *phase_name; /* the same without what it counts */
    double rate_asked;
    double judged_s, lagging_s; /* of the generator, as in health.h */
    bool invalid;               /* the measurements can't be used, as far as is known */
    const struct interval *second;
    const struct interval *total;
    const struct reading *memory;
};

struct fleet_job {
    const struct plan *plan;
    const struct addr *addrs;
    size_t n_addrs;
    struct mint *mint;        /* borrows; its thread is started and ended here */
    struct sampler *sampler;  /* borrows, and starts it; NULL: no memory source */
    struct hook *hook;        /* borrows, and starts and stops its rotations */
    struct run *run;          /* borrows */
    uint64_t start_ns;        /* monotonic zero, the same as run_meta's */
    const volatile int *stop; /* 1: drain and end; 2: end at once */
    /* false: the run has done what it was for, and ends before its time */
    bool (*second)(const struct fleet_second *second, void *context);
    /* Each reading of memory with the cumulative counts at its time, `t_s` after the start of the
     * load; NULL: not wanted. */
    void (*reading)(const struct reading *reading, const struct interval *counts, double t_s,
                    void *context);
    /* Of idle phases that last until then: has memory come to rest since `since_s`?  Asked at each
     * tick; NULL: never. */
    bool (*settled)(double since_s, void *context);
    void *context;
};

struct fleet_result {
    bool interrupted;
    uint64_t load_ns;  /* until the load ended, and what was in flight came home */
    char invalid[256]; /* not empty: the run's measurements can't be used, and why */
    bool healthy;      /* the generator kept up */
    char health[256];  /* why not, or what it has to say though it did */
    struct run_generator generator;
    struct run_search search; /* its answer */
    struct interval *total;   /* cumulative; the caller frees it */
};

/* Returns when the run is over and every thread has ended.  False with mistakes when it could
 * not begin. */
bool fleet_perform(const struct fleet_job *job, struct fleet_result *ret_result, struct diag *diag)
    __attribute__((warn_unused_result));

#endif
