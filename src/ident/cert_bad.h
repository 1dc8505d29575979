/* Client certificates that a server must refuse, one kind for each [refuse].  All of one kind share
 * a key pair, made once; each has its own serial, always random, so that it never passes for
 * a good one's.  Private to ident. */
#ifndef IDENT_CERT_BAD_H
#define IDENT_CERT_BAD_H

#include "ident/cert.h"

#include "base/diag.h"
#include "profile/plan.h"

#include <stdint.h>

struct cert_list;
struct cert_bad; /* const while making: several threads may */

/* Makes ready what refuse->cert asks for.  `issuer`: that of the identity's section, borrowed; NULL
 * when it has no CA.  `good`: the certificates that section loaded, none of them taken out yet;
 * NULL when it mints or is none.  NULL with mistakes (refuse.path), and without one for
 * BAD_CERT_NOT and BAD_CERT_NONE. */
struct cert_bad *cert_bad_new(const struct plan *plan, const struct plan_refuse *refuse,
                              const struct cert_issuer *issuer, const struct cert_list *good,
                              struct diag *diag) __attribute__((warn_unused_result));
/* The bad twin of client number n.  The caller frees it. */
struct cert *cert_bad_make(const struct cert_bad *bad, uint64_t n, const char *run_id,
                           int64_t now_s) __attribute__((warn_unused_result));
void cert_bad_free(struct cert_bad *bad);

#endif
