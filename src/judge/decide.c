#include "judge/verdict.h"

#include "base/str.h"

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

/* Codes in the order in which they go before each other: a proven leak, an unusable run, an
 * interrupted one, then what is undecided.  A leak that gets its server killed is a leak, but a
 * pass of a run that can't be used is nothing. */
void verdict_decide(struct verdict *verdict, const char *invalid, bool interrupted,
                    bool wanted_memory)
{
    const struct memory_finding *leak = first_of(verdict, MEMORY_LEAK);
    const struct memory_finding *undecided = first_of(verdict, MEMORY_INCONCLUSIVE);
    if (leak != NULL) {
        decide_by(verdict, VERDICT_FAIL, leak);
    } else if (invalid != NULL) {
        decide(verdict, VERDICT_INVALID, invalid);
    } else if (interrupted) {
        decide(verdict, VERDICT_INTERRUPTED,
               "interrupted by a signal; nothing had failed until then");
    } else if (undecided != NULL) {
        decide_by(verdict, VERDICT_INCONCLUSIVE, undecided);
    } else if (verdict->n_memory == 0 && wanted_memory) {
        decide(verdict, VERDICT_INCONCLUSIVE,
               "a memory limit was asked for, but the run has no memory source");
    } else if (verdict->n_memory == 0) {
        decide(verdict, VERDICT_PASS,
               "nothing failed; no leak was judged, since the run has no memory source");
    } else {
        const struct memory_finding *bounded = first_of(verdict, MEMORY_BOUNDED);
        decide_by(verdict, VERDICT_PASS, bounded != NULL ? bounded : &verdict->memory[0]);
    }
}
