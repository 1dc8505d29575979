#include "ident/crypt.h"

#include "base/bug.h"
#include "base/mem.h"

#include <openssl/base64.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/rand.h>

#include <stdint.h>
#include <string.h>

struct random_block {
    unsigned char bytes[512];
    size_t left;
};

/* One call of the generator costs as much as a whole HS256 token, hence the block. */
static _Thread_local struct random_block block;

void crypt_random(void *bytes, size_t len)
{
    if (len > sizeof block.bytes / 4) {
        BUG_ON(RAND_bytes(bytes, len) != 1);
        return;
    }
    if (block.left < len) {
        BUG_ON(RAND_bytes(block.bytes, sizeof block.bytes) != 1);
        block.left = sizeof block.bytes;
    }
    block.left -= len;
    memcpy(bytes, block.bytes + block.left, len);
    memset(block.bytes + block.left, 0, len);
}

void crypt_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                       unsigned char tag[CRYPT_TAG])
{
    unsigned int tag_len = 0;
    BUG_ON(HMAC(EVP_sha256(), key, key_len, data, len, tag, &tag_len) == NULL);
    BUG_ON(tag_len != CRYPT_TAG);
}

bool crypt_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void crypt_wipe(void *bytes, size_t len)
{
    if (bytes != NULL) {
        OPENSSL_cleanse(bytes, len);
    }
}

void crypt_hex(char *text, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[in[i] >> 4];
        text[2 * i + 1] = digits[in[i] & 15];
    }
    text[2 * len] = '\0';
}

static const EVP_MD *digest_of(const EVP_PKEY *key)
{
    if (EVP_PKEY_id(key) == EVP_PKEY_ED25519) {
        return NULL;
    }
    if (EVP_PKEY_id(key) == EVP_PKEY_EC) {
        const EC_KEY *ec = EVP_PKEY_get0_EC_KEY(key);
        int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(ec));
        return curve == NID_secp384r1   ? EVP_sha384()
               : curve == NID_secp521r1 ? EVP_sha512()
                                        : EVP_sha256();
    }
    return EVP_sha256();
}

bool crypt_sign(struct evp_pkey_st *key, const void *data, size_t len,
                unsigned char signature[CRYPT_SIGNATURE], size_t *ret_len)
{
    EVP_MD_CTX context;
    size_t signature_len = CRYPT_SIGNATURE;
    EVP_MD_CTX_init(&context);
    bool ok = EVP_DigestSignInit(&context, NULL, digest_of(key), NULL, key) == 1 &&
              EVP_DigestSign(&context, signature, &signature_len, data, len) == 1;
    EVP_MD_CTX_cleanup(&context);
    if (ok) {
        *ret_len = signature_len;
    }
    return ok;
}

size_t crypt_base64url_to(char *text, const void *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *in = bytes;
    char *out = text;
    for (; len >= 3; len -= 3, in += 3, out += 4) {
        uint32_t group = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        out[0] = digits[group >> 18];
        out[1] = digits[group >> 12 & 63];
        out[2] = digits[group >> 6 & 63];
        out[3] = digits[group & 63];
    }
    if (len > 0) {
        uint32_t group = (uint32_t)in[0] << 16 | (len == 2 ? (uint32_t)in[1] << 8 : 0);
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        if (len == 2) {
            *out++ = digits[group >> 6 & 63];
        }
    }
    return (size_t)(out - text);
}

void crypt_base64url(struct sink *sink, const void *bytes, size_t len)
{
    CLEANUP_FREE char *text = xmalloc(CRYPT_BASE64(len));
    sink_write(sink, text, crypt_base64url_to(text, bytes, len));
}

/* The bits of the last character that stand for nothing must be zero (RFC 4648 section 3.5), or one
 * value would have many spellings. */
static bool is_canonical(const char *bytes, size_t n_bytes, const char *text, size_t len)
{
    char tail[4];
    size_t rest = n_bytes % 3;
    if (rest == 0) {
        return len % 4 == 0;
    }
    size_t n = crypt_base64url_to(tail, bytes + n_bytes - rest, rest);
    return len % 4 == n && memcmp(tail, text + len - n, n) == 0;
}

char *crypt_unbase64url(const char *text, size_t len, size_t *ret_len)
{
    size_t padded_len = (len + 3) / 4 * 4;
    CLEANUP_FREE uint8_t *padded = xmalloc(padded_len + 1);
    for (size_t i = 0; i < padded_len; i++) {
        char c = i < len ? text[i] : '=';
        if (i < len && (c == '+' || c == '/' || c == '=')) {
            return NULL;
        }
        padded[i] = (uint8_t)(c == '-' ? '+' : c == '_' ? '/' : c);
    }
    char *bytes = xmalloc(padded_len + 1);
    size_t n;
    if (EVP_DecodeBase64((uint8_t *)bytes, &n, padded_len, padded, padded_len) != 1 ||
        !is_canonical(bytes, n, text, len)) {
        free(bytes);
        return NULL;
    }
    bytes[n] = '\0';
    *ret_len = n;
    return bytes;
}
