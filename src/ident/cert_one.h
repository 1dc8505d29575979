/* One client certificate as a [cert] section gives it, for an endpoint that is asked beside the
 * load, again and again: number 1 of those that are minted, or the first of those in files.  When
 * it nears its end it is made, or read, again.  It is not the load's, whose first uses are counted.
 */
#ifndef IDENT_CERT_ONE_H
#define IDENT_CERT_ONE_H

#include "ident/cert.h"

struct cert_one;

/* NULL with mistakes.  Borrows plan and section. */
struct cert_one *cert_one_new(const struct plan *plan, const struct plan_cert *section,
                              struct diag *diag) __attribute__((warn_unused_result));
/* The certificate, valid until the next call; the old one where there is no newer. */
const struct cert *cert_one_get(struct cert_one *one, int64_t now_s);
/* NULL is fine. */
void cert_one_free(struct cert_one *one);

#endif
