#include "ident/der_usage.h"

#include "ident/der_write.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

/* In the order of their bits. */
static const char *const key_usages[] = {"digitalSignature", "nonRepudiation", "keyEncipherment",
                                         "dataEncipherment", "keyAgreement",   "keyCertSign",
                                         "cRLSign"};

struct purpose {
    const char *name;
    struct der_oid oid;
};

/* RFC 5280 section 4.2.1.12: id-kp is 1.3.6.1.5.5.7.3. */
static const struct purpose purposes[] = {
    {"serverAuth", {"\x2b\x06\x01\x05\x05\x07\x03\x01", 8}},
    {"clientAuth", {"\x2b\x06\x01\x05\x05\x07\x03\x02", 8}},
    {"codeSigning", {"\x2b\x06\x01\x05\x05\x07\x03\x03", 8}},
    {"emailProtection", {"\x2b\x06\x01\x05\x05\x07\x03\x04", 8}},
    {"timeStamping", {"\x2b\x06\x01\x05\x05\x07\x03\x08", 8}},
    {"OCSPSigning", {"\x2b\x06\x01\x05\x05\x07\x03\x09", 8}},
    {"any", {"\x55\x1d\x25\x00", 4}},
};

#define N_KEY_USAGES (sizeof key_usages / sizeof key_usages[0])
#define N_PURPOSES   (sizeof purposes / sizeof purposes[0])

static bool parse_word(const char *word, struct der_usage *usage)
{
    int bit = str_index(word, key_usages, N_KEY_USAGES);
    if (bit >= 0) {
        usage->key |= (uint8_t)(0x80 >> bit);
        return true;
    }
    for (size_t i = 0; i < N_PURPOSES; i++) {
        if (str_equal(word, purposes[i].name)) {
            usage->extended |= (uint8_t)(1U << i);
            return true;
        }
    }
    return false;
}

bool der_usage_parse(const char *text, struct der_usage *ret_usage, char error[DER_ERROR])
{
    struct der_usage usage = {0};
    CLEANUP_FREE char *copy = xstrdup(text);
    char *rest = copy;
    while (rest != NULL) {
        const char *word = str_trim(strsep(&rest, ","));
        if (!parse_word(word, &usage)) {
            (void)snprintf(error, DER_ERROR, "\"%s\" is not a key usage", word);
            return false;
        }
    }
    *ret_usage = usage;
    return true;
}

struct der_usage der_usage_of(enum der_role role)
{
    static const struct der_usage usages[] = {[DER_CLIENT] = {.key = 0x80, .extended = 2},
                                              [DER_SERVER] = {.key = 0x80, .extended = 1},
                                              [DER_CA] = {.key = 0x06}};
    return usages[role];
}

/* A named bit list ends with its last one bit (X.690 section 11.2.2). */
static bool add_key_usage(CBB *extensions, uint8_t usage)
{
    uint8_t unused = (uint8_t)__builtin_ctz(usage);
    CBB extension, value, bits;
    return der_open_extension(extensions, &der_oid_key_usage, true, &extension, &value) &&
           CBB_add_asn1(&value, &bits, CBS_ASN1_BITSTRING) && CBB_add_u8(&bits, unused) &&
           CBB_add_u8(&bits, usage) && CBB_flush(extensions);
}

static bool add_purposes(CBB *extensions, uint8_t extended)
{
    CBB extension, value, sequence;
    if (!der_open_extension(extensions, &der_oid_extended_usage, false, &extension, &value) ||
        !CBB_add_asn1(&value, &sequence, CBS_ASN1_SEQUENCE)) {
        return false;
    }
    for (size_t i = 0; i < N_PURPOSES; i++) {
        if ((extended & (1U << i)) != 0 && !der_add_oid(&sequence, &purposes[i].oid)) {
            return false;
        }
    }
    return CBB_flush(extensions);
}

bool der_add_usage(CBB *extensions, const struct der_usage *usage)
{
    return (usage->key == 0 || add_key_usage(extensions, usage->key)) &&
           (usage->extended == 0 || add_purposes(extensions, usage->extended));
}
