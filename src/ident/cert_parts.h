/* What ident itself needs of certificates beyond cert.h: minting at a given time, copies,
 * issuers that no file holds.  Loading from files is in cert_load.h, certificates to be refused
 * in cert_bad.h.  Private to ident. */
#ifndef IDENT_CERT_PARTS_H
#define IDENT_CERT_PARTS_H

#include "ident/cert.h"
#include "ident/der.h"

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

/* An empty certificate with room for a chain. */
struct cert *cert_new(size_t n_chain) __attribute__((warn_unused_result));
/* Another holder of the same certificate and key. */
struct cert *cert_copy(const struct cert *cert) __attribute__((warn_unused_result));
/* cert_mint with the clock given, seconds since the epoch. */
struct cert *cert_mint_at(const struct cert_issuer *issuer, const struct plan_cert *section,
                          uint64_t n, const char *run_id, struct evp_pkey_st *shared_key,
                          int64_t now_s) __attribute__((warn_unused_result));
/* 16 random bytes that are a positive INTEGER without a leading zero (RFC 5280 section 4.1.2.2). */
void cert_serial_new(unsigned char serial[20], size_t *ret_len);
/* An issuer from a certificate and its key, which it takes over. */
struct cert_issuer *cert_issuer_new(CRYPTO_BUFFER *certificate, EVP_PKEY *key)
    __attribute__((warn_unused_result));
const struct der_issuer *cert_issuer_der(const struct cert_issuer *issuer);
/* Whether what a section says can be minted: its templates of subject, san and serial (expanded for
 * the greatest number there will be), its key usages, the subjects of its intermediates.  Mistakes
 * with their lines.  cert_issuer_load calls it. */
bool cert_check(const struct plan *plan, const struct plan_cert *section, struct diag *diag)
    __attribute__((warn_unused_result));

#endif
