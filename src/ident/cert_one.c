#include "ident/cert_one.h"

#include "base/mem.h"
#include "base/mono.h"
#include "ident/cert_load.h"

#include <stdlib.h>

#define RENEW_BEFORE_S 60
#define RUN_ID         "memory" /* of the templates: it belongs to no run's load */

struct cert_one {
    const struct plan *plan;
    const struct plan_cert *section;
    struct cert_issuer *issuer; /* NULL: it comes from a file */
    struct cert *cert;
    int64_t tried_s; /* when another was last asked for */
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
    return one;
}

const struct cert *cert_one_get(struct cert_one *one, int64_t now_s)
{
    if (one->cert->not_after_s - now_s < RENEW_BEFORE_S && now_s - one->tried_s >= RENEW_BEFORE_S) {
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
