#include "load/timeline.h"

#include "base/bug.h"
#include "base/mono.h"
#include "base/str.h"

#include <stdio.h>

/* From where the value stands; growth takes the ramp, or longer where `per_s` allows no more. */
static struct course go_on(const struct course *before, uint64_t start_ns, double to,
                           uint64_t ramp_ns, double per_s)
{
    double from = course_value(before, (double)start_ns), growth = to - from;
    double least_ns = growth > 0 && per_s > 0 ? growth / per_s * (double)NS_PER_S : 0;
    double ramp = (double)ramp_ns > least_ns ? (double)ramp_ns : least_ns;
    return (struct course){
        .start_ns = (double)start_ns, .ramp_ns = ramp, .from = ramp > 0 ? from : to, .to = to};
}

static bool is_search(const struct timeline *timeline)
{
    return timeline->plan->search.to_per_s > 0;
}

/* The even phases of a search are rests. */
static void turn_search(struct timeline *timeline, uint64_t start_ns)
{
    const struct plan_search *search = &timeline->plan->search;
    struct plan_phase *phase = &timeline->whole;
    phase->idle = timeline->i % 2 == 0;
    if (phase->idle) {
        phase->until = PHASE_UNTIL_SETTLED;
        phase->duration_ns = timeline->run_end_ns - start_ns;
        return;
    }
    size_t step = timeline->i / 2;
    BUG_ON(step >= atomic_load_explicit(&timeline->rates->n, memory_order_acquire));
    phase->until = PHASE_UNTIL_DURATION;
    phase->duration_ns = search->ramp_ns + search->step_ns;
    phase->ramp_ns = search->ramp_ns;
    phase->rate_per_s = timeline->rates->per_s[step];
}

static void begin(struct timeline *timeline, uint64_t start_ns)
{
    if (is_search(timeline)) {
        turn_search(timeline, start_ns);
    }
    const struct plan_phase *phase = timeline_phase(timeline);
    double per_s = !phase->idle && timeline->plan->pace.mode != PACE_CLOSED ? phase->rate_per_s : 0;
    timeline->start_ns = start_ns;
    timeline->end_ns = start_ns + phase->duration_ns;
    /* In an idle phase nothing begins from its first moment on. */
    timeline->rate = go_on(&timeline->rate, start_ns, per_s, phase->idle ? 0 : phase->ramp_ns, 0);
    timeline->connections = go_on(&timeline->connections, start_ns, (double)phase->connections,
                                  phase->ramp_ns, phase->connect_rate_per_s);
}

void timeline_init(struct timeline *timeline, const struct plan *plan)
{
    const struct plan_pace *pace = &plan->pace;
    size_t n_times = plan->run.repeat_phases > 0 ? plan->run.repeat_phases : 1;
    *timeline = (struct timeline){
        .plan = plan,
        .n = plan->search.to_per_s > 0 ? 2 * PLAN_SEARCH_STEPS + 1
             : plan->n_phases > 0      ? plan->n_phases * n_times
                                       : 1,
        .run_end_ns = plan->run.duration_ns,
        .whole = {.duration_ns = plan->run.duration_ns,
                  .rate_per_s = pace->rate_per_s,
                  .connections = pace->connections,
                  .connect_rate_per_s = pace->connect_rate_per_s,
                  .think_time_ns = pace->think_time_ns,
                  .requests_per_connection = pace->requests_per_connection,
                  .resume_ratio = pace->resume_ratio},
    };
    begin(timeline, 0);
}

void timeline_next(struct timeline *timeline)
{
    bool out_of_time = is_search(timeline) && timeline->end_ns >= timeline->run_end_ns;
    if (timeline->i + 1 < timeline->n && !out_of_time) {
        timeline->i++;
        begin(timeline, timeline->end_ns);
    } else {
        timeline->i = timeline->n;
        timeline->start_ns = timeline->end_ns;
    }
}

void timeline_cut(struct timeline *timeline, uint64_t at_ns)
{
    if (at_ns > timeline->start_ns && at_ns < timeline->end_ns) {
        timeline->run_end_ns -= is_search(timeline) ? 0 : timeline->end_ns - at_ns;
        timeline->end_ns = at_ns;
    }
}

const struct plan_phase *timeline_phase(const struct timeline *timeline)
{
    const struct plan *plan = timeline->plan;
    size_t i = timeline->i < timeline->n ? timeline->i : timeline->n - 1;
    return plan->n_phases > 0 ? &plan->phases[i % plan->n_phases] : &timeline->whole;
}

const char *timeline_name(const struct timeline *timeline, char text[TIMELINE_NAME])
{
    const struct plan_phase *phase = timeline_phase(timeline);
    if (!is_search(timeline)) {
        (void)str_copy(text, TIMELINE_NAME, phase->name);
    } else if (phase->idle) {
        (void)str_copy(text, TIMELINE_NAME, "rest");
    } else {
        (void)snprintf(text, TIMELINE_NAME, "search %.9g/s", phase->rate_per_s);
    }
    return text;
}

void timeline_append(struct timeline_rates *rates, double per_s)
{
    size_t n = atomic_load_explicit(&rates->n, memory_order_relaxed);
    BUG_ON(n == PLAN_SEARCH_STEPS);
    rates->per_s[n] = per_s;
    atomic_store_explicit(&rates->n, n + 1, memory_order_release);
}
