/* A worker: one thread with one loop, its share of the connections, of the rate and of the
 * identities.  It shares nothing: the plan and the schedule are const, its intervals go to main
 * through a one-slot mailbox, and a stop level, or the early end of an idle phase, comes from there
 * with a wake-up.  No locks and no atomics on the request path.
 *
 * It begins what the pacer says, counts what happens, hands the interval over each tick (or goes
 * on filling the same one when main has not given an empty one back), and at the end lets what
 * is in flight come home.
 *
 * More than eight functions: it is made, started, spoken to, listened to and ended. */
#ifndef LOAD_WORKER_H
#define LOAD_WORKER_H

#include "base/diag.h"
#include "load/schedule.h"
#include "net/addr.h"
#include "profile/plan.h"
#include "record/interval.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mint;
struct timeline_rates;
struct worker;

/* All of it is borrowed until worker_free. */
struct worker_job {
    const struct plan *plan;
    const struct schedule *schedule;
    const struct addr *addrs;
    size_t n_addrs;
    struct mint *mint;
    const struct timeline_rates *rates; /* of a search; else of no interest */
    unsigned index, n_workers;
    uint64_t tick_ns;
};

enum worker_stop { WORKER_GO_ON, WORKER_DRAIN, WORKER_END_NOW };

/* NULL with mistakes (the trust store, the cipher list, no descriptors). */
struct worker *worker_new(const struct worker_job *job, struct diag *diag)
    __attribute__((warn_unused_result));
/* Starts the thread, whose load begins at `zero_ns` (monotonic, the same for all workers).  The
 * caller has blocked the signals that it must not take. */
bool worker_start(struct worker *worker, uint64_t zero_ns) __attribute__((warn_unused_result));
void worker_stop(struct worker *worker, enum worker_stop stop);
/* The idle phase that holds `at_ns` (since the start of the load, well ahead of now) ends then. */
void worker_cut(struct worker *worker, uint64_t at_ns);
/* A finished interval, or NULL; give it back cleared with worker_give. */
struct interval *worker_take(struct worker *worker) __attribute__((warn_unused_result));
void worker_give(struct worker *worker, struct interval *interval);
/* The thread has done all its work; worker_join will not wait. */
bool worker_done(const struct worker *worker);
/* Waits for the thread.  What it had not yet handed over (borrows until worker_free). */
const struct interval *worker_join(struct worker *worker);
void worker_free(struct worker *worker);

#endif
