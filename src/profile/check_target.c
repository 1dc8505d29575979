#include "profile/check_parts.h"
#include "profile/check_raw.h"

#include "base/mem.h"
#include "base/str.h"
#include "profile/build.h"
#include "profile/store.h"
#include "profile/url.h"

#include <stdlib.h>
#include <string.h>

#define HTTPS_PORT 443

/* Never the password of https://USER:PASSWORD@HOST. */
static char *shown_url(const char *text)
{
    return strchr(text, '@') != NULL ? xstrdup("...@...") : build_shown(text);
}

static void derive_dial(const struct checker *c, struct plan_target *t, const struct url *url)
{
    struct url to;

    t->dial_host = t->url_host;
    t->dial_port = url->port;
    if (t->connect_to == NULL) {
        return;
    }
    const char *wrong = url_parse_authority(t->connect_to, strlen(t->connect_to), url->port, &to);
    if (wrong != NULL) {
        CLEANUP_FREE char *shown = shown_url(t->connect_to);
        diag_add(c->diag, plan_origin(c->plan, &t->connect_to), "target.connect_to: \"%s\" %s",
                 shown, wrong);
        return;
    }
    t->dial_host = store_keep(c->plan->store, to.host);
    t->dial_port = to.port;
}

static void derive_host_header(const struct checker *c, struct plan_target *t,
                               const struct url *url)
{
    const char *open = url->is_ipv6 ? "[" : "", *close = url->is_ipv6 ? "]" : "";
    char *header;

    if (t->host != NULL) {
        t->host_header = t->host;
    } else {
        header = url->port == HTTPS_PORT
                     ? xasprintf("%s%s%s", open, t->url_host, close)
                     : xasprintf("%s%s%s:%u", open, t->url_host, close, (unsigned)url->port);
        t->host_header = store_keep(c->plan->store, header);
    }
}

static void derive_names(const struct checker *c, struct plan_target *t, const struct url *url)
{
    if (t->sni == NULL) {
        t->server_name = url->is_address ? NULL : t->url_host;
        t->verify_name = t->url_host;
        return;
    }
    if (t->sni[0] != '\0' && !url_is_name(t->sni)) {
        CLEANUP_FREE char *shown = build_shown(t->sni);
        diag_add(c->diag, plan_origin(c->plan, &t->sni),
                 "target.sni: \"%s\" is not a host name (an address is never sent as one)", shown);
        return;
    }
    t->server_name = t->sni[0] != '\0' ? t->sni : NULL;
    t->verify_name = t->sni[0] != '\0' ? t->sni : t->url_host;
}

/* What the URL says; `key` and `origin` are for mistakes. */
static void derive(const struct checker *c, struct plan_target *t, const char *key,
                   struct origin origin)
{
    struct url url;

    if (t->url == NULL) {
        return;
    }
    const char *wrong = t->raw ? url_parse_raw(t->url, &url) : url_parse(t->url, &url);
    if (wrong != NULL) {
        CLEANUP_FREE char *shown = shown_url(t->url);
        diag_add(c->diag, origin, "%s: \"%s\" %s", key, shown, wrong);
        return;
    }
    t->url_host = store_keep(c->plan->store, url.host);
    t->url_path = t->raw ? NULL : store_keep(c->plan->store, url.path);
    derive_dial(c, t, &url);
    derive_host_header(c, t, &url);
    derive_names(c, t, &url);
}

/* Another endpoint that is spoken to as [target] says. */
static struct plan_target target_like(const struct plan_target *t, char *url, char *server_ca)
{
    return (struct plan_target){
        .url = url,
        .server_ca = server_ca != NULL ? server_ca : t->server_ca,
        .verify = t->verify,
        .tls_min = t->tls_min,
        .tls_max = t->tls_max,
        .ciphers = t->ciphers,
        .groups = t->groups,
        .timeout_connect_ns = t->timeout_connect_ns,
        .timeout_handshake_ns = t->timeout_handshake_ns,
        .timeout_first_byte_ns = t->timeout_first_byte_ns,
        .timeout_exchange_ns = t->timeout_exchange_ns,
    };
}

void check_secure_page(const struct checker *c, const struct plan_memory *memory, char *const *url,
                       const char *key, struct plan_target *ret_target)
{
    struct plan_target *t = ret_target;

    *t = target_like(&c->plan->target, *url, memory->server_ca);
    t->timeout_connect_ns = t->timeout_handshake_ns = memory->deadline_ns;
    t->timeout_first_byte_ns = t->timeout_exchange_ns = memory->deadline_ns;
    derive(c, t, key, plan_origin(c->plan, url));
}

void check_token_target(const struct checker *c, struct plan_jwt *jwt)
{
    const struct plan_target *t = &c->plan->target;

    jwt->token_target = target_like(t, jwt->token_url, jwt->token_ca);
    if (t->verify == VERIFY_NO) {
        check_unused(c, SECTION_JWT, jwt, CHECK_KEYS("token_ca"), "with target.verify = no");
    }
    derive(c, &jwt->token_target, "jwt.token_url", plan_origin(c->plan, &jwt->token_url));
}

/* A list between colons: "X25519:P-256". */
static bool is_colon_list(const char *text)
{
    size_t len = strlen(text);

    for (const char *p = text; *p != '\0'; p++) {
        if (*p <= 0x20 || *p >= 0x7f || (p[0] == ':' && p[1] == ':')) {
            return false;
        }
    }
    return len > 0 && text[0] != ':' && text[len - 1] != ':';
}

static void check_tls(const struct checker *c)
{
    const struct plan_target *t = &c->plan->target;
    struct origin section = check_section(c, SECTION_TARGET);

    if (t->tls_min > t->tls_max) {
        diag_add(c->diag, check_origin(c, &t->tls_min, check_origin(c, &t->tls_max, section)),
                 "target.tls_min: above target.tls_max");
    }
    if (t->ciphers != NULL && t->tls_min == TLS_VERSION_1_3) {
        diag_add(c->diag, plan_origin(c->plan, &t->ciphers),
                 "target.ciphers: rules TLS 1.2 only, which target.tls_min = 1.3 rules out");
    }
    if (t->groups != NULL && !is_colon_list(t->groups)) {
        diag_add(c->diag, plan_origin(c->plan, &t->groups),
                 "target.groups: \"%.60s\" is not a list of groups (write X25519:P-256)",
                 t->groups);
    }
    if (t->key_update_bytes > 0 && t->tls_max < TLS_VERSION_1_3) {
        diag_add(c->diag, plan_origin(c->plan, &t->key_update_bytes),
                 "target.key_update: is of TLS 1.3, which target.tls_max = 1.2 rules out");
    }
    if (t->verify == VERIFY_NO && t->server_ca != NULL) {
        diag_add(c->diag, plan_origin(c->plan, &t->server_ca),
                 "target.server_ca: of no use with target.verify = no");
    }
}

static void check_timeouts(const struct checker *c)
{
    const struct plan_target *t = &c->plan->target;
    struct origin section = check_section(c, SECTION_TARGET);

    if (t->timeout_first_byte_ns > t->timeout_exchange_ns) {
        const void *blamed = check_is_given(c, &t->timeout_exchange_ns)
                                 ? (const void *)&t->timeout_exchange_ns
                                 : (const void *)&t->timeout_first_byte_ns;
        diag_add(c->diag, check_origin(c, blamed, section),
                 "target.timeout.exchange: shorter than target.timeout.first_byte, which is a part "
                 "of it");
    }
}

void check_target(const struct checker *c)
{
    struct plan_target *t = &c->plan->target;

    t->raw = t->url != NULL && str_has_prefix(t->url, "tls://");
    derive(c, t, "target.url", plan_origin(c->plan, &t->url));
    check_protocols(c);
    check_reach(c);
    check_tls(c);
    check_timeouts(c);
    if (t->host != NULL && strpbrk(t->host, " \t/@,") != NULL) {
        diag_add(c->diag, plan_origin(c->plan, &t->host),
                 "target.host: \"%.60s\" is not a host, or a host and a port", t->host);
    }
}
