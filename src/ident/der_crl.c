#include "ident/der_crl.h"

#include "ident/der_write.h"

#include "base/bug.h"

/* An empty list is left out, not written as an empty sequence. */
static bool add_revoked(CBB *tbs, const struct der_crl_request *request)
{
    CBB list, entry;
    if (request->n_revoked == 0) {
        return true;
    }
    if (!CBB_add_asn1(tbs, &list, CBS_ASN1_SEQUENCE)) {
        return false;
    }
    for (size_t i = 0; i < request->n_revoked; i++) {
        const struct der_revoked *revoked = &request->revoked[i];
        if (!CBB_add_asn1(&list, &entry, CBS_ASN1_SEQUENCE) ||
            !der_add_serial(&entry, revoked->serial, revoked->serial_len) ||
            !der_add_time(&entry, revoked->at_s) || !CBB_flush(&list)) {
            return false;
        }
    }
    return CBB_flush(tbs);
}

static bool add_extensions(CBB *tbs, const struct der_crl_request *request)
{
    static const struct der_oid crl_number = {"\x55\x1d\x14", 3};
    CBB outer, list, extension, value;
    return CBB_add_asn1(tbs, &outer, DER_CONTEXT(0)) &&
           CBB_add_asn1(&outer, &list, CBS_ASN1_SEQUENCE) &&
           der_add_authority(&list, request->issuer) &&
           der_open_extension(&list, &crl_number, false, &extension, &value) &&
           CBB_add_asn1_uint64(&value, request->number) && CBB_flush(tbs);
}

static bool add_list(CBB *cbb, const struct der_crl_request *request)
{
    const struct der_issuer *issuer = request->issuer;
    CBB list, tbs;
    return CBB_add_asn1(cbb, &list, CBS_ASN1_SEQUENCE) &&
           CBB_add_asn1(&list, &tbs, CBS_ASN1_SEQUENCE) && CBB_add_asn1_uint64(&tbs, 1) &&
           der_add_algorithm(&tbs, issuer->key) &&
           CBB_add_bytes(&tbs, issuer->name, issuer->name_len) &&
           der_add_time(&tbs, request->this_update_s) &&
           der_add_time(&tbs, request->next_update_s) && add_revoked(&tbs, request) &&
           add_extensions(&tbs, request) && der_add_signature(&list, issuer->key) && CBB_flush(cbb);
}

CRYPTO_BUFFER *der_crl(const struct der_crl_request *request)
{
    CBB cbb;
    BUG_ON(!CBB_init(&cbb, 1024));
    BUG_ON(!add_list(&cbb, request));
    CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(CBB_data(&cbb), CBB_len(&cbb), NULL);
    BUG_ON(buffer == NULL);
    CBB_cleanup(&cbb);
    return buffer;
}
