#include "profile/check_parts.h"

#include "base/mem.h"
#include "base/str.h"
#include "profile/build.h"
#include "profile/check_rule.h"
#include "profile/url.h"

#include <stdlib.h>
#include <string.h>

#define SERIAL_HEX_MAX 40 /* 20 bytes (RFC 5280, section 4.1.2.2) */

static bool san_entry_is_good(const char *entry)
{
    static const char *const kinds[] = {"DNS:", "URI:", "IP:", "email:"};
    const char *value = NULL;
    size_t kind;

    for (kind = 0; kind < 4 && value == NULL; kind++) {
        if (str_has_prefix(entry, kinds[kind])) {
            value = entry + strlen(kinds[kind]);
        }
    }
    if (value == NULL || value[0] == '\0' || strpbrk(value, " \t") != NULL) {
        return false;
    }
    if (str_has_prefix(entry, "IP:")) {
        return strchr(value, '{') != NULL || url_is_address(value);
    }
    if (str_has_prefix(entry, "URI:")) {
        return strchr(value, ':') != NULL;
    }
    return !str_has_prefix(entry, "email:") || strchr(value, '@') != NULL;
}

static void check_san(const struct checker *c, const struct plan_cert *cert)
{
    CLEANUP_FREE char *copy = cert->san != NULL ? xstrdup(cert->san) : NULL;
    char *rest = copy;

    while (rest != NULL) {
        char *entry = str_trim(strsep(&rest, ","));
        if (!san_entry_is_good(entry)) {
            CLEANUP_FREE char *shown = build_shown(entry);
            diag_add(c->diag, plan_origin(c->plan, &cert->san),
                     "cert.san: \"%s\" is not an alternative name (write DNS:a.test, "
                     "URI:spiffe://test/a, IP:10.0.0.1 or email:a@b.test, with commas between)",
                     shown);
        }
    }
}

static void check_subject(const struct checker *c, const void *field, const char *subject,
                          const char *key, const char *example)
{
    if (subject != NULL && strchr(subject, '=') == NULL) {
        CLEANUP_FREE char *shown = build_shown(subject);
        diag_add(c->diag, plan_origin(c->plan, field),
                 "cert.%s: \"%s\" is not a distinguished name (write %s)", key, shown, example);
    }
}

/* Names of RFC 5280, sections 4.2.1.3 and 4.2.1.12. */
static void check_usage(const struct checker *c, const struct plan_cert *cert, const char *usage)
{
    static const char *const names[] = {
        "digitalSignature", "nonRepudiation",
        "keyEncipherment",  "dataEncipherment",
        "keyAgreement",     "keyCertSign",
        "cRLSign",          "clientAuth",
        "serverAuth",       "codeSigning",
        "emailProtection",  "timeStamping",
        "OCSPSigning",      "any",
    };
    const size_t n = sizeof names / sizeof names[0];
    struct origin origin = check_origin(c, &cert->key_usage, cert->origin);
    CLEANUP_FREE char *shown = build_shown(usage);
    const char *near = str_nearest(usage, names, n);

    if (str_index(usage, names, n) >= 0) {
        return;
    }
    if (near != NULL) {
        diag_add(c->diag, origin, "cert.key_usage: \"%s\" is not a key usage; did you mean %s?",
                 shown, near);
        return;
    }
    diag_add(c->diag, origin,
             "cert.key_usage: \"%s\" is not a key usage (write digitalSignature, clientAuth)",
             shown);
}

static void check_key_usage(const struct checker *c, const struct plan_cert *cert)
{
    CLEANUP_FREE char *copy = cert->key_usage != NULL ? xstrdup(cert->key_usage) : NULL;
    char *rest = copy;

    while (rest != NULL) {
        check_usage(c, cert, str_trim(strsep(&rest, ",")));
    }
}

/* "17", "{n}", "0x10{n}", "0x{random}". */
static bool serial_is_good(const char *text)
{
    bool is_hex = str_has_prefix(text, "0x");
    const char *digits = is_hex ? "0123456789abcdefABCDEF" : "0123456789";
    size_t n_digits = 0;

    for (text += is_hex ? 2 : 0; *text != '\0';) {
        size_t n = strspn(text, digits);
        if (n > 0) {
            text += n;
        } else if (str_has_prefix(text, "{n}")) {
            n = 1;
            text += strlen("{n}");
        } else if (is_hex && str_has_prefix(text, "{random}")) {
            n = 32;
            text += strlen("{random}");
        } else {
            return false;
        }
        n_digits += n;
    }
    return n_digits > 0 && n_digits <= SERIAL_HEX_MAX;
}

static void check_serial(const struct checker *c, const struct plan_cert *cert)
{
    if (cert->serial == NULL) {
        return;
    }
    CLEANUP_FREE char *shown = build_shown(cert->serial);
    if (!serial_is_good(cert->serial)) {
        diag_add(c->diag, plan_origin(c->plan, &cert->serial),
                 "cert.serial: \"%s\" is not a number of up to 20 bytes (write {n}, 0x10{n} or "
                 "0x{random})",
                 shown);
    } else if (strchr(cert->serial, '{') == NULL && (cert->count > 1 || cert->pick == PICK_FRESH)) {
        diag_add(c->diag, plan_origin(c->plan, &cert->serial),
                 "cert.serial: all certificates would have the same; put {n} in it");
    }
}

static void check_minted(const struct checker *c, const struct plan_cert *cert)
{
    static const char why[] = "cert.source = mint signs with it";

    check_needed(c, &cert->ca, cert->ca, "cert.ca", cert->origin, why);
    check_needed(c, &cert->ca_key, cert->ca_key, "cert.ca_key", cert->origin, why);
    check_unused(c, SECTION_CERT, cert, CHECK_KEYS("path"),
                 "with cert.source = mint (write source = files)");
    check_unused(c, SECTION_CERT, cert, CHECK_KEYS("password"), "with cert.source = mint");
    if (cert->intermediates == 0) {
        check_unused(c, SECTION_CERT, cert, CHECK_KEYS("intermediate_subject"),
                     "without cert.intermediates (write intermediates = 1)");
    } else {
        check_subject(c, &cert->intermediate_subject, cert->intermediate_subject,
                      "intermediate_subject", "CN=intermediate-{n}");
    }
    check_san(c, cert);
    check_subject(c, &cert->subject, cert->subject, "subject", "CN=client-{n}");
    check_key_usage(c, cert);
    check_serial(c, cert);
}

static void check_loaded(const struct checker *c, const struct plan_cert *cert)
{
    bool is_pem = cert->source == CERT_FILES;
    CLEANUP_FREE char *reads = xasprintf("cert.source = %s reads it", is_pem ? "files" : "pkcs12");

    check_needed(c, &cert->path, cert->path, "cert.path", cert->origin, reads);
    check_unused(c, SECTION_CERT, cert,
                 CHECK_KEYS("ca_key", "chain", "intermediates", "intermediate_subject", "key_type",
                            "key_per_cert", "subject", "san", "key_usage", "serial", "lifetime",
                            "renew_before"),
                 is_pem ? "with cert.source = files (write source = mint)"
                        : "with cert.source = pkcs12 (write source = mint)");
}

/* A certificate lasts as long as its connection. */
static void check_rotation(const struct checker *c, const struct plan_cert *cert)
{
    uint64_t requests = c->plan->pace.requests_per_connection;
    bool per_connection =
        cert->rotate.kind == ROTATE_CONNECTION || cert->rotate.kind == ROTATE_NEVER;

    if (per_connection || !check_is_given(c, &cert->rotate)) {
        return;
    }
    if (cert->rotate.kind == ROTATE_USES && cert->rotate.uses == 1 && requests != 1) {
        diag_add(c->diag, plan_origin(c->plan, &cert->rotate),
                 "cert.rotate: request needs pace.requests_per_connection = 1, for a certificate "
                 "lasts as long as its connection (write rotate = connection)");
    } else if (requests == 0 && c->plan->attribution.mode == ATTRIBUTION_OFF) {
        diag_add(c->diag, plan_origin(c->plan, &cert->rotate),
                 "cert.rotate: connections never end, and a certificate lasts as long as its "
                 "connection (write pace.requests_per_connection = 4)");
    }
}

/* A tenth of the lifetime when nothing was said. */
static void settle_renewal(const struct checker *c, struct plan_cert *cert)
{
    if (!check_is_given(c, &cert->renew_before_ns)) {
        cert->renew_before_ns = cert->lifetime_ns / 10;
    } else if (cert->source == CERT_MINT && cert->renew_before_ns >= cert->lifetime_ns) {
        diag_add(c->diag, plan_origin(c->plan, &cert->renew_before_ns),
                 "cert.renew_before: not below cert.lifetime, so each would be renewed at once");
    }
}

void check_cert(const struct checker *c, struct plan_cert *cert)
{
    const struct check_rule rule = check_rule_cert(cert);

    if (cert->source == CERT_MINT) {
        check_minted(c, cert);
    } else {
        check_loaded(c, cert);
    }
    check_rule(c, &rule);
    check_rotation(c, cert);
    settle_renewal(c, cert);
}
