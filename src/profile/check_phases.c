#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "profile/check_run.h"
#include "profile/store.h"

#include <string.h>

#define LONGEST_NS (365.0 * 24 * 3600 * (double)NS_PER_S)

/* What a phase and [pace] have in common. */
static const struct {
    size_t in_phase, in_pace, size;
} shared[] = {
#define SHARED(field)                                                                              \
    {                                                                                              \
        offsetof(struct plan_phase, field), offsetof(struct plan_pace, field),                     \
            sizeof(((struct plan_pace *)NULL)->field)                                              \
    }
    SHARED(rate_per_s),    SHARED(connections),
    SHARED(think_time_ns), SHARED(requests_per_connection),
    SHARED(resume_ratio),  SHARED(connect_rate_per_s),
#undef SHARED
};

/* A zero stays one that nobody wrote: the effective profile leaves it out, as it would be again. */
static void inherit(const struct checker *c, struct plan_phase *phase)
{
    static const char zeros[sizeof(double)];

    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        char *field = (char *)phase + shared[i].in_phase;
        const char *usual = (const char *)&c->plan->pace + shared[i].in_pace;
        bool is_own = check_is_given(c, field) || store_is_idle(c->plan->store, field);
        if (!is_own && memcmp(usual, zeros, shared[i].size) != 0) {
            memcpy(field, usual, shared[i].size);
            store_note(c->plan->store, field, plan_origin(c->plan, usual), NULL);
        }
    }
}

static void check_idle(const struct checker *c, struct plan_phase *phase)
{
    if (phase->idle) {
        check_unused(c, SECTION_PHASE, phase,
                     CHECK_KEYS("pace.rate", "pace.think_time", "pace.requests_per_connection"),
                     "with phase.idle = yes");
        if (!check_is_given(c, &phase->connections)) {
            store_note_idle(c->plan->store, &phase->connections);
        }
    }
    if (phase->until != PHASE_UNTIL_SETTLED) {
        return;
    }
    if (!phase->idle) {
        diag_add(c->diag, plan_origin(c->plan, &phase->until),
                 "phase.until: memory settles only where there is no load (write idle = yes)");
    } else if (c->plan->n_memories == 0) {
        diag_add(c->diag, plan_origin(c->plan, &phase->until),
                 "phase.until = settled needs a [memory] section");
    }
}

static void check_load(const struct checker *c, struct plan_phase *phase)
{
    enum pace_mode mode = c->plan->pace.mode;
    bool has_rate =
        check_is_given(c, &phase->rate_per_s) || check_is_given(c, &c->plan->pace.rate_per_s);

    if (mode == PACE_CLOSED || mode == PACE_HOLD) {
        check_unused(c, SECTION_PHASE, phase, CHECK_KEYS("pace.rate"),
                     mode == PACE_HOLD ? "with pace.mode = hold" : "in a closed loop");
    }
    if (mode != PACE_CLOSED && mode != PACE_CHURN) {
        check_unused(c, SECTION_PHASE, phase, CHECK_KEYS("pace.think_time"),
                     "unless pace.mode = closed or churn");
    }
    if (mode == PACE_HANDSHAKE) {
        check_unused(c, SECTION_PHASE, phase, CHECK_KEYS("pace.requests_per_connection"),
                     "with pace.mode = handshake");
    }
    if (mode == PACE_CHURN || mode == PACE_HANDSHAKE) {
        check_unused(c, SECTION_PHASE, phase, CHECK_KEYS("pace.connect_rate"),
                     "where connections come at pace.rate");
    }
    if (!phase->idle && !has_rate && mode != PACE_CLOSED && mode != PACE_HOLD) {
        diag_add(c->diag, phase->origin,
                 "[phase %s]: pace.rate is missing; pace.mode = %s needs it, here or in [pace]",
                 phase->name, check_mode_word(c));
    }
    if (!phase->idle && check_is_given(c, &phase->connections) && phase->connections == 0) {
        diag_add(c->diag, plan_origin(c->plan, &phase->connections),
                 "phase.pace.connections: 0 is for idle phases (write idle = yes)");
    }
}

static void check_ramp(const struct checker *c, struct plan_phase *phase)
{
    if (phase->ramp_ns == UINT64_MAX) {
        phase->ramp_ns = phase->duration_ns;
    } else if (phase->ramp_ns > phase->duration_ns && phase->duration_ns > 0) {
        diag_add(c->diag, plan_origin(c->plan, &phase->ramp_ns),
                 "phase.ramp: longer than the phase");
    }
}

static void check_one(const struct checker *c, struct plan_phase *phase)
{
    if (str_equal(phase->name, "pace")) { /* --set phase.pace.rate would mean two things */
        diag_add(c->diag, phase->origin, "[phase pace]: no phase can have that name");
    }
    if (phase->duration_ns == 0 && !check_is_given(c, &phase->duration_ns)) {
        diag_add(c->diag, phase->origin, "[phase %s]: duration is missing (write duration = 60s)",
                 phase->name);
    }
    check_ramp(c, phase);
    check_idle(c, phase);
    check_load(c, phase);
    inherit(c, phase);
    if (c->plan->pace.mode == PACE_HOLD && !phase->idle) {
        phase->rate_per_s =
            (double)phase->connections * (double)NS_PER_S / (double)c->plan->pace.keepalive_ns;
    }
    if (c->plan->pace.mode == PACE_CHURN && phase->requests_per_connection == 0) {
        phase->requests_per_connection = 1;
    }
}

/* The run is as long as its phases. */
static void check_sum(const struct checker *c)
{
    struct plan_run *run = &c->plan->run;
    char is[UNIT_TEXT], sum[UNIT_TEXT];
    uint64_t sum_ns = 0;

    for (size_t i = 0; i < c->plan->n_phases; i++) {
        sum_ns += c->plan->phases[i].duration_ns;
    }
    if ((double)sum_ns * (double)run->repeat_phases > LONGEST_NS) {
        diag_add(c->diag, check_origin(c, &run->repeat_phases, c->plan->phases[0].origin),
                 "run.repeat_phases: the phases last longer than a year together");
        return;
    }
    sum_ns *= run->repeat_phases;
    if (check_is_given(c, &run->duration_ns) && run->duration_ns != sum_ns && sum_ns > 0) {
        diag_add(c->diag, plan_origin(c->plan, &run->duration_ns),
                 "run.duration: %s, but the phases last %s together (leave it out)",
                 unit_duration(is, (double)run->duration_ns), unit_duration(sum, (double)sum_ns));
    }
    run->duration_ns = sum_ns;
}

void check_phases(const struct checker *c)
{
    const struct plan *plan = c->plan;

    if (plan->n_phases == 0) {
        if (plan->run.repeat_phases > 1) {
            diag_add(c->diag, plan_origin(plan, &plan->run.repeat_phases),
                     "run.repeat_phases: of no use without a [phase NAME]");
        }
        return;
    }
    if (plan->attribution.mode != ATTRIBUTION_OFF) {
        diag_add(
            c->diag, plan->phases[0].origin,
            "[phase %s]: phases and attribution.mode both change the load; one experiment at a "
            "time (write mode = off in [attribution], or leave the phases out)",
            plan->phases[0].name);
    }
    for (size_t i = 0; i < plan->n_phases; i++) {
        check_one(c, &plan->phases[i]);
    }
    check_sum(c);
    if (plan_peak(plan).connections == 0) {
        diag_add(c->diag, plan->phases[0].origin, "[phase %s]: no phase has a connection",
                 plan->phases[0].name);
    }
}
