#include "load/phase.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

/* What the switches of the certificates, keys and tokens turn. */
struct turned {
    bool clients, certs, keys, tokens;
};

static struct turned turned_by(const struct plan *plan, struct switches on)
{
    struct turned turned = {.clients = false};
    for (size_t i = 0; i < plan->n_identities; i++) {
        const struct plan_identity *identity = &plan->identities[i];
        bool cert = identity->with_cert != NULL, key = identity->with_apikey != NULL;
        bool token = identity->with_jwt != NULL;
        if (identity->bound && cert + key + token > 1) {
            turned.clients = turned.clients || (cert ? on.fresh_cert : on.fresh_key);
        } else {
            turned.certs = turned.certs || (cert && on.fresh_cert);
            turned.keys = turned.keys || (key && on.fresh_key);
            turned.tokens = turned.tokens || (token && on.fresh_jwt);
        }
    }
    return turned;
}

static const char *dwell_text(const struct plan *plan, struct switches on, size_t dwell,
                              size_t n_dwells, char text[PHASE_TEXT])
{
    struct turned turned = turned_by(plan, on);
    const struct {
        bool on;
        const char *name;
    } parts[] = {
        {on.reconnect, "reconnecting"},
        {turned.clients, "fresh clients"},
        {turned.certs, "fresh certificates"},
        {turned.keys, "fresh keys"},
        {turned.tokens, "fresh tokens"},
        {plan->n_refuses > 0 && on.refusals, "bad identities"},
        {plan->n_misuses > 0 && on.misuses, "misuses"},
        {plan->hook.rotate != NULL && on.rotations, "rotations"},
    };
    int len = snprintf(text, PHASE_TEXT, "dwell %zu of %zu: %s rate", dwell, n_dwells,
                       on.high_rate ? "full" : "low");
    for (size_t i = 0; i < sizeof parts / sizeof *parts && len < PHASE_TEXT; i++) {
        if (parts[i].on) {
            len += snprintf(text + len, PHASE_TEXT - (size_t)len, ", %s", parts[i].name);
        }
    }
    return text;
}

static const char *own_text(const struct timeline *timeline, char text[PHASE_TEXT])
{
    const struct plan_phase *phase = timeline_phase(timeline);
    if (timeline->plan->search.to_per_s > 0) {
        char name[TIMELINE_NAME];
        (void)snprintf(text, PHASE_TEXT, "step %zu, %s", timeline->i / 2 + 1,
                       timeline_name(timeline, name));
        return text;
    }
    size_t number = timeline->i < timeline->n ? timeline->i + 1 : timeline->n;
    (void)snprintf(text, PHASE_TEXT, "%s (%zu of %zu)%s", phase->name, number, timeline->n,
                   phase->idle ? ", idle" : "");
    return text;
}

static bool has_own_phases(const struct plan *plan)
{
    return plan->n_phases > 0 || plan->search.to_per_s > 0;
}

const char *phase_name(const struct timeline *timeline, const struct schedule *schedule,
                       uint64_t t_ns, bool ramped, bool draining)
{
    const struct plan *plan = timeline->plan;
    size_t dwell;
    struct switches on = schedule_at(schedule, t_ns, &dwell);
    double warmup_ns = schedule->n_dwells > 0 ? (double)plan->attribution.warmup_ns
                                              : plan->judge.warmup * (double)plan->run.duration_ns;
    if (draining) {
        return "draining";
    } else if (has_own_phases(plan)) {
        return plan->n_phases > 0 ? timeline_phase(timeline)->name : "search";
    } else if (on.idle) {
        return "cooling down";
    } else if (on.designed) {
        return "dwell";
    } else if (!ramped && plan->pace.mode != PACE_CHURN && plan->pace.mode != PACE_HANDSHAKE) {
        return "ramp";
    }
    return (double)t_ns < warmup_ns ? "warm-up" : "steady";
}

const char *phase_text(const struct timeline *timeline, const struct schedule *schedule,
                       uint64_t t_ns, bool ramped, bool draining, char text[PHASE_TEXT])
{
    const struct plan *plan = timeline->plan;
    size_t dwell;
    struct switches on = schedule_at(schedule, t_ns, &dwell);
    if (!draining && has_own_phases(plan)) {
        return own_text(timeline, text);
    } else if (!draining && !on.idle && on.designed) {
        return dwell_text(plan, on, dwell, schedule->n_dwells, text);
    }
    (void)str_copy(text, PHASE_TEXT, phase_name(timeline, schedule, t_ns, ramped, draining));
    return text;
}

double phase_rate(const struct timeline *timeline, const struct schedule *schedule, uint64_t t_ns)
{
    size_t dwell;
    struct switches on = schedule_at(schedule, t_ns, &dwell);
    enum pace_mode mode = timeline->plan->pace.mode;
    bool fall_due = mode == PACE_OPEN || mode == PACE_HOLD;
    double rate = fall_due ? course_value(&timeline->rate, (double)t_ns) : 0;
    return on.idle ? 0 : on.designed && !on.high_rate ? rate / SCHEDULE_LOW_RATE : rate;
}
