#include "profile/check_internal.h"

#include "base/mem.h"
#include "base/str.h"
#include "profile/build.h"
#include "profile/store.h"
#include "profile/url.h"

#include <stdlib.h>
#include <string.h>

/* A key that only the other kind of source reads was probably meant for it. */
static void unused(const struct checker *c, const void *field, const char *key, const char *why)
{
    if (check_is_given(c, field)) {
        diag_add(c->diag, plan_origin(c->plan, field), "%s: of no use with %s", key, why);
    }
}

static void needed(const struct checker *c, const void *field, const char *value, const char *key,
                   struct origin section, const char *why)
{
    if (value == NULL && !check_is_given(c, field)) {
        diag_add(c->diag, section, "%s is missing; %s", key, why);
    }
}

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

/* A tenth of the lifetime when nothing was said. */
static void settle_renewal(const struct checker *c, const char *section_name, uint64_t *renew_ns,
                           const uint64_t *lifetime_ns)
{
    if (!check_is_given(c, renew_ns)) {
        *renew_ns = *lifetime_ns / 10;
    } else if (*renew_ns >= *lifetime_ns) {
        diag_add(c->diag, plan_origin(c->plan, renew_ns),
                 "%s.renew_before: not below %s.lifetime, so each would be renewed at once",
                 section_name, section_name);
    }
}

static void check_minted(const struct checker *c, const struct plan_cert *cert)
{
    const char *why = "cert.source = mint signs with it";

    needed(c, &cert->ca, cert->ca, "cert.ca", cert->origin, why);
    needed(c, &cert->ca_key, cert->ca_key, "cert.ca_key", cert->origin, why);
    unused(c, &cert->path, "cert.path", "cert.source = mint (write source = files)");
    check_san(c, cert);
    if (cert->subject != NULL && strchr(cert->subject, '=') == NULL) {
        CLEANUP_FREE char *shown = build_shown(cert->subject);
        diag_add(c->diag, plan_origin(c->plan, &cert->subject),
                 "cert.subject: \"%s\" is not a distinguished name (write CN=client-{n})", shown);
    }
}

static void check_loaded(const struct checker *c, const struct plan_cert *cert)
{
    static const char why[] = "cert.source = files";

    needed(c, &cert->path, cert->path, "cert.path", cert->origin,
           "cert.source = files reads from it");
    unused(c, &cert->ca, "cert.ca", why);
    unused(c, &cert->ca_key, "cert.ca_key", why);
    unused(c, &cert->san, "cert.san", why);
    if (cert->pick == PICK_FRESH) {
        diag_add(c->diag, check_origin(c, &cert->pick, cert->origin),
                 "cert.pick: fresh needs cert.source = mint; files come to an end");
    }
}

static void check_cert(const struct checker *c, struct plan_cert *cert)
{
    if (cert->source == CERT_MINT) {
        check_minted(c, cert);
    } else {
        check_loaded(c, cert);
    }
    settle_renewal(c, "cert", &cert->renew_before_ns, &cert->lifetime_ns);
}

static void check_header_name(const struct checker *c, const void *field, const char *name,
                              const char *key)
{
    if (name != NULL && !check_is_token(name)) {
        CLEANUP_FREE char *shown = build_shown(name);
        diag_add(c->diag, plan_origin(c->plan, field), "%s: \"%s\" is not the name of a header",
                 key, shown);
    }
}

static bool tells_apart(const char *template)
{
    return strstr(template, "{n}") != NULL || strstr(template, "{uuid}") != NULL ||
           strstr(template, "{random}") != NULL;
}

static void check_generated(const struct checker *c, struct plan_apikey *apikey)
{
    bool has_secret = apikey->secret != NULL || check_is_given(c, &apikey->secret);

    if (apikey->template == NULL) {
        apikey->template = store_keep(
            c->plan->store, xstrdup(has_secret ? "client-{n}.{hmac}" : "client-{n}-{random}"));
        return;
    }
    struct origin origin = check_origin(c, &apikey->template, apikey->origin);
    bool has_hmac = strstr(apikey->template, "{hmac}") != NULL;
    if (has_hmac && !has_secret) {
        diag_add(c->diag, origin, "apikey.template: {hmac} needs apikey.secret");
    }
    if (!has_hmac && has_secret) {
        diag_add(c->diag, origin, "apikey.template: without {hmac}, apikey.secret is of no use");
    }
    if (!tells_apart(apikey->template) && (apikey->count > 1 || apikey->pick == PICK_FRESH)) {
        diag_add(c->diag, origin,
                 "apikey.template: all keys would be the same; put {n}, {uuid} or {random} in it");
    }
}

static void check_apikey(const struct checker *c, struct plan_apikey *apikey)
{
    check_header_name(c, &apikey->header, apikey->header, "apikey.header");
    if (apikey->path == NULL && !check_is_given(c, &apikey->path)) {
        check_generated(c, apikey);
        return;
    }
    unused(c, &apikey->template, "apikey.template", "apikey.path");
    unused(c, &apikey->secret, "apikey.secret", "apikey.path");
    if (apikey->pick == PICK_FRESH) {
        diag_add(c->diag, check_origin(c, &apikey->pick, apikey->origin),
                 "apikey.pick: fresh needs generated keys; those of apikey.path come to an end");
    }
}

static void check_jwt(const struct checker *c, struct plan_jwt *jwt)
{
    check_header_name(c, &jwt->header, jwt->header, "jwt.header");
    needed(c, &jwt->key, jwt->key, "jwt.key", jwt->origin,
           "tokens are signed with it (write key = @FILE or ${VARIABLE})");
    settle_renewal(c, "jwt", &jwt->renew_before_ns, &jwt->lifetime_ns);
    if (jwt->scheme != NULL && jwt->scheme[0] != '\0' && !check_is_token(jwt->scheme)) {
        CLEANUP_FREE char *shown = build_shown(jwt->scheme);
        diag_add(c->diag, plan_origin(c->plan, &jwt->scheme),
                 "jwt.scheme: \"%s\" is not one word (write Bearer)", shown);
    }
}

static void check_headers_differ(const struct checker *c)
{
    const struct plan *plan = c->plan;

    if (plan->n_apikeys > 0 && plan->n_jwts > 0 && plan->apikeys[0].header != NULL &&
        plan->jwts[0].header != NULL &&
        strcasecmp(plan->apikeys[0].header, plan->jwts[0].header) == 0) {
        diag_add(c->diag, check_origin(c, &plan->apikeys[0].header, plan->apikeys[0].origin),
                 "apikey.header: the same as jwt.header");
    }
}

void check_identities(const struct checker *c)
{
    for (size_t i = 0; i < c->plan->n_certs; i++) {
        check_cert(c, &c->plan->certs[i]);
    }
    for (size_t i = 0; i < c->plan->n_apikeys; i++) {
        check_apikey(c, &c->plan->apikeys[i]);
    }
    for (size_t i = 0; i < c->plan->n_jwts; i++) {
        check_jwt(c, &c->plan->jwts[i]);
    }
    check_headers_differ(c);
}
