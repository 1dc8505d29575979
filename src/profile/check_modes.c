#include "profile/check_run.h"

#include "base/mono.h"
#include "profile/store.h"

/* A mode that was chosen, by --set perhaps, may leave values of the profile without a say. */
static void rest(const struct checker *c, const void *field)
{
    store_note_idle(c->plan->store, field);
}

static void check_alone(const struct checker *c, const char *why)
{
    const struct plan *plan = c->plan;
    struct origin origin = plan_origin(plan, &plan->pace.mode);

    if (plan->attribution.mode != ATTRIBUTION_OFF) {
        diag_add(c->diag, origin,
                 "pace.mode: the experiment of attribution.mode needs closed or open, since it "
                 "varies how long connections live");
    }
    if (why != NULL && plan->n_refuses + plan->n_misuses > 0) {
        diag_add(c->diag, origin, "pace.mode: [refuse] and [misuse] are shares of exchanges, %s",
                 why);
    }
}

void check_modes(const struct checker *c)
{
    struct plan_pace *pace = &c->plan->pace;
    bool dials = pace->mode == PACE_CHURN || pace->mode == PACE_HANDSHAKE;

    if (pace->mode != PACE_HOLD) {
        check_unused(c, SECTION_PACE, pace, CHECK_KEYS("keepalive"), "unless pace.mode = hold");
    } else {
        pace->rate_per_s =
            (double)pace->connections * (double)NS_PER_S / (double)pace->keepalive_ns;
        rest(c, &pace->rate_per_s);
    }
    if (pace->mode == PACE_CHURN && pace->requests_per_connection == 0) {
        pace->requests_per_connection = 1;
    }
    if (pace->mode == PACE_HANDSHAKE) {
        pace->requests_per_connection = 0;
        pace->think_time_ns = 0;
        rest(c, &pace->requests_per_connection);
        rest(c, &pace->think_time_ns);
    }
    if (dials) {
        pace->connect_rate_per_s = 0; /* it is the rate itself */
        rest(c, &pace->connect_rate_per_s);
    }
    if (pace->mode == PACE_HANDSHAKE && c->plan->target.alpn != ALPN_H1) {
        diag_add(c->diag, plan_origin(c->plan, &c->plan->target.alpn),
                 "target.alpn: of no use with pace.mode = handshake, which says nothing on its "
                 "connections");
    }
    if (dials || pace->mode == PACE_HOLD) {
        check_alone(c, pace->mode == PACE_HANDSHAKE ? "and pace.mode = handshake has none" : NULL);
    }
}

/* NULL: nothing. */
static const char *early_data_mistake(const struct plan *plan)
{
    if (plan->target.tls_max < TLS_VERSION_1_3) {
        return "is of TLS 1.3, which target.tls_max = 1.2 rules out";
    }
    if (plan->target.raw) {
        return "is for HTTP, which tls:// does not speak";
    }
    if (plan->target.alpn != ALPN_H1) {
        return "is for HTTP/1.1 alone (leave target.alpn out)";
    }
    if (plan->pace.mode == PACE_HANDSHAKE) {
        return "of no use with pace.mode = handshake, which asks for nothing";
    }
    return plan_peak(plan).resume_ratio > 0
               ? NULL
               : "needs resumed sessions (write pace.resume_ratio = 50%)";
}

void check_early_data(const struct checker *c)
{
    const struct plan *plan = c->plan;
    const char *mistake = plan->target.early_data ? early_data_mistake(plan) : NULL;

    if (mistake != NULL) {
        diag_add(c->diag, plan_origin(plan, &plan->target.early_data), "target.early_data: %s",
                 mistake);
    }
}

const char *check_mode_word(const struct checker *c)
{
    const char *suffix;

    return option_find(SECTION_PACE, "mode", &suffix)->words[c->plan->pace.mode];
}

/* The rate of starts, and what it comes to. */
static void add_to_peak(const struct plan *plan, const struct plan_phase *phase,
                        struct plan_peak *peak)
{
    double starts = phase->rate_per_s, n = (double)phase->connections;
    double asks = (double)phase->requests_per_connection;
    double exchanges = starts, dials = asks > 0 ? starts / asks : 0;

    if (plan->pace.mode == PACE_CLOSED) {
        starts = 0;
        exchanges =
            phase->think_time_ns > 0 ? n * (double)NS_PER_S / (double)phase->think_time_ns : 0;
        dials = asks > 0 ? exchanges / asks : 0;
    } else if (plan->pace.mode == PACE_CHURN || plan->pace.mode == PACE_HANDSHAKE) {
        exchanges = starts * asks;
        dials = starts;
    }
    peak->is_unbounded |= plan->pace.mode == PACE_CLOSED && exchanges == 0 && !phase->idle;
    peak->rate_per_s = starts > peak->rate_per_s ? starts : peak->rate_per_s;
    peak->exchanges_per_s = exchanges > peak->exchanges_per_s ? exchanges : peak->exchanges_per_s;
    peak->dials_per_s = dials > peak->dials_per_s ? dials : peak->dials_per_s;
    peak->connections =
        phase->connections > peak->connections ? phase->connections : peak->connections;
    peak->resume_ratio =
        phase->resume_ratio > peak->resume_ratio ? phase->resume_ratio : peak->resume_ratio;
}

struct plan_peak plan_peak(const struct plan *plan)
{
    struct plan_peak peak = {.rate_per_s = 0};
    struct plan_phase whole = {
        .rate_per_s =
            plan->pace.n_replay > 0 ? plan->pace.replay_peak_per_s : plan->pace.rate_per_s,
        .connections = plan->pace.connections,
        .think_time_ns = plan->pace.think_time_ns,
        .requests_per_connection = plan->pace.requests_per_connection,
        .resume_ratio = plan->pace.resume_ratio,
    };

    for (size_t i = 0; i < plan->n_phases; i++) {
        add_to_peak(plan, &plan->phases[i], &peak);
    }
    if (plan->n_phases == 0) {
        add_to_peak(plan, &whole, &peak);
    }
    return peak;
}
