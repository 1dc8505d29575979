/* The few cryptographic verbs that identities need: random bytes, HMAC, constant-time comparison,
 * wiping, signing with whatever key is given, base64url.  Private to ident; no BoringSSL type is
 * visible but by name.  More than eight functions, one for each verb. */
#ifndef IDENT_CRYPT_H
#define IDENT_CRYPT_H

#include "base/sink.h"

#include <stdbool.h>
#include <stddef.h>

#define CRYPT_TAG         32   /* bytes of HMAC-SHA256 */
#define CRYPT_SIGNATURE   1024 /* bytes of the longest signature: RSA with 8,192 bits */
#define CRYPT_BASE64(len) (((len) + 2) / 3 * 4)

struct evp_pkey_st;

/* From BoringSSL's generator, drawn in blocks per thread: for serials and identifiers (keys ask the
 * generator themselves).  A process that forks without exec would repeat up to one block. */
void crypt_random(void *bytes, size_t len);
void crypt_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                       unsigned char tag[CRYPT_TAG]);
/* Takes the same time wherever they differ. */
bool crypt_equal(const void *a, const void *b, size_t len);
/* Overwrites in a way that the compiler keeps; NULL is fine. */
void crypt_wipe(void *bytes, size_t len);
/* Lower-case hex, NUL-terminated: text holds 2 * len + 1. */
void crypt_hex(char *text, const void *bytes, size_t len);
/* ECDSA (SHA-256; SHA-384 and -512 for the larger curves) as DER, RSA PKCS #1 v1.5 with SHA-256, or
 * pure Ed25519.  *ret_len gets the length; false for a key that cannot sign. */
bool crypt_sign(struct evp_pkey_st *key, const void *data, size_t len,
                unsigned char signature[CRYPT_SIGNATURE], size_t *ret_len)
    __attribute__((warn_unused_result));
/* base64url without padding (RFC 4648 section 5): `text` holds CRYPT_BASE64(len), and is not
 * terminated.  Returns the length. */
size_t crypt_base64url_to(char *text, const void *bytes, size_t len);
void crypt_base64url(struct sink *sink, const void *bytes, size_t len);
/* The reverse, strict.  The caller frees it; NULL on anything but that alphabet, and where the last
 * character is not the one that would be written. */
char *crypt_unbase64url(const char *text, size_t len, size_t *ret_len)
    __attribute__((warn_unused_result));

#endif
