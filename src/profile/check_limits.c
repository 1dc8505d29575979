#include "base/bug.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "profile/check_run.h"
#include "profile/store.h"
#include "profile/terms.h"

#include <stdio.h>

/* Of a step of a search, where the profile says nothing of errors: a server that answers quickly
 * that it is overloaded has not held. */
#define SEARCH_ERRORS 0.01
/* search.from of a search that says no other. */
#define FROM_SHARE 0.01

/* The row that declares the limit; its value's type is the bound's. */
static const struct option *row_of(const char *key)
{
    const char *suffix;
    const struct option *option = option_find(SECTION_LIMIT, key, &suffix);

    BUG_ON(option == NULL);
    return option;
}

static void put_bound(const struct option *row, const struct plan_terms *terms, struct sink *sink)
{
    if (row->type == TYPE_LIMIT_RATIO) { /* as people write it */
        sink_printf(sink, "%.9g%%", 100 * terms->bound);
        terms_print_rest(terms, sink);
    } else {
        type_info(row->type)->print(terms, NULL, sink);
    }
}

static struct limit *add(const struct checker *c, const char *key, const struct plan_terms *terms)
{
    struct plan_limit *limits = &c->plan->limit;
    struct limit *limit = &limits->list[limits->n];
    struct sink *value = sink_new();

    BUG_ON(!limit_from_key(key, limit));
    put_bound(row_of(key), terms, value);
    limit->bound = terms->bound;
    limit->window_ns = terms->for_ns;
    limit->aborts = terms->aborts;
    limit->after_ns = terms->after_ns;
    limit->handshakes = c->plan->pace.mode == PACE_HANDSHAKE;
    (void)snprintf(limit->rule, sizeof limit->rule, "%s = %s", key, sink_text(value, NULL));
    limits->n++;
    sink_free(value);
    return limit;
}

static void add_load(const struct checker *c, const char *key, const struct plan_terms *terms)
{
    (void)add(c, key, terms);
    if (c->plan->search.to_per_s > 0 && (terms->for_ns > 0 || terms->aborts)) {
        diag_add(c->diag, plan_origin(c->plan, terms),
                 "limit.%s: \"for\" and \"abort\" are of no use with [search], each step of which "
                 "is judged whole",
                 key);
    }
}

static bool is_source(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->n_memories; i++) {
        if (str_equal(plan->memories[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void add_memory(const struct checker *c, const char *key, const struct plan_terms *terms)
{
    struct origin origin = plan_origin(c->plan, terms);
    const struct limit *limit = add(c, key, terms);

    if (c->plan->search.to_per_s > 0) {
        diag_add(c->diag, origin, "limit.%s: of no use with [search], which judges no memory", key);
    } else if (limit->source[0] != '\0' && !is_source(c->plan, limit->source)) {
        diag_add(c->diag, origin, "limit.%s: there is no [memory %s]", key, limit->source);
    }
}

/* Those whose keys begin so, in the order of the profile. */
static void add_named(const struct checker *c, const char *prefix,
                      void (*add_one)(const struct checker *c, const char *key,
                                      const struct plan_terms *terms))
{
    const struct plan_limit *limits = &c->plan->limit;

    for (size_t i = 0; i < limits->n_named; i++) {
        const struct plan_named_limit *named = &limits->named[i];
        if (check_is_given(c, &named->terms) && named->terms.bound > 0 &&
            str_has_prefix(named->key, prefix)) {
            add_one(c, named->key, &named->terms);
        }
    }
}

/* In the order of the option table, which is that of the effective profile: a stored run is judged
 * by this. */
void check_limits(const struct checker *c)
{
    const struct plan_limit *limits = &c->plan->limit;

    add_named(c, "latency.", add_load);
    if (check_is_given(c, &limits->errors_ratio_max)) {
        add_load(c, "errors.ratio.max", &limits->errors_ratio_max);
    }
    if (check_is_given(c, &limits->rate_reached_min)) {
        add_load(c, "rate.reached.min", &limits->rate_reached_min);
    }
    add_named(c, "leak.", add_memory);
    add_named(c, "memory.", add_memory);
}

/* What else varies the load, or does not let it be varied. */
static void check_alone(const struct checker *c, struct origin origin)
{
    const struct plan *plan = c->plan;
    enum pace_mode mode = plan->pace.mode;

    if (mode != PACE_OPEN && mode != PACE_CHURN && mode != PACE_HANDSHAKE) {
        diag_add(c->diag, origin,
                 "[search]: a search varies the rate, and pace.mode = %s has none of its own "
                 "(write mode = open, churn or handshake in [pace])",
                 check_mode_word(c));
    } else if (check_is_given(c, &plan->pace.rate_per_s)) {
        diag_add(c->diag, plan_origin(plan, &plan->pace.rate_per_s),
                 "pace.rate: of no use with [search], whose rates are from search.from to "
                 "search.to");
    }
    if (plan->n_phases > 0) {
        diag_add(c->diag, origin, "[search]: a search has phases of its own (leave [phase %s] out)",
                 plan->phases[0].name);
    }
    if (plan->attribution.mode != ATTRIBUTION_OFF) {
        diag_add(c->diag, origin,
                 "[search]: attribution.mode varies the load as well; one experiment at a time "
                 "(write mode = off in [attribution])");
    }
    if (plan->pace.arrivals == ARRIVALS_REPLAY) {
        diag_add(c->diag, origin,
                 "[search]: a replayed schedule has a rate of its own (write arrivals = constant "
                 "in [pace])");
    }
}

static void check_its_limits(const struct checker *c, struct origin origin)
{
    struct plan_limit *limits = &c->plan->limit;
    const struct plan_terms errors = {.bound = SEARCH_ERRORS};

    if (check_is_given(c, &limits->rate_reached_min)) {
        diag_add(c->diag, plan_origin(c->plan, &limits->rate_reached_min),
                 "limit.rate.reached.min: of no use with [search], each step of which must reach "
                 "its own rate");
    } else if (limits->n == 0) {
        diag_add(c->diag, origin,
                 "[search]: it needs a limit that the load can break (write "
                 "latency.response.p99.max = 25ms in [limit])");
    }
    if (!check_is_given(c, &limits->errors_ratio_max)) {
        (void)add(c, "errors.ratio.max", &errors);
    }
}

/* So long that it never ends a search which goes on as it should. */
static void check_duration(const struct checker *c)
{
    struct plan_run *run = &c->plan->run;
    const struct plan_search *search = &c->plan->search;
    uint64_t step_ns = search->rest_ns + search->ramp_ns + search->step_ns;
    char is[UNIT_TEXT], least[UNIT_TEXT];

    if (!check_is_given(c, &run->duration_ns)) {
        run->duration_ns = PLAN_SEARCH_STEPS * (step_ns + NS_PER_S);
    } else if (run->duration_ns < step_ns + NS_PER_S) {
        diag_add(c->diag, plan_origin(c->plan, &run->duration_ns),
                 "run.duration: %s has no room for a step of the search (%s; leave it out: a "
                 "search ends when it has its answer)",
                 unit_duration(is, (double)run->duration_ns),
                 unit_duration(least, (double)(step_ns + NS_PER_S)));
    }
}

/* For everybody who asks how much load there will be, it is what the last step may ask for. */
static void take_peak(const struct checker *c)
{
    struct plan_pace *pace = &c->plan->pace;

    if (!check_is_given(c, &pace->rate_per_s) && pace->mode != PACE_CLOSED) {
        pace->rate_per_s = c->plan->search.to_per_s;
        store_note(c->plan->store, &pace->rate_per_s,
                   plan_origin(c->plan, &c->plan->search.to_per_s), NULL);
        store_note_idle(c->plan->store, &pace->rate_per_s);
    }
}

void check_search(const struct checker *c)
{
    struct plan_search *search = &c->plan->search;
    struct origin origin = plan_origin(c->plan, &search->to_per_s);

    if (!check_is_given(c, &search->to_per_s)) {
        check_unused(c, SECTION_SEARCH, search,
                     CHECK_KEYS("from", "to", "step", "ramp", "rest", "precision"),
                     "without search.to (write to = 10k/s)");
        return;
    }
    if (search->to_per_s <= 0) { /* what was written is a mistake already */
        return;
    }
    if (search->from_per_s <= 0) {
        search->from_per_s = search->to_per_s * FROM_SHARE;
    } else if (search->from_per_s > search->to_per_s) {
        diag_add(c->diag, plan_origin(c->plan, &search->from_per_s),
                 "search.from: more than search.to");
    }
    check_alone(c, origin);
    check_its_limits(c, origin);
    check_duration(c);
    take_peak(c);
}
