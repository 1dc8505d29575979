/* Fuzzes URLs, networks and the target policy: the first line of an input is a URL or an authority,
 * the second what target.allow lists, and each further one an address that is judged.  A URL put
 * together from its parts reads as the same parts.  The policy is held against rules written down
 * here once more: nothing that is not named gets in, and no name lets anything in unasked. */
#include "kit/fuzz.h"

#include "base/ipnet.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/policy.h"
#include "profile/profile.h"
#include "profile/url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

typedef const char *parse_url(const char *text, struct url *ret_url);

static void url_clear(struct url *url)
{
    free(url->host);
    free(url->path);
}

static void check_host(const struct url *url)
{
    unsigned char bytes[16];
    bool v6 = inet_pton(AF_INET6, url->host, bytes) == 1;
    bool v4 = inet_pton(AF_INET, url->host, bytes) == 1;
    fuzz_require(url->host[0] != '\0' && url->port != 0, "a URL without a host or a port");
    fuzz_require(url->is_address == (v4 || v6), "an address that is none, or the other way round");
    fuzz_require(!url->is_ipv6 || v6, "an address of another family");
    fuzz_require(url->is_address || url_is_name(url->host), "a name that is none");
}

static void same(const struct url *a, const struct url *b)
{
    fuzz_require(str_equal(a->host, b->host) && a->port == b->port && a->is_ipv6 == b->is_ipv6,
                 "put together again it is another host");
    fuzz_require((a->path == NULL) == (b->path == NULL) &&
                     (a->path == NULL || str_equal(a->path, b->path)),
                 "put together again it is another path");
}

static bool try_url(const char *scheme, parse_url *parse, const char *text)
{
    struct url url = {0}, again = {0};
    const char *fault = parse(text, &url);
    if (fault != NULL) {
        fuzz_require(fault[0] != '\0' && url.host == NULL && url.path == NULL,
                     "refused without a reason, or half of it kept");
        return false;
    }
    check_host(&url);
    fuzz_require(url.path == NULL || url_is_path(url.path), "a path that no request may have");
    CLEANUP_FREE char *whole =
        xasprintf("%s%s%s%s:%u%s", scheme, url.is_ipv6 ? "[" : "", url.host, url.is_ipv6 ? "]" : "",
                  (unsigned)url.port, url.path != NULL ? url.path : "");
    fuzz_require(parse(whole, &again) == NULL, "put together again it does not read");
    same(&url, &again);
    url_clear(&url);
    url_clear(&again);
    return true;
}

static const char *parse_authority(const char *text, struct url *ret_url)
{
    return url_parse_authority(text, strlen(text), 443, ret_url);
}

static bool try_urls(const char *text)
{
    bool any = try_url("https://", url_parse, text);
    any = try_url("http://", url_parse_plain, text) || any;
    any = try_url("tls://", url_parse_raw, text) || any;
    return try_url("", parse_authority, text) || any;
}

/* The bits behind the prefix are none of the network's. */
static bool try_net(const char *text)
{
    struct ipnet net;
    unsigned char host[IPNET_BYTES];
    if (!ipnet_parse(text, strlen(text), &net)) {
        return false;
    }
    fuzz_require(net.bits <= 128 && ipnet_contains(&net, net.bytes), "a network without itself");
    uint64_t n = ipnet_n_hosts(&net);
    fuzz_require(n > 0, "a network without hosts");
    uint64_t at[] = {0, n / 2, n - 1};
    for (size_t i = 0; i < 3; i++) {
        ipnet_host(&net, at[i], host);
        fuzz_require(ipnet_contains(&net, host), "a host of another network");
    }
    for (unsigned bit = net.bits; bit < 128; bit++) {
        fuzz_require((net.bytes[bit / 8] >> (7 - bit % 8) & 1) == 0, "bits behind the prefix");
    }
    return true;
}

static bool begins(const unsigned char *bytes, const char *prefix, unsigned bits)
{
    for (unsigned bit = 0; bit < bits; bit++) {
        unsigned shift = 7 - bit % 8;
        if ((bytes[bit / 8] >> shift & 1) != ((unsigned char)prefix[bit / 8] >> shift & 1)) {
            return false;
        }
    }
    return true;
}

/* IANA's special-purpose registries, apart from the table of policy.c. */
static enum policy_class expected_class(const unsigned char b[16])
{
    static const unsigned char none[16], loopback[16] = {[15] = 1};
    if (ipnet_is_v4(b)) {
        const unsigned char *v4 = b + 12;
        if (v4[0] == 127) {
            return POLICY_LOOPBACK;
        }
        if (v4[0] == 0 || v4[0] >= 224) {
            return POLICY_NO_HOST;
        }
        return v4[0] == 10 || (v4[0] == 172 && v4[1] / 16 == 1) || (v4[0] == 192 && v4[1] == 168) ||
                       (v4[0] == 169 && v4[1] == 254) || (v4[0] == 100 && v4[1] / 64 == 1) ||
                       (v4[0] == 198 && v4[1] / 2 == 9)
                   ? POLICY_PRIVATE
                   : POLICY_PUBLIC;
    }
    if (memcmp(b, loopback, 16) == 0) {
        return POLICY_LOOPBACK;
    }
    if (memcmp(b, none, 16) == 0 || b[0] == 0xff) {
        return POLICY_NO_HOST;
    }
    return begins(b, "\xfc", 7) || begins(b, "\xfe\x80", 10) ? POLICY_PRIVATE : POLICY_PUBLIC;
}

static bool is_named(const struct plan *plan, const unsigned char bytes[16], bool *ret_by_name)
{
    bool by_address = false;
    *ret_by_name = false;
    for (size_t i = 0; i < plan->target.n_allowed; i++) {
        const struct plan_allowed *line = &plan->target.allowed[i];
        if (line->port != 0 && line->port != plan->target.dial_port) {
            continue;
        }
        if (line->name != NULL) {
            *ret_by_name |= strcasecmp(line->name, plan->target.dial_host) == 0;
        } else {
            by_address |= begins(bytes, (const char *)line->net.bytes, line->net.bits);
        }
    }
    return by_address;
}

static void judge(const struct plan *plan, const char *text)
{
    struct ipnet net;
    if (!ipnet_parse(text, strlen(text), &net) || net.bits != 128) {
        return;
    }
    struct addr addr = addr_from_bytes(net.bytes);
    unsigned char back[16];
    bool by_name;
    char shown[ADDR_TEXT];
    addr_bytes(&addr, back);
    fuzz_require(memcmp(back, net.bytes, 16) == 0, "an address became another");
    enum policy_class class = expected_class(net.bytes);
    fuzz_require(policy_classify(&addr) == class, "an address of another class");
    fuzz_require(strlen(addr_text(&addr, shown)) > 0, "an address without text");
    bool by_address = is_named(plan, net.bytes, &by_name);
    enum policy_answer expected = class == POLICY_LOOPBACK  ? POLICY_FREE
                                  : class == POLICY_NO_HOST ? POLICY_REFUSED
                                  : class == POLICY_PRIVATE
                                      ? (by_address ? POLICY_FREE : POLICY_CONSENT)
                                      : (by_address || by_name ? POLICY_CONSENT : POLICY_REFUSED);
    fuzz_require(policy_judge(plan, &addr) == expected, "the policy says something else");
}

/* What the refusal tells to write would allow it, and nothing that was named is lost. */
static void check_line(const struct plan *plan, const char *text)
{
    struct ipnet net;
    if (!ipnet_parse(text, strlen(text), &net) || net.bits != 128) {
        return;
    }
    struct addr addr = addr_from_bytes(net.bytes);
    CLEANUP_FREE char *line = policy_line(plan, &plan->target, &addr);
    fuzz_require(str_has_prefix(line, "allow = ") && strchr(line, '\n') == NULL,
                 "no line of a profile");
}

static struct plan *plan_of(const char *url, const char *allow)
{
    CLEANUP_FREE char *profile = xasprintf("[target]\nurl = %s\nallow = %s\n[pace]\nmode = closed\n"
                                           "connections = 1\n[run]\nduration = 10s\n",
                                           url, allow);
    struct diag *diag = diag_new();
    struct plan *plan = profile_load_text("x", profile, NULL, 0, diag);
    fuzz_require((plan == NULL) == (diag_count(diag) > 0), "neither a plan nor a mistake, or both");
    diag_free(diag);
    return plan;
}

static bool run(const char *bytes, size_t len)
{
    CLEANUP_FREE char *copy = xstrndup(bytes, len);
    char *rest = copy;
    const char *url = strsep(&rest, "\n"), *allow = strsep(&rest, "\n"), *line;
    bool ok = try_urls(url);
    struct plan *plan = allow != NULL ? plan_of(url, allow) : NULL;
    while ((line = strsep(&rest, "\n")) != NULL) {
        ok = try_net(line) || ok;
        if (plan != NULL) {
            judge(plan, line);
            check_line(plan, line);
        }
    }
    plan_free(plan);
    return ok;
}

static void start(void)
{
    fuzz_confine(true);
}

static const char *const words[] = {"https://",
                                    "http://",
                                    "tls://",
                                    "localhost",
                                    "127.0.0.1",
                                    "[::1]",
                                    "[",
                                    "]",
                                    ":",
                                    ":443",
                                    ":65536",
                                    ":0",
                                    "/",
                                    "//",
                                    "?",
                                    "#",
                                    "@",
                                    "%",
                                    "%00",
                                    "xn--",
                                    "10.0.0.0/8",
                                    "fd00::/8",
                                    "::ffff:10.0.0.1",
                                    "0.0.0.0",
                                    "255.255.255.255",
                                    "/0",
                                    "/32",
                                    "/128",
                                    "/129",
                                    "::",
                                    "fe80::1%eth0",
                                    "100.64.0.1",
                                    "198.18.0.1",
                                    "8.8.8.8",
                                    "2001:db8::1",
                                    "ff02::1",
                                    "::1",
                                    ", ",
                                    "\n",
                                    ".",
                                    "-",
                                    "_",
                                    "\\",
                                    "0x7f.1",
                                    "example.com",
                                    "EXAMPLE.COM",
                                    "example.com:8443",
                                    " ",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "url",
    .about = "profile/url.c base/ipnet.c net/policy.c profile/check_target.c profile/check_reach.c "
             "net/addr.c",
    .words = words,
    .start = start,
    .run = run,
};
