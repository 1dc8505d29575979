#include "base/mem.h"
#include "base/str.h"
#include "profile/build.h"
#include "profile/check_names.h"
#include "profile/check_parts.h"
#include "profile/store.h"

#include <stdlib.h>
#include <string.h>

#define SHARES_MAX 0.9
#define STATUS_MIN 100
#define STATUS_MAX 599

/* The word of the refuse's key, as it is written. */
static const char *word_of(const char *key, unsigned value)
{
    const char *suffix;

    return option_find(SECTION_REFUSE, key, &suffix)->words[value];
}

static struct origin origin_of(const struct checker *c, const struct plan_refuse *refuse,
                               const void *field)
{
    return check_origin(c, field, refuse->origin);
}

static void check_bad_path(const struct checker *c, const struct plan_refuse *refuse)
{
    const char *word = word_of("cert", refuse->cert);
    bool reads = refuse->cert == BAD_CERT_REVOKED || refuse->cert == BAD_CERT_FILE;
    CLEANUP_FREE char *presents = xasprintf("refuse.cert = %s presents it", word);
    CLEANUP_FREE char *with = xasprintf("with refuse.cert = %s (write cert = file)", word);

    if (reads) {
        check_needed(c, &refuse->path, refuse->path, "refuse.path", refuse->origin, presents);
    } else {
        check_unused(c, SECTION_REFUSE, refuse, CHECK_KEYS("path"), with);
    }
}

static void check_bad_cert(const struct checker *c, const struct plan_refuse *refuse)
{
    const struct plan_identity *base = refuse->base;
    const struct plan_cert *cert = base->with_cert;
    const char *word = word_of("cert", refuse->cert);
    struct origin origin = origin_of(c, refuse, &refuse->cert);
    bool needs_ca = refuse->cert == BAD_CERT_EXPIRED || refuse->cert == BAD_CERT_NOT_YET_VALID ||
                    refuse->cert == BAD_CERT_WRONG_USAGE;
    bool needs_cert = refuse->cert == BAD_CERT_NONE || refuse->cert == BAD_CERT_WRONG_KEY;

    if (needs_cert && cert == NULL) {
        diag_add(c->diag, origin,
                 "refuse.cert: %s makes no sense, since [identity %s] has no [cert]", word,
                 base->name);
    } else if (needs_ca && (cert == NULL || cert->source != CERT_MINT)) {
        diag_add(c->diag, origin,
                 "refuse.cert: %s is issued with the CA's key, and [identity %s] has no [cert] "
                 "with source = mint (write cert = file and path = FILE; tlsoak pki --bad makes "
                 "such files)",
                 word, base->name);
    }
    check_bad_path(c, refuse);
}

static bool is_asymmetric(enum jwt_alg alg)
{
    return alg != JWT_HS256 && alg != JWT_HS384 && alg != JWT_HS512;
}

static void check_bad_jwt(const struct checker *c, const struct plan_refuse *refuse)
{
    const struct plan_jwt *jwt = refuse->base->with_jwt;
    const char *word = word_of("jwt", refuse->jwt);
    struct origin origin = origin_of(c, refuse, &refuse->jwt);
    enum bad_jwt bad = refuse->jwt;
    bool needs_key = bad == BAD_JWT_EXPIRED || bad == BAD_JWT_WRONG_AUDIENCE ||
                     bad == BAD_JWT_HS256_PUBLIC_KEY || bad == BAD_JWT_OTHER_CERTIFICATE;

    if (bad == BAD_JWT_NOT) {
        return;
    }
    if (jwt == NULL) {
        diag_add(c->diag, origin, "refuse.jwt: %s makes no sense, since [identity %s] has no [jwt]",
                 word, refuse->base->name);
    } else if (needs_key && (jwt->path != NULL || jwt->token_url != NULL)) {
        diag_add(c->diag, origin,
                 "refuse.jwt: %s needs the signing key, which jwt.%s does not give (write jwt = "
                 "wrong-signature or alg-none)",
                 word, jwt->path != NULL ? "path" : "token_url");
    } else if (bad == BAD_JWT_HS256_PUBLIC_KEY && !is_asymmetric(jwt->alg)) {
        diag_add(c->diag, origin,
                 "refuse.jwt: hs256-public-key needs a public key, which the secret of jwt.alg = "
                 "HS256, HS384 and HS512 is not (write alg = ES256, or jwt = wrong-signature)");
    } else if (bad == BAD_JWT_OTHER_CERTIFICATE && !jwt->bind_certificate) {
        diag_add(c->diag, origin,
                 "refuse.jwt: other-certificate needs tokens that are bound to one (write "
                 "bind_certificate = yes in [jwt %s])",
                 jwt->name);
    }
}

static void check_bad_apikey(const struct checker *c, const struct plan_refuse *refuse)
{
    if (refuse->apikey != BAD_APIKEY_NOT && refuse->base->with_apikey == NULL) {
        diag_add(c->diag, origin_of(c, refuse, &refuse->apikey),
                 "refuse.apikey: %s makes no sense, since [identity %s] has no [apikey]",
                 word_of("apikey", refuse->apikey), refuse->base->name);
    }
}

static void expect_mistake(const struct checker *c, const struct plan_refuse *refuse,
                           const char *item, const char *what)
{
    CLEANUP_FREE char *shown = build_shown(item);

    diag_add(c->diag, origin_of(c, refuse, &refuse->expect_text), "refuse.expect: \"%s\" %s", shown,
             what);
}

/* "alert" or "alert NAME"; `name` is what stands behind the word. */
static void read_alert(const struct checker *c, struct plan_refuse *refuse, const char *name)
{
    /* the IANA registry "TLS Alerts", without close_notify, which is no error */
    static const char *const names[] = {"unexpected_message",
                                        "bad_record_mac",
                                        "decryption_failed",
                                        "record_overflow",
                                        "decompression_failure",
                                        "handshake_failure",
                                        "no_certificate",
                                        "bad_certificate",
                                        "unsupported_certificate",
                                        "certificate_revoked",
                                        "certificate_expired",
                                        "certificate_unknown",
                                        "illegal_parameter",
                                        "unknown_ca",
                                        "access_denied",
                                        "decode_error",
                                        "decrypt_error",
                                        "export_restriction",
                                        "protocol_version",
                                        "insufficient_security",
                                        "internal_error",
                                        "inappropriate_fallback",
                                        "user_canceled",
                                        "no_renegotiation",
                                        "missing_extension",
                                        "unsupported_extension",
                                        "certificate_unobtainable",
                                        "unrecognized_name",
                                        "bad_certificate_status_response",
                                        "bad_certificate_hash_value",
                                        "unknown_psk_identity",
                                        "certificate_required",
                                        "no_application_protocol",
                                        "ech_required"};
    const size_t n = sizeof names / sizeof names[0];
    struct expect *expect = &refuse->expect;

    if (expect->alert) {
        expect_mistake(c, refuse, refuse->expect_text, "has more than one alert (write alert)");
        return;
    }
    expect->alert = true;
    if (name[0] == '\0') {
        return;
    }
    if (str_index(name, names, n) < 0) {
        const char *near = str_nearest(name, names, n);
        CLEANUP_FREE char *what =
            xasprintf("is no alert of TLS%s%s%s", near != NULL ? "; did you mean " : "",
                      near != NULL ? near : "", near != NULL ? "?" : "");
        expect_mistake(c, refuse, name, what);
        return;
    }
    expect->alert_name = store_keep(c->plan->store, xstrdup(name));
}

static void read_status(const struct checker *c, struct plan_refuse *refuse, const char *item)
{
    struct expect *expect = &refuse->expect;
    uint64_t status;

    if (!str_to_u64(item, &status) || status < STATUS_MIN || status > STATUS_MAX) {
        expect_mistake(c, refuse, item,
                       "is not how a refusal looks (write any, alert, alert unknown_ca, or "
                       "statuses: 401, 403)");
    } else if (expect->n_status == EXPECT_STATUSES) {
        expect_mistake(c, refuse, item, "is one status too many; at most 8");
    } else {
        expect->status[expect->n_status++] = (uint16_t)status;
    }
}

static void read_expect(const struct checker *c, struct plan_refuse *refuse)
{
    CLEANUP_FREE char *copy = xstrdup(refuse->expect_text);
    struct expect *expect = &refuse->expect;
    char *rest = copy;

    while (rest != NULL) {
        char *item = str_trim(strsep(&rest, ","));
        size_t word = strcspn(item, " \t");
        if (str_equal(item, "any")) {
            expect->any = true;
        } else if (word == strlen("alert") && str_has_prefix(item, "alert")) {
            read_alert(c, refuse, item + word + strspn(item + word, " \t"));
        } else {
            read_status(c, refuse, item);
        }
    }
    if (expect->any && (expect->alert || expect->n_status > 0)) {
        expect_mistake(c, refuse, refuse->expect_text,
                       "says any and more, but any leaves nothing to add");
    }
}

static void check_refuse(const struct checker *c, struct plan_refuse *refuse)
{
    refuse->base = &c->plan->identities[0];
    if (refuse->identity != NULL) {
        const struct plan_identity *base = check_named(c, SECTION_IDENTITY, refuse->identity,
                                                       &refuse->identity, "refuse.identity");
        if (base == NULL) {
            return;
        }
        refuse->base = base;
    }
    read_expect(c, refuse);
    check_bad_cert(c, refuse);
    check_bad_jwt(c, refuse);
    check_bad_apikey(c, refuse);
    if (refuse->cert == BAD_CERT_NOT && refuse->jwt == BAD_JWT_NOT &&
        refuse->apikey == BAD_APIKEY_NOT) {
        diag_add(c->diag, refuse->origin,
                 "[refuse %s]: nothing in it is bad (write cert = expired, jwt = none or apikey = "
                 "unknown)",
                 refuse->name);
    }
}

static void check_shares(const struct checker *c)
{
    double sum = 0;

    for (size_t i = 0; i < c->plan->n_refuses; i++) {
        const struct plan_refuse *refuse = &c->plan->refuses[i];
        bool was_within = sum <= SHARES_MAX;
        sum += refuse->share;
        if (was_within && sum > SHARES_MAX) {
            diag_add(c->diag, origin_of(c, refuse, &refuse->share),
                     "refuse.share: with those above it more than %.0f%% of all attempts would be "
                     "bad ones",
                     SHARES_MAX * 100);
        }
    }
}

void check_refuses(const struct checker *c)
{
    for (size_t i = 0; i < c->plan->n_refuses; i++) {
        check_refuse(c, &c->plan->refuses[i]);
    }
    check_shares(c);
}
