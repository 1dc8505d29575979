#include "ident/der_write.h"

#include "ident/crypt.h"

#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <string.h>
#include <time.h>

const struct der_oid der_oid_key_usage = {"\x55\x1d\x0f", 3};
const struct der_oid der_oid_extended_usage = {"\x55\x1d\x25", 3};

bool der_add_oid(CBB *out, const struct der_oid *oid)
{
    CBB child;
    return CBB_add_asn1(out, &child, CBS_ASN1_OBJECT) &&
           CBB_add_bytes(&child, (const uint8_t *)oid->bytes, oid->len) && CBB_flush(out);
}

static const struct der_oid *algorithm_of(const EVP_PKEY *key)
{
    static const struct der_oid rsa_sha256 = {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", 9},
                                ed25519 = {"\x2b\x65\x70", 3},
                                ecdsa_sha256 = {"\x2a\x86\x48\xce\x3d\x04\x03\x02", 8},
                                ecdsa_sha384 = {"\x2a\x86\x48\xce\x3d\x04\x03\x03", 8},
                                ecdsa_sha512 = {"\x2a\x86\x48\xce\x3d\x04\x03\x04", 8};
    if (EVP_PKEY_id(key) == EVP_PKEY_ED25519) {
        return &ed25519;
    }
    if (EVP_PKEY_id(key) == EVP_PKEY_EC) {
        int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)));
        return curve == NID_secp384r1   ? &ecdsa_sha384
               : curve == NID_secp521r1 ? &ecdsa_sha512
                                        : &ecdsa_sha256;
    }
    return &rsa_sha256;
}

/* Only RSA has parameters (NULL). */
bool der_add_algorithm(CBB *out, const EVP_PKEY *key)
{
    CBB sequence, null;
    return CBB_add_asn1(out, &sequence, CBS_ASN1_SEQUENCE) &&
           der_add_oid(&sequence, algorithm_of(key)) &&
           (EVP_PKEY_id(key) != EVP_PKEY_RSA || CBB_add_asn1(&sequence, &null, CBS_ASN1_NULL)) &&
           CBB_flush(out);
}

bool der_add_time(CBB *out, int64_t at_s)
{
    const int64_t end_of_9999 = 253402300799;
    time_t t = (time_t)(at_s < end_of_9999 ? at_s : end_of_9999);
    struct tm tm;
    char text[32];
    if (gmtime_r(&t, &tm) == NULL) {
        return false;
    }
    bool utc = tm.tm_year >= 50 && tm.tm_year < 150;
    size_t len = strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &tm);
    size_t century = utc ? 2 : 0;
    CBB child;
    return CBB_add_asn1(out, &child, utc ? CBS_ASN1_UTCTIME : CBS_ASN1_GENERALIZEDTIME) &&
           CBB_add_bytes(&child, (const uint8_t *)text + century, len - century) && CBB_flush(out);
}

bool der_add_serial(CBB *out, const uint8_t *serial, size_t len)
{
    CBB child;
    return CBB_add_asn1(out, &child, CBS_ASN1_INTEGER) &&
           (len > 0 && (serial[0] & 0x80) == 0 ? true : CBB_add_u8(&child, 0)) &&
           CBB_add_bytes(&child, serial, len) && CBB_flush(out);
}

bool der_open_extension(CBB *extensions, const struct der_oid *oid, bool critical,
                        CBB *ret_extension, CBB *ret_value)
{
    return CBB_add_asn1(extensions, ret_extension, CBS_ASN1_SEQUENCE) &&
           der_add_oid(ret_extension, oid) && (!critical || CBB_add_asn1_bool(ret_extension, 1)) &&
           CBB_add_asn1(ret_extension, ret_value, CBS_ASN1_OCTETSTRING);
}

bool der_add_authority(CBB *extensions, const struct der_issuer *issuer)
{
    static const struct der_oid authority = {"\x55\x1d\x23", 3};
    CBB extension, value, sequence, id;
    return der_open_extension(extensions, &authority, false, &extension, &value) &&
           CBB_add_asn1(&value, &sequence, CBS_ASN1_SEQUENCE) &&
           CBB_add_asn1(&sequence, &id, CBS_ASN1_CONTEXT_SPECIFIC | 0) &&
           CBB_add_bytes(&id, issuer->key_id, issuer->key_id_len) && CBB_flush(extensions);
}

bool der_add_signature(CBB *sequence, EVP_PKEY *signer)
{
    uint8_t signature[CRYPT_SIGNATURE];
    size_t signature_len;
    CBB bits;
    return CBB_flush(sequence) &&
           crypt_sign(signer, CBB_data(sequence), CBB_len(sequence), signature, &signature_len) &&
           der_add_algorithm(sequence, signer) &&
           CBB_add_asn1(sequence, &bits, CBS_ASN1_BITSTRING) && CBB_add_u8(&bits, 0) &&
           CBB_add_bytes(&bits, signature, signature_len) && CBB_flush(sequence);
}
