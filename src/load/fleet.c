#include "load/fleet.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "load/phase.h"
#include "load/schedule.h"
#include "load/watch.h"
#include "load/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHORT_RUN_NS  (300 * NS_PER_S)
#define SHORT_TICK_NS (200 * NS_PER_MS)
#define LONG_TICK_NS  NS_PER_S
#define GRACE_NS      (20 * NS_PER_MS)  /* after a tick, in which the workers hand over */
#define NAP_NS        (100 * NS_PER_MS) /* the longest that a stop request waits to be seen */
#define START_NS      (5 * NS_PER_MS)   /* in which all threads come up */

enum { MAX_READINGS = 64 };

/* A worker as main sees it. */
struct crew {
    struct worker *worker;
    uint64_t gauge[GAUGE_COUNT]; /* of its last interval */
    uint64_t heard_ns;
};

struct fleet {
    const struct fleet_job *job;
    const struct plan *plan;
    struct schedule schedule;
    struct crew *crew;
    unsigned n_workers;
    uint64_t zero_ns, tick_ns;
    uint64_t n_ticks;
    bool ramped, draining, interrupted, ended;
    int stop_seen;
    struct interval *second; /* since the last row of ticks.csv */
    struct interval *total;
    /* Readings fall between two merges: their cumulative counts are interpolated. */
    struct interval *at_reading;
    uint64_t before[COUNTER_COUNT], before_ns;
    struct reading waiting[MAX_READINGS];
    size_t n_waiting;
    struct reading memory; /* the newest good one of the first source */
    bool has_memory;
    struct watch watch;
    char phase[PHASE_TEXT];
};

static uint64_t elapsed_ns(const struct fleet *fleet)
{
    uint64_t now_ns = mono_now_ns();
    return now_ns > fleet->zero_ns ? now_ns - fleet->zero_ns : 0;
}

static void sum_gauges(struct fleet *fleet)
{
    memset(fleet->total->gauge, 0, sizeof fleet->total->gauge);
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        for (int i = 0; i < GAUGE_COUNT; i++) {
            fleet->total->gauge[i] += fleet->crew[w].gauge[i];
        }
    }
    memcpy(fleet->second->gauge, fleet->total->gauge, sizeof fleet->second->gauge);
    fleet->ramped =
        fleet->ramped || fleet->total->gauge[GAUGE_OPEN] >= fleet->plan->pace.connections;
}

static void add_interval(struct fleet *fleet, struct crew *crew, const struct interval *interval)
{
    interval_add(fleet->second, interval);
    interval_add(fleet->total, interval);
    memcpy(crew->gauge, interval->gauge, sizeof crew->gauge);
}

static void merge(struct fleet *fleet)
{
    uint64_t now_ns = mono_now_ns();
    memcpy(fleet->before, fleet->total->count, sizeof fleet->before);
    fleet->before_ns = fleet->total->end_ns;
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        struct crew *crew = &fleet->crew[w];
        struct interval *interval = worker_take(crew->worker);
        if (interval != NULL) {
            add_interval(fleet, crew, interval);
            interval_clear(interval);
            worker_give(crew->worker, interval);
            crew->heard_ns = now_ns;
        } else if (!worker_done(crew->worker) && now_ns > crew->heard_ns) {
            watch_silence(&fleet->watch, w, now_ns - crew->heard_ns);
        }
    }
    sum_gauges(fleet);
    interval_check(fleet->total);
}

/* The cumulative counts at `t_ns`, on the line between the last two merges. */
static const struct interval *counts_at(struct fleet *fleet, uint64_t t_ns)
{
    const uint64_t *now = fleet->total->count;
    uint64_t from_ns = fleet->before_ns, to_ns = fleet->total->end_ns;
    double part = 1;
    if (t_ns <= from_ns || to_ns <= from_ns) {
        part = t_ns < to_ns ? 0 : 1;
    } else if (t_ns < to_ns) {
        part = (double)(t_ns - from_ns) / (double)(to_ns - from_ns);
    }
    for (int i = 0; i < COUNTER_COUNT; i++) {
        double more = (double)(now[i] - fleet->before[i]) * part;
        fleet->at_reading->count[i] = fleet->before[i] + (uint64_t)(more + 0.5);
    }
    memcpy(fleet->at_reading->gauge, fleet->total->gauge, sizeof fleet->at_reading->gauge);
    fleet->at_reading->start_ns = fleet->total->start_ns;
    fleet->at_reading->end_ns = t_ns;
    return fleet->at_reading;
}

static void note_reading(struct fleet *fleet, const struct reading *reading)
{
    watch_reading(&fleet->watch, reading);
    if (reading->source == 0 && reading->ok) {
        fleet->memory = *reading;
        fleet->has_memory = true;
    }
    if (!run_reading(fleet->job->run, reading, counts_at(fleet, reading->t_ns))) {
        watch_disk(&fleet->watch, errno);
    }
}

/* Records the waiting readings up to `until_ns`; the others go on waiting. */
static void note_until(struct fleet *fleet, uint64_t until_ns)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < fleet->n_waiting; i++) {
        if (fleet->waiting[i].t_ns <= until_ns) {
            note_reading(fleet, &fleet->waiting[i]);
        } else {
            fleet->waiting[n_kept++] = fleet->waiting[i];
        }
    }
    fleet->n_waiting = n_kept;
}

/* Records the readings that the merged counts reach up to; the others wait for the next merge.  A
 * source that is read every millisecond has many more than there is room for at one time. */
static void take_readings(struct fleet *fleet, bool all)
{
    bool full = fleet->job->sampler != NULL;
    while (full) {
        fleet->n_waiting += sampler_take(fleet->job->sampler, fleet->waiting + fleet->n_waiting,
                                         MAX_READINGS - fleet->n_waiting);
        full = fleet->n_waiting == MAX_READINGS;
        note_until(fleet, all ? UINT64_MAX : fleet->total->end_ns);
        if (fleet->n_waiting == MAX_READINGS) {
            note_until(fleet, UINT64_MAX);
        }
    }
}

static void show_second(struct fleet *fleet)
{
    uint64_t now_ns = elapsed_ns(fleet);
    /* The figures are the last second's, so say what was asked for in its middle. */
    uint64_t t_ns = now_ns - (now_ns < NS_PER_S ? now_ns : NS_PER_S) / 2;
    struct fleet_second second = {
        .elapsed_s = (double)now_ns * 1e-9,
        .planned_s = (double)fleet->plan->run.duration_ns * 1e-9,
        .phase = phase_text(fleet->plan, &fleet->schedule, t_ns, fleet->ramped, fleet->draining,
                            fleet->phase),
        .rate_asked = fleet->draining ? 0 : phase_rate(fleet->plan, &fleet->schedule, t_ns),
        .second = fleet->second,
        .total = fleet->total,
        .memory = fleet->has_memory ? &fleet->memory : NULL,
    };
    if (fleet->job->second != NULL) {
        fleet->job->second(&second, fleet->job->context);
    }
}

static void end_second(struct fleet *fleet)
{
    if (fleet->second->end_ns == 0) {
        return; /* no worker has handed over anything yet */
    }
    if (!run_tick(fleet->job->run, fleet->second, fleet->total)) {
        watch_disk(&fleet->watch, errno);
    }
    show_second(fleet);
    interval_clear(fleet->second);
}

static void stop_workers(struct fleet *fleet, enum worker_stop stop)
{
    fleet->draining = true;
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        worker_stop(fleet->crew[w].worker, stop);
    }
}

static bool all_done(const struct fleet *fleet)
{
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        if (!worker_done(fleet->crew[w].worker)) {
            return false;
        }
    }
    return true;
}

static void heed_stop(struct fleet *fleet)
{
    int stop = fleet->job->stop != NULL ? *fleet->job->stop : 0;
    if (stop > fleet->stop_seen) {
        fleet->stop_seen = stop;
        fleet->interrupted = true;
        stop_workers(fleet, stop >= 2 ? WORKER_END_NOW : WORKER_DRAIN);
    }
}

/* Sleeps until then in naps, so that a stop request (which may come from a signal handler) and
 * the end of the workers are seen soon. */
static void sleep_until(struct fleet *fleet, uint64_t until_ns)
{
    for (uint64_t now_ns; (now_ns = mono_now_ns()) < until_ns && !all_done(fleet);) {
        uint64_t nap_ns = until_ns - now_ns < NAP_NS ? until_ns - now_ns : NAP_NS;
        struct timespec nap = {.tv_sec = 0, .tv_nsec = (long)nap_ns};
        (void)nanosleep(&nap, NULL);
        heed_stop(fleet);
    }
}

static void note_messages(struct fleet *fleet)
{
    struct sampler_message message;
    while (fleet->job->sampler != NULL && sampler_message(fleet->job->sampler, &message)) {
        log_warn("%s", message.text);
        if (!run_event(fleet->job->run, message.at_ns, "memory", message.text)) {
            watch_disk(&fleet->watch, errno);
        }
    }
}

static void note_events(struct fleet *fleet)
{
    note_messages(fleet);
    struct mint_event *event = mint_events(fleet->job->mint);
    while (event != NULL) {
        struct mint_event *next = event->next;
        log_warn("%s", event->text);
        if (!run_event(fleet->job->run, event->at_ns, "identity", event->text)) {
            watch_disk(&fleet->watch, errno);
        }
        free(event);
        event = next;
    }
}

static void tick(struct fleet *fleet)
{
    uint64_t ticks_a_second = NS_PER_S / fleet->tick_ns;
    merge(fleet);
    take_readings(fleet, false);
    note_events(fleet);
    fleet->draining = fleet->draining || elapsed_ns(fleet) >= fleet->plan->run.duration_ns;
    if (fleet->n_ticks % ticks_a_second == 0) {
        if (!fleet->draining) {
            watch_second(&fleet->watch, fleet->total, elapsed_ns(fleet));
        }
        end_second(fleet);
    }
    if (fleet->watch.over && !fleet->ended) {
        fleet->ended = true;
        stop_workers(fleet, WORKER_DRAIN);
    }
}

static void run_ticks(struct fleet *fleet)
{
    heed_stop(fleet);
    while (!all_done(fleet)) {
        fleet->n_ticks++;
        sleep_until(fleet, fleet->zero_ns + fleet->n_ticks * fleet->tick_ns + GRACE_NS);
        if (!all_done(fleet)) {
            tick(fleet);
        }
    }
}

/* After the threads have ended: what they had not yet handed over. */
static void merge_rest(struct fleet *fleet)
{
    merge(fleet);
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        add_interval(fleet, &fleet->crew[w], worker_join(fleet->crew[w].worker));
    }
    sum_gauges(fleet);
    interval_check(fleet->total);
    take_readings(fleet, true);
    note_events(fleet);
    fleet->draining = true;
    end_second(fleet);
}

static bool make_workers(struct fleet *fleet, struct diag *diag)
{
    const struct fleet_job *job = fleet->job;
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        struct worker_job worker_job = {
            .plan = fleet->plan,
            .schedule = &fleet->schedule,
            .addrs = job->addrs,
            .n_addrs = job->n_addrs,
            .mint = job->mint,
            .index = w,
            .n_workers = fleet->n_workers,
            .tick_ns = fleet->tick_ns,
        };
        fleet->crew[w].worker = worker_new(&worker_job, diag);
        if (fleet->crew[w].worker == NULL) {
            return false;
        }
    }
    return true;
}

/* Every thread is born with all signals blocked: they are main's. */
static bool start_threads(struct fleet *fleet)
{
    sigset_t all, before;
    bool ok = true;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    mint_start(fleet->job->mint);
    uint64_t now_ns = mono_now_ns() + START_NS;
    fleet->zero_ns = now_ns > fleet->job->start_ns ? now_ns : fleet->job->start_ns;
    if (fleet->job->sampler != NULL) {
        const struct schedule *schedule = &fleet->schedule;
        sampler_start(fleet->job->sampler, fleet->zero_ns + schedule->start_ns,
                      schedule->n_dwells > 0 ? schedule->dwell_ns : 0);
    }
    for (unsigned w = 0; w < fleet->n_workers && ok; w++) {
        fleet->crew[w].heard_ns = fleet->zero_ns;
        ok = worker_start(fleet->crew[w].worker, fleet->zero_ns);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

static void fleet_init(struct fleet *fleet, const struct fleet_job *job)
{
    const struct plan *plan = job->plan;
    *fleet = (struct fleet){.job = job, .plan = plan};
    /* A worker without a connection would have exchanges and nobody to carry them. */
    fleet->n_workers =
        (unsigned)(plan->run.threads < plan->pace.connections ? plan->run.threads
                                                              : plan->pace.connections);
    fleet->tick_ns = plan->run.duration_ns < SHORT_RUN_NS ? SHORT_TICK_NS : LONG_TICK_NS;
    fleet->crew = xcalloc(fleet->n_workers, sizeof *fleet->crew);
    fleet->second = interval_new();
    fleet->total = interval_new();
    fleet->at_reading = interval_new();
    schedule_init(&fleet->schedule, plan);
    watch_init(&fleet->watch, plan, fleet->n_workers, fleet->tick_ns);
}

static void fleet_clear(struct fleet *fleet)
{
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        worker_free(fleet->crew[w].worker);
    }
    free(fleet->crew);
    interval_free(fleet->second);
    interval_free(fleet->total);
    interval_free(fleet->at_reading);
    schedule_clear(&fleet->schedule);
}

static void give_result(struct fleet *fleet, struct fleet_result *ret_result)
{
    watch_finish(&fleet->watch, fleet->total, elapsed_ns(fleet), fleet->interrupted);
    *ret_result = (struct fleet_result){
        .interrupted = fleet->interrupted,
        .healthy = fleet->watch.health[0] == '\0',
        .total = fleet->total,
    };
    memcpy(ret_result->invalid, fleet->watch.invalid, sizeof ret_result->invalid);
    memcpy(ret_result->health, fleet->watch.health, sizeof ret_result->health);
    fleet->total = NULL;
}

bool fleet_perform(const struct fleet_job *job, struct fleet_result *ret_result, struct diag *diag)
{
    struct fleet fleet;
    fleet_init(&fleet, job);
    bool ok = make_workers(&fleet, diag);
    if (ok) {
        ok = start_threads(&fleet);
        if (ok) {
            run_ticks(&fleet);
            merge_rest(&fleet);
            give_result(&fleet, ret_result);
        } else {
            diag_add(diag, plan_origin(job->plan, &job->plan->run.threads),
                     "run.threads: the system refused a thread");
            stop_workers(&fleet, WORKER_END_NOW);
            for (unsigned w = 0; w < fleet.n_workers; w++) {
                (void)worker_join(fleet.crew[w].worker);
            }
        }
        mint_stop(job->mint);
    }
    fleet_clear(&fleet);
    return ok;
}
