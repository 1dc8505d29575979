#include "report/checks.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"
#include "base/unit.h"
#include "report/headline.h"

#include <stdio.h>
#include <stdlib.h>

static struct check *add(struct checks *checks, const char *group, enum check_state state,
                         const char *type)
{
    struct check *check = &checks->list[checks->n++];

    BUG_ON(checks->n > CHECKS_MAX);
    check->group = group;
    check->state = state;
    (void)str_copy(check->type, sizeof check->type, type);
    return check;
}

static void add_memory(struct checks *checks, const struct memory_finding *finding)
{
    static const enum check_state states[] = {[MEMORY_INCONCLUSIVE] = CHECK_UNKNOWN,
                                              [MEMORY_STABLE] = CHECK_PASSED,
                                              [MEMORY_BOUNDED] = CHECK_PASSED,
                                              [MEMORY_LEAK] = CHECK_FAILED};
    struct check *check = add(checks, "memory", states[finding->class],
                              finding->class == MEMORY_LEAK ? "leak" : finding->reason_code);
    struct sink *sink = sink_new();

    (void)snprintf(check->name, sizeof check->name, "memory of %s (%s) does not grow with the load",
                   finding->source, finding->metric);
    if (headline_leak(sink, finding)) {
        sink_printf(sink, "; ");
    }
    sink_printf(sink, "%s", finding->reason);
    (void)str_copy(check->text, sizeof check->text, sink_text(sink, NULL));
    sink_free(sink);
}

/* What a generator measured that did not keep up breaks no limit of the server's; memory it did not
 * measure. */
static void add_limit(struct checks *checks, const struct limit_finding *finding, bool healthy)
{
    static const enum check_state states[] = {[LIMIT_HELD] = CHECK_PASSED,
                                              [LIMIT_BROKEN] = CHECK_FAILED,
                                              [LIMIT_UNKNOWN] = CHECK_UNKNOWN};
    bool broken = finding->state == LIMIT_BROKEN && !limit_is_of_memory(&finding->limit);
    struct check *check =
        add(checks, "limit", broken && !healthy ? CHECK_UNKNOWN : states[finding->state],
            limit_state_name(finding->state));

    (void)str_copy(check->name, sizeof check->name, finding->limit.rule);
    limits_sentence(finding, check->text, sizeof check->text);
}

static void add_refusal(struct checks *checks, const struct refusal_finding *finding)
{
    static const enum check_state states[REFUSAL_RESULTS] = {[REFUSAL_REFUSED] = CHECK_PASSED,
                                                             [REFUSAL_LET_IN] = CHECK_FAILED,
                                                             [REFUSAL_OTHERWISE] = CHECK_FAILED,
                                                             [REFUSAL_UNCLEAR] = CHECK_UNKNOWN};
    enum refusal_result worst = refusal_worst(finding);
    struct check *check = add(checks, "identity", states[worst], refusal_result_name(worst));
    char text[512], refused[UNIT_TEXT], tried[UNIT_TEXT];

    refusal_sentence(finding, text, sizeof text);
    (void)snprintf(check->name, sizeof check->name, "%s is refused (refuse %s)",
                   finding->what.presented, finding->what.name);
    if (worst == REFUSAL_REFUSED) {
        (void)snprintf(text, sizeof text, "refused %s of %s times",
                       unit_grouped(refused, finding->tally.n[REFUSAL_REFUSED]),
                       unit_grouped(tried, finding->tally.tried));
    }
    (void)str_copy(check->text, sizeof check->text, text);
}

static void add_search(struct checks *checks, const struct verdict *verdict)
{
    struct check *check;
    enum check_state state;

    switch (verdict->search.answer.end) {
    case SEARCH_NONE:
        return;
    case SEARCH_FOUND:
    case SEARCH_TOP_HELD:
        state = CHECK_PASSED;
        break;
    case SEARCH_NOTHING_HELD:
        state = CHECK_FAILED;
        break;
    default:
        state = CHECK_UNKNOWN;
        break;
    }
    check = add(checks, "search", state, "search");
    (void)str_copy(check->name, sizeof check->name, "the highest rate that holds");
    search_sentence(&verdict->search, check->text, sizeof check->text);
}

/* A killed run knows how many were let in, and no more of which kind. */
static void add_let_in(struct checks *checks, const struct verdict *verdict)
{
    for (size_t i = 0; i < verdict->n_refusals; i++) {
        if (refusal_worst(&verdict->refusals[i]) == REFUSAL_LET_IN) {
            return;
        }
    }
    if (verdict->n_let_in > 0) {
        struct check *check = add(checks, "identity", CHECK_FAILED, "let_in");
        (void)str_copy(check->name, sizeof check->name, "bad identities are refused");
        (void)str_copy(check->text, sizeof check->text, verdict->reason);
    }
}

static void add_trust(struct checks *checks, const struct verdict *verdict)
{
    bool ended = verdict->kind == VERDICT_INCONCLUSIVE && verdict->ended[0] != '\0';
    struct check *check;

    if (verdict->invalid[0] != '\0') {
        check = add(checks, "run", CHECK_INVALID, "invalid");
        (void)str_copy(check->text, sizeof check->text, verdict->invalid);
    } else if (verdict->kind == VERDICT_REFUSED) {
        check = add(checks, "run", CHECK_INVALID, "refused");
        (void)str_copy(check->text, sizeof check->text, verdict->reason);
    } else if (verdict->interrupted || ended) {
        check = add(checks, "run", CHECK_UNKNOWN, ended ? "ended" : "interrupted");
        (void)str_copy(check->text, sizeof check->text,
                       ended ? verdict->ended : "it was interrupted or killed");
    } else {
        check = add(checks, "run", CHECK_PASSED, "valid");
        (void)str_copy(check->text, sizeof check->text, "nothing spoilt it");
    }
    (void)str_copy(check->name, sizeof check->name, "the run can be trusted");
}

static void add_generator(struct checks *checks, const struct verdict *verdict)
{
    const char *reason = verdict->generator_reason;
    enum check_state state = CHECK_PASSED;

    if (!verdict->generator_healthy) {
        /* a search may end with what the generator can do */
        state = verdict->kind == VERDICT_INVALID ? CHECK_INVALID : CHECK_UNKNOWN;
    }
    struct check *check = add(checks, "run", state, "generator");
    (void)str_copy(check->name, sizeof check->name, "the generator kept up with its plan");
    (void)str_copy(check->text, sizeof check->text, reason[0] != '\0' ? reason : "it kept up");
}

struct checks *checks_new(const struct verdict *verdict)
{
    struct checks *checks = xcalloc(1, sizeof *checks);

    for (size_t i = 0; i < verdict->n_memory; i++) {
        add_memory(checks, &verdict->memory[i]);
    }
    for (size_t i = 0; i < verdict->n_limits; i++) {
        add_limit(checks, &verdict->limits[i], verdict->generator_healthy);
    }
    for (size_t i = 0; i < verdict->n_refusals; i++) {
        add_refusal(checks, &verdict->refusals[i]);
    }
    add_let_in(checks, verdict);
    add_search(checks, verdict);
    add_trust(checks, verdict);
    add_generator(checks, verdict);
    return checks;
}

void checks_free(struct checks *checks)
{
    free(checks);
}

size_t checks_count(const struct checks *checks, enum check_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < checks->n; i++) {
        n += checks->list[i].state == state;
    }
    return n;
}

const char *check_state_name(enum check_state state)
{
    static const char *const names[CHECK_STATES] = {[CHECK_PASSED] = "passed",
                                                    [CHECK_FAILED] = "FAILED",
                                                    [CHECK_UNKNOWN] = "inconclusive",
                                                    [CHECK_INVALID] = "INVALID"};

    return names[state];
}
