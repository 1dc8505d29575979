#include "ident/der.h"

#include "ident/crypt.h"
#include "ident/der_name.h"

#include "base/bug.h"

#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CONTEXT(n) (CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | (n))

static bool add_oid(CBB *out, const char *oid)
{
    CBB child;
    return CBB_add_asn1(out, &child, CBS_ASN1_OBJECT) &&
           CBB_add_asn1_oid_from_text(&child, oid, strlen(oid)) && CBB_flush(out);
}

/* RFC 5758 section 3.2, RFC 8410 section 3, RFC 4055 section 5; only RSA has parameters (NULL). */
static bool add_signature_algorithm(CBB *out, const EVP_PKEY *key)
{
    const char *oid = "1.2.840.113549.1.1.11";
    if (EVP_PKEY_id(key) == EVP_PKEY_ED25519) {
        oid = "1.3.101.112";
    } else if (EVP_PKEY_id(key) == EVP_PKEY_EC) {
        int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key)));
        oid = curve == NID_secp384r1   ? "1.2.840.10045.4.3.3"
              : curve == NID_secp521r1 ? "1.2.840.10045.4.3.4"
                                       : "1.2.840.10045.4.3.2";
    }
    CBB sequence, null;
    return CBB_add_asn1(out, &sequence, CBS_ASN1_SEQUENCE) && add_oid(&sequence, oid) &&
           (EVP_PKEY_id(key) != EVP_PKEY_RSA || CBB_add_asn1(&sequence, &null, CBS_ASN1_NULL)) &&
           CBB_flush(out);
}

/* UTCTime until 2049, GeneralizedTime after it (RFC 5280 section 4.1.2.5). */
static bool add_time(CBB *out, int64_t at_s)
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

/* Opens an extension: its value is written into *ret_value. */
static bool open_extension(CBB *extensions, const char *oid, bool critical, CBB *extension,
                           CBB *ret_value)
{
    return CBB_add_asn1(extensions, extension, CBS_ASN1_SEQUENCE) && add_oid(extension, oid) &&
           (!critical || CBB_add_asn1_bool(extension, 1)) &&
           CBB_add_asn1(extension, ret_value, CBS_ASN1_OCTETSTRING);
}

static bool add_constraints(CBB *extensions, bool ca)
{
    CBB extension, value, sequence;
    return open_extension(extensions, "2.5.29.19", true, &extension, &value) &&
           CBB_add_asn1(&value, &sequence, CBS_ASN1_SEQUENCE) &&
           (!ca || CBB_add_asn1_bool(&sequence, 1)) && CBB_flush(extensions);
}

static bool add_key_usage(CBB *extensions, bool ca)
{
    /* BIT STRING with its count of unused bits: keyCertSign and cRLSign, or digitalSignature. */
    static const uint8_t sign_certificates[] = {1, 0x06}, digital_signature[] = {7, 0x80};
    CBB extension, value, bits;
    return open_extension(extensions, "2.5.29.15", true, &extension, &value) &&
           CBB_add_asn1(&value, &bits, CBS_ASN1_BITSTRING) &&
           CBB_add_bytes(&bits, ca ? sign_certificates : digital_signature, 2) &&
           CBB_flush(extensions);
}

static bool add_extended_key_usage(CBB *extensions, enum der_usage usage)
{
    CBB extension, value, sequence;
    return open_extension(extensions, "2.5.29.37", false, &extension, &value) &&
           CBB_add_asn1(&value, &sequence, CBS_ASN1_SEQUENCE) &&
           add_oid(&sequence, usage == DER_SERVER ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2") &&
           CBB_flush(extensions);
}

static bool add_key_ids(CBB *extensions, const uint8_t subject_id[20],
                        const struct der_issuer *issuer)
{
    CBB extension, value, sequence, id;
    if (!open_extension(extensions, "2.5.29.14", false, &extension, &value) ||
        !CBB_add_asn1_octet_string(&value, subject_id, 20) || !CBB_flush(extensions)) {
        return false;
    }
    return issuer == NULL ||
           (open_extension(extensions, "2.5.29.35", false, &extension, &value) &&
            CBB_add_asn1(&value, &sequence, CBS_ASN1_SEQUENCE) &&
            CBB_add_asn1(&sequence, &id, CBS_ASN1_CONTEXT_SPECIFIC | 0) &&
            CBB_add_bytes(&id, issuer->key_id, issuer->key_id_len) && CBB_flush(extensions));
}

static bool add_extensions(CBB *tbs, const struct der_request *request,
                           const uint8_t subject_id[20])
{
    char error[DER_ERROR];
    bool ca = request->usage == DER_CA;
    CBB outer, list, extension, value;
    if (!CBB_add_asn1(tbs, &outer, CONTEXT(3)) || !CBB_add_asn1(&outer, &list, CBS_ASN1_SEQUENCE) ||
        !add_constraints(&list, ca) || !add_key_usage(&list, ca) ||
        (!ca && !add_extended_key_usage(&list, request->usage)) ||
        !add_key_ids(&list, subject_id, request->issuer)) {
        return false;
    }
    if (request->san != NULL && (!open_extension(&list, "2.5.29.17", false, &extension, &value) ||
                                 !der_add_san(&value, request->san, error))) {
        return false;
    }
    return CBB_flush(tbs);
}

void der_key_id(const CBS *key_bits, uint8_t id[20])
{
    SHA1(CBS_data(key_bits), CBS_len(key_bits), id);
}

/* The public key alone, out of a SubjectPublicKeyInfo element. */
static bool parse_key_bits(CBS spki, CBS *ret_bits)
{
    CBS sequence, algorithm;
    uint8_t unused;
    return CBS_get_asn1(&spki, &sequence, CBS_ASN1_SEQUENCE) &&
           CBS_get_asn1(&sequence, &algorithm, CBS_ASN1_SEQUENCE) &&
           CBS_get_asn1(&sequence, ret_bits, CBS_ASN1_BITSTRING) && CBS_get_u8(ret_bits, &unused);
}

static bool add_key(CBB *tbs, const EVP_PKEY *key, uint8_t ret_id[20])
{
    uint8_t *spki = NULL;
    size_t spki_len = 0;
    CBB cbb;
    CBS element, bits;
    bool good = CBB_init(&cbb, 512) && EVP_marshal_public_key(&cbb, key) &&
                CBB_finish(&cbb, &spki, &spki_len);
    if (!good) {
        CBB_cleanup(&cbb);
        return false;
    }
    CBS_init(&element, spki, spki_len);
    good = parse_key_bits(element, &bits) && CBB_add_bytes(tbs, spki, spki_len);
    if (good) {
        der_key_id(&bits, ret_id);
    }
    OPENSSL_free(spki);
    return good;
}

static bool add_tbs(CBB *out, const struct der_request *request, const EVP_PKEY *signer)
{
    char error[DER_ERROR];
    uint8_t subject_id[20];
    CBB tbs, version, serial, validity;
    if (!CBB_add_asn1(out, &tbs, CBS_ASN1_SEQUENCE) || !CBB_add_asn1(&tbs, &version, CONTEXT(0)) ||
        !CBB_add_asn1_uint64(&version, 2) || !CBB_add_asn1(&tbs, &serial, CBS_ASN1_INTEGER) ||
        !CBB_add_bytes(&serial, request->serial, request->serial_len) ||
        !add_signature_algorithm(&tbs, signer)) {
        return false;
    }
    bool named = request->issuer != NULL
                     ? CBB_add_bytes(&tbs, request->issuer->name, request->issuer->name_len)
                     : der_add_subject(&tbs, request->subject, error);
    return named && CBB_add_asn1(&tbs, &validity, CBS_ASN1_SEQUENCE) &&
           add_time(&validity, request->not_before_s) &&
           add_time(&validity, request->not_after_s) &&
           der_add_subject(&tbs, request->subject, error) &&
           add_key(&tbs, request->key, subject_id) && add_extensions(&tbs, request, subject_id) &&
           CBB_flush(out);
}

/* The to-be-signed part, then algorithm and signature behind it. */
static bool add_certificate(CBB *cbb, const struct der_request *request)
{
    EVP_PKEY *signer = request->issuer != NULL ? request->issuer->key : request->key;
    uint8_t signature[CRYPT_SIGNATURE];
    size_t signature_len;
    CBB certificate, bits;
    return CBB_add_asn1(cbb, &certificate, CBS_ASN1_SEQUENCE) &&
           add_tbs(&certificate, request, signer) &&
           crypt_sign(signer, CBB_data(&certificate), CBB_len(&certificate), signature,
                      &signature_len) &&
           add_signature_algorithm(&certificate, signer) &&
           CBB_add_asn1(&certificate, &bits, CBS_ASN1_BITSTRING) && CBB_add_u8(&bits, 0) &&
           CBB_add_bytes(&bits, signature, signature_len) && CBB_flush(cbb);
}

CRYPTO_BUFFER *der_certificate(const struct der_request *request)
{
    CBB cbb;
    BUG_ON(!CBB_init(&cbb, 1024));
    BUG_ON(!add_certificate(&cbb, request));
    CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(CBB_data(&cbb), CBB_len(&cbb), NULL);
    BUG_ON(buffer == NULL);
    CBB_cleanup(&cbb);
    return buffer;
}

static bool parse_digits(CBS *text, int n, int *ret_value)
{
    *ret_value = 0;
    while (n-- > 0) {
        uint8_t c;
        if (!CBS_get_u8(text, &c) || c < '0' || c > '9') {
            return false;
        }
        *ret_value = *ret_value * 10 + (c - '0');
    }
    return true;
}

static bool parse_time(CBS *validity, int64_t *ret_s)
{
    CBS text;
    unsigned tag;
    struct tm tm = {0};
    if (!CBS_get_any_asn1(validity, &text, &tag) ||
        !parse_digits(&text, tag == CBS_ASN1_UTCTIME ? 2 : 4, &tm.tm_year) ||
        !parse_digits(&text, 2, &tm.tm_mon) || !parse_digits(&text, 2, &tm.tm_mday) ||
        !parse_digits(&text, 2, &tm.tm_hour) || !parse_digits(&text, 2, &tm.tm_min) ||
        !parse_digits(&text, 2, &tm.tm_sec)) {
        return false;
    }
    if (tag == CBS_ASN1_UTCTIME) {
        tm.tm_year += tm.tm_year < 50 ? 100 : 0;
    } else {
        tm.tm_year -= 1900;
    }
    tm.tm_mon--;
    *ret_s = (int64_t)timegm(&tm);
    return true;
}

bool der_parse(const CRYPTO_BUFFER *certificate, struct der_parts *ret_parts)
{
    CBS in, outer, tbs, skipped, validity;
    struct der_parts p;
    CRYPTO_BUFFER_init_CBS(certificate, &in);
    bool good = CBS_get_asn1(&in, &outer, CBS_ASN1_SEQUENCE) && CBS_len(&in) == 0 &&
                CBS_get_asn1(&outer, &tbs, CBS_ASN1_SEQUENCE) &&
                CBS_get_optional_asn1(&tbs, &skipped, NULL, CONTEXT(0)) &&
                CBS_get_asn1(&tbs, &p.serial, CBS_ASN1_INTEGER) &&
                CBS_get_asn1(&tbs, &skipped, CBS_ASN1_SEQUENCE) &&
                CBS_get_asn1_element(&tbs, &p.issuer, CBS_ASN1_SEQUENCE) &&
                CBS_get_asn1(&tbs, &validity, CBS_ASN1_SEQUENCE) &&
                parse_time(&validity, &p.not_before_s) && parse_time(&validity, &p.not_after_s) &&
                CBS_get_asn1_element(&tbs, &p.subject, CBS_ASN1_SEQUENCE) &&
                CBS_get_asn1_element(&tbs, &p.spki, CBS_ASN1_SEQUENCE) &&
                parse_key_bits(p.spki, &p.key_bits);
    if (good) {
        *ret_parts = p;
    }
    return good;
}
