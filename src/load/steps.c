#include "load/steps.h"

#include "base/log.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

/* That a rest takes longer where something is in flight still, or a connection does not stand. */
#define PATIENCE_NS (10 * NS_PER_S)
/* Of what fell due, what may be missing: this share, and a few that are in flight at any time. */
#define MISSING_SHARE 0.02
#define MISSING_FEW   4

void steps_init(struct steps *steps, const struct plan *plan, struct run *run, unsigned n_workers,
                uint64_t tick_ns, const struct interval *total)
{
    *steps = (struct steps){
        .plan = plan,
        .run = run,
        .total = total,
        .tick_ns = tick_ns,
        .n_workers = n_workers,
        .answer = search_decide(&plan->search, NULL, 0),
    };
    atomic_init(&steps->rates.n, 0);
    steps->measured = interval_new();
}

void steps_clear(struct steps *steps)
{
    interval_free(steps->measured);
    health_clear(&steps->health);
}

static bool dials_fall_due(const struct steps *steps)
{
    return steps->plan->pace.mode != PACE_OPEN;
}

static uint64_t since_zero_ns(const struct steps *steps, uint64_t now_ns)
{
    return now_ns > steps->zero_ns ? now_ns - steps->zero_ns : 0;
}

static void count(struct steps *steps, const struct interval *interval, uint64_t start_ns,
                  uint64_t end_ns)
{
    const uint64_t *n = interval->count;
    steps->n_due += n[COUNTER_DUE];
    steps->n_ended += dials_fall_due(steps) ? n[COUNTER_CLOSED] + n[COUNTER_DIAL_FAILED]
                                            : n[COUNTER_COMPLETED] + n[COUNTER_FAILED];
    steps->first_ns = start_ns < steps->first_ns ? start_ns : steps->first_ns;
    steps->last_ns = end_ns > steps->last_ns ? end_ns : steps->last_ns;
}

/* Ticks are a little late, and the parts of a step begin and end with one. */
void steps_interval(struct steps *steps, unsigned worker, const struct interval *interval)
{
    uint64_t start_ns = since_zero_ns(steps, interval->start_ns);
    uint64_t end_ns = since_zero_ns(steps, interval->end_ns), slack_ns = steps->tick_ns / 4;
    if (!steps->under_way || start_ns + slack_ns < steps->from_ns) {
        return;
    }
    interval_add(steps->measured, interval);
    if (end_ns <= steps->to_ns + slack_ns) {
        health_interval(&steps->health, worker, interval);
        count(steps, interval, start_ns, end_ns);
    }
}

void steps_second(struct steps *steps, const struct machine_reading *machine, uint64_t t_ns)
{
    uint64_t at_ns = t_ns < steps->to_ns ? t_ns : steps->to_ns;
    steps->machine = *machine;
    if (steps->under_way && at_ns > steps->from_ns && at_ns > steps->health.last_ns) {
        health_second(&steps->health, machine, at_ns);
    }
}

static double seconds_of(const struct steps *steps)
{
    return steps->last_ns > steps->first_ns
               ? (double)(steps->last_ns - steps->first_ns) / (double)NS_PER_S
               : 0;
}

/* What a step did not keep to. */
struct breach {
    size_t n_limits;
    size_t n_latencies; /* of these */
    size_t n_own;       /* of these, by no more than the generator's own delay */
    bool rate;          /* it was not reached */
    bool rate_own;      /* by no more than what falls due in that delay */
};

/* Would the limit hold without the generator's own delay, which is in the response time? */
static bool is_own(const struct steps *steps, const struct limit *limit, double value)
{
    struct limit delay = *limit;
    double own;
    delay.latency = LATENCY_OWN_DELAY;
    return limit->metric == LIMIT_LATENCY && limit->latency == LATENCY_RESPONSE &&
           limit_measure(&delay, steps->measured, 0, &own) && limit_holds(limit, value - own);
}

/* What was measured for each limit; the first that is broken is the reason. */
static void hold_to_limits(const struct steps *steps, double seconds, struct run_step *step,
                           struct breach *breach)
{
    const struct plan_limit *limits = &steps->plan->limit;
    step->n_limits = limits->n;
    for (size_t i = 0; i < limits->n; i++) {
        const struct limit *limit = &limits->list[i];
        double value;
        char text[UNIT_TEXT];
        step->measured[i] = NAN;
        if (!limit_measure(limit, steps->measured, seconds, &value)) {
            continue;
        }
        step->measured[i] = limit_number(limit, value);
        if (limit_holds(limit, value)) {
            continue;
        }
        if (breach->n_limits++ == 0) {
            (void)snprintf(step->reason, sizeof step->reason, "broke %s with %s", limit->rule,
                           limit_value(limit, value, text));
        }
        breach->n_latencies += limit->metric == LIMIT_LATENCY;
        breach->n_own += is_own(steps, limit, value);
    }
}

static void hold_to_rate(const struct steps *steps, struct run_step *step, struct breach *breach)
{
    double due = (double)steps->n_due, missing = due - (double)steps->n_ended;
    double own_s = (double)steps->measured->latency[LATENCY_OWN_DELAY].max_ns / (double)NS_PER_S;
    double few = due * MISSING_SHARE + MISSING_FEW;
    breach->rate = missing > few;
    breach->rate_own = missing <= few + steps->asked_per_s * own_s;
    if (breach->rate && step->reason[0] == '\0') {
        (void)snprintf(step->reason, sizeof step->reason,
                       "was not reached: %.1f/s of what fell due ended in its time",
                       step->reached_per_s);
    }
}

/* Did all fall due that was asked for?  Arrivals at random vary by the root of their number. */
static bool all_fell_due(const struct steps *steps, double seconds)
{
    double asked = steps->asked_per_s * seconds;
    return (double)steps->n_due >= asked * (1 - MISSING_SHARE) - 4 * sqrt(asked) - 1;
}

/* Latencies that hold delays of the generator's own break no limit of the server's, and what it
 * began late may be what is missing. */
static bool is_excused(const struct breach *breach, bool latency_is_own)
{
    size_t n_own = latency_is_own ? breach->n_latencies : breach->n_own;
    return breach->n_limits == n_own && (!breach->rate || breach->rate_own);
}

static bool generator_is_to_blame(struct steps *steps, bool fell_due, const struct breach *breach)
{
    struct run_generator found;
    char trouble[HEALTH_TEXT] = "", delay[UNIT_TEXT];
    bool healthy = health_finish(&steps->health, steps->measured, trouble, &found);
    bool excused = is_excused(breach, found.latency_is_own);
    if (healthy && fell_due && !excused) {
        return false;
    }
    if (trouble[0] == '\0') {
        double own_ns = (double)steps->measured->latency[LATENCY_OWN_DELAY].max_ns;
        (void)snprintf(trouble, sizeof trouble, "its own delay was up to %s",
                       unit_duration(delay, own_ns));
    }
    (void)str_copy(steps->trouble, sizeof steps->trouble, trouble);
    return true;
}

static void judge(struct steps *steps, struct run_step *step)
{
    double seconds = seconds_of(steps);
    step->start_s = (double)steps->from_ns / (double)NS_PER_S;
    step->asked_per_s = steps->asked_per_s;
    step->reached_per_s = seconds > 0 ? (double)steps->n_ended / seconds : 0;
    struct breach breach = {.n_limits = 0};
    /* of a step of which little was counted nothing is known */
    double length_s = (double)(steps->to_ns - steps->from_ns) / (double)NS_PER_S;
    bool fell_due = seconds >= length_s / 2 && all_fell_due(steps, seconds);
    hold_to_limits(steps, seconds, step, &breach);
    hold_to_rate(steps, step, &breach);
    step->result = STEP_HELD;
    if (breach.n_limits == 0 && !breach.rate && fell_due) {
        return;
    }
    step->result = STEP_BROKEN;
    if (generator_is_to_blame(steps, fell_due, &breach)) {
        step->result = STEP_GENERATOR;
        (void)snprintf(step->reason, sizeof step->reason,
                       "did not hold, and the generator may be why: %.200s", steps->trouble);
    }
}

static void tell(const struct run_step *step, size_t number)
{
    if (step->result == STEP_HELD) {
        log_note("step %zu: %.4g/s held", number, step->asked_per_s);
    } else {
        log_note("step %zu: %.4g/s %s", number, step->asked_per_s, step->reason);
    }
}

/* The step is over, and what it left in flight has come home. */
static void conclude(struct steps *steps)
{
    struct run_step *step = &steps->step[steps->n];
    if (steps->health.last_ns + steps->tick_ns < steps->to_ns) {
        health_second(&steps->health, &steps->machine, steps->to_ns);
    }
    *step = (struct run_step){.n_limits = 0};
    judge(steps, step);
    steps->under_way = false;
    steps->n++;
    if (!run_step(steps->run, steps->n, step, steps->plan->limit.list)) {
        steps->disk_error = errno != 0 ? errno : EIO;
    }
    tell(step, steps->n);
    steps->answer = search_decide(&steps->plan->search, steps->step, steps->n);
    steps->over = steps->answer.next_per_s <= 0;
}

/* Has all come home, and do the connections stand? */
static bool has_come_to_rest(const struct steps *steps, uint64_t rested_ns)
{
    const struct plan_pace *pace = &steps->plan->pace;
    const uint64_t *gauge = steps->total->gauge;
    bool home = gauge[GAUGE_IN_FLIGHT] + gauge[GAUGE_HANDSHAKING] == 0;
    bool stands = dials_fall_due(steps) || gauge[GAUGE_OPEN] >= pace->connections;
    double patience_ns = (double)steps->plan->search.rest_ns + (double)PATIENCE_NS;
    if (steps->n == 0 && pace->connect_rate_per_s > 0) {
        patience_ns += (double)pace->connections / pace->connect_rate_per_s * (double)NS_PER_S;
    }
    return (home && stands && rested_ns >= steps->plan->search.rest_ns) ||
           (double)rested_ns >= patience_ns;
}

static void begin(struct steps *steps, uint64_t at_ns)
{
    const struct plan_search *search = &steps->plan->search;
    steps->under_way = true;
    steps->asked_per_s = steps->answer.next_per_s;
    steps->from_ns = at_ns + search->ramp_ns;
    steps->to_ns = steps->from_ns + search->step_ns;
    steps->n_due = steps->n_ended = 0;
    steps->first_ns = UINT64_MAX;
    steps->last_ns = 0;
    interval_clear(steps->measured);
    health_clear(&steps->health);
    health_init(&steps->health, steps->plan, steps->n_workers, steps->tick_ns);
    health_begin(&steps->health, &steps->machine, steps->from_ns);
    timeline_append(&steps->rates, steps->asked_per_s);
}

uint64_t steps_follow(struct steps *steps, uint64_t rest_ns, uint64_t t_ns, uint64_t least_ns)
{
    if (steps->over || t_ns < rest_ns || !has_come_to_rest(steps, t_ns - rest_ns)) {
        return 0;
    }
    if (steps->under_way) {
        conclude(steps);
    }
    uint64_t step_ns = steps->plan->search.ramp_ns + steps->plan->search.step_ns;
    if (least_ns + steps->tick_ns + step_ns > steps->plan->run.duration_ns) {
        steps->over = true; /* no time for another */
    }
    if (steps->over) {
        return 0;
    }
    /* with a tick, so that its parts are whole intervals */
    uint64_t at_ns = (least_ns + steps->tick_ns - 1) / steps->tick_ns * steps->tick_ns;
    begin(steps, at_ns);
    return at_ns;
}

void steps_end(struct steps *steps, uint64_t t_ns)
{
    if (steps->under_way && t_ns >= steps->to_ns) {
        conclude(steps);
    }
}
