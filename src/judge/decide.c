#include "judge/verdict.h"

#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int exit_code;
} kinds[] = {
    [VERDICT_PASS] = {"pass", 0},
    [VERDICT_FAIL] = {"fail", 1},
    [VERDICT_INCONCLUSIVE] = {"inconclusive", 3},
    [VERDICT_INVALID] = {"invalid", 4},
    [VERDICT_REFUSED] = {"refused", 5},
    [VERDICT_INTERRUPTED] = {"interrupted", 6},
};

const char *verdict_kind_name(enum verdict_kind kind)
{
    return kinds[kind].name;
}

static void decide(struct verdict *v, enum verdict_kind kind, const char *reason)
{
    v->kind = kind;
    v->exit_code = kinds[kind].exit_code;
    (void)str_copy(v->reason, sizeof v->reason, reason);
}

/* The first finding of a class; with several sources its reason is preceded by the source. */
static const struct memory_finding *first_of(const struct verdict *v, enum memory_class class)
{
    for (size_t i = 0; i < v->n_memory; i++) {
        if (v->memory[i].class == class) {
            return &v->memory[i];
        }
    }
    return NULL;
}

static void decide_by(struct verdict *v, enum verdict_kind kind, const struct memory_finding *f)
{
    char reason[sizeof v->reason];
    bool several = false;
    for (size_t i = 1; i < v->n_memory; i++) {
        several |= !str_equal(v->memory[i].source, v->memory[0].source);
    }
    if (several) {
        snprintf(reason, sizeof reason, "%s: %s", f->source, f->reason);
    } else {
        snprintf(reason, sizeof reason, "%s", f->reason);
    }
    decide(v, kind, reason);
}

/* One connection in a hundred may be reset for reasons of its own, which is no answer at all. */
#define OTHERWISE_SHARE 0.01

enum refusal_result refusal_worst(const struct refusal_finding *finding)
{
    const struct refusal_tally *tally = &finding->tally;
    if (tally->n[REFUSAL_LET_IN] > 0) {
        return REFUSAL_LET_IN;
    }
    if ((double)tally->n[REFUSAL_OTHERWISE] > OTHERWISE_SHARE * (double)tally->tried) {
        return REFUSAL_OTHERWISE;
    }
    return tally->n[REFUSAL_REFUSED] > 0 ? REFUSAL_REFUSED : REFUSAL_UNCLEAR;
}

void refusal_sentence(const struct refusal_finding *finding, char *text, size_t size)
{
    enum refusal_result result = refusal_worst(finding);
    uint64_t n = finding->tally.n[result];
    char answer[128], of[64];
    refusal_answer_text(&finding->tally.first[result], answer, sizeof answer);
    snprintf(of, sizeof of, "%" PRIu64 " of %" PRIu64 " attempts", n, finding->tally.tried);
    if (result == REFUSAL_LET_IN) {
        snprintf(text, size, "the server let in %s (%s, %s; refuse %s)", finding->what.presented,
                 of, answer, finding->what.name);
    } else if (result == REFUSAL_OTHERWISE) {
        snprintf(text, size,
                 "the server refused %s in another way than expected: %s, not %s (%s; "
                 "refuse %s)",
                 finding->what.presented, answer, finding->what.expect, of, finding->what.name);
    } else if (result == REFUSAL_UNCLEAR && finding->tally.tried == 0) {
        snprintf(text, size, "the run was too short to present %s even once (refuse %s)",
                 finding->what.presented, finding->what.name);
    } else if (result == REFUSAL_UNCLEAR) {
        snprintf(text, size, "whether the server refuses %s can't be told: %s (%s; refuse %s)",
                 finding->what.presented, answer, of, finding->what.name);
    } else {
        text[0] = '\0';
    }
}

static const struct refusal_finding *first_refusal(const struct verdict *v,
                                                   enum refusal_result result)
{
    for (size_t i = 0; i < v->n_refusals; i++) {
        if (refusal_worst(&v->refusals[i]) == result) {
            return &v->refusals[i];
        }
    }
    return NULL;
}

/* Decides by the first bad identity that had such a result; false when none had. */
static bool decide_by_refusal(struct verdict *v, enum verdict_kind kind, enum refusal_result result)
{
    const struct refusal_finding *finding = first_refusal(v, result);
    char reason[sizeof v->reason];
    if (finding == NULL) {
        return false;
    }
    refusal_sentence(finding, reason, sizeof reason);
    decide(v, kind, reason);
    return true;
}

static bool decide_let_in(struct verdict *v)
{
    char reason[sizeof v->reason];
    if (v->n_let_in == 0) {
        return false;
    }
    if (!decide_by_refusal(v, VERDICT_FAIL, REFUSAL_LET_IN)) {
        snprintf(reason, sizeof reason,
                 "the server let in %" PRIu64 " bad identities before the run was killed",
                 v->n_let_in);
        decide(v, VERDICT_FAIL, reason);
    }
    return true;
}

/* The one that ended the run goes before the others. */
static const struct limit_finding *first_limit(const struct verdict *v, enum limit_state state)
{
    const struct limit_finding *first = NULL;
    for (size_t i = 0; i < v->n_limits; i++) {
        bool is = v->limits[i].state == state;
        first = is && (first == NULL || v->limits[i].ended) ? &v->limits[i] : first;
    }
    return first;
}

static void decide_by_finding(struct verdict *v, enum verdict_kind kind,
                              const struct limit_finding *finding)
{
    char reason[sizeof v->reason];
    limits_sentence(finding, reason, sizeof reason);
    decide(v, kind, reason);
}

/* Decides by the first limit in that state; false when none is. */
static bool decide_by_limit(struct verdict *v, enum verdict_kind kind, enum limit_state state)
{
    const struct limit_finding *finding = first_limit(v, state);
    if (finding != NULL) {
        decide_by_finding(v, kind, finding);
    }
    return finding != NULL;
}

/* Growth that is proven to be more than a limit on memory allows, as a leak is. */
static const struct limit_finding *broken_of_memory(const struct verdict *v)
{
    for (size_t i = 0; i < v->n_limits; i++) {
        if (v->limits[i].state == LIMIT_BROKEN && limit_is_of_memory(&v->limits[i].limit)) {
            return &v->limits[i];
        }
    }
    return NULL;
}

/* A search is judged by its answer; its limits are those of the step that this rests on, and one of
 * which nothing was measured there leaves the answer open. */
static void decide_search(struct verdict *v, bool interrupted)
{
    static const enum verdict_kind of[SEARCH_ENDS] = {
        [SEARCH_GOES_ON] = VERDICT_INCONCLUSIVE,   [SEARCH_FOUND] = VERDICT_PASS,
        [SEARCH_TOP_HELD] = VERDICT_PASS,          [SEARCH_NOTHING_HELD] = VERDICT_FAIL,
        [SEARCH_SATURATED] = VERDICT_INCONCLUSIVE,
    };
    enum verdict_kind kind = of[v->search.answer.end];
    char reason[sizeof v->reason];
    if (kind == VERDICT_PASS && decide_by_limit(v, VERDICT_INCONCLUSIVE, LIMIT_UNKNOWN)) {
        return;
    }
    if (kind == VERDICT_PASS && decide_by_refusal(v, VERDICT_INCONCLUSIVE, REFUSAL_UNCLEAR)) {
        return;
    }
    search_sentence(&v->search, reason, sizeof reason);
    bool cut_off = interrupted && v->search.answer.end == SEARCH_GOES_ON;
    decide(v, cut_off ? VERDICT_INTERRUPTED : kind, reason);
}

/* Without a memory source a pass says what it is one of. */
static void decide_load_alone(struct verdict *v)
{
    char reason[sizeof v->reason];
    if (v->n_limits > 0) {
        snprintf(reason, sizeof reason,
                 "%s held; no leak was judged, since the run has no memory source",
                 v->n_limits > 1 ? "all limits" : "the limit");
    } else {
        snprintf(reason, sizeof reason,
                 "nothing failed; no leak was judged, since the run has no memory source");
    }
    decide(v, VERDICT_PASS, reason);
}

/* What a run shows that was not let go to its end is no pass. */
static void decide_ended(struct verdict *v, const struct memory_finding *undecided)
{
    char reason[sizeof v->reason];
    int n = snprintf(reason, sizeof reason, "the run was ended early: %s; ", v->ended);
    (void)str_copy(reason + n, sizeof reason - (size_t)n,
                   undecided != NULL ? undecided->reason : "no leak is proven");
    decide(v, VERDICT_INCONCLUSIVE, reason);
}

/* Codes in the order in which they go before each other: a bad identity let in, a proven leak or
 * growth that is proven to break a limit on memory, an unusable run, a refusal that is not as it
 * should be or another limit that is broken, an interrupted run, then what is undecided.  A leak
 * that gets its server killed is a leak, but a pass of a run that can't be used is nothing. */
void verdict_decide(struct verdict *verdict, const char *invalid, bool interrupted)
{
    const struct memory_finding *leak = first_of(verdict, MEMORY_LEAK);
    const struct memory_finding *undecided = first_of(verdict, MEMORY_INCONCLUSIVE);
    verdict->interrupted = interrupted;
    (void)str_copy(verdict->invalid, sizeof verdict->invalid, invalid != NULL ? invalid : "");
    if (decide_let_in(verdict)) {
        return;
    }
    if (leak != NULL) {
        decide_by(verdict, VERDICT_FAIL, leak);
    } else if (broken_of_memory(verdict) != NULL) {
        decide_by_finding(verdict, VERDICT_FAIL, broken_of_memory(verdict));
    } else if (invalid != NULL) {
        decide(verdict, VERDICT_INVALID, invalid);
    } else if (decide_by_refusal(verdict, VERDICT_FAIL, REFUSAL_OTHERWISE)) {
        return;
    } else if (verdict->search.answer.end != SEARCH_NONE) {
        decide_search(verdict, interrupted);
    } else if (decide_by_limit(verdict, VERDICT_FAIL, LIMIT_BROKEN)) {
        return;
    } else if (interrupted) {
        decide(verdict, VERDICT_INTERRUPTED,
               "interrupted by a signal; nothing had failed until then");
    } else if (verdict->ended[0] != '\0') {
        decide_ended(verdict, undecided);
    } else if (undecided != NULL) {
        decide_by(verdict, VERDICT_INCONCLUSIVE, undecided);
    } else if (decide_by_limit(verdict, VERDICT_INCONCLUSIVE, LIMIT_UNKNOWN) ||
               decide_by_refusal(verdict, VERDICT_INCONCLUSIVE, REFUSAL_UNCLEAR)) {
        return;
    } else if (verdict->n_memory == 0) {
        decide_load_alone(verdict);
    } else {
        const struct memory_finding *bounded = first_of(verdict, MEMORY_BOUNDED);
        decide_by(verdict, VERDICT_PASS, bounded != NULL ? bounded : &verdict->memory[0]);
    }
}
