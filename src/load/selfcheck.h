/* The self-check: before the load, one connection without a certificate must be refused, else the
 * endpoint does not enforce mutual TLS and nothing measured on it would mean what people think. */
#ifndef LOAD_SELFCHECK_H
#define LOAD_SELFCHECK_H

#include "base/diag.h"
#include "ident/mint.h"
#include "net/addr.h"
#include "profile/plan.h"

#include <stdbool.h>

enum selfcheck {
    SELFCHECK_ENFORCED,
    SELFCHECK_NOT_ENFORCED, /* it was let in: exit 1 */
    SELFCHECK_UNCLEAR,      /* a 404, a timeout, or it never asked for one: the load will tell */
    SELFCHECK_NOT_ASKED     /* target.expect_mtls = no, or some client has no certificate */
};

#define SELFCHECK_TEXT 256

/* Sends the plan's first request to one of these addresses without a certificate, but with the
 * first identity's key and token where it has them, since an endpoint that wants those would refuse
 * the request for their lack.  `text` gets what came back, in words.  SELFCHECK_UNCLEAR with
 * mistakes when nothing could be tried.  Before the load: it takes from the first worker's pools.
 */
enum selfcheck selfcheck_perform(const struct plan *plan, const struct addr *addrs, size_t n_addrs,
                                 struct mint *mint, char text[SELFCHECK_TEXT], struct diag *diag)
    __attribute__((warn_unused_result));

#endif
