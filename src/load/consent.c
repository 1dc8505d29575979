#include "load/consent.h"

#include "base/mem.h"
#include "load/request.h"
#include "load/sample.h"

#include <stdio.h>
#include <stdlib.h>

#define WHAT_TEXT 160

/* What was lacking, into `what`; true when nothing was. */
static bool has_consented(const struct plan *plan, const struct fetch_answer *answer,
                          bool presented, char what[WHAT_TEXT])
{
    struct request request = {.expect_status = plan->requests[0].expect_status,
                              .raw = plan->target.raw};
    if (answer->alert > 0) {
        (void)snprintf(what, WHAT_TEXT, "it ended TLS with the alert %s",
                       outcome_alert_name(answer->alert));
    } else if (answer->outcome != OUTCOME_OK) {
        (void)snprintf(what, WHAT_TEXT, "%s", outcome_info(answer->outcome)->text);
    } else if (!answer->asked) {
        (void)snprintf(what, WHAT_TEXT, "it asked for no client certificate");
    } else if (!presented) {
        (void)snprintf(what, WHAT_TEXT, "the profile has no [cert] to present");
    } else if (!request_expects(&request, answer->status)) {
        (void)snprintf(what, WHAT_TEXT, "it answered the request with status %d", answer->status);
    } else {
        return true;
    }
    return false;
}

static bool ask_one(const struct plan *plan, const struct addr *addr, struct mint *mint,
                    char what[WHAT_TEXT], struct diag *diag)
{
    struct fetch *fetch = fetch_new_at(plan, &plan->target, addr, 1, diag);
    if (fetch == NULL) {
        (void)snprintf(what, WHAT_TEXT, "it could not be asked");
        return false;
    }
    struct fetch_answer answer;
    bool presented = sample_ask(fetch, plan, mint, true, &answer);
    bool ok = has_consented(plan, &answer, presented, what);
    free(answer.body);
    fetch_free(fetch);
    return ok;
}

static void refuse(const struct plan *plan, const struct addr *addr, const char *what,
                   struct diag *diag)
{
    bool is_public = policy_classify(addr) == POLICY_PUBLIC;
    CLEANUP_FREE char *line = policy_line(plan, &plan->target, addr);
    char text[ADDR_TEXT];
    diag_add(diag, plan_origin(plan, &plan->target.url),
             "%s is a %s address and did not show that it may be loaded, by asking for a client "
             "certificate, accepting ours and answering a request: %s%s%s",
             addr_text(addr, text), is_public ? "public" : "private", what,
             is_public ? "" : "; if you may load it, add to [target]: ", is_public ? "" : line);
}

bool consent_ask(const struct plan *plan, const struct policy_ruling *ruling, struct mint *mint,
                 struct diag *diag)
{
    bool ok = true;
    for (size_t i = 0; i < ruling->n_addrs; i++) {
        char what[WHAT_TEXT] = "";
        if (ruling->consent[i] && !ask_one(plan, &ruling->addrs[i], mint, what, diag)) {
            refuse(plan, &ruling->addrs[i], what, diag);
            ok = false;
        }
    }
    return ok;
}
