#include "cmd/presented.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

static const char *const certs[] = {
    [BAD_CERT_NOT] = NULL,
    [BAD_CERT_NONE] = "no certificate",
    [BAD_CERT_EXPIRED] = "an expired certificate",
    [BAD_CERT_NOT_YET_VALID] = "a certificate that is not yet valid",
    [BAD_CERT_UNKNOWN_CA] = "a certificate of an unknown CA",
    [BAD_CERT_SELF_SIGNED] = "a self-signed certificate",
    [BAD_CERT_WRONG_USAGE] = "a certificate that is not for clients",
    [BAD_CERT_REVOKED] = "a revoked certificate",
    [BAD_CERT_WRONG_KEY] = "a certificate without its key",
    [BAD_CERT_FILE] = "the certificate of refuse.path",
};

static const char *const jwts[] = {
    [BAD_JWT_NOT] = NULL,
    [BAD_JWT_NONE] = "no token",
    [BAD_JWT_EXPIRED] = "an expired token",
    [BAD_JWT_WRONG_SIGNATURE] = "a token with a wrong signature",
    [BAD_JWT_ALG_NONE] = "an unsigned token (alg none)",
    [BAD_JWT_WRONG_AUDIENCE] = "a token for another audience",
    [BAD_JWT_HS256_PUBLIC_KEY] = "a token signed with the server's public key as a secret (HS256)",
    [BAD_JWT_OTHER_CERTIFICATE] = "a token bound to another client's certificate",
};

static const char *const apikeys[] = {
    [BAD_APIKEY_NOT] = NULL,
    [BAD_APIKEY_NONE] = "no API key",
    [BAD_APIKEY_UNKNOWN] = "an unknown API key",
};

static const struct {
    const char *name, *what;
} misuses[MISUSE_COUNT] = {
    [MISUSE_HALF_OPEN] = {"half-open", "connections on which nothing was sent"},
    [MISUSE_HANDSHAKE_STOP] = {"handshake-stop", "TLS handshakes stopped half way"},
    [MISUSE_ABORT_BODY] = {"abort-body", "request bodies aborted half way"},
    [MISUSE_ABANDON_RESPONSE] = {"abandon-response", "responses abandoned"},
    [MISUSE_EARLY_CLOSE] = {"early-close", "connections closed right behind the request"},
    [MISUSE_RESET] = {"reset", "connections reset after a good exchange"},
    [MISUSE_NO_CLOSE_NOTIFY] = {"no-close-notify", "connections ended without close_notify"},
    [MISUSE_SLOW_SEND] = {"slow-send", "heads sent a few bytes at a time"},
    [MISUSE_SLOW_READ] = {"slow-read", "responses read a few bytes at a time"},
    [MISUSE_OVERSIZED_HEADER] = {"oversized-header", "requests with an oversized header"},
    [MISUSE_PLAIN_HTTP] = {"plain-http", "requests without TLS"},
    [MISUSE_H2_DISCONNECT] = {"h2-disconnect", "HTTP/2 connections closed with requests in flight"},
    [MISUSE_H2_RESET] = {"h2-reset", "HTTP/2 connections whose requests were reset at once"},
};

void presented_misuse(const struct plan_misuse *misuse, struct misuse_kind *ret_misuse)
{
    (void)str_copy(ret_misuse->name, sizeof ret_misuse->name, misuse->name);
    (void)str_copy(ret_misuse->kind, sizeof ret_misuse->kind, misuses[misuse->kind].name);
    (void)str_copy(ret_misuse->what, sizeof ret_misuse->what, misuses[misuse->kind].what);
}

void presented_describe(const struct plan_refuse *refuse, struct refusal_kind *ret_refusal)
{
    const char *parts[] = {certs[refuse->cert], jwts[refuse->jwt], apikeys[refuse->apikey]};
    char text[sizeof ret_refusal->presented] = "";

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t len = strlen(text);
        if (parts[i] != NULL) {
            (void)snprintf(text + len, sizeof text - len, "%s%s", len > 0 ? " and " : "", parts[i]);
        }
    }
    (void)str_copy(ret_refusal->name, sizeof ret_refusal->name, refuse->name);
    (void)str_copy(ret_refusal->presented, sizeof ret_refusal->presented, text);
    (void)str_copy(ret_refusal->expect, sizeof ret_refusal->expect, refuse->expect_text);
    ret_refusal->any = refuse->expect.any;
}
