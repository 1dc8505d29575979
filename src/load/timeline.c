#include "load/timeline.h"

#include "base/mono.h"

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

static void begin(struct timeline *timeline, uint64_t start_ns)
{
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
        .n = plan->n_phases > 0 ? plan->n_phases * n_times : 1,
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
    if (timeline->i + 1 < timeline->n) {
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
        timeline->run_end_ns -= timeline->end_ns - at_ns;
        timeline->end_ns = at_ns;
    }
}

const struct plan_phase *timeline_phase(const struct timeline *timeline)
{
    const struct plan *plan = timeline->plan;
    size_t i = timeline->i < timeline->n ? timeline->i : timeline->n - 1;
    return plan->n_phases > 0 ? &plan->phases[i % plan->n_phases] : &timeline->whole;
}
