/* The inside of a worker, shared by worker.c (thread, ticks, end), worker_clock.c (when),
 * worker_crowd.c (how many connections), slot.c (connections), exchange.c (requests), holding.c
 * (credentials), refusal.c (bad identities) and misuse.c (misuses), and by nobody else.  All of it
 * belongs to the worker's thread, but for the mailbox. */
#ifndef LOAD_WORKER_INSIDE_H
#define LOAD_WORKER_INSIDE_H

#include "base/rng.h"
#include "load/backlog.h"
#include "load/holding.h"
#include "load/pacer.h"
#include "load/request.h"
#include "load/schedule.h"
#include "load/slot_queue.h"
#include "load/timeline.h"
#include "load/worker.h"
#include "net/conn.h"
#include "record/interval.h"

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange_queue {
    struct exchange *first, *last;
};

enum worker_state {
    WORKER_RUNNING,
    WORKER_DRAINING, /* nothing new begins; what is in flight may end */
    WORKER_CLOSING,  /* every connection is closed; the loop ends */
};

struct worker {
    struct worker_job job;
    uint64_t zero_ns; /* the load starts, monotonic */
    enum worker_state state;
    pthread_t thread;
    bool started;

    /* What may be used by main while the thread runs. */
    _Atomic(struct interval *) full;  /* worker to main */
    _Atomic(struct interval *) empty; /* main to worker */
    atomic_int stop;
    _Atomic(uint64_t) cut_ns; /* the idle phase that holds this time ends then; 0: none does */
    atomic_bool done;
    ev_async wake;

    struct ev_loop *loop;
    ev_prepare turn; /* once a loop turn */
    ev_io pace;      /* timerfd: the next due time */
    ev_timer change; /* the next dwell or phase */
    ev_timer crowd;  /* the next slots that join or leave */
    ev_timer tick;   /* the interval ends */
    ev_timer again;  /* a credential was not there yet */
    ev_timer more;   /* slots are left to dial in the next turn */
    ev_timer ending; /* of the duration, then of the drain */
    struct tls_client *tls;
    struct conn_env env;
    struct worker_identity *identities; /* owns: plan->n_identities */
    double weight;                      /* of all identities */
    uint64_t draw_offset, n_drawn;      /* which of them the connections are */
    struct request_set requests;
    struct rng request_rng, dial_rng;
    struct refusals *refusals; /* NULL: the plan has none */
    struct misuses *misuses;   /* likewise */

    struct pacer pacer;
    struct backlog backlog;
    struct timeline timeline;
    const struct plan_phase *phase; /* under way */
    uint64_t change_ns; /* next dwell or phase, since the start of the load; UINT64_MAX: none */
    bool slow;          /* closed loop in a dwell of low rate */
    bool idle;          /* an idle phase, or the cooldown: nothing begins */
    bool cooling;       /* the cooldown: nothing is dialled */
    bool refusing;      /* exchanges earn attempts with bad identities */
    bool misusing;      /* and misuses */
    uint64_t requests_per_connection; /* 0: no limit */

    struct slot *slots;                   /* owns */
    uint64_t *rests;                      /* owns: of all slots */
    size_t n_slots, n_wanted;             /* those that shall have a connection now are the first */
    struct slot_queue queue[SLOT_PLACES]; /* by place */
    uint64_t max_handshaking;
    uint64_t n_open, n_handshaking, n_in_flight;
    size_t n_starving; /* slots that wait for a credential */

    struct exchange *free_exchanges;
    struct exchange_queue retry;
    bool pumping;

    struct interval *interval; /* being filled */
    uint64_t tick_ns;          /* when the tick is nominally due, monotonic */
    uint64_t cpu_ns;           /* of the thread, at the last tick */
    int wait_fd;               /* of the thread's scheduling figures; -1: the kernel has none */
    uint64_t wait_ns;          /* that it waited for a core, at the last tick */
    uint64_t oldest_ns;        /* the longest that a start waited since the last tick */
    double wall_s;             /* at wall_at_ns */
    uint64_t wall_at_ns;
};

/* What falls due in this run: exchanges, connections (for some exchanges, or for their handshake
 * alone), or nothing: the closed loop. */
static inline bool worker_exchanges_fall_due(const struct worker *worker)
{
    enum pace_mode mode = worker->job.plan->pace.mode;
    return mode == PACE_OPEN || mode == PACE_HOLD;
}

static inline bool worker_dials_fall_due(const struct worker *worker)
{
    enum pace_mode mode = worker->job.plan->pace.mode;
    return mode == PACE_CHURN || mode == PACE_HANDSHAKE;
}

static inline void worker_count(struct worker *worker, enum counter counter)
{
    worker->interval->count[counter]++;
}

/* Seconds since the epoch, for expiries. */
static inline int64_t worker_epoch_s(const struct worker *worker, uint64_t now_ns)
{
    return (int64_t)(worker->wall_s + (double)(int64_t)(now_ns - worker->wall_at_ns) * 1e-9);
}

/* Has it ended at now_ns?  NULL has not. */
static inline bool worker_has_ended(const struct worker *worker,
                                    const struct credential *credential, uint64_t now_ns)
{
    return credential != NULL && credential->not_after_s != 0 &&
           credential->not_after_s <= worker_epoch_s(worker, now_ns);
}

/* A credential is not there yet: counts a wait, once for all that wait now, and sets `again`: they
 * are tried once more in a moment. */
void worker_wait(struct worker *worker);
/* The identity of the next connection of those that `n_drawn` counts (and counts on): those of all
 * workers together are in proportion to the plan's weights, from the first few on. */
struct worker_identity *worker_draw_identity(struct worker *worker, uint64_t *n_drawn);

/* Time since the load's start, 0 before it. */
uint64_t worker_since_zero_ns(const struct worker *worker, uint64_t now_ns);
/* Starts `timer` so that it fires at `at_ns` (monotonic). */
void worker_timer_at(struct worker *worker, ev_timer *timer, uint64_t at_ns);

#endif
