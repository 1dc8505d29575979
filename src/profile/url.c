#include "profile/url.h"

#include "base/mem.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define HTTP_PORT      80
#define HTTPS_PORT     443
#define NAME_MAX_BYTES 253
#define LABEL_MAX      63

static bool is_label_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool url_is_name(const char *text)
{
    size_t len = strlen(text), label = 0;

    if (len == 0 || len > NAME_MAX_BYTES) {
        return false;
    }
    /* only digits and dots: an address that went wrong, never a name */
    if (strspn(text, "0123456789.") == len) {
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '.') {
            if (label == 0 || p[-1] == '-') {
                return false;
            }
            label = 0;
        } else if (!is_label_letter(*p) || (label == 0 && *p == '-') || ++label > LABEL_MAX) {
            return false;
        }
    }
    return text[len - 1] != '-';
}

bool url_is_address(const char *text)
{
    struct in6_addr address;

    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

bool url_is_path(const char *text)
{
    if (text[0] != '/' && text[0] != '?') {
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (*p <= 0x20 || *p >= 0x7f || *p == '#') {
            return false;
        }
    }
    return true;
}

static bool parse_port(const char *text, size_t len, uint16_t *ret_port)
{
    char digits[8];
    uint64_t port;

    if (len == 0 || len >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (strspn(digits, "0123456789") != len || !str_to_u64(digits, &port) || port == 0 ||
        port > UINT16_MAX) {
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

/* Length of the host at the start of an authority, brackets included. */
static size_t host_len(const char *text, size_t len)
{
    const char *end = text[0] == '[' ? memchr(text, ']', len) : memchr(text, ':', len);

    if (end == NULL) {
        return len;
    }
    return (size_t)(end - text) + (text[0] == '[');
}

const char *url_parse_authority(const char *text, size_t len, uint16_t port, struct url *ret_url)
{
    size_t n = host_len(text, len);
    bool bracketed = len > 0 && text[0] == '[';
    struct in6_addr address;

    if (memchr(text, '@', len) != NULL) {
        return "names a user, which https://USER@HOST must not do";
    }
    if (n == 0) {
        return "names no host";
    }
    if (n < len && (text[n] != ':' || !parse_port(text + n + 1, len - n - 1, &port))) {
        return memchr(text + n + (n < len), ':', len - n - (n < len)) != NULL && !bracketed
                   ? "needs brackets around an IPv6 address, as in [::1]:8443"
                   : "has a wrong port (1 to 65535)";
    }
    if (bracketed && text[n - 1] != ']') {
        return "has a [ without its ]";
    }
    CLEANUP_FREE char *host = bracketed ? xstrndup(text + 1, n - 2) : xstrndup(text, n);
    if (bracketed && inet_pton(AF_INET6, host, &address) != 1) {
        return "has something else than an IPv6 address in the brackets";
    }
    if (!bracketed && !url_is_name(host) && !url_is_address(host)) {
        return "has no valid host (a name, an IPv4 address, or an IPv6 address in brackets)";
    }
    *ret_url = (struct url){
        .host = xstrdup(host),
        .port = port,
        .is_ipv6 = bracketed,
        .is_address = url_is_address(host),
    };
    return NULL;
}

/* What follows https:// or http://. */
static const char *parse_rest(const char *authority, uint16_t port, struct url *ret_url)
{
    size_t len = strcspn(authority, "/?#");
    const char *path = authority + len;

    if (strchr(path, '#') != NULL) {
        return "has a #fragment, which no server ever sees";
    }
    if (path[0] != '\0' && !url_is_path(path)) {
        return "has a path with spaces or letters that must be written as %XX";
    }
    const char *wrong = url_parse_authority(authority, len, port, ret_url);
    if (wrong == NULL) {
        ret_url->path = path[0] == '/' ? xstrdup(path) : xasprintf("/%s", path);
    }
    return wrong;
}

const char *url_parse(const char *text, struct url *ret_url)
{
    static const char scheme[] = "https://";

    if (str_has_prefix(text, "http://")) {
        return "is not https: tlsoak speaks TLS only (write https://...)";
    }
    if (!str_has_prefix(text, scheme)) {
        return "is not an https URL (write https://HOST:PORT/PATH)";
    }
    return parse_rest(text + strlen(scheme), HTTPS_PORT, ret_url);
}

const char *url_parse_raw(const char *text, struct url *ret_url)
{
    static const char scheme[] = "tls://";

    if (!str_has_prefix(text, scheme)) {
        return "is not a tls URL (write tls://HOST:PORT)";
    }
    const char *authority = text + strlen(scheme);
    if (strpbrk(authority, "/?#") != NULL) {
        return "has a path, but what is asked for says request.send (write tls://HOST:PORT)";
    }
    struct url url;
    const char *wrong = url_parse_authority(authority, strlen(authority), 0, &url);
    if (wrong == NULL && url.port == 0) {
        free(url.host);
        return "has no port, and tls:// has none of its own (write tls://HOST:PORT)";
    }
    if (wrong == NULL) {
        *ret_url = url;
    }
    return wrong;
}

const char *url_parse_plain(const char *text, struct url *ret_url)
{
    static const char scheme[] = "http://";

    if (!str_has_prefix(text, scheme)) {
        return "is not an http URL (write http://HOST:PORT/PATH)";
    }
    return parse_rest(text + strlen(scheme), HTTP_PORT, ret_url);
}
