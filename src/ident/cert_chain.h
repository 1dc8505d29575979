/* What a file holds, sorted out: which key goes to which certificate, which intermediates stand
 * above which leaf, in whatever order they were written.  Private to ident. */
#ifndef IDENT_CERT_CHAIN_H
#define IDENT_CERT_CHAIN_H

#include "ident/cert.h"
#include "ident/pem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The certificates that have their keys in `held` (which was read with `many`), in its order, each
 * with its chain: issuer behind issuer.  With one key, certificates that no chain leads to are sent
 * as well, behind it.  False with a reason where one has expired at now_s or is a CA's, or
 * something lacks its other half.  The caller frees the array and what is in it. */
bool cert_chain_sort(const struct pem *held, int64_t now_s, struct cert ***ret_certs, size_t *ret_n,
                     char error[DER_ERROR]) __attribute__((warn_unused_result));
/* The first certificate that has its key, or else the first with the first key (foreign_key), and
 * the others behind it, unchecked.  NULL with a reason. */
struct cert *cert_chain_any(const struct pem *held, char error[DER_ERROR])
    __attribute__((warn_unused_result));

#endif
