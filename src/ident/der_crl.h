/* Certificate revocation lists (RFC 5280 section 5), version 2, written by hand as certificates
 * are.  Private to ident. */
#ifndef IDENT_DER_CRL_H
#define IDENT_DER_CRL_H

#include "ident/der.h"

struct der_revoked {
    const uint8_t *serial; /* positive, big-endian */
    size_t serial_len;
    int64_t at_s; /* since when */
};

struct der_crl_request {
    const struct der_issuer *issuer;
    int64_t this_update_s;
    int64_t next_update_s;
    uint64_t number; /* grows from list to list of an issuer */
    const struct der_revoked *revoked;
    size_t n_revoked;
};

/* The signed list; the caller owns it. */
CRYPTO_BUFFER *der_crl(const struct der_crl_request *request) __attribute__((warn_unused_result));

#endif
