/* What the tests of tokens share: one of each algorithm, and who accepts it. */
#ifndef TESTS_JWT_KIT_H
#define TESTS_JWT_KIT_H

#include "ident/cert.h"
#include "ident/jwt.h"
#include "ident/pem.h"
#include "ident_kit.h"

#include <stdlib.h>
#include <string.h>

#define JWT_NOW 1700000000

static const struct {
    const char *name;
    enum jwt_alg alg;
    enum key_type key_type;
    size_t signature_len;
} jwt_algs[] = {{"HS256", JWT_HS256, KEY_ECDSA_P256, 32}, {"HS384", JWT_HS384, KEY_ECDSA_P256, 48},
                {"HS512", JWT_HS512, KEY_ECDSA_P256, 64}, {"RS256", JWT_RS256, KEY_RSA_2048, 256},
                {"PS256", JWT_PS256, KEY_RSA_2048, 256},  {"ES256", JWT_ES256, KEY_ECDSA_P256, 64},
                {"ES384", JWT_ES384, KEY_ECDSA_P384, 96}, {"EdDSA", JWT_EDDSA, KEY_ED25519, 64}};
enum { JWT_ALGS = sizeof jwt_algs / sizeof jwt_algs[0], JWT_HMACS = 3 };

/* A signer with the policy that its tokens fit. */
struct jwt_kit {
    char *key; /* secret, or PEM */
    struct evp_pkey_st *pair;
    struct plan_jwt section;
    struct jwt_signer *signer;
    struct jwt_policy policy;
};

static inline struct jwt_signer *jwt_kit_signer(const struct plan_jwt *section)
{
    struct plan plan = {.n_jwts = 0};
    struct diag *diag = diag_new();
    struct jwt_signer *signer = jwt_signer_new(&plan, section, diag);
    for (size_t i = 0; i < diag_count(diag); i++) {
        print_message("%s\n", diag_text(diag, i));
    }
    diag_free(diag);
    assert_non_null(signer);
    return signer;
}

/* `more` sets what shall differ from the plainest section; may be NULL. */
static inline void jwt_kit_open(struct jwt_kit *kit, size_t i, const struct plan_jwt *more)
{
    size_t len;
    *kit = (struct jwt_kit){.section = kit_jwt(2, PICK_SEQUENTIAL, 60)};
    if (i >= JWT_HMACS) {
        kit->pair = cert_key_new(jwt_algs[i].key_type);
        kit->key = pem_from_key(kit->pair, &len);
    } else {
        kit->key = xstrdup("0123456789abcdef0123456789abcdef");
    }
    if (more != NULL) {
        char *claims = more->claims != NULL ? more->claims : kit->section.claims;
        uint64_t lifetime_ns = kit->section.lifetime_ns;
        kit->section = *more;
        kit->section.claims = claims;
        kit->section.lifetime_ns = lifetime_ns;
    }
    kit->section.alg = jwt_algs[i].alg;
    kit->section.key = kit->key;
    kit->signer = jwt_kit_signer(&kit->section);
    kit->policy = (struct jwt_policy){.alg = jwt_algs[i].alg,
                                      .secret = kit->pair == NULL ? kit->key : NULL,
                                      .secret_len = strlen(kit->key),
                                      .public_key = kit->pair};
}

static inline void jwt_kit_close(struct jwt_kit *kit)
{
    jwt_signer_free(kit->signer);
    cert_key_free(kit->pair);
    free(kit->key);
}

static inline char *jwt_kit_mint(const struct jwt_signer *signer, const struct jwt_order *order,
                                 int64_t *ret_exp_s)
{
    size_t len = 0;
    int64_t exp_s = 0;
    char *token = jwt_mint(signer, order, &len, &exp_s);
    assert_non_null(token);
    assert_int_equal(strlen(token), len);
    assert_int_equal(jwt_expiry_s(token, len), exp_s);
    if (ret_exp_s != NULL) {
        *ret_exp_s = exp_s;
    }
    return token;
}

static inline enum jwt_verdict jwt_kit_verify(const struct jwt_policy *policy, const char *token)
{
    return jwt_verify(policy, token, strlen(token), JWT_NOW, NULL, 0);
}

#endif
