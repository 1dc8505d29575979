#include "load/worker.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "ident/mint.h"
#include "load/exchange.h"
#include "load/misuse.h"
#include "load/refusal.h"
#include "load/runqueue.h"
#include "load/slot.h"
#include "load/worker_clock.h"
#include "load/worker_inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define AGAIN_S     1e-3     /* until a credential that was not there is asked for again */
#define BACKLOG_MAX 1000000u /* of all workers */

/* This worker's part of a total, so that the parts add up to it. */
static uint64_t share_of(const struct worker_job *job, uint64_t total)
{
    return total / job->n_workers + (job->index < total % job->n_workers);
}

void worker_wait(struct worker *worker)
{
    if (!ev_is_active(&worker->again)) {
        worker_count(worker, COUNTER_MINT_WAIT);
        ev_timer_set(&worker->again, AGAIN_S, 0.);
        ev_timer_start(worker->loop, &worker->again);
    }
}

/* Draw number k of all workers is k times the golden ratio, modulo 1: any first few of such a
 * sequence fill the unit interval evenly (Weyl; Knuth, TAOCP 3, 6.4), so that even a handful of
 * connections that are never closed have their shares, which random numbers would not give. */
struct worker_identity *worker_draw_identity(struct worker *worker, uint64_t *n_drawn)
{
    static const uint64_t golden = 0x9E3779B97F4A7C15ULL; /* of 2^64 */
    size_t n = worker->job.plan->n_identities, i = 0;
    uint64_t k = worker->job.index + (*n_drawn)++ * worker->job.n_workers;
    double at = (double)((worker->draw_offset + k * golden) >> 11) * 0x1p-53 * worker->weight;
    while (i + 1 < n && at >= worker->identities[i].upto) {
        i++;
    }
    return &worker->identities[i];
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = timer->data;
    for (size_t i = 0; i < worker->job.plan->n_identities; i++) {
        memset(worker->identities[i].blocked, 0, sizeof worker->identities[i].blocked);
    }
    refusals_try_again(worker->refusals);
    misuses_try_again(worker->misuses);
    exchange_pump(worker);
}

/* Only wakes the loop: its next turn dials. */
static void on_more(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
}

static void close_interval(struct worker *worker, uint64_t now_ns)
{
    struct interval *interval = worker->interval;
    uint64_t cpu_ns = mono_thread_cpu_ns();
    interval->end_ns = now_ns;
    interval->count[COUNTER_CPU_NS] += cpu_ns - worker->cpu_ns;
    worker->cpu_ns = cpu_ns;
    interval->count[COUNTER_LAG_NS] += now_ns > worker->tick_ns ? now_ns - worker->tick_ns : 0;
    uint64_t wait_ns = runqueue_wait_ns(worker->wait_fd);
    interval->count[COUNTER_WAIT_NS] += wait_ns > worker->wait_ns ? wait_ns - worker->wait_ns : 0;
    worker->wait_ns = wait_ns;
    interval->count[COUNTER_BYTES_SENT] += worker->env.bytes_sent;
    interval->count[COUNTER_BYTES_RECEIVED] += worker->env.bytes_received;
    interval->count[COUNTER_KEY_UPDATED] += tls_client_key_updates(worker->tls);
    worker->env.bytes_sent = 0;
    worker->env.bytes_received = 0;
    interval->gauge[GAUGE_OPEN] = worker->n_open;
    interval->gauge[GAUGE_HANDSHAKING] = worker->n_handshaking;
    interval->gauge[GAUGE_IN_FLIGHT] = worker->n_in_flight;
    interval->gauge[GAUGE_BACKLOG] = worker->backlog.n;
    /* An interval that main did not fetch in time goes on. */
    uint64_t waited_ns = worker_clock_waited_ns(worker, now_ns);
    uint64_t *longest_ns = &interval->gauge[GAUGE_BACKLOG_NS];
    *longest_ns = waited_ns > *longest_ns ? waited_ns : *longest_ns;
    interval->gauge[GAUGE_REFUSING] = refusals_under_way(worker->refusals);
    interval->gauge[GAUGE_MISUSING] = misuses_under_way(worker->misuses);
}

static void hand_over(struct worker *worker, uint64_t now_ns)
{
    struct interval *empty = atomic_exchange(&worker->empty, NULL);
    close_interval(worker, now_ns);
    if (empty == NULL) {
        return;
    }
    struct interval *left = atomic_exchange(&worker->full, worker->interval);
    BUG_ON(left != NULL);
    worker->interval = empty;
    empty->start_ns = now_ns;
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = timer->data;
    uint64_t now_ns = mono_now_ns();
    worker->wall_s = mono_wall_s();
    worker->wall_at_ns = now_ns;
    hand_over(worker, now_ns);
    while (worker->tick_ns <= now_ns) {
        worker->tick_ns += worker->job.tick_ns;
    }
    worker_timer_at(worker, timer, worker->tick_ns);
}

/* Closing is polite but does not wait: close_notify and FIN go out, and every connection has
 * been told about when conn_reap returns. */
static void begin_closing(struct worker *worker)
{
    worker->state = WORKER_CLOSING;
    exchange_give_up(worker, OUTCOME_STOPPED);
    for (size_t i = 0; i < worker->n_slots; i++) {
        struct slot *slot = &worker->slots[i];
        bool idle = slot->is_open && slot->conn.n_streams == 0;
        ev_timer_stop(worker->loop, &slot->wait);
        conn_close(&slot->conn, idle ? OUTCOME_OK : OUTCOME_STOPPED);
    }
    conn_reap(&worker->env);
    refusals_stop(worker->refusals);
    misuses_stop(worker->misuses);
    BUG_ON(worker->n_open + worker->n_handshaking + worker->n_in_flight != 0);
    ev_break(worker->loop, EVBREAK_ALL);
}

static void begin_draining(struct worker *worker)
{
    worker_clock_stop(worker);
    worker->state = WORKER_DRAINING;
    worker->interval->count[COUNTER_SKIPPED] += worker->backlog.n;
    backlog_clear(&worker->backlog);
    ev_timer_stop(worker->loop, &worker->crowd);
    worker_timer_at(worker, &worker->ending, mono_now_ns() + worker->job.plan->run.drain_ns);
    misuses_drain(worker->misuses);
    exchange_pump(worker); /* what waits for a new connection gets none now: any will do */
}

static void on_ending(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = timer->data;
    if (worker->state == WORKER_RUNNING) {
        begin_draining(worker);
    } else if (worker->state == WORKER_DRAINING) {
        begin_closing(worker);
    }
}

static void on_wake(struct ev_loop *loop, ev_async *async, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = async->data;
    int stop = atomic_load(&worker->stop);
    if (worker->state == WORKER_RUNNING) {
        worker_clock_heed(worker);
    }
    if (stop != WORKER_GO_ON && worker->state == WORKER_RUNNING) {
        begin_draining(worker);
    }
    if (stop == WORKER_END_NOW && worker->state == WORKER_DRAINING) {
        begin_closing(worker);
    }
}

static void on_turn(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = prepare->data;
    conn_reap(&worker->env);
    refusals_reap(worker->refusals);
    misuses_turn(worker->misuses);
    if (worker->state == WORKER_RUNNING) {
        /* In the cooldown only for what must be sent again. */
        if (!worker->cooling || worker->retry.first != NULL) {
            slot_dial_waiting(worker);
        }
    } else if (worker->state == WORKER_DRAINING) {
        if (worker->n_open + worker->n_handshaking == 0) {
            exchange_give_up(worker, OUTCOME_STOPPED);
        }
        if (worker->n_in_flight == 0 && worker->n_handshaking == 0 &&
            refusals_under_way(worker->refusals) + misuses_under_way(worker->misuses) == 0) {
            begin_closing(worker);
        }
    }
}

static void watch(struct worker *worker)
{
    ev_prepare_init(&worker->turn, on_turn);
    ev_init(&worker->tick, on_tick);
    ev_init(&worker->again, on_again);
    ev_init(&worker->more, on_more);
    ev_init(&worker->ending, on_ending);
    ev_async_init(&worker->wake, on_wake);
    worker->turn.data = worker;
    worker->tick.data = worker;
    worker->again.data = worker;
    worker->more.data = worker;
    worker->ending.data = worker;
    worker->wake.data = worker;
    ev_prepare_start(worker->loop, &worker->turn);
    ev_async_start(worker->loop, &worker->wake);
}

static void prepare_identities(struct worker *worker)
{
    const struct worker_job *job = &worker->job;
    const struct plan *plan = job->plan;
    BUG_ON(plan->n_identities == 0);
    worker->identities = xcalloc(plan->n_identities, sizeof *worker->identities);
    for (size_t i = 0; i < plan->n_identities; i++) {
        struct worker_identity *identity = &worker->identities[i];
        worker->weight += plan->identities[i].weight;
        *identity = (struct worker_identity){
            .plan = &plan->identities[i], .index = i, .upto = worker->weight};
        for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
            identity->pool[kind] = mint_pool(job->mint, job->index, i, kind);
        }
    }
    struct rng rng;
    rng_init(&rng, plan->run.seed, "identity", 0); /* the same for all workers */
    worker->draw_offset = rng_u64(&rng);
}

static void prepare_load(struct worker *worker)
{
    const struct worker_job *job = &worker->job;
    const struct plan *plan = job->plan;
    prepare_identities(worker);
    request_set_init(&worker->requests, plan, mint_run_id(job->mint));
    rng_init(&worker->request_rng, plan->run.seed, "request", job->index);
    rng_init(&worker->dial_rng, plan->run.seed, "dial", job->index);
    uint64_t max_handshaking = share_of(job, plan->run.max_in_flight_handshakes);
    worker->max_handshaking = max_handshaking > 0 ? max_handshaking : 1;
    backlog_init(&worker->backlog, BACKLOG_MAX / job->n_workers + 1);
    worker->n_slots = share_of(job, plan_peak(plan).connections);
    worker->slots = xcalloc(worker->n_slots, sizeof *worker->slots);
    worker->rests = xcalloc(worker->n_slots * plan->pace.streams, sizeof *worker->rests);
    for (size_t i = 0; i < worker->n_slots; i++) {
        slot_init(&worker->slots[i], worker, worker->rests + i * plan->pace.streams);
    }
    worker->interval = interval_new();
    atomic_init(&worker->empty, interval_new());
    worker_crowd_init(worker);
    worker_clock_init(worker);
    worker->refusals = refusals_new(worker);
    worker->misuses = misuses_new(worker);
}

struct worker *worker_new(const struct worker_job *job, struct diag *diag)
{
    struct tls_client *tls = tls_client_new(job->plan, &job->plan->target, diag);
    if (tls == NULL) {
        return NULL;
    }
    struct worker *worker = xcalloc(1, sizeof *worker);
    worker->job = *job;
    worker->tls = tls;
    worker->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    worker->pace.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (worker->loop == NULL || worker->pace.fd < 0) {
        diag_add(diag, plan_origin(job->plan, &job->plan->run.threads),
                 "run.threads: no descriptors for the event loop of worker %u (ulimit -n)",
                 job->index);
        worker_free(worker);
        return NULL;
    }
    conn_env_init(&worker->env, worker->loop, tls, &job->plan->target, job->addrs, job->n_addrs);
    worker->env.handler = (struct conn_handler){slot_ready, exchange_ended, slot_closed, slot_room};
    worker->env.early = exchange_early;
    watch(worker);
    prepare_load(worker);
    return worker;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint64_t now_ns = mono_now_ns();
    worker->interval->start_ns = worker->zero_ns;
    worker->cpu_ns = mono_thread_cpu_ns();
    worker->wait_fd = runqueue_open();
    worker->wait_ns = runqueue_wait_ns(worker->wait_fd);
    worker->wall_s = mono_wall_s();
    worker->wall_at_ns = now_ns;
    worker->tick_ns = worker->zero_ns + worker->job.tick_ns;
    worker_timer_at(worker, &worker->tick, worker->tick_ns);
    worker_timer_at(worker, &worker->ending, worker->zero_ns + worker->timeline.run_end_ns);
    worker_clock_start(worker);
    ev_run(worker->loop, 0);
    conn_env_stop(&worker->env);
    close_interval(worker, mono_now_ns());
    runqueue_close(worker->wait_fd);
    atomic_store(&worker->done, true);
    return NULL;
}

bool worker_start(struct worker *worker, uint64_t zero_ns)
{
    worker->zero_ns = zero_ns;
    worker->started = pthread_create(&worker->thread, NULL, work, worker) == 0;
    return worker->started;
}

void worker_stop(struct worker *worker, enum worker_stop stop)
{
    atomic_store(&worker->stop, (int)stop);
    ev_async_send(worker->loop, &worker->wake);
}

void worker_cut(struct worker *worker, uint64_t at_ns)
{
    atomic_store(&worker->cut_ns, at_ns);
    ev_async_send(worker->loop, &worker->wake);
}

struct interval *worker_take(struct worker *worker)
{
    return atomic_exchange(&worker->full, NULL);
}

void worker_give(struct worker *worker, struct interval *interval)
{
    struct interval *left = atomic_exchange(&worker->empty, interval);
    BUG_ON(left != NULL);
}

bool worker_done(const struct worker *worker)
{
    return atomic_load(&worker->done);
}

const struct interval *worker_join(struct worker *worker)
{
    if (worker->started) {
        BUG_ON(pthread_join(worker->thread, NULL) != 0);
        worker->started = false;
    }
    return worker->interval;
}

void worker_free(struct worker *worker)
{
    if (worker == NULL) {
        return;
    }
    for (size_t i = 0; i < worker->n_slots; i++) {
        slot_clear(&worker->slots[i]);
    }
    exchange_clear(worker);
    refusals_free(worker->refusals);
    misuses_free(worker->misuses);
    if (worker->env.loop != NULL) {
        conn_env_stop(&worker->env);
    }
    if (worker->loop != NULL) {
        ev_loop_destroy(worker->loop);
    }
    if (worker->pace.fd >= 0) {
        (void)close(worker->pace.fd);
    }
    free(worker->slots);
    free(worker->rests);
    free(worker->identities);
    backlog_clear(&worker->backlog);
    request_set_clear(&worker->requests);
    interval_free(worker->interval);
    interval_free(worker->full);
    interval_free(worker->empty);
    tls_client_free(worker->tls);
    free(worker);
}
