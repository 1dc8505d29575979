#include "load/fleet.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "load/health.h"
#include "load/machine.h"
#include "load/phase.h"
#include "load/phases.h"
#include "load/rotation.h"
#include "load/schedule.h"
#include "load/steps.h"
#include "load/watch.h"
#include "load/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHORT_RUN_NS  (300 * NS_PER_S)
#define SHORT_TICK_NS (200 * NS_PER_MS)
#define LONG_TICK_NS  NS_PER_S
#define GRACE_NS      (20 * NS_PER_MS)  /* after a tick, in which the workers hand over */
#define NAP_NS        (100 * NS_PER_MS) /* the longest that a stop request waits to be seen */
#define START_NS      (5 * NS_PER_MS)   /* in which all threads come up */
#define HOOK_WARN_NS  (60 * NS_PER_S)   /* between warnings of one that fails again and again */

enum { MAX_READINGS = 64, MAX_ROTATIONS = 64 };

/* A worker as main sees it. */
struct crew {
    struct worker *worker;
    uint64_t gauge[GAUGE_COUNT]; /* of its last interval */
    uint64_t heard_ns, told_ns;  /* when it last handed over an interval; the end of that */
};

struct fleet {
    const struct fleet_job *job;
    const struct plan *plan;
    struct schedule schedule;
    struct phases phases;
    struct steps steps; /* of a search */
    struct crew *crew;
    unsigned n_workers;
    uint64_t zero_ns, tick_ns;
    uint64_t n_ticks;
    uint64_t load_ns; /* when the load ended */
    bool ramped, draining, interrupted, ended;
    bool rest_judged; /* of the generator: the rest of the load's last second */
    bool over;        /* who watches has seen enough */
    int stop_seen;
    struct interval *second; /* since the last row of ticks.csv */
    struct interval *total;
    /* Readings fall between two merges: their cumulative counts are interpolated. */
    struct interval *at_reading;
    uint64_t before[COUNTER_COUNT], before_ns;
    struct rotations rotations;
    _Atomic(uint64_t) early_ns;         /* by which idle phases were cut short, for rotations */
    uint64_t rotated_ns[MAX_ROTATIONS]; /* since `before`; few and large, so never interpolated */
    size_t n_rotated;
    uint64_t hook_warn_ns;
    struct reading waiting[MAX_READINGS];
    size_t n_waiting;
    struct reading memory; /* the newest good one of the first source */
    bool has_memory;
    struct watch watch;
    struct health health;
    struct machine *machine;
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
        interval_add_gauges(fleet->total->gauge, fleet->crew[w].gauge);
    }
    memcpy(fleet->second->gauge, fleet->total->gauge, sizeof fleet->second->gauge);
    fleet->ramped =
        fleet->ramped || fleet->total->gauge[GAUGE_OPEN] >= plan_peak(fleet->plan).connections;
}

static void add_interval(struct fleet *fleet, unsigned w, const struct interval *interval)
{
    health_interval(&fleet->health, w, interval);
    steps_interval(&fleet->steps, w, interval);
    interval_add(fleet->second, interval);
    interval_add(fleet->total, interval);
    memcpy(fleet->crew[w].gauge, interval->gauge, sizeof fleet->crew[w].gauge);
    fleet->crew[w].told_ns = interval->end_ns;
}

static void note_hook_failure(struct fleet *fleet, const struct hook_event *event)
{
    if (event->at_ns >= fleet->hook_warn_ns) {
        log_warn("%s", event->text);
        fleet->hook_warn_ns = event->at_ns + HOOK_WARN_NS;
    }
    if (!run_event(fleet->job->run, event->at_ns, "hook", event->text)) {
        watch_disk(&fleet->watch, errno);
    }
}

/* Counts the rotations up to `until_ns`; the others wait for the next merge. */
static void merge_rotations(struct fleet *fleet, uint64_t until_ns)
{
    struct hook_event event;
    while (hook_take(fleet->job->hook, until_ns, &event)) {
        if (!event.ok) {
            note_hook_failure(fleet, &event);
            continue;
        }
        if (fleet->n_rotated < MAX_ROTATIONS) {
            fleet->rotated_ns[fleet->n_rotated++] = event.at_ns;
        } else {
            fleet->before[COUNTER_ROTATION]++;
        }
        fleet->second->count[COUNTER_ROTATION]++;
        fleet->total->count[COUNTER_ROTATION]++;
    }
}

static void merge(struct fleet *fleet)
{
    uint64_t now_ns = mono_now_ns();
    memcpy(fleet->before, fleet->total->count, sizeof fleet->before);
    fleet->before_ns = fleet->total->end_ns;
    fleet->n_rotated = 0;
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        struct crew *crew = &fleet->crew[w];
        struct interval *interval = worker_take(crew->worker);
        if (interval != NULL) {
            add_interval(fleet, w, interval);
            interval_clear(interval);
            worker_give(crew->worker, interval);
            crew->heard_ns = now_ns;
        } else if (!worker_done(crew->worker) && now_ns > crew->heard_ns) {
            health_silence(&fleet->health, w, now_ns - crew->heard_ns);
        }
    }
    sum_gauges(fleet);
    merge_rotations(fleet, fleet->total->end_ns);
    interval_check(fleet->total);
    health_tick(&fleet->health, fleet->total, elapsed_ns(fleet));
}

/* The cumulative counts at `t_ns`; rotations are known to the moment. */
static const struct interval *counts_at(struct fleet *fleet, uint64_t t_ns)
{
    struct interval *at = fleet->at_reading;
    interval_between(at, fleet->before, fleet->before_ns, fleet->total, t_ns);
    at->count[COUNTER_ROTATION] = fleet->before[COUNTER_ROTATION];
    for (size_t i = 0; i < fleet->n_rotated; i++) {
        at->count[COUNTER_ROTATION] += fleet->rotated_ns[i] <= t_ns;
    }
    return at;
}

static void note_reading(struct fleet *fleet, const struct reading *reading)
{
    watch_reading(&fleet->watch, reading);
    if (reading->source == 0 && reading->ok) {
        fleet->memory = *reading;
        fleet->has_memory = true;
    }
    const struct interval *counts = counts_at(fleet, reading->t_ns);
    if (fleet->job->reading != NULL && reading->t_ns >= fleet->zero_ns) {
        fleet->job->reading(reading, counts, (double)(reading->t_ns - fleet->zero_ns) * 1e-9,
                            fleet->job->context);
    }
    if (!run_reading(fleet->job->run, reading, counts)) {
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
        .planned_s = (double)fleet->phases.timeline.run_end_ns * 1e-9,
        .end_s = ((double)fleet->second->end_ns - (double)fleet->zero_ns) * 1e-9,
        .phase = phase_text(&fleet->phases.timeline, &fleet->schedule, t_ns, fleet->ramped,
                            fleet->draining, fleet->phase),
        .phase_name = phase_name(&fleet->phases.timeline, &fleet->schedule, t_ns, fleet->ramped,
                                 fleet->draining),
        .judged_s = (double)fleet->health.judged_ns * 1e-9,
        .lagging_s = (double)fleet->health.lagging_ns * 1e-9,
        .invalid = fleet->watch.invalid[0] != '\0',
        .rate_asked =
            fleet->draining ? 0 : phase_rate(&fleet->phases.timeline, &fleet->schedule, t_ns),
        .second = fleet->second,
        .total = fleet->total,
        .memory = fleet->has_memory ? &fleet->memory : NULL,
    };
    if (fleet->job->second != NULL && !fleet->job->second(&second, fleet->job->context)) {
        fleet->over = true;
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

static void begin_to_drain(struct fleet *fleet)
{
    fleet->load_ns = fleet->draining ? fleet->load_ns : elapsed_ns(fleet);
    fleet->draining = true;
}

static void stop_workers(struct fleet *fleet, enum worker_stop stop)
{
    begin_to_drain(fleet);
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        worker_stop(fleet->crew[w].worker, stop);
    }
    hook_stop(fleet->job->hook);
}

/* A rotation under way at the end of the run may end in its time. */
static bool all_done(const struct fleet *fleet)
{
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        if (!worker_done(fleet->crew[w].worker)) {
            return false;
        }
    }
    return !hook_busy(fleet->job->hook);
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

static void follow_phases(struct fleet *fleet)
{
    struct phases *phases = &fleet->phases;
    uint64_t t_ns = elapsed_ns(fleet);
    uint64_t cut_ns = fleet->draining ? 0 : phases_follow(phases, t_ns);
    atomic_store(&fleet->early_ns, fleet->plan->run.duration_ns - phases->timeline.run_end_ns);
    for (unsigned w = 0; w < fleet->n_workers && cut_ns > 0; w++) {
        worker_cut(fleet->crew[w].worker, cut_ns);
    }
    if (t_ns >= phases->timeline.run_end_ns) {
        begin_to_drain(fleet);
    }
    if (fleet->draining) {
        phases_end(phases, t_ns);
    }
    if (phases->disk_error != 0 || fleet->steps.disk_error != 0) {
        watch_disk(&fleet->watch,
                   phases->disk_error != 0 ? phases->disk_error : fleet->steps.disk_error);
    }
}

/* What is left of the load's last second counts as one. */
static void judge_second(struct fleet *fleet)
{
    struct machine_reading machine;
    machine_read(fleet->machine, &machine);
    if (!fleet->draining) {
        health_second(&fleet->health, &machine, elapsed_ns(fleet));
    }
    steps_second(&fleet->steps, &machine, elapsed_ns(fleet));
    watch_second(&fleet->watch, fleet->total, elapsed_ns(fleet));
}

/* The same of the generator, when all have told of it: a worker that stood says so only in its
 * first interval after. */
static void judge_rest(struct fleet *fleet)
{
    if (!fleet->rest_judged) {
        struct machine_reading machine;
        machine_read(fleet->machine, &machine);
        health_second(&fleet->health, &machine, elapsed_ns(fleet));
    }
    fleet->rest_judged = true;
}

static bool all_told(const struct fleet *fleet)
{
    bool told = true;
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        told = told && fleet->crew[w].told_ns >= fleet->zero_ns + fleet->load_ns;
    }
    return told;
}

static void tick(struct fleet *fleet)
{
    uint64_t ticks_a_second = NS_PER_S / fleet->tick_ns;
    bool is_second = fleet->n_ticks % ticks_a_second == 0, drained = fleet->draining;
    merge(fleet);
    take_readings(fleet, false);
    note_events(fleet);
    follow_phases(fleet);
    if (fleet->draining ? !drained : is_second) {
        judge_second(fleet);
    }
    if (drained && all_told(fleet)) {
        judge_rest(fleet);
    }
    if (is_second) {
        end_second(fleet);
    }
    if ((fleet->watch.over || fleet->over || fleet->steps.over) && !fleet->ended) {
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
    hook_stop(fleet->job->hook);
    merge(fleet);
    merge_rotations(fleet, UINT64_MAX);
    for (unsigned w = 0; w < fleet->n_workers; w++) {
        add_interval(fleet, w, worker_join(fleet->crew[w].worker));
    }
    sum_gauges(fleet);
    interval_check(fleet->total);
    take_readings(fleet, true);
    note_events(fleet);
    bool drained = fleet->draining;
    begin_to_drain(fleet);
    if (!drained) { /* nothing was in flight when the load ended */
        judge_second(fleet);
    }
    judge_rest(fleet);
    follow_phases(fleet);
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
            .rates = &fleet->steps.rates,
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

static uint64_t due_ns(const void *context, uint64_t t_ns)
{
    return rotation_due_ns(context, t_ns);
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
    /* what is recorded counts from where the plan does, however long the workers took to make */
    run_start(fleet->job->run, fleet->zero_ns);
    if (fleet->job->sampler != NULL) {
        const struct schedule *schedule = &fleet->schedule;
        sampler_start(fleet->job->sampler, fleet->zero_ns + schedule->start_ns,
                      schedule->n_dwells > 0 ? schedule->dwell_ns : 0);
    }
    fleet->rotations = (struct rotations){.plan = fleet->plan, .schedule = &fleet->schedule};
    fleet->phases.zero_ns = fleet->zero_ns;
    fleet->steps.zero_ns = fleet->zero_ns;
    hook_start(fleet->job->hook, &(struct hook_times){.zero_ns = fleet->zero_ns,
                                                      .due_ns = due_ns,
                                                      .context = &fleet->rotations,
                                                      .early_ns = &fleet->early_ns});
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
    uint64_t connections = plan_peak(plan).connections;
    *fleet = (struct fleet){.job = job, .plan = plan};
    /* A worker without a connection would have exchanges and nobody to carry them. */
    fleet->n_workers =
        (unsigned)(plan->run.threads < connections ? plan->run.threads : connections);
    bool is_search = plan->search.to_per_s > 0;
    fleet->tick_ns =
        plan->run.duration_ns < SHORT_RUN_NS || is_search ? SHORT_TICK_NS : LONG_TICK_NS;
    fleet->crew = xcalloc(fleet->n_workers, sizeof *fleet->crew);
    fleet->second = interval_new();
    fleet->total = interval_new();
    fleet->at_reading = interval_new();
    schedule_init(&fleet->schedule, plan);
    phases_init(&fleet->phases, plan, job->run);
    fleet->phases.settled = job->settled;
    fleet->phases.context = job->context;
    steps_init(&fleet->steps, plan, job->run, fleet->n_workers, fleet->tick_ns, fleet->total);
    fleet->phases.steps = is_search ? &fleet->steps : NULL;
    fleet->phases.timeline.rates = &fleet->steps.rates;
    watch_init(&fleet->watch, plan);
    health_init(&fleet->health, plan, fleet->n_workers, fleet->tick_ns);
    fleet->machine = machine_open();
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
    health_clear(&fleet->health);
    steps_clear(&fleet->steps);
    machine_close(fleet->machine);
}

/* Each step of a search has judged the generator for itself, and none that it spoilt counts for
 * what the server can do. */
static void give_search(const struct steps *steps, struct fleet_result *result)
{
    result->search = steps->answer.so_far;
    result->healthy = steps->answer.so_far.end != SEARCH_SATURATED;
    result->health[0] = '\0';
    if (steps->trouble[0] != '\0') {
        (void)snprintf(result->health, sizeof result->health,
                       "in a step that does not count: %.220s", steps->trouble);
    }
}

static void give_result(struct fleet *fleet, struct fleet_result *ret_result)
{
    *ret_result = (struct fleet_result){
        .interrupted = fleet->interrupted,
        .load_ns = fleet->load_ns,
        .total = fleet->total,
    };
    ret_result->healthy =
        health_finish(&fleet->health, fleet->total, ret_result->health, &ret_result->generator);
    if (fleet->phases.steps != NULL) {
        steps_end(&fleet->steps, elapsed_ns(fleet));
        give_search(&fleet->steps, ret_result);
    }
    bool unhealthy = !ret_result->healthy && fleet->phases.steps == NULL;
    watch_finish(&fleet->watch, fleet->total, fleet->interrupted,
                 unhealthy ? ret_result->health : NULL);
    memcpy(ret_result->invalid, fleet->watch.invalid, sizeof ret_result->invalid);
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
