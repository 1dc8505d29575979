#include "load/health.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELAY_MAX_NS   (50 * NS_PER_MS)
#define DELAYED_SHARE  0.1
#define FULL_SHARE     0.95
#define BEHIND_NS      (100 * NS_PER_MS)
#define LAG_MAX_NS     (100 * NS_PER_MS)
#define SILENCE_MAX_NS NS_PER_S
#define RAMP_MAX_NS    (5 * NS_PER_S)
#define RAMP_DELAYED   0.5
#define JUDGED_MIN_NS  (NS_PER_S / 2)
#define STOOD_NS       (2 * NS_PER_S) /* a second that was that long: the whole process stood */

#define LAGGING_MIN_NS    (3 * NS_PER_S)
#define LAGGING_SHARE     0.1
#define LAGGING_MINUTE_NS (30 * NS_PER_S)

/* What the reasons name. */
#define STARVED_SHARE                                                                              \
    0.3 /* of the time that lagged, waiting for a core (which counts a quota's stops) */
#define STOLEN_SHARE 0.1

#define MINT_WAIT_NS    NS_PER_MS /* what a worker rests for when a credential is not there */
#define MINT_WAIT_SHARE 0.2       /* of the workers' time */
#define LATE_SHARE      0.1
#define LACKING_SHARE   0.01
#define LACKING_MIN     10

/* Where latencies begin to be the generator's own. */
#define OWN_BUSY_SHARE     0.9
#define OWN_DELAY_SHARE    0.5 /* of the service time */
#define OWN_RESPONSE_SHARE 0.1
#define OWN_DELAY_NS       (2 * NS_PER_MS)

void health_init(struct health *health, const struct plan *plan, unsigned n_workers,
                 uint64_t tick_ns)
{
    *health = (struct health){.plan = plan, .n_workers = n_workers, .tick_ns = tick_ns};
    health->workers = xcalloc(n_workers, sizeof *health->workers);
}

void health_clear(struct health *health)
{
    free(health->workers);
    health->workers = NULL;
}

void health_begin(struct health *health, const struct machine_reading *machine, uint64_t t_ns)
{
    health->begun = true;
    health->judging = true;
    health->last_ns = t_ns;
    health->machine = *machine;
    health->at_begin = *machine;
}

static void add_span(struct health_span *to, const struct health_span *from)
{
    to->span_ns += from->span_ns;
    to->cpu_ns += from->cpu_ns;
    to->wait_ns += from->wait_ns;
    to->lag_ns += from->lag_ns;
    to->n_due += from->n_due;
    to->n_delayed += from->n_delayed;
    to->waited_ns = from->waited_ns > to->waited_ns ? from->waited_ns : to->waited_ns;
}

void health_interval(struct health *health, unsigned worker, const struct interval *interval)
{
    const uint64_t *count = interval->count;
    const struct hist *delay = &interval->latency[LATENCY_OWN_DELAY];
    uint64_t start_ns = interval->start_ns, end_ns = interval->end_ns;
    const struct health_span span = {
        .span_ns = end_ns > start_ns ? end_ns - start_ns : 0,
        .cpu_ns = count[COUNTER_CPU_NS],
        .wait_ns = count[COUNTER_WAIT_NS],
        .lag_ns = count[COUNTER_LAG_NS],
        .n_due = delay->n,
        .n_delayed = hist_above(delay, DELAY_MAX_NS),
        .waited_ns = interval->gauge[GAUGE_BACKLOG_NS],
    };
    struct health_worker *one = &health->workers[worker];
    add_span(&one->now, &span);
    one->silent_ns = 0;
    one->stood_ns = span.lag_ns > one->stood_ns ? span.lag_ns : one->stood_ns;
}

void health_silence(struct health *health, unsigned worker, uint64_t silent_ns)
{
    health->workers[worker].silent_ns = silent_ns;
}

void health_tick(struct health *health, const struct interval *total, uint64_t t_ns)
{
    struct run_generator *found = &health->found;
    uint64_t waiting = total->gauge[GAUGE_BACKLOG], waited_ns = total->gauge[GAUGE_BACKLOG_NS];
    if (waited_ns > found->backlog_ns) {
        found->backlog_ns = waited_ns;
        found->backlog_at_s = (double)t_ns / (double)NS_PER_S;
    }
    found->backlog = waiting > found->backlog ? waiting : found->backlog;
    uint64_t n_stood =
        total->count[COUNTER_HANDSHAKE_FULL] + total->count[COUNTER_HANDSHAKE_RESUMED];
    health->begun =
        health->begun || t_ns >= RAMP_MAX_NS || n_stood >= plan_peak(health->plan).connections;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

/* It had more to do than it got done: too many starts were late, or it had no time left. */
static bool is_behind(const struct health *health, const struct health_span *span,
                      double delayed_share)
{
    bool open = health->plan->pace.mode != PACE_CLOSED;
    bool full = share(span->cpu_ns + span->wait_ns, span->span_ns) >= FULL_SHARE;
    bool starved = share(span->wait_ns, span->span_ns) >= FULL_SHARE;
    return (open && share(span->n_delayed, span->n_due) > delayed_share) ||
           (open ? full && span->waited_ns > BEHIND_NS : starved);
}

static bool is_lagging(const struct health *health, const struct health_worker *worker)
{
    const struct health_span *now = &worker->now;
    double n_ticks = share(now->span_ns, health->tick_ns);
    return is_behind(health, now, DELAYED_SHARE) ||
           (n_ticks > 0 && (double)now->lag_ns > n_ticks * (double)LAG_MAX_NS) ||
           worker->stood_ns > SILENCE_MAX_NS ||
           worker->silent_ns > health->tick_ns + SILENCE_MAX_NS;
}

static void note_lagging(struct health *health, const struct machine_reading *machine,
                         uint64_t span_ns)
{
    const struct machine_reading *before = &health->machine;
    uint64_t lagging_ns = health->lagging_ns + span_ns;
    health->lagging_ns = lagging_ns < health->judged_ns ? lagging_ns : health->judged_ns;
    health->n_throttled += machine->n_throttled - before->n_throttled;
    health->stolen_ticks += machine->stolen_ticks - before->stolen_ticks;
    health->ticks += machine->cpu_ticks - before->cpu_ticks;
}

static void note_minute(struct health *health, uint64_t lagging_ns)
{
    uint64_t sum_ns = 0;
    health->minute[health->n_seconds++ % HEALTH_MINUTE] = lagging_ns;
    for (int i = 0; i < HEALTH_MINUTE; i++) {
        sum_ns += health->minute[i];
    }
    health->worst_minute_ns = sum_ns > health->worst_minute_ns ? sum_ns : health->worst_minute_ns;
}

static void note_machine(struct health *health, const struct machine_reading *machine)
{
    struct run_generator *found = &health->found;
    uint64_t n = machine->n_descriptors, n_ports = machine->n_ports;
    found->n_descriptors = n > found->n_descriptors ? n : found->n_descriptors;
    found->descriptors_max = machine->descriptors_max;
    found->n_ports = n_ports > found->n_ports ? n_ports : found->n_ports;
    found->ports_max = machine->ports_max;
    health->machine = *machine;
}

void health_second(struct health *health, const struct machine_reading *machine, uint64_t t_ns)
{
    uint64_t second_ns = t_ns - health->last_ns;
    bool judged = health->judging || second_ns > STOOD_NS, lagging = false;
    uint64_t span_ns = second_ns;
    for (unsigned w = 0; w < health->n_workers; w++) {
        struct health_worker *worker = &health->workers[w];
        add_span(judged ? &worker->total : &worker->ramp, &worker->now);
        if (judged && is_lagging(health, worker)) {
            add_span(&health->lagging, &worker->now);
            lagging = true;
            health->stood_ns =
                worker->stood_ns > health->stood_ns ? worker->stood_ns : health->stood_ns;
            /* What it says only now may have begun long before. */
            span_ns =
                !health->lagged && worker->now.span_ns > span_ns ? worker->now.span_ns : span_ns;
        }
        worker->now = (struct health_span){.span_ns = 0};
        worker->stood_ns = 0;
    }
    if (judged) {
        health->judged_ns += second_ns;
        note_minute(health, lagging ? span_ns : 0);
    } else {
        health->ramp_ns += second_ns;
    }
    if (lagging) {
        note_lagging(health, health->judging ? machine : &health->machine, span_ns);
    }
    health->lagged = lagging;
    note_machine(health, machine);
    if (health->begun && !health->judging) {
        health->at_begin = *machine;
        health->judging = true;
    }
    health->last_ns = t_ns;
}

/* Without it a run that ended before its connections stood would be healthy unseen. */
static void judge_ramp(struct health *health)
{
    bool lagging = false;
    for (unsigned w = 0; w < health->n_workers; w++) {
        struct health_worker *worker = &health->workers[w];
        add_span(&worker->total, &worker->ramp);
        if (is_behind(health, &worker->ramp, RAMP_DELAYED)) {
            add_span(&health->lagging, &worker->ramp);
            lagging = true;
        }
    }
    health->judged_ns += health->ramp_ns;
    health->lagging_ns += lagging ? health->ramp_ns : 0;
}

/* Adds to the text, as far as there is room. */
__attribute__((format(printf, 2, 3))) static void say(char text[HEALTH_TEXT], const char *format,
                                                      ...)
{
    size_t len = strlen(text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + len, HEALTH_TEXT - len, format, args);
    va_end(args);
}

/* Why it lagged, from what the lagging seconds had in common. */
static void say_why(const struct health *health, char text[HEALTH_TEXT])
{
    const struct health_span *bad = &health->lagging;
    double ran = share(bad->cpu_ns, bad->span_ns), waited = share(bad->wait_ns, bad->span_ns);
    double stolen = share(health->stolen_ticks, health->ticks);
    char late[UNIT_TEXT];
    waited = waited < 1 ? waited : 1; /* the kernel's clock and ours differ a little */
    if (waited >= STARVED_SHARE || stolen >= STARVED_SHARE) {
        say(text,
            "it was starved of CPU: its workers ran %.0f %% of that time and waited for a "
            "core %.0f %%",
            100 * ran, 100 * waited);
    } else if (ran + waited >= FULL_SHARE - STARVED_SHARE / 2) {
        say(text,
            "its %u thread%s had no time left (%.0f %% CPU): the plan asks for more than "
            "they can do",
            health->n_workers, health->n_workers == 1 ? "" : "s", 100 * ran);
    } else if (health->stood_ns > SILENCE_MAX_NS) {
        say(text, "it stood still for up to %s", unit_duration(late, (double)health->stood_ns));
    } else {
        double n_ticks = share(bad->span_ns, health->tick_ns);
        say(text, "its loops ran %s late on average",
            unit_duration(late, n_ticks > 0 ? (double)bad->lag_ns / n_ticks
                                            : (double)health->lagging_ns));
    }
    if (health->n_throttled > 0) {
        say(text, "; the CPU quota of its control group ran out %s times",
            unit_grouped(late, health->n_throttled));
    }
    if (stolen >= STOLEN_SHARE) {
        say(text, "; the hypervisor took %.0f %% of the cores", 100 * stolen);
    }
}

static bool has_lagged(const struct health *health, char text[HEALTH_TEXT])
{
    double judged_ns = (double)health->judged_ns, lagging_ns = (double)health->lagging_ns;
    double least_ns = judged_ns / 2 < (double)LAGGING_MIN_NS ? judged_ns / 2 : LAGGING_MIN_NS;
    double limit_ns = judged_ns * LAGGING_SHARE > least_ns ? judged_ns * LAGGING_SHARE : least_ns;
    char lagging[UNIT_TEXT], judged[UNIT_TEXT];
    if (health->lagging_ns == 0) {
        return false;
    }
    bool bad = lagging_ns >= limit_ns || health->worst_minute_ns >= LAGGING_MINUTE_NS;
    say(text,
        "%s %s of %s: ", bad ? "the load generator could not keep up for" : "it kept up, but for",
        unit_duration(lagging, lagging_ns), unit_duration(judged, judged_ns));
    say_why(health, text);
    return bad;
}

/* Dials that failed for want of what the client's own machine has to give. */
static bool has_lacked(const struct interval *total, char text[HEALTH_TEXT])
{
    uint64_t ports = total->outcome[OUTCOME_NO_PORTS];
    uint64_t n = ports + total->outcome[OUTCOME_NO_DESCRIPTORS];
    uint64_t n_dialed = total->count[COUNTER_DIALED];
    char failed[UNIT_TEXT], dialed[UNIT_TEXT];
    bool bad = n >= LACKING_MIN && share(n, n_dialed) > LACKING_SHARE;
    if (n > 0) {
        say(text, "%s %s of %s dials failed for want of %s",
            bad ? "the load generator ran out of what it needs:" : "it kept up, but",
            unit_grouped(failed, n), unit_grouped(dialed, n_dialed),
            2 * ports >= n ? "local ports" : "descriptors");
    }
    return bad;
}

static bool has_waited_for_mint(const struct health *health, const struct interval *total,
                                uint64_t worker_ns, char text[HEALTH_TEXT])
{
    uint64_t n = total->count[COUNTER_MINT_WAIT];
    bool open = health->plan->pace.mode != PACE_CLOSED;
    bool late = share(total->count[COUNTER_LATE] + total->count[COUNTER_SKIPPED],
                      total->count[COUNTER_DUE]) > LATE_SHARE;
    char waits[UNIT_TEXT];
    if ((double)n * (double)MINT_WAIT_NS <= MINT_WAIT_SHARE * (double)worker_ns ||
        (open && !late)) {
        return false;
    }
    say(text, "%s: the workers waited %s times for one",
        open ? "credentials could not be made fast enough"
             : "credentials were not made as fast as they could be used, and so set the pace",
        unit_grouped(waits, n));
    return open;
}

/* Whether latencies hold delays of the generator's own, to no small part. */
static bool latency_is_own(const struct health *health, const struct interval *total,
                           char text[HEALTH_TEXT])
{
    const struct run_generator *found = &health->found;
    uint64_t own_ns = hist_quantile(&total->latency[LATENCY_OWN_DELAY], 0.99);
    uint64_t response_ns = hist_quantile(&total->latency[LATENCY_RESPONSE], 0.99);
    uint64_t service_ns = hist_quantile(&total->latency[LATENCY_SERVICE], 0.99);
    char own[UNIT_TEXT], response[UNIT_TEXT];
    if (health->plan->pace.mode != PACE_CLOSED) {
        bool is_own = own_ns > OWN_DELAY_NS &&
                      (double)own_ns > OWN_DELAY_SHARE * (double)service_ns &&
                      (double)own_ns > OWN_RESPONSE_SHARE * (double)response_ns;
        if (is_own) {
            say(text, "it kept up, but %s of the response time's p99 of %s may be its own delay",
                unit_duration(own, (double)own_ns), unit_duration(response, (double)response_ns));
        }
        return is_own || health->lagging_ns > 0;
    }
    if (found->busiest_share >= OWN_BUSY_SHARE) {
        say(text,
            "it kept up; its workers were busy %.0f %% of the time (%.0f %% waiting for a "
            "core), so rate and latency are its own as much as the server's",
            100 * (found->cpu_share + found->wait_share), 100 * found->wait_share);
    }
    return found->busiest_share >= OWN_BUSY_SHARE || health->lagging_ns > 0;
}

static void sum_up(struct health *health, uint64_t *ret_worker_ns)
{
    struct run_generator *found = &health->found;
    const struct machine_reading *now = &health->machine, *begin = &health->at_begin;
    struct health_span all = {.span_ns = 0};
    for (unsigned w = 0; w < health->n_workers; w++) {
        const struct health_span *one = &health->workers[w].total;
        double busy = share(one->cpu_ns + one->wait_ns, one->span_ns);
        found->busiest_share = busy > found->busiest_share ? busy : found->busiest_share;
        add_span(&all, one);
    }
    found->lagging_s = (double)health->lagging_ns / (double)NS_PER_S;
    found->cpu_share = share(all.cpu_ns, all.span_ns);
    found->wait_share = share(all.wait_ns, all.span_ns);
    if (health->judging) {
        found->stolen_share =
            share(now->stolen_ticks - begin->stolen_ticks, now->cpu_ticks - begin->cpu_ticks);
        found->n_throttled = now->n_throttled - begin->n_throttled;
        found->throttled_s = (double)(now->throttled_ns - begin->throttled_ns) / (double)NS_PER_S;
    }
    *ret_worker_ns = all.span_ns;
}

bool health_finish(struct health *health, const struct interval *total, char text[HEALTH_TEXT],
                   struct run_generator *ret_found)
{
    enum { LAGGED, LACKED, MINTED, OWN, FINDINGS };
    char found[FINDINGS][HEALTH_TEXT] = {""};
    uint64_t worker_ns;
    if (health->judged_ns < JUDGED_MIN_NS) {
        judge_ramp(health);
    }
    sum_up(health, &worker_ns);
    bool bad[FINDINGS] = {
        [LAGGED] = has_lagged(health, found[LAGGED]),
        [LACKED] = has_lacked(total, found[LACKED]),
        [MINTED] = has_waited_for_mint(health, total, worker_ns, found[MINTED]),
    };
    health->found.latency_is_own = latency_is_own(health, total, found[OWN]);
    *ret_found = health->found;
    /* What spoils the run goes before what is only told. */
    for (int i = 0; i < FINDINGS; i++) {
        if (bad[i]) {
            (void)memcpy(text, found[i], HEALTH_TEXT);
            return false;
        }
    }
    int told = 0;
    while (told < OWN && found[told][0] == '\0') {
        told++;
    }
    (void)memcpy(text, found[told], HEALTH_TEXT);
    return true;
}
