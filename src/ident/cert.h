/* A client certificate with its chain and key, loaded from files or minted in memory from a CA,
 * and the CA itself.  Kept as raw buffers (no parsed X509), about 1 KiB each, since a connection
 * only ever hands them to the TLS library.  Of ident's public headers none names BoringSSL. */
#ifndef IDENT_CERT_H
#define IDENT_CERT_H

#include "base/diag.h"
#include "base/rng.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crypto_buffer_st;
struct crypto_buffer_pool_st;
struct evp_pkey_st;

struct cert {
    struct crypto_buffer_st **chain; /* leaf first */
    size_t n_chain;
    struct evp_pkey_st *key;
    uint64_t n;               /* its number: {n} of the templates; the position for files */
    int64_t not_after_s;      /* seconds since the epoch */
    unsigned char serial[20]; /* its magnitude, big-endian */
    size_t serial_len;
    /* `key` is not the certificate's: present it and sign with this all the same */
    bool foreign_key;
};

struct cert_issuer; /* a CA certificate with its key, ready to sign; const while minting */

/* Loads CA, key and chain, which are PEM, and makes the CAs below it that stand above the clients
 * (their subjects are expanded with run_id); checks too all that will be minted by the section.
 * Mistakes (unreadable, no CA, key does not match, expires before the run ends, a template that is
 * none) carry the plan's origin of the key at fault.  The caller frees it. */
struct cert_issuer *cert_issuer_load(const struct plan *plan, const struct plan_cert *section,
                                     const char *run_id, struct diag *diag)
    __attribute__((warn_unused_result));
void cert_issuer_free(struct cert_issuer *issuer);
/* Mints certificate number `n` as the section says: version 3, validity from five minutes ago to
 * lifetime from now but not beyond the CA's, key identifiers (RFC 5280).  Several threads may mint
 * with one issuer.  `shared_key`: NULL for a new key pair.  The caller frees it with cert_free. */
struct cert *cert_mint(const struct cert_issuer *issuer, const struct plan_cert *section,
                       uint64_t n, const char *run_id, struct evp_pkey_st *shared_key)
    __attribute__((warn_unused_result));
/* SHA-256 of the leaf's DER: x5t#S256 of RFC 8705 section 3.1. */
void cert_thumbprint(const struct cert *cert, unsigned char thumbprint[32]);
/* A new key pair of that type; the caller frees it with cert_key_free.  On one core of 2020 P-256
 * and Ed25519 take some 50 us, P-384 1 ms, RSA 0.1 s (2,048 bits), 0.3 s (3,072) and 0.7 s
 * (4,096): large pools of RSA want key_per_cert = no. */
struct evp_pkey_st *cert_key_new(enum key_type type) __attribute__((warn_unused_result));
void cert_key_free(struct evp_pkey_st *key);
void cert_free(struct cert *cert);
/* Subject as "CN=client-1" and serial as hex, for the person who looks at one exchange. */
void cert_describe(const struct cert *cert, char *text, size_t size);

#endif
