#include "profile/check_parts.h"

#include "base/mem.h"
#include "base/str.h"
#include "profile/build.h"
#include "profile/store.h"
#include "profile/url.h"

#include <stdlib.h>
#include <string.h>

#define SOURCES_MAX 65536 /* addresses */

/* The next of a list between commas, white space cut off; false at its end. */
static bool next_word(const char **at, const char **ret_word, size_t *ret_len)
{
    const char *word = *at + strspn(*at, ", \t");
    size_t len = strcspn(word, ",");

    *at = word + len;
    while (len > 0 && (word[len - 1] == ' ' || word[len - 1] == '\t')) {
        len--;
    }
    *ret_word = word;
    *ret_len = len;
    return len > 0;
}

/* "10.0.0.0/8:443", "[fd00::/8]:443": the network in front of the port, if there is one. */
static size_t network_len(const char *word, size_t len, const char **ret_port)
{
    const char *end = word[0] == '[' ? memchr(word, ']', len) : NULL;
    const char *colon = memrchr(word, ':', len);

    *ret_port = NULL;
    if (end != NULL) {
        *ret_port = end + 1 < word + len && end[1] == ':' ? end + 2 : NULL;
        return (size_t)(end - word) + 1;
    }
    if (colon == NULL || memchr(word, ':', (size_t)(colon - word)) != NULL) {
        return len; /* IPv6 without brackets has no port */
    }
    *ret_port = colon + 1;
    return (size_t)(colon - word);
}

static bool parse_network(const char *word, size_t len, struct plan_allowed *ret_allowed)
{
    const char *port_text;
    size_t net_len = network_len(word, len, &port_text);
    bool bracketed = word[0] == '[' && net_len >= 2;
    uint64_t port = 0;
    struct ipnet net;

    if (!ipnet_parse(word + bracketed, net_len - 2 * bracketed, &net)) {
        return false;
    }
    if (port_text != NULL) {
        CLEANUP_FREE char *digits = xstrndup(port_text, (size_t)(word + len - port_text));
        if (!str_to_u64(digits, &port) || port == 0 || port > UINT16_MAX) {
            return false;
        }
    } else if (net_len != len) {
        return false;
    }
    *ret_allowed = (struct plan_allowed){.net = net, .port = (uint16_t)port};
    return true;
}

static bool parse_name(const struct checker *c, const char *word, size_t len,
                       struct plan_allowed *ret_allowed)
{
    struct url url;

    if (memchr(word, '/', len) != NULL || url_parse_authority(word, len, 0, &url) != NULL) {
        return false;
    }
    *ret_allowed =
        (struct plan_allowed){.name = store_keep(c->plan->store, url.host), .port = url.port};
    return !url.is_address; /* those are networks, or wrong */
}

static void check_allow(const struct checker *c)
{
    struct plan_target *t = &c->plan->target;
    const char *at = t->allow, *word;
    size_t len;

    while (at != NULL && next_word(&at, &word, &len)) {
        struct plan_allowed allowed;
        if (!parse_network(word, len, &allowed) && !parse_name(c, word, len, &allowed)) {
            CLEANUP_FREE char *copy = xstrndup(word, len);
            CLEANUP_FREE char *shown = build_shown(copy);
            diag_add(c->diag, plan_origin(c->plan, &t->allow),
                     "target.allow: \"%s\" is not a host (write 10.0.0.5:8443, 10.0.0.0/24, "
                     "[fd00::5]:8443 or test.example:443)",
                     shown);
        } else if (t->n_allowed == PLAN_ALLOWED_MAX) {
            diag_add(c->diag, plan_origin(c->plan, &t->allow), "target.allow: more than %d hosts",
                     PLAN_ALLOWED_MAX);
            return;
        } else {
            t->allowed[t->n_allowed++] = allowed;
        }
    }
}

static void check_source(const struct checker *c)
{
    struct plan_target *t = &c->plan->target;
    struct origin origin = plan_origin(c->plan, &t->source);
    const char *at = t->source, *word;
    uint64_t n_addresses = 0;
    size_t len;

    while (at != NULL && next_word(&at, &word, &len)) {
        struct ipnet net;
        if (!ipnet_parse(word, len, &net)) {
            CLEANUP_FREE char *copy = xstrndup(word, len);
            CLEANUP_FREE char *shown = build_shown(copy);
            diag_add(c->diag, origin,
                     "target.source: \"%s\" is not an address or a network (write 127.0.0.0/28)",
                     shown);
            continue;
        }
        uint64_t n = ipnet_n_hosts(&net);
        if (t->n_sources == PLAN_SOURCES_MAX || n > SOURCES_MAX - n_addresses) {
            diag_add(c->diag, origin, "target.source: more than %d addresses, or %d networks",
                     SOURCES_MAX, PLAN_SOURCES_MAX);
            return;
        }
        n_addresses += n;
        t->sources[t->n_sources++] = net;
    }
}

void check_reach(const struct checker *c)
{
    check_allow(c);
    check_source(c);
}
