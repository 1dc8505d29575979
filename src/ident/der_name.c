#include "ident/der_name.h"

#include "ident/der_write.h"

#include "base/str.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <openssl/bytestring.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct attribute {
    const char *name;
    struct der_oid oid;
    unsigned tag; /* of the value's string type */
};

/* RFC 5280 appendix A.1; RFC 4519 for UID and DC. */
static const struct attribute attributes[] = {
    {"CN", {"\x55\x04\x03", 3}, CBS_ASN1_UTF8STRING},
    {"O", {"\x55\x04\x0a", 3}, CBS_ASN1_UTF8STRING},
    {"OU", {"\x55\x04\x0b", 3}, CBS_ASN1_UTF8STRING},
    {"C", {"\x55\x04\x06", 3}, CBS_ASN1_PRINTABLESTRING},
    {"ST", {"\x55\x04\x08", 3}, CBS_ASN1_UTF8STRING},
    {"L", {"\x55\x04\x07", 3}, CBS_ASN1_UTF8STRING},
    {"serialNumber", {"\x55\x04\x05", 3}, CBS_ASN1_PRINTABLESTRING},
    {"UID", {"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", 10}, CBS_ASN1_UTF8STRING},
    {"DC", {"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", 10}, CBS_ASN1_IA5STRING},
    {"emailAddress", {"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", 9}, CBS_ASN1_IA5STRING},
};

#define N_ATTRIBUTES (sizeof attributes / sizeof attributes[0])

/* A stretch of text; `len` may hold escapes. */
struct span {
    const char *text;
    size_t len;
};

static struct span trimmed(struct span s)
{
    while (s.len > 0 && s.text[0] == ' ') {
        s.text++;
        s.len--;
    }
    while (s.len > 0 && s.text[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}

/* Cuts the next part off at a comma that is not escaped; moves *text behind it. */
static struct span next_part(const char **text)
{
    struct span part = {*text, 0};
    while (part.text[part.len] != '\0' && part.text[part.len] != ',') {
        part.len += part.text[part.len] == '\\' && part.text[part.len + 1] != '\0' ? 2 : 1;
    }
    *text = part.text + part.len + (part.text[part.len] == ',' ? 1 : 0);
    return trimmed(part);
}

static const struct attribute *attribute_find(struct span name)
{
    for (size_t i = 0; i < N_ATTRIBUTES; i++) {
        if (strlen(attributes[i].name) == name.len &&
            strncasecmp(attributes[i].name, name.text, name.len) == 0) {
            return &attributes[i];
        }
    }
    return NULL;
}

static bool fits_type(const struct attribute *attribute, struct span value)
{
    static const char printable[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789 '()+,-./:=?";
    for (size_t i = 0, n; i < value.len; i += n) {
        unsigned char c = (unsigned char)value.text[i];
        n = c < 0x80 ? 1 : utf8_length(value.text + i);
        bool good = attribute->tag == CBS_ASN1_UTF8STRING  ? c >= 0x20 && n > 0
                    : attribute->tag == CBS_ASN1_IA5STRING ? c >= 0x20 && c < 0x7f
                                                           : strchr(printable, c) != NULL;
        if (!good && c != '\\') {
            return false;
        }
    }
    return value.len > 0 && (!str_equal(attribute->name, "C") || value.len == 2);
}

static bool add_text(CBB *out, struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.text[i] == '\\' && i + 1 < s.len) {
            i++;
        }
        if (!CBB_add_u8(out, (uint8_t)s.text[i])) {
            return false;
        }
    }
    return true;
}

static bool add_attribute(CBB *name, struct span part, char error[DER_ERROR])
{
    const char *equals = memchr(part.text, '=', part.len);
    if (equals == NULL) {
        (void)snprintf(error, DER_ERROR, "\"%.*s\" is not TYPE=value", (int)part.len, part.text);
        return false;
    }
    struct span type = trimmed((struct span){part.text, (size_t)(equals - part.text)});
    struct span value =
        trimmed((struct span){equals + 1, part.len - (size_t)(equals + 1 - part.text)});
    const struct attribute *attribute = attribute_find(type);
    if (attribute == NULL) {
        (void)snprintf(error, DER_ERROR,
                       "unknown attribute \"%.*s\"; there are CN, O, OU, C, ST, L, serialNumber, "
                       "UID, DC, emailAddress",
                       (int)type.len, type.text);
        return false;
    }
    if (!fits_type(attribute, value)) {
        (void)snprintf(error, DER_ERROR, "\"%.*s\" is not a value of %s", (int)value.len,
                       value.text, attribute->name);
        return false;
    }
    CBB set, pair, text;
    return CBB_add_asn1(name, &set, CBS_ASN1_SET) && CBB_add_asn1(&set, &pair, CBS_ASN1_SEQUENCE) &&
           der_add_oid(&pair, &attribute->oid) && CBB_add_asn1(&pair, &text, attribute->tag) &&
           add_text(&text, value) && CBB_flush(name);
}

bool der_add_subject(CBB *out, const char *subject, char error[DER_ERROR])
{
    CBB name;
    (void)snprintf(error, DER_ERROR, "the subject is empty");
    if (*trimmed((struct span){subject, strlen(subject)}).text == '\0' ||
        !CBB_add_asn1(out, &name, CBS_ASN1_SEQUENCE)) {
        return false;
    }
    while (*subject != '\0') {
        if (!add_attribute(&name, next_part(&subject), error)) {
            return false;
        }
    }
    return CBB_flush(out);
}

/* GeneralName ::= CHOICE { rfc822Name [1], dNSName [2], uniformResourceIdentifier [6], iPAddress
 * [7] } */
struct general_name {
    const char *prefix;
    unsigned tag;
};

static const struct general_name general_names[] = {
    {"email", CBS_ASN1_CONTEXT_SPECIFIC | 1},
    {"DNS", CBS_ASN1_CONTEXT_SPECIFIC | 2},
    {"URI", CBS_ASN1_CONTEXT_SPECIFIC | 6},
    {"IP", CBS_ASN1_CONTEXT_SPECIFIC | 7},
};

static bool add_address(CBB *out, struct span value)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t address[16];
    if (value.len >= sizeof text) {
        return false;
    }
    memcpy(text, value.text, value.len);
    text[value.len] = '\0';
    if (inet_pton(AF_INET, text, address) == 1) {
        return CBB_add_bytes(out, address, 4);
    }
    return inet_pton(AF_INET6, text, address) == 1 && CBB_add_bytes(out, address, 16);
}

static bool is_ia5(struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.text[i] <= 0x20 || value.text[i] >= 0x7f) {
            return false;
        }
    }
    return value.len > 0;
}

static bool add_general_name(CBB *names, struct span part, char error[DER_ERROR])
{
    const struct general_name *kind = NULL;
    struct span value = part;
    for (size_t i = 0; i < sizeof general_names / sizeof general_names[0]; i++) {
        size_t len = strlen(general_names[i].prefix);
        if (part.len > len && part.text[len] == ':' &&
            strncasecmp(part.text, general_names[i].prefix, len) == 0) {
            kind = &general_names[i];
            value = trimmed((struct span){part.text + len + 1, part.len - len - 1});
        }
    }
    CBB name;
    bool good =
        kind != NULL && is_ia5(value) && CBB_add_asn1(names, &name, kind->tag) &&
        (str_equal(kind->prefix, "IP") ? add_address(&name, value) : add_text(&name, value)) &&
        CBB_flush(names);
    if (!good) {
        (void)snprintf(error, DER_ERROR,
                       "\"%.*s\" is not DNS:name, URI:uri, IP:address or email:address",
                       (int)part.len, part.text);
    }
    return good;
}

bool der_add_san(CBB *out, const char *san, char error[DER_ERROR])
{
    CBB names;
    (void)snprintf(error, DER_ERROR, "the list of names is empty");
    if (*trimmed((struct span){san, strlen(san)}).text == '\0' ||
        !CBB_add_asn1(out, &names, CBS_ASN1_SEQUENCE)) {
        return false;
    }
    while (*san != '\0') {
        if (!add_general_name(&names, next_part(&san), error)) {
            return false;
        }
    }
    return CBB_flush(out);
}

bool der_check_subject(const char *subject, char error[DER_ERROR])
{
    CBB cbb;
    bool good = CBB_init(&cbb, 256) && der_add_subject(&cbb, subject, error);
    CBB_cleanup(&cbb);
    return good;
}

bool der_check_san(const char *san, char error[DER_ERROR])
{
    CBB cbb;
    bool good = CBB_init(&cbb, 256) && der_add_san(&cbb, san, error);
    CBB_cleanup(&cbb);
    return good;
}

static const char *attribute_name(const CBS *oid)
{
    for (size_t i = 0; i < N_ATTRIBUTES; i++) {
        if (CBS_mem_equal(oid, (const uint8_t *)attributes[i].oid.bytes, attributes[i].oid.len)) {
            return attributes[i].name;
        }
    }
    return "?";
}

void der_name_text(CBS name, char *text, size_t size)
{
    CBS sequence, set, pair, oid, value;
    size_t used = 0;
    text[0] = '\0';
    if (!CBS_get_asn1(&name, &sequence, CBS_ASN1_SEQUENCE)) {
        return;
    }
    while (CBS_get_asn1(&sequence, &set, CBS_ASN1_SET)) {
        while (CBS_get_asn1(&set, &pair, CBS_ASN1_SEQUENCE) &&
               CBS_get_asn1(&pair, &oid, CBS_ASN1_OBJECT) &&
               CBS_get_any_asn1(&pair, &value, NULL)) {
            int n = snprintf(text + used, size - used, "%s%s=%.*s", used > 0 ? ", " : "",
                             attribute_name(&oid), (int)CBS_len(&value),
                             (const char *)CBS_data(&value));
            if (n < 0 || (size_t)n >= size - used) {
                return;
            }
            used += (size_t)n;
        }
    }
}
