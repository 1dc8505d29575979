#include "net/tls_staple.h"

#include "base/str.h"

#include <openssl/bytestring.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CONTEXT(number)     (CBS_ASN1_CONTEXT_SPECIFIC | (number))
#define CONSTRUCTED(number) (CBS_ASN1_CONSTRUCTED | CONTEXT(number))

/* RFC 6960, section 4.2.1: OCSPResponseStatus. */
static const char *const failures[] = {NULL,          "malformedRequest", "internalError",
                                       "tryLater",    "unknown (4)",      "sigRequired",
                                       "unauthorized"};

/* "2026-11-21 08:05" of a GeneralizedTime (YYYYMMDDHHMMSSZ); "?" of what is none. */
static void put_time(CBS *time, char text[20])
{
    const char *d = (const char *)CBS_data(time);

    if (CBS_len(time) < 12 || strspn(d, "0123456789") < 12) {
        (void)str_copy(text, 20, "?");
        return;
    }
    (void)snprintf(text, 20, "%.4s-%.2s-%.2s %.2s:%.2s", d, d + 4, d + 6, d + 8, d + 10);
}

/* Down to the first SingleResponse of a successful answer. */
static bool enter_first(CBS *answer, CBS *ret_single)
{
    CBS explicit, bytes, oid, octets, basic, data, responder, list;
    unsigned tag;

    return CBS_get_asn1(answer, &explicit, CONSTRUCTED(0)) &&
           CBS_get_asn1(&explicit, &bytes, CBS_ASN1_SEQUENCE) &&
           CBS_get_asn1(&bytes, &oid, CBS_ASN1_OBJECT) &&
           CBS_get_asn1(&bytes, &octets, CBS_ASN1_OCTETSTRING) &&
           CBS_get_asn1(&octets, &basic, CBS_ASN1_SEQUENCE) &&
           CBS_get_asn1(&basic, &data, CBS_ASN1_SEQUENCE) &&
           CBS_get_optional_asn1(&data, NULL, NULL, CONSTRUCTED(0)) && /* version */
           CBS_get_any_asn1(&data, &responder, &tag) &&
           CBS_get_asn1(&data, NULL, CBS_ASN1_GENERALIZEDTIME) && /* producedAt */
           CBS_get_asn1(&data, &list, CBS_ASN1_SEQUENCE) &&
           CBS_get_asn1(&list, ret_single, CBS_ASN1_SEQUENCE);
}

static bool describe_single(CBS *single, char text[STAPLE_TEXT])
{
    CBS id, status, from, until, next;
    unsigned tag;
    char first[20], last[20] = "?";
    int has_next = 0;

    if (!CBS_get_asn1(single, &id, CBS_ASN1_SEQUENCE) || !CBS_get_any_asn1(single, &status, &tag) ||
        !CBS_get_asn1(single, &from, CBS_ASN1_GENERALIZEDTIME) ||
        !CBS_get_optional_asn1(single, &next, &has_next, CONSTRUCTED(0))) {
        return false;
    }
    put_time(&from, first);
    if (has_next && CBS_get_asn1(&next, &until, CBS_ASN1_GENERALIZEDTIME)) {
        put_time(&until, last);
    }
    (void)snprintf(text, STAPLE_TEXT, "%s, from %s to %s UTC",
                   tag == CONTEXT(0)       ? "good"
                   : tag == CONSTRUCTED(1) ? "revoked"
                                           : "unknown",
                   first, last);
    return true;
}

void staple_status(const uint8_t *ocsp, size_t len, char text[STAPLE_TEXT])
{
    CBS all, answer, status, single;
    uint8_t code;

    CBS_init(&all, ocsp, len);
    (void)str_copy(text, STAPLE_TEXT, "not an OCSP response that can be read");
    if (!CBS_get_asn1(&all, &answer, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&answer, &status, CBS_ASN1_ENUMERATED) || !CBS_get_u8(&status, &code)) {
        return;
    }
    if (code != 0) {
        const char *name = code < sizeof failures / sizeof *failures ? failures[code] : "unknown";
        (void)snprintf(text, STAPLE_TEXT, "no status: %s", name);
    } else if (enter_first(&answer, &single)) {
        (void)describe_single(&single, text);
    }
}

unsigned staple_timestamps(const uint8_t *list, size_t len)
{
    CBS all, items, item;
    unsigned n = 0;

    CBS_init(&all, list, len);
    if (!CBS_get_u16_length_prefixed(&all, &items)) {
        return 0;
    }
    while (CBS_get_u16_length_prefixed(&items, &item)) {
        n++;
    }
    return n;
}
