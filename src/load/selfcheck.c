#include "load/selfcheck.h"

#include "base/mono.h"
#include "load/refusal.h"
#include "load/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For a sign that a server gives who need not answer. */
#define SIGN_NS (2 * NS_PER_S)

/* A plan with clients that have none says itself that the endpoint lets them in. */
static bool all_have_certificates(const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_identities; i++) {
        if (plan->identities[i].with_cert == NULL) {
            return false;
        }
    }
    return true;
}

static void describe(const struct fetch_answer *answer, const struct refusal_answer *refusal,
                     char text[SELFCHECK_TEXT])
{
    if (answer->status == 0 && answer->alert > 0) {
        (void)snprintf(text, SELFCHECK_TEXT, "the alert %s", outcome_alert_name(answer->alert));
    } else {
        refusal_answer_text(refusal, text, SELFCHECK_TEXT);
    }
}

static enum selfcheck decide(const struct fetch_answer *answer, char text[SELFCHECK_TEXT])
{
    static const struct expect any = {.any = true};
    struct refusal_answer refusal = {.outcome = answer->outcome, .status = answer->status};
    describe(answer, &refusal, text);
    switch (refusal_judge(&any, &refusal, answer->alert)) {
    case REFUSAL_REFUSED:
        if (answer->outcome == OUTCOME_REPLY_MISMATCH) { /* TLS let it in, or the profile errs */
            return SELFCHECK_UNCLEAR;
        }
        if (!answer->asked) { /* then it refused something else */
            size_t len = strlen(text);
            (void)snprintf(text + len, SELFCHECK_TEXT - len, " and was not asked for one");
            return SELFCHECK_UNCLEAR;
        }
        return SELFCHECK_ENFORCED;
    case REFUSAL_LET_IN:
        return SELFCHECK_NOT_ENFORCED;
    default:
        return SELFCHECK_UNCLEAR;
    }
}

enum selfcheck selfcheck_perform(const struct plan *plan, const struct addr *addrs, size_t n_addrs,
                                 struct mint *mint, char text[SELFCHECK_TEXT], struct diag *diag)
{
    if (!plan->target.expect_mtls || !all_have_certificates(plan)) {
        return SELFCHECK_NOT_ASKED;
    }
    struct plan_target hasty = plan->target;
    const struct plan_target *target = &plan->target;
    if (target->raw && !plan_request_expects(&plan->requests[0]) &&
        target->timeout_first_byte_ns > SIGN_NS) {
        hasty.timeout_first_byte_ns = SIGN_NS;
        target = &hasty;
    }
    struct fetch *fetch = fetch_new_at(plan, target, addrs, n_addrs, diag);
    if (fetch == NULL) {
        return SELFCHECK_UNCLEAR;
    }
    struct fetch_answer answer;
    (void)sample_ask(fetch, plan, mint, false, &answer);
    enum selfcheck result = decide(&answer, text);
    free(answer.body);
    fetch_free(fetch);
    return result;
}
