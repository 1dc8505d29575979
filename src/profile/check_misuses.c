#include "base/mem.h"
#include "base/mono.h"
#include "base/unit.h"
#include "profile/check_run.h"

#include <stdlib.h>

#define SHARES_MAX 0.9
#define HOLD_NS    (10 * NS_PER_S)
#define HOLDS_OF_DWELL                                                                             \
    4 /* so that what a dwell began is over when the next one is well under way */

static const char *word_of(const char *key, unsigned value)
{
    const char *suffix;

    return option_find(SECTION_MISUSE, key, &suffix)->words[value];
}

static bool has_stage(enum misuse_act kind, enum misuse_stage stage)
{
    switch (stage) {
    case STAGE_EACH:
        return true;
    case STAGE_REQUEST:
    case STAGE_FIRST_BYTE:
        return kind == MISUSE_ABANDON_RESPONSE;
    default:
        return kind == MISUSE_HANDSHAKE_STOP;
    }
}

static void check_stage(const struct checker *c, const struct plan_misuse *misuse)
{
    bool stops = misuse->kind == MISUSE_HANDSHAKE_STOP;

    if (!has_stage(misuse->kind, misuse->stage)) {
        diag_add(c->diag, check_origin(c, &misuse->stage, misuse->origin),
                 "misuse.stage: %s has no stage %s (write %s)", word_of("kind", misuse->kind),
                 word_of("stage", misuse->stage),
                 stops ? "each, hello, server-flight or client-flight"
                       : "each, request or first-byte");
    }
}

/* Keys that this kind has no use for. */
static void check_kind(const struct checker *c, const struct plan_misuse *misuse)
{
    CLEANUP_FREE char *with = xasprintf("with misuse.kind = %s", word_of("kind", misuse->kind));
    bool abandons = misuse->kind == MISUSE_ABANDON_RESPONSE;
    bool cuts = misuse->kind == MISUSE_ABORT_BODY || misuse->kind == MISUSE_H2_DISCONNECT;

    if (abandons || misuse->kind == MISUSE_HANDSHAKE_STOP) {
        check_stage(c, misuse);
    } else {
        check_unused(c, SECTION_MISUSE, misuse, CHECK_KEYS("stage"), with);
    }
    if (!abandons && !cuts) {
        check_unused(c, SECTION_MISUSE, misuse, CHECK_KEYS("end"), with);
    }
    if (misuse->kind != MISUSE_OVERSIZED_HEADER) {
        check_unused(c, SECTION_MISUSE, misuse, CHECK_KEYS("size"), with);
    }
    if (misuse->kind != MISUSE_H2_DISCONNECT && misuse->kind != MISUSE_H2_RESET) {
        check_unused(c, SECTION_MISUSE, misuse, CHECK_KEYS("streams"), with);
    }
}

static void settle_hold(const struct checker *c, struct plan_misuse *misuse)
{
    const struct plan_attribution *a = &c->plan->attribution;
    bool designed = a->mode != ATTRIBUTION_OFF;
    char text[UNIT_TEXT];

    if (!check_is_given(c, &misuse->hold_ns)) {
        bool shorter = designed && a->dwell_ns / HOLDS_OF_DWELL < HOLD_NS;
        misuse->hold_ns = shorter ? a->dwell_ns / HOLDS_OF_DWELL : HOLD_NS;
    } else if (designed && misuse->hold_ns > a->dwell_ns / 2) {
        diag_add(c->diag, plan_origin(c->plan, &misuse->hold_ns),
                 "misuse.hold: with [attribution] %s at the most, half a dwell: what one dwell "
                 "begins must not reach far into the next",
                 unit_duration(text, (double)a->dwell_ns / 2));
    }
}

static void check_shares(const struct checker *c)
{
    double sum = 0;

    for (size_t i = 0; i < c->plan->n_misuses; i++) {
        const struct plan_misuse *misuse = &c->plan->misuses[i];
        bool was_within = sum <= SHARES_MAX;
        sum += misuse->share;
        if (was_within && sum > SHARES_MAX) {
            diag_add(c->diag, check_origin(c, &misuse->share, misuse->origin),
                     "misuse.share: with those above it more than %.0f%% of all attempts would be "
                     "misuses",
                     SHARES_MAX * 100);
        }
    }
}

void check_misuses(const struct checker *c)
{
    for (size_t i = 0; i < c->plan->n_misuses; i++) {
        struct plan_misuse *misuse = &c->plan->misuses[i];
        settle_hold(c, misuse);
        if (check_is_given(c, &misuse->kind)) {
            check_kind(c, misuse);
        } else {
            diag_add(c->diag, misuse->origin,
                     "[misuse %s]: misuse.kind is missing (write kind = abort-body)", misuse->name);
        }
    }
    check_shares(c);
}
