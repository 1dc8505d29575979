/* A client certificate with its chain and key, loaded from PEM or minted in memory from a CA,
 * and the CA itself.  Kept as raw buffers (no parsed X509), about 1 KiB each, since a connection
 * only ever hands them to the TLS library.  Of ident's public headers none names BoringSSL. */
#ifndef IDENT_CERT_H
#define IDENT_CERT_H

#include "base/diag.h"
#include "base/rng.h"
#include "profile/plan.h"

#include <stddef.h>
#include <stdint.h>

struct crypto_buffer_st;
struct crypto_buffer_pool_st;
struct evp_pkey_st;

struct cert {
    struct crypto_buffer_st **chain; /* leaf first */
    size_t n_chain;
    struct evp_pkey_st *key;
    uint64_t n;          /* its number: {n} of the templates; the position for files */
    int64_t not_after_s; /* seconds since the epoch */
    unsigned char serial[20];
    size_t serial_len;
};

struct cert_issuer; /* a CA certificate with its key, ready to sign; const while minting */

/* Both files are PEM.  Mistakes (unreadable, no CA, key does not match, expires before the run
 * ends) carry the plan's origin of the key at fault.  The caller frees it. */
struct cert_issuer *cert_issuer_load(const struct plan *plan, const struct plan_cert *section,
                                     struct diag *diag) __attribute__((warn_unused_result));
void cert_issuer_free(struct cert_issuer *issuer);
/* Mints certificate number `n`: version 3, 16-byte random serial, validity from five minutes ago
 * to lifetime from now, clientAuth, key identifiers (RFC 5280).  Thread-safe for one issuer per
 * thread. `shared_key`: NULL for a new key pair.  The caller frees it with cert_free. */
struct cert *cert_mint(const struct cert_issuer *issuer, const struct plan_cert *section,
                       uint64_t n, const char *run_id, struct evp_pkey_st *shared_key)
    __attribute__((warn_unused_result));
/* A new key pair of that type; the caller frees it with cert_key_free. */
struct evp_pkey_st *cert_key_new(enum key_type type) __attribute__((warn_unused_result));
void cert_key_free(struct evp_pkey_st *key);
/* All certificates of a `source = files` section, in the order of their names; n >= 1, or 0 with
 * mistakes.  Each is checked: parses, key matches, not expired.  The caller frees array and
 * items. */
size_t cert_load_files(const struct plan *plan, const struct plan_cert *section,
                       struct cert ***ret_certs, struct diag *diag)
    __attribute__((warn_unused_result));
void cert_free(struct cert *cert);
/* Subject as "CN=client-1" and serial as hex, for the person who looks at one exchange. */
void cert_describe(const struct cert *cert, char *text, size_t size);

#endif
