/* What the algorithms of JSON Web Signature are (RFC 7518 section 3, RFC 8037): the key that each
 * needs, and signatures in the form that tokens carry.  Private to ident; a header that names
 * BoringSSL. */
#ifndef IDENT_JWT_KEY_H
#define IDENT_JWT_KEY_H

#include "ident/crypt.h"

#include "profile/plan.h"

#include <openssl/base.h>

#include <stdbool.h>
#include <stddef.h>

/* One of the two; borrowed. */
struct jwt_key {
    enum jwt_alg alg;
    const char *secret; /* HS* */
    size_t secret_len;
    EVP_PKEY *key; /* the others */
};

/* "ES256" */
const char *jwt_alg_name(enum jwt_alg alg);
bool jwt_alg_is_hmac(enum jwt_alg alg);
/* What key a signer of that algorithm makes for itself; not for HS*. */
enum key_type jwt_alg_key_type(enum jwt_alg alg);
/* "ES256 needs an EC key on P-256, and this is an RSA key of 2,048 bits"; false when it fits. */
bool jwt_key_fault(enum jwt_alg alg, const EVP_PKEY *key, char fault[160])
    __attribute__((warn_unused_result));
/* Returns the length of the signature; ECDSA's r and s stand side by side (section 3.4). */
size_t jwt_key_sign(const struct jwt_key *key, const void *data, size_t len,
                    unsigned char signature[CRYPT_SIGNATURE]);
bool jwt_key_check(const struct jwt_key *key, const void *data, size_t len,
                   const unsigned char *signature, size_t signature_len)
    __attribute__((warn_unused_result));

#endif
