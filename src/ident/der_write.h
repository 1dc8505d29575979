/* The pieces that certificates and revocation lists are written from.  Private to ident. */
#ifndef IDENT_DER_WRITE_H
#define IDENT_DER_WRITE_H

#include "ident/der.h"

#define DER_CONTEXT(n) (CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | (n))

/* An object identifier as its DER content, since making it from text would take a good part of the
 * time of a certificate. */
struct der_oid {
    const char *bytes;
    size_t len;
};

extern const struct der_oid der_oid_key_usage, der_oid_extended_usage;

bool der_add_oid(CBB *out, const struct der_oid *oid) __attribute__((warn_unused_result));
/* What `key` signs with: RFC 5758 section 3.2, RFC 8410 section 3, RFC 4055 section 5. */
bool der_add_algorithm(CBB *out, const EVP_PKEY *key) __attribute__((warn_unused_result));
/* UTCTime until 2049, GeneralizedTime after it (RFC 5280 section 4.1.2.5). */
bool der_add_time(CBB *out, int64_t at_s) __attribute__((warn_unused_result));
/* A positive INTEGER from its magnitude. */
bool der_add_serial(CBB *out, const uint8_t *serial, size_t len)
    __attribute__((warn_unused_result));
/* Opens an extension: its value is written into *ret_value. */
bool der_open_extension(CBB *extensions, const struct der_oid *oid, bool critical,
                        CBB *ret_extension, CBB *ret_value) __attribute__((warn_unused_result));
/* The identifier of the key that signed (RFC 5280 section 4.2.1.1). */
bool der_add_authority(CBB *extensions, const struct der_issuer *issuer)
    __attribute__((warn_unused_result));
/* Appends algorithm and signature behind the to-be-signed part, which is all that the open sequence
 * holds; then it closes it. */
bool der_add_signature(CBB *sequence, EVP_PKEY *signer) __attribute__((warn_unused_result));

#endif
