/* Records of TLS 1.3 that no TLS library writes: any type, any content, any length, at any time
 * after the handshake, encrypted as they must be (RFC 8446, sections 5.2 and 7.3) or not quite. */
#ifndef TESTS_FAULT_FORGE_H
#define TESTS_FAULT_FORGE_H

#include "fault_answers.h"

#include <openssl/aead.h>
#include <openssl/digest.h>
#include <openssl/hkdf.h>

#define FORGE_MOST 20000 /* bytes of content */
#define FORGE_TAG  16

struct forge {
    EVP_AEAD_CTX *ctx;
    unsigned char iv[12];
    uint64_t seq;
};

/* HKDF-Expand-Label without a context. */
static inline void forge_expand(const EVP_MD *md, const unsigned char *secret, size_t secret_len,
                                const char *label, unsigned char *to, size_t len)
{
    unsigned char info[64];
    size_t n = (size_t)snprintf((char *)info + 3, sizeof info - 3, "tls13 %s", label);

    info[0] = (unsigned char)(len >> 8);
    info[1] = (unsigned char)len;
    info[2] = (unsigned char)n;
    info[3 + n] = 0;
    BUG_ON(HKDF_expand(to, len, md, secret, secret_len, info, 4 + n) != 1);
}

static inline unsigned forge_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* From here on nothing else writes on this connection. */
static inline struct forge forge_open(struct fault_conn *conn)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(conn->ssl);
    uint16_t suite = SSL_CIPHER_get_protocol_id(cipher);
    const EVP_MD *md = suite == 0x1302 ? EVP_sha384() : EVP_sha256();
    const EVP_AEAD *aead = suite == 0x1301   ? EVP_aead_aes_128_gcm()
                           : suite == 0x1302 ? EVP_aead_aes_256_gcm()
                                             : EVP_aead_chacha20_poly1305();
    unsigned char secret[64], key[32];
    size_t len = strlen(conn->secret) / 2;
    struct forge forge = {.seq = SSL_get_write_sequence(conn->ssl)};

    BUG_ON(len == 0 || len > sizeof secret);
    for (size_t i = 0; i < len; i++) {
        secret[i] = (unsigned char)(forge_digit(conn->secret[2 * i]) << 4 |
                                    forge_digit(conn->secret[2 * i + 1]));
    }
    forge_expand(md, secret, len, "key", key, EVP_AEAD_key_length(aead));
    forge_expand(md, secret, len, "iv", forge.iv, sizeof forge.iv);
    forge.ctx = EVP_AEAD_CTX_new(aead, key, EVP_AEAD_key_length(aead), FORGE_TAG);
    BUG_ON(forge.ctx == NULL);
    return forge;
}

static inline void forge_close(struct forge *forge)
{
    EVP_AEAD_CTX_free(forge->ctx);
}

/* `type` 0: a record without content, padding alone. */
static inline bool forge_record(struct fault_conn *conn, struct forge *forge, unsigned char type,
                                const void *content, size_t len)
{
    static _Thread_local unsigned char plain[FORGE_MOST + 1], record[FORGE_MOST + 64];
    unsigned char nonce[12];
    size_t inner = len + 1, outer = inner + FORGE_TAG, sealed;

    BUG_ON(len > FORGE_MOST);
    if (len > 0) {
        memcpy(plain, content, len);
    }
    plain[len] = type;
    memcpy(nonce, forge->iv, sizeof nonce);
    for (int i = 0; i < 8; i++) {
        nonce[11 - i] ^= (unsigned char)(forge->seq >> (8 * i));
    }
    memcpy(record, (unsigned char[]){23, 3, 3, (unsigned char)(outer >> 8), (unsigned char)outer},
           5);
    BUG_ON(EVP_AEAD_CTX_seal(forge->ctx, record + 5, &sealed, sizeof record - 5, nonce,
                             sizeof nonce, plain, inner, record, 5) != 1);
    forge->seq++;
    return fault_send(conn, record, 5 + sealed);
}

#endif
