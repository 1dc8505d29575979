/* https URLs (RFC 3986, the part that names a server): https://HOST[:PORT][/PATH][?QUERY]. */
#ifndef PROFILE_URL_H
#define PROFILE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct url {
    char *host; /* without brackets */
    uint16_t port;
    char *path;   /* path and query, "/" at least */
    bool is_ipv6; /* needs brackets */
    bool is_address;
};

/* NULL and *ret_url filled in (free its texts), or what is wrong, as the end of a sentence. */
const char *url_parse(const char *text, struct url *ret_url) __attribute__((warn_unused_result));
/* tls://HOST:PORT, and nothing behind it (path is NULL). */
const char *url_parse_raw(const char *text, struct url *ret_url)
    __attribute__((warn_unused_result));
/* The same as url_parse of an http:// URL. */
const char *url_parse_plain(const char *text, struct url *ret_url)
    __attribute__((warn_unused_result));
/* "HOST", "HOST:PORT", "[IPv6]:PORT"; the same, path is NULL; `port` stands when none is given. */
const char *url_parse_authority(const char *text, size_t len, uint16_t port, struct url *ret_url)
    __attribute__((warn_unused_result));
/* True for a DNS name (labels of letters, digits, - and _), RFC 1035 section 2.3.4 lengths. */
bool url_is_name(const char *text);
bool url_is_address(const char *text);
/* A path (and query) that may stand in a request line: begins with / or ?, visible ASCII. */
bool url_is_path(const char *text);

#endif
