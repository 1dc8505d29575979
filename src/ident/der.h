/* Certificates as DER, written by hand (RFC 5280): no parsed X509 is ever built, which makes
 * minting cheap.  One request describes a client's, a server's or a CA's certificate.  Private
 * to ident; a header that names BoringSSL. */
#ifndef IDENT_DER_H
#define IDENT_DER_H

#include <openssl/base.h>
#include <openssl/bytestring.h>
#include <openssl/pool.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DER_ERROR 256 /* bytes that hold any reason given here */

enum der_role { DER_CLIENT, DER_SERVER, DER_CA };

/* Sets of the key usages and extended ones that der_usage.c knows. */
struct der_usage {
    uint8_t key; /* 0: the certificate says nothing of it */
    uint8_t extended;
};

struct der_issuer {
    EVP_PKEY *key;
    const uint8_t *name; /* its subject, a whole DER element */
    size_t name_len;
    const uint8_t *key_id;
    size_t key_id_len;
};

struct der_request {
    const struct der_issuer *issuer; /* NULL: self-signed */
    const char *subject;             /* "CN=client-1, O=acme"; a comma inside is "\," */
    const CBS *subject_name;         /* a Name ready made instead; NULL: `subject` is written */
    const char *san;                 /* "DNS:a.test, IP:::1"; NULL: none */
    EVP_PKEY *key;
    enum der_role role;
    const struct der_usage *usage; /* NULL: as the role needs it */
    bool limits_path; /* of a CA: at most path_len CAs below it (RFC 5280 section 4.2.1.9) */
    unsigned path_len;
    int64_t not_before_s;
    int64_t not_after_s;
    const uint8_t *serial; /* its magnitude, big-endian, without leading zeros */
    size_t serial_len;
};

/* The parts of a certificate that we look at; they borrow from its bytes. */
struct der_parts {
    CBS serial; /* its magnitude */
    CBS issuer; /* whole elements */
    CBS subject;
    CBS spki;
    CBS key_bits; /* the public key alone, what key identifiers hash */
    int64_t not_before_s;
    int64_t not_after_s;
};

/* The signed certificate; the caller owns it.  Names must have passed der_check_subject and
 * der_check_san. */
CRYPTO_BUFFER *der_certificate(const struct der_request *request)
    __attribute__((warn_unused_result));
/* Whether these expanded texts can be written; san may be NULL.  False with a reason. */
bool der_check_subject(const char *subject, char error[DER_ERROR])
    __attribute__((warn_unused_result));
bool der_check_san(const char *san, char error[DER_ERROR]) __attribute__((warn_unused_result));
/* Takes a certificate apart; false when it is none. */
bool der_parse(const CRYPTO_BUFFER *certificate, struct der_parts *ret_parts)
    __attribute__((warn_unused_result));
/* SHA-1 of the public key (RFC 5280 section 4.2.1.2, method 1). */
void der_key_id(const CBS *key_bits, uint8_t id[20]);
/* The same of a key pair; false when it is of no kind that certificates carry. */
bool der_key_id_of(const EVP_PKEY *key, uint8_t id[20]) __attribute__((warn_unused_result));
/* A name as "CN=client-1, O=acme"; always terminated, cut where it does not fit. */
void der_name_text(CBS name, char *text, size_t size);

#endif
