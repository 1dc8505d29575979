#include "ident/der.h"

#include "ident/der_name.h"
#include "ident/der_usage.h"
#include "ident/der_write.h"

#include "base/bug.h"

#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/sha.h>
#include <string.h>
#include <time.h>

static bool add_constraints(CBB *extensions, const struct der_request *request)
{
    static const struct der_oid basic_constraints = {"\x55\x1d\x13", 3};
    bool ca = request->role == DER_CA;
    bool limited = ca && request->limits_path;
    CBB extension, value, sequence;
    return der_open_extension(extensions, &basic_constraints, true, &extension, &value) &&
           CBB_add_asn1(&value, &sequence, CBS_ASN1_SEQUENCE) &&
           (!ca || CBB_add_asn1_bool(&sequence, 1)) &&
           (!limited || CBB_add_asn1_uint64(&sequence, request->path_len)) && CBB_flush(extensions);
}

static bool add_key_ids(CBB *extensions, const uint8_t subject_id[20],
                        const struct der_issuer *issuer)
{
    static const struct der_oid subject = {"\x55\x1d\x0e", 3};
    CBB extension, value;
    return der_open_extension(extensions, &subject, false, &extension, &value) &&
           CBB_add_asn1_octet_string(&value, subject_id, 20) && CBB_flush(extensions) &&
           (issuer == NULL || der_add_authority(extensions, issuer));
}

static bool add_extensions(CBB *tbs, const struct der_request *request,
                           const uint8_t subject_id[20])
{
    static const struct der_oid san = {"\x55\x1d\x11", 3};
    char error[DER_ERROR];
    struct der_usage usage = request->usage != NULL ? *request->usage : der_usage_of(request->role);
    CBB outer, list, extension, value;
    if (!CBB_add_asn1(tbs, &outer, DER_CONTEXT(3)) ||
        !CBB_add_asn1(&outer, &list, CBS_ASN1_SEQUENCE) || !add_constraints(&list, request) ||
        !der_add_usage(&list, &usage) || !add_key_ids(&list, subject_id, request->issuer)) {
        return false;
    }
    if (request->san != NULL && (!der_open_extension(&list, &san, false, &extension, &value) ||
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

/* Marshals the public key; `out` may be NULL. */
static bool add_key(CBB *out, const EVP_PKEY *key, uint8_t ret_id[20])
{
    uint8_t room[2200]; /* RSA with 16,384 bits */
    CBB cbb;
    CBS element, bits;
    if (!CBB_init_fixed(&cbb, room, sizeof room) || !EVP_marshal_public_key(&cbb, key) ||
        !CBB_flush(&cbb)) {
        CBB_cleanup(&cbb);
        return false;
    }
    CBS_init(&element, CBB_data(&cbb), CBB_len(&cbb));
    bool good = parse_key_bits(element, &bits) &&
                (out == NULL || CBB_add_bytes(out, CBB_data(&cbb), CBB_len(&cbb)));
    if (good) {
        der_key_id(&bits, ret_id);
    }
    CBB_cleanup(&cbb);
    return good;
}

bool der_key_id_of(const EVP_PKEY *key, uint8_t id[20])
{
    return add_key(NULL, key, id);
}

static bool add_subject(CBB *out, const struct der_request *request)
{
    char error[DER_ERROR];
    const CBS *name = request->subject_name;
    return name != NULL ? CBB_add_bytes(out, CBS_data(name), CBS_len(name))
                        : der_add_subject(out, request->subject, error);
}

static bool add_tbs(CBB *out, const struct der_request *request, const EVP_PKEY *signer)
{
    uint8_t subject_id[20];
    CBB tbs, version, validity;
    if (!CBB_add_asn1(out, &tbs, CBS_ASN1_SEQUENCE) ||
        !CBB_add_asn1(&tbs, &version, DER_CONTEXT(0)) || !CBB_add_asn1_uint64(&version, 2) ||
        !der_add_serial(&tbs, request->serial, request->serial_len) ||
        !der_add_algorithm(&tbs, signer)) {
        return false;
    }
    bool named = request->issuer != NULL
                     ? CBB_add_bytes(&tbs, request->issuer->name, request->issuer->name_len)
                     : add_subject(&tbs, request);
    return named && CBB_add_asn1(&tbs, &validity, CBS_ASN1_SEQUENCE) &&
           der_add_time(&validity, request->not_before_s) &&
           der_add_time(&validity, request->not_after_s) && add_subject(&tbs, request) &&
           add_key(&tbs, request->key, subject_id) && add_extensions(&tbs, request, subject_id) &&
           CBB_flush(out);
}

static bool add_certificate(CBB *cbb, const struct der_request *request)
{
    EVP_PKEY *signer = request->issuer != NULL ? request->issuer->key : request->key;
    CBB certificate;
    return CBB_add_asn1(cbb, &certificate, CBS_ASN1_SEQUENCE) &&
           add_tbs(&certificate, request, signer) && der_add_signature(&certificate, signer) &&
           CBB_flush(cbb);
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
                CBS_get_optional_asn1(&tbs, &skipped, NULL, DER_CONTEXT(0)) &&
                CBS_get_asn1(&tbs, &p.serial, CBS_ASN1_INTEGER) &&
                CBS_get_asn1(&tbs, &skipped, CBS_ASN1_SEQUENCE) &&
                CBS_get_asn1_element(&tbs, &p.issuer, CBS_ASN1_SEQUENCE) &&
                CBS_get_asn1(&tbs, &validity, CBS_ASN1_SEQUENCE) &&
                parse_time(&validity, &p.not_before_s) && parse_time(&validity, &p.not_after_s) &&
                CBS_get_asn1_element(&tbs, &p.subject, CBS_ASN1_SEQUENCE) &&
                CBS_get_asn1_element(&tbs, &p.spki, CBS_ASN1_SEQUENCE) &&
                parse_key_bits(p.spki, &p.key_bits);
    if (good) {
        while (CBS_len(&p.serial) > 1 && CBS_data(&p.serial)[0] == 0) {
            CBS_skip(&p.serial, 1);
        }
        *ret_parts = p;
    }
    return good;
}
