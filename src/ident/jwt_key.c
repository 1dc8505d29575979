#include "ident/jwt_key.h"

#include "base/bug.h"

#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define RSA_BITS_MIN 2048 /* RFC 7518 section 3.3 */
#define EC_WIDTH_MAX 48

static const struct alg {
    const char *name;
    const EVP_MD *(*digest)(void); /* NULL: the algorithm's own */
    int kind;                      /* EVP_PKEY_...; EVP_PKEY_NONE: HMAC */
    int curve;                     /* NID of EVP_PKEY_EC */
    size_t width;                  /* bytes of r and of s; 0: not ECDSA */
    bool pss;
    enum key_type made;
    const char *needs;
} algs[] = {
    [JWT_HS256] = {.name = "HS256", .digest = EVP_sha256},
    [JWT_HS384] = {.name = "HS384", .digest = EVP_sha384},
    [JWT_HS512] = {.name = "HS512", .digest = EVP_sha512},
    [JWT_RS256] = {"RS256", EVP_sha256, EVP_PKEY_RSA, 0, 0, false, KEY_RSA_2048,
                   "an RSA key of 2,048 bits or more"},
    [JWT_PS256] = {"PS256", EVP_sha256, EVP_PKEY_RSA, 0, 0, true, KEY_RSA_2048,
                   "an RSA key of 2,048 bits or more"},
    [JWT_ES256] = {"ES256", EVP_sha256, EVP_PKEY_EC, NID_X9_62_prime256v1, 32, false,
                   KEY_ECDSA_P256, "an EC key on P-256"},
    [JWT_ES384] = {"ES384", EVP_sha384, EVP_PKEY_EC, NID_secp384r1, 48, false, KEY_ECDSA_P384,
                   "an EC key on P-384"},
    [JWT_EDDSA] = {"EdDSA", NULL, EVP_PKEY_ED25519, 0, 0, false, KEY_ED25519, "an Ed25519 key"},
};

const char *jwt_alg_name(enum jwt_alg alg)
{
    return algs[alg].name;
}

bool jwt_alg_is_hmac(enum jwt_alg alg)
{
    return algs[alg].kind == EVP_PKEY_NONE;
}

enum key_type jwt_alg_key_type(enum jwt_alg alg)
{
    BUG_ON(jwt_alg_is_hmac(alg));
    return algs[alg].made;
}

static int curve_of(const EVP_PKEY *key)
{
    return EVP_PKEY_id(key) == EVP_PKEY_EC
               ? EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)))
               : 0;
}

static void describe(const EVP_PKEY *key, char *text, size_t size)
{
    int curve = curve_of(key);
    switch (EVP_PKEY_id(key)) {
    case EVP_PKEY_RSA:
        (void)snprintf(text, size, "an RSA key of %d bits", EVP_PKEY_bits(key));
        break;
    case EVP_PKEY_EC:
        (void)snprintf(text, size, "an EC key on %s",
                       curve == NID_X9_62_prime256v1 ? "P-256"
                       : curve == NID_secp384r1      ? "P-384"
                       : curve == NID_secp521r1      ? "P-521"
                                                     : "another curve");
        break;
    case EVP_PKEY_ED25519:
        (void)snprintf(text, size, "an Ed25519 key");
        break;
    default:
        (void)snprintf(text, size, "a key of another kind");
        break;
    }
}

bool jwt_key_fault(enum jwt_alg alg, const EVP_PKEY *key, char fault[160])
{
    const struct alg *info = &algs[alg];
    char what[64];
    if (EVP_PKEY_id(key) == info->kind && curve_of(key) == info->curve &&
        (info->kind != EVP_PKEY_RSA || EVP_PKEY_bits(key) >= RSA_BITS_MIN)) {
        return false;
    }
    describe(key, what, sizeof what);
    (void)snprintf(fault, 160, "%s needs %s, and this is %s", info->name, info->needs, what);
    return true;
}

static size_t sign_hmac(const struct jwt_key *key, const void *data, size_t len,
                        unsigned char *signature)
{
    unsigned int tag_len = 0;
    BUG_ON(HMAC(algs[key->alg].digest(), key->secret, key->secret_len, data, len, signature,
                &tag_len) == NULL);
    return tag_len;
}

/* X.509 and BoringSSL write the pair in DER. */
static size_t raw_of_der(unsigned char *signature, size_t len, size_t width)
{
    ECDSA_SIG *pair = ECDSA_SIG_from_bytes(signature, len);
    BUG_ON(pair == NULL);
    BUG_ON(!BN_bn2bin_padded(signature, width, ECDSA_SIG_get0_r(pair)));
    BUG_ON(!BN_bn2bin_padded(signature + width, width, ECDSA_SIG_get0_s(pair)));
    ECDSA_SIG_free(pair);
    return 2 * width;
}

/* The salt is as long as the hash (RFC 7518 section 3.5). */
static bool set_padding(const struct alg *info, EVP_PKEY_CTX *context)
{
    return !info->pss || (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
                          EVP_PKEY_CTX_set_rsa_pss_saltlen(context, -1) == 1);
}

static const EVP_MD *digest_of(const struct alg *info)
{
    return info->digest != NULL ? info->digest() : NULL;
}

size_t jwt_key_sign(const struct jwt_key *key, const void *data, size_t len,
                    unsigned char signature[CRYPT_SIGNATURE])
{
    const struct alg *info = &algs[key->alg];
    EVP_MD_CTX context;
    EVP_PKEY_CTX *inner = NULL;
    size_t n = CRYPT_SIGNATURE;
    if (info->kind == EVP_PKEY_NONE) {
        return sign_hmac(key, data, len, signature);
    }
    EVP_MD_CTX_init(&context);
    BUG_ON(EVP_DigestSignInit(&context, &inner, digest_of(info), NULL, key->key) != 1 ||
           !set_padding(info, inner) || EVP_DigestSign(&context, signature, &n, data, len) != 1);
    EVP_MD_CTX_cleanup(&context);
    return info->width > 0 ? raw_of_der(signature, n, info->width) : n;
}

/* The reverse of raw_of_der; 0 when that is no pair. */
static size_t der_of_raw(const unsigned char *raw, size_t width,
                         unsigned char der[2 * EC_WIDTH_MAX + 16])
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, width, NULL), *s = BN_bin2bn(raw + width, width, NULL);
    uint8_t *bytes = NULL;
    size_t len = 0;
    BUG_ON(pair == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1);
    if (ECDSA_SIG_to_bytes(&bytes, &len, pair) == 1) {
        BUG_ON(len > 2 * EC_WIDTH_MAX + 16);
        memcpy(der, bytes, len);
    }
    OPENSSL_free(bytes);
    ECDSA_SIG_free(pair);
    return len;
}

bool jwt_key_check(const struct jwt_key *key, const void *data, size_t len,
                   const unsigned char *signature, size_t signature_len)
{
    const struct alg *info = &algs[key->alg];
    unsigned char expected[CRYPT_SIGNATURE], der[2 * EC_WIDTH_MAX + 16];
    EVP_MD_CTX context;
    EVP_PKEY_CTX *inner = NULL;
    if (info->kind == EVP_PKEY_NONE) {
        return signature_len == sign_hmac(key, data, len, expected) &&
               crypt_equal(signature, expected, signature_len);
    }
    if (info->width > 0) {
        if (signature_len != 2 * info->width) {
            return false;
        }
        signature_len = der_of_raw(signature, info->width, der);
        signature = der;
    }
    EVP_MD_CTX_init(&context);
    bool good = EVP_DigestVerifyInit(&context, &inner, digest_of(info), NULL, key->key) == 1 &&
                set_padding(info, inner) &&
                EVP_DigestVerify(&context, signature, signature_len, data, len) == 1;
    EVP_MD_CTX_cleanup(&context);
    ERR_clear_error();
    return good;
}
