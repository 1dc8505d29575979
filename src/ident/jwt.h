/* JSON Web Tokens (RFC 7519, RFC 7515): minted from a claims template, and verified for the demo
 * server and the tests.  Signing keys may rotate by kid, with a JWKS file for the server.
 *
 * More than eight functions: signing and verifying are two halves of one format. */
#ifndef IDENT_JWT_H
#define IDENT_JWT_H

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jwt_signer;
struct evp_pkey_st;

/* Checks claims template, jose members and key; with key_rotate or without a key, makes the first
 * signing keys.  NULL with mistakes. */
struct jwt_signer *jwt_signer_new(const struct plan *plan, const struct plan_jwt *section,
                                  struct diag *diag) __attribute__((warn_unused_result));
void jwt_signer_free(struct jwt_signer *signer);
/* False when the claims template sets exp itself: such tokens cannot be renewed. */
bool jwt_signer_sets_exp(const struct jwt_signer *signer);

/* One token to be made.  Zero but for n, run_id and now_s: a good one, bound to nothing. */
struct jwt_order {
    uint64_t n;
    const char *run_id;
    int64_t now_s;
    const unsigned char *thumbprint; /* 32 bytes: cnf.x5t#S256 is added; NULL: not bound */
    enum bad_jwt bad;                /* what is wrong with it */
};

/* A token in compact form; ret_not_after_s is its exp.  The caller wipes and frees it.  NULL for
 * BAD_JWT_NONE, and for BAD_JWT_HS256_PUBLIC_KEY where the key is a secret.  Several threads may
 * mint at once, but none while jwt_signer_turn runs. */
char *jwt_mint(const struct jwt_signer *signer, const struct jwt_order *order, size_t *ret_len,
               int64_t *ret_not_after_s) __attribute__((warn_unused_result));
/* Makes a token of somebody else's (a file's, an endpoint's) bad, as far as that can be done
 * without its key: wrong signature and alg-none.  NULL for what can't. */
char *jwt_spoil(const char *token, size_t len, enum bad_jwt bad, size_t *ret_len)
    __attribute__((warn_unused_result));
/* exp of a token, without verifying it; 0 when it has none or is no JWT. */
int64_t jwt_expiry_s(const char *token, size_t len);
/* Signing-key rotation: when the next key is due, makes it the signing one and writes the JWKS file
 * anew (RFC 7517: every key that may have signed a token still valid, and the one that comes next),
 * atomically.  The first call writes the file, which nothing else does.  Returns the number of the
 * key that signs now; false with a reason when the file can't be written (the old key then goes on
 * signing). */
bool jwt_signer_turn(struct jwt_signer *signer, int64_t now_s, uint64_t *ret_key, char error[256])
    __attribute__((warn_unused_result));

enum jwt_verdict {
    JWT_GOOD,
    JWT_MALFORMED,
    JWT_WRONG_ALG, /* not the policy's; none; HMAC where a public key is expected */
    JWT_WRONG_SIGNATURE,
    JWT_EXPIRED,
    JWT_NOT_YET_VALID,
    JWT_WRONG_AUDIENCE,
    JWT_WRONG_CERTIFICATE /* cnf.x5t#S256 is another's, or is missing where it is demanded */
};

/* What the demo server demands of a token. */
struct jwt_policy {
    enum jwt_alg alg;
    const char *secret; /* HS* */
    size_t secret_len;
    struct evp_pkey_st *public_key;  /* the others */
    const char *audience;            /* NULL: any */
    const unsigned char *thumbprint; /* of the connection's certificate; NULL: there is none */
    bool must_be_bound;
};

/* `sub` gets the subject when there is one. */
enum jwt_verdict jwt_verify(const struct jwt_policy *policy, const char *token, size_t len,
                            int64_t now_s, char *sub, size_t sub_size)
    __attribute__((warn_unused_result));

#endif
