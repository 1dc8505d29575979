#include "load/exchange.h"
#include "load/slot.h"
#include "load/worker_clock.h"
#include "load/worker_inside.h"

#include "base/bug.h"
#include "base/mono.h"

#include <sys/timerfd.h>

#define LATE_NS NS_PER_MS

/* Dues between two looks at the loop, where the end and a stop are heard; and those that are still
 * counted at the end, about a second's work: what is further ahead was never kept up with. */
#define DUES_A_TURN 10000u
#define DUES_AT_END 10000000u

/* Requests a connection in a reconnecting dwell, when the profile has no limit of its own. */
#define RECONNECT_AFTER 4u

uint64_t worker_since_zero_ns(const struct worker *worker, uint64_t now_ns)
{
    return now_ns > worker->zero_ns ? now_ns - worker->zero_ns : 0;
}

void worker_timer_at(struct worker *worker, ev_timer *timer, uint64_t at_ns)
{
    uint64_t now_ns = mono_now_ns();
    ev_timer_stop(worker->loop, timer);
    ev_now_update(worker->loop);
    ev_timer_set(timer, at_ns > now_ns ? (double)(at_ns - now_ns) * 1e-9 : 0., 0.);
    ev_timer_start(worker->loop, timer);
}

/* Without stretching the rests under way, the think times of a dwell of low rate would reach far
 * into the next. */
static void set_slow(struct worker *worker, bool slow)
{
    double factor = slow ? SCHEDULE_LOW_RATE : 1.0 / SCHEDULE_LOW_RATE;
    for (size_t i = 0; i < worker->n_slots && slow != worker->slow; i++) {
        slot_change_rest(&worker->slots[i], factor, UINT64_MAX);
    }
    worker->slow = slow;
}

/* A phase's shorter think time holds for the rests under way too. */
static void set_phase(struct worker *worker, const struct plan_phase *phase)
{
    for (size_t i = 0; i < worker->n_slots && phase != worker->phase && !phase->idle; i++) {
        slot_change_rest(&worker->slots[i], 1, phase->think_time_ns);
    }
    worker->phase = phase;
}

/* While it is off, what it switches rests.  A persona is one thing: it rests with the first of its
 * parts. */
static void hold_pools(const struct worker_identity *identity, bool hold_cert, bool hold_key,
                       bool hold_jwt)
{
    const struct plan_identity *plan = identity->plan;
    bool hold[CREDENTIAL_KINDS] = {
        [CREDENTIAL_CERT] = hold_cert,
        [CREDENTIAL_APIKEY] = hold_key,
        [CREDENTIAL_JWT] = hold_jwt,
        [CREDENTIAL_PERSONA] = plan->with_cert != NULL     ? hold_cert
                               : plan->with_apikey != NULL ? hold_key
                                                           : hold_jwt,
    };
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        if (identity->pool[kind] != NULL) {
            pool_hold(identity->pool[kind], hold[kind]);
        }
    }
}

/* `share` of the rate that the phase asks for; a plan with dwells has one phase, of one rate. */
static void steer(struct worker *worker, double share, uint64_t t_ns)
{
    struct course rate = worker->timeline.rate;
    rate.start_ns = (double)t_ns;
    rate.from *= share;
    rate.to *= share;
    pacer_steer(&worker->pacer, &rate);
}

/* What fell due and could not begin before the load rests is not made up for later. */
static void set_idle(struct worker *worker, bool idle)
{
    if (idle && !worker->idle) {
        exchange_pump(worker);
        worker->interval->count[COUNTER_SKIPPED] += worker->backlog.n;
        backlog_clear(&worker->backlog);
    }
    worker->idle = idle;
}

/* The experiment's switches, or the profile's own load. */
static void set_switches(struct worker *worker, uint64_t t_ns)
{
    const struct plan_phase *phase = timeline_phase(&worker->timeline);
    size_t dwell;
    struct switches on = schedule_at(worker->job.schedule, t_ns, &dwell);
    bool low = on.designed && !on.high_rate;
    set_slow(worker, low);
    set_phase(worker, phase);
    worker->requests_per_connection = phase->requests_per_connection;
    if (on.designed && !on.reconnect) {
        worker->requests_per_connection = 0;
    } else if (on.designed && phase->requests_per_connection == 0) {
        worker->requests_per_connection = RECONNECT_AFTER;
    }
    steer(worker, on.idle ? 0 : low ? 1.0 / SCHEDULE_LOW_RATE : 1, t_ns);
    set_idle(worker, on.idle || phase->idle);
    worker->cooling = on.idle;
    worker->refusing = !worker->idle && (!on.designed || on.refusals);
    worker->misusing = !worker->idle && (!on.designed || on.misuses);
    for (size_t i = 0; i < worker->job.plan->n_identities; i++) {
        hold_pools(&worker->identities[i], on.designed && !on.fresh_cert,
                   on.designed && !on.fresh_key, on.designed && !on.fresh_jwt);
    }
}

static void find_change(struct worker *worker, uint64_t t_ns)
{
    uint64_t dwell_ns = schedule_next_ns(worker->job.schedule, t_ns);
    uint64_t phase_ns = worker->timeline.end_ns;
    worker->change_ns = dwell_ns < phase_ns ? dwell_ns : phase_ns;
}

/* The next dwell or phase. */
static void change(struct worker *worker)
{
    uint64_t t_ns = worker->change_ns;
    bool phase_ends = t_ns == worker->timeline.end_ns;
    if (phase_ends) {
        timeline_next(&worker->timeline);
    }
    set_switches(worker, t_ns);
    find_change(worker, t_ns);
    if (phase_ends) {
        worker_crowd_follow(worker);
    }
}

/* Main speaks well ahead of the time that it names, so it has been heard whenever that comes. */
static void heed_cut(struct worker *worker)
{
    uint64_t end_ns = worker->timeline.end_ns;
    if (worker->phase->until == PHASE_UNTIL_SETTLED) {
        timeline_cut(&worker->timeline, atomic_load(&worker->cut_ns));
    }
    if (worker->timeline.end_ns != end_ns) {
        find_change(worker, worker->timeline.start_ns);
        worker_timer_at(worker, &worker->ending, worker->zero_ns + worker->timeline.run_end_ns);
    }
}

/* Does what the clock says up to now, in the order of the times at which it was due: dwells
 * change at their nominal time however late we are, so the load is the same function of plan and
 * seed on every machine.  What `most` dues leave over is due already, so the timers, set again,
 * come back in the next turn. */
static void follow_clock(struct worker *worker, uint64_t now_ns, uint64_t most)
{
    uint64_t t_ns = worker_since_zero_ns(worker, now_ns);
    bool open = worker->job.plan->pace.mode != PACE_CLOSED;
    for (uint64_t n = 0; n < most && worker->state == WORKER_RUNNING; n++) {
        heed_cut(worker);
        uint64_t due_ns = open ? pacer_due(&worker->pacer) : UINT64_MAX;
        uint64_t next_ns = due_ns < worker->change_ns ? due_ns : worker->change_ns;
        if (next_ns > t_ns || next_ns >= worker->timeline.run_end_ns) {
            break;
        }
        if (worker->change_ns <= due_ns) {
            change(worker);
            continue;
        }
        worker_count(worker, COUNTER_DUE);
        hist_record(&worker->interval->latency[LATENCY_OWN_DELAY], t_ns - due_ns);
        if (!backlog_push(&worker->backlog, due_ns)) {
            worker_count(worker, COUNTER_SKIPPED);
        }
        pacer_next(&worker->pacer);
    }
}

static void note_waited(struct worker *worker, uint64_t waited_ns)
{
    worker->oldest_ns = waited_ns > worker->oldest_ns ? waited_ns : worker->oldest_ns;
}

uint64_t worker_clock_take(struct worker *worker)
{
    uint64_t due_ns = worker->zero_ns + backlog_first(&worker->backlog), now_ns = mono_now_ns();
    uint64_t waited_ns = now_ns > due_ns ? now_ns - due_ns : 0;
    backlog_pop(&worker->backlog);
    note_waited(worker, waited_ns);
    if (waited_ns > LATE_NS) {
        worker_count(worker, COUNTER_LATE);
    }
    return due_ns;
}

static void note_oldest(struct worker *worker, uint64_t now_ns)
{
    uint64_t t_ns = worker_since_zero_ns(worker, now_ns);
    if (worker->backlog.n > 0 && t_ns > backlog_first(&worker->backlog)) {
        note_waited(worker, t_ns - backlog_first(&worker->backlog));
    }
}

uint64_t worker_clock_waited_ns(struct worker *worker, uint64_t now_ns)
{
    note_oldest(worker, now_ns);
    uint64_t waited_ns = worker->oldest_ns;
    worker->oldest_ns = 0;
    return waited_ns;
}

/* A timerfd, since epoll's own timeouts are whole milliseconds, and half a millisecond of
 * lateness on average would be in every response time.  Setting it again also clears its
 * readiness: no read. */
static void set_pace(struct worker *worker)
{
    struct itimerspec at = {{0, 0}, {0, 0}};
    uint64_t due_ns = pacer_due(&worker->pacer);
    if (worker->state == WORKER_RUNNING && due_ns < worker->timeline.run_end_ns) {
        uint64_t at_ns = worker->zero_ns + due_ns;
        at.it_value = (struct timespec){.tv_sec = (time_t)(at_ns / NS_PER_S),
                                        .tv_nsec = (long)(at_ns % NS_PER_S)};
    }
    BUG_ON(timerfd_settime(worker->pace.fd, TFD_TIMER_ABSTIME, &at, NULL) != 0);
}

static void set_change(struct worker *worker)
{
    if (worker->change_ns < worker->timeline.run_end_ns) {
        worker_timer_at(worker, &worker->change, worker->zero_ns + worker->change_ns);
    }
}

static void on_pace(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop;
    (void)events;
    struct worker *worker = io->data;
    follow_clock(worker, mono_now_ns(), DUES_A_TURN);
    set_pace(worker);
    exchange_pump(worker);
}

static void on_change(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    worker_clock_heed(timer->data);
}

void worker_clock_heed(struct worker *worker)
{
    follow_clock(worker, mono_now_ns(), DUES_A_TURN);
    set_change(worker);
    set_pace(worker);
    exchange_pump(worker);
}

void worker_clock_init(struct worker *worker)
{
    ev_io_init(&worker->pace, on_pace, worker->pace.fd, EV_READ);
    ev_init(&worker->change, on_change);
    worker->pace.data = worker;
    worker->change.data = worker;
    pacer_init(&worker->pacer, worker->job.plan, worker->job.index, worker->job.n_workers);
    timeline_init(&worker->timeline, worker->job.plan);
    worker->timeline.rates = worker->job.rates;
    set_switches(worker, 0);
    find_change(worker, 0);
}

void worker_clock_start(struct worker *worker)
{
    worker_crowd_follow(worker);
    set_change(worker);
    if (worker->job.plan->pace.mode != PACE_CLOSED) {
        ev_io_start(worker->loop, &worker->pace);
        set_pace(worker);
    }
}

void worker_clock_stop(struct worker *worker)
{
    uint64_t now_ns = mono_now_ns();
    follow_clock(worker, now_ns, DUES_AT_END);
    note_oldest(worker, now_ns);
    ev_timer_stop(worker->loop, &worker->change);
    ev_io_stop(worker->loop, &worker->pace);
}
