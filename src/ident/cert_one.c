#include "ident/cert_one.h"

#include "base/mem.h"
#include "base/mono.h"
#include "ident/cert_load.h"

#include <stdlib.h>

#define REREAD_BEFORE_S 60       /* files; nor are they read again sooner */
#define RUN_ID          "memory" /* of the templates: it belongs to no run's load */

struct cert_one {
    const struct plan *plan;
    const struct plan_cert *section;
    struct cert_issuer *issuer; /* NULL: it comes from a file */
    struct cert *cert;
    int64_t tried_s; /* when this one was made, or another last asked for */
};

/* The first that the section's files hold; NULL with mistakes. */
static struct cert *load(const struct cert_one *one, struct diag *diag)
{
    struct cert_list list;
    struct cert *cert;

    if (!cert_list_load(&list, one->plan, one->section, diag)) {
        return NULL;
    }
    cert = list.certs[0];
    list.certs[0] = NULL;
    cert_list_free(&list);
    return cert;
}

static struct cert *make(const struct cert_one *one, struct diag *diag)
{
    return one->issuer != NULL ? cert_mint(one->issuer, one->section, 1, RUN_ID, NULL)
                               : load(one, diag);
}

struct cert_one *cert_one_new(const struct plan *plan, const struct plan_cert *section,
                              struct diag *diag)
{
    struct cert_one *one = xcalloc(1, sizeof *one);

    one->plan = plan;
    one->section = section;
    if (section->source == CERT_MINT) {
        one->issuer = cert_issuer_load(plan, section, RUN_ID, diag);
    }
    if (section->source != CERT_MINT || one->issuer != NULL) {
        one->cert = make(one, diag);
    }
    if (one->cert == NULL) {
        cert_one_free(one);
        return NULL;
    }
    one->tried_s = one->issuer != NULL ? (int64_t)mono_wall_s() : 0;
    return one;
}

/* What is minted is renewed as the load's: as the section says, but not before half its life, which
 * the end of its CA may have made short. */
static bool is_due(const struct cert_one *one, int64_t now_s)
{
    int64_t left_s = one->cert->not_after_s - now_s;
    int64_t half_s = (one->cert->not_after_s - one->tried_s) / 2;
    int64_t before_s = (int64_t)((one->section->renew_before_ns + NS_PER_S - 1) / NS_PER_S);

    if (one->issuer == NULL) {
        return left_s < REREAD_BEFORE_S && now_s - one->tried_s >= REREAD_BEFORE_S;
    }
    return left_s <= (before_s < half_s ? before_s : half_s);
}

const struct cert *cert_one_get(struct cert_one *one, int64_t now_s)
{
    if (is_due(one, now_s)) {
        struct diag *unread = diag_new();
        struct cert *newer = make(one, unread);
        one->tried_s = now_s;
        if (newer != NULL) {
            cert_free(one->cert);
            one->cert = newer;
        }
        diag_free(unread);
    }
    return one->cert;
}

void cert_one_free(struct cert_one *one)
{
    if (one != NULL) {
        cert_free(one->cert);
        cert_issuer_free(one->issuer);
        free(one);
    }
}
