#include "net/policy.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#define RESOLVE_NS (5 * NS_PER_S)

/* Ceilings away from loopback where the profile sets none. */
#define RATE_PER_S  1000.0
#define CONNECTIONS 1000
#define MISUSE      0.2

/* The first that fits.  IANA's registries of special-purpose addresses (RFC 6890); ranges for
 * documentation are public, since nothing good comes of loading them. */
static const struct range {
    const char *net;
    enum policy_class class;
} ranges[] = {
    {"127.0.0.0/8", POLICY_LOOPBACK},   {"::1", POLICY_LOOPBACK},
    {"10.0.0.0/8", POLICY_PRIVATE},     {"172.16.0.0/12", POLICY_PRIVATE},
    {"192.168.0.0/16", POLICY_PRIVATE}, {"169.254.0.0/16", POLICY_PRIVATE},
    {"100.64.0.0/10", POLICY_PRIVATE},  {"198.18.0.0/15", POLICY_PRIVATE},
    {"fc00::/7", POLICY_PRIVATE},       {"fe80::/10", POLICY_PRIVATE},
    {"0.0.0.0/8", POLICY_NO_HOST},      {"224.0.0.0/4", POLICY_NO_HOST},
    {"240.0.0.0/4", POLICY_NO_HOST},    {"::", POLICY_NO_HOST},
    {"ff00::/8", POLICY_NO_HOST},
};

static const char *const class_words[] = {
    [POLICY_LOOPBACK] = "loopback",
    [POLICY_PRIVATE] = "a private address",
    [POLICY_PUBLIC] = "a public address",
    [POLICY_NO_HOST] = "an address that no server can have",
};

enum policy_class policy_classify(const struct addr *addr)
{
    unsigned char bytes[IPNET_BYTES];

    addr_bytes(addr, bytes);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        struct ipnet net;
        BUG_ON(!ipnet_parse(ranges[i].net, strlen(ranges[i].net), &net));
        if (ipnet_contains(&net, bytes)) {
            return ranges[i].class;
        }
    }
    return POLICY_PUBLIC;
}

/* Which of target.allow names the address: as such, or by the name that led to it. */
static void find_line(const struct plan *plan, const struct plan_target *endpoint,
                      const struct addr *addr, bool *ret_by_address, bool *ret_by_name)
{
    unsigned char bytes[IPNET_BYTES];

    *ret_by_address = *ret_by_name = false;
    addr_bytes(addr, bytes);
    for (size_t i = 0; i < plan->target.n_allowed; i++) {
        const struct plan_allowed *line = &plan->target.allowed[i];
        if (line->port != 0 && line->port != endpoint->dial_port) {
            continue;
        }
        if (line->name != NULL) {
            *ret_by_name = *ret_by_name || strcasecmp(line->name, endpoint->dial_host) == 0;
        } else {
            *ret_by_address = *ret_by_address || ipnet_contains(&line->net, bytes);
        }
    }
}

enum policy_answer policy_judge(const struct plan *plan, const struct addr *addr)
{
    bool by_address, by_name;

    find_line(plan, &plan->target, addr, &by_address, &by_name);
    switch (policy_classify(addr)) {
    case POLICY_LOOPBACK:
        return POLICY_FREE;
    case POLICY_PRIVATE:
        return by_address ? POLICY_FREE : POLICY_CONSENT;
    case POLICY_PUBLIC:
        return by_address || by_name ? POLICY_CONSENT : POLICY_REFUSED;
    default:
        return POLICY_REFUSED;
    }
}

static bool is_permitted_beside(const struct plan *plan, const struct plan_target *endpoint,
                                const struct addr *addr)
{
    enum policy_class class = policy_classify(addr);
    bool by_address, by_name;

    find_line(plan, endpoint, addr, &by_address, &by_name);
    return class == POLICY_LOOPBACK || (class != POLICY_NO_HOST && (by_address || by_name));
}

/* A public server's addresses change, so what one would write is its name. */
char *policy_line(const struct plan *plan, const struct plan_target *endpoint,
                  const struct addr *addr)
{
    const char *before = plan->target.n_allowed > 0 ? plan->target.allow : "";
    const char *host = endpoint->dial_host, *comma = before[0] != '\0' ? ", " : "";
    struct ipnet literal;
    char where[ADDR_TEXT];

    if (policy_classify(addr) != POLICY_PUBLIC || ipnet_parse(host, strlen(host), &literal)) {
        return xasprintf("allow = %s%s%s", before, comma, addr_text(addr, where));
    }
    return xasprintf("allow = %s%s%s:%u", before, comma, host, (unsigned)endpoint->dial_port);
}

static void refuse(const struct plan *plan, const struct plan_target *endpoint,
                   const struct addr *addr, struct origin origin, struct diag *diag)
{
    enum policy_class class = policy_classify(addr);
    char text[ADDR_TEXT];

    if (class == POLICY_NO_HOST) {
        diag_add(diag, origin, "%s is %s", addr_text(addr, text), class_words[class]);
        return;
    }
    CLEANUP_FREE char *line = policy_line(plan, endpoint, addr);
    diag_add(diag, origin, "%s is %s; if you may load it, add to [target]: %s",
             addr_text(addr, text), class_words[class], line);
}

size_t policy_resolve(const struct plan *plan, const struct plan_target *endpoint,
                      struct origin origin, struct addr *ret_addrs, size_t max, bool *ret_refused,
                      struct diag *diag)
{
    size_t n = addr_resolve(endpoint->dial_host, endpoint->dial_port, RESOLVE_NS, origin, ret_addrs,
                            max, diag);

    for (size_t i = 0; i < n; i++) {
        if (!is_permitted_beside(plan, endpoint, &ret_addrs[i])) {
            refuse(plan, endpoint, &ret_addrs[i], origin, diag);
            if (ret_refused != NULL) {
                *ret_refused = true;
            }
            return 0;
        }
    }
    return n;
}

/* Where the name that is dialled was written. */
static struct origin target_origin(const struct plan *plan)
{
    const struct plan_target *target = &plan->target;

    return target->connect_to != NULL ? plan_origin(plan, &target->connect_to)
                                      : plan_origin(plan, &target->url);
}

static bool permit_target(const struct plan *plan, struct policy_ruling *ruling, struct diag *diag)
{
    const struct plan_target *target = &plan->target;
    bool ok = true;

    ruling->n_addrs = addr_resolve(target->dial_host, target->dial_port, RESOLVE_NS,
                                   target_origin(plan), ruling->addrs, POLICY_ADDRS, diag);
    for (size_t i = 0; i < ruling->n_addrs; i++) {
        enum policy_answer answer = policy_judge(plan, &ruling->addrs[i]);
        ruling->consent[i] = answer == POLICY_CONSENT;
        if (answer == POLICY_REFUSED) {
            refuse(plan, target, &ruling->addrs[i], target_origin(plan), diag);
            ruling->refused = true;
            ok = false;
        }
    }
    return ok && ruling->n_addrs > 0;
}

static bool permit_beside(const struct plan *plan, const struct plan_target *endpoint,
                          const void *field, struct policy_ruling *ruling, struct diag *diag)
{
    struct addr addrs[POLICY_ADDRS];

    return policy_resolve(plan, endpoint, plan_origin(plan, field), addrs, POLICY_ADDRS,
                          &ruling->refused, diag) > 0;
}

bool policy_permit(const struct plan *plan, struct policy_ruling *ret_ruling, struct diag *diag)
{
    struct policy_ruling ruling = {.n_addrs = 0};
    bool ok = permit_target(plan, &ruling, diag);

    for (size_t i = 0; i < plan->n_jwts; i++) {
        const struct plan_jwt *jwt = &plan->jwts[i];
        if (jwt->token_url != NULL) {
            ok = permit_beside(plan, &jwt->token_target, &jwt->token_url, &ruling, diag) && ok;
        }
    }
    for (size_t i = 0; i < plan->n_memories; i++) {
        const struct plan_memory *memory = &plan->memories[i];
        if (memory->settle_by == SETTLE_HTTP || memory->settle_by == SETTLE_HTTPS) {
            ok = permit_beside(plan, &memory->settle_target, &memory->settle, &ruling, diag) && ok;
        }
    }
    *ret_ruling = ruling;
    return ok;
}

static bool is_all_loopback(const struct policy_ruling *ruling)
{
    for (size_t i = 0; i < ruling->n_addrs; i++) {
        if (policy_classify(&ruling->addrs[i]) != POLICY_LOOPBACK) {
            return false;
        }
    }
    return true;
}

static void hold_rate(const struct plan *plan, bool away, struct diag *diag)
{
    struct plan_peak peak = plan_peak(plan);
    double most = plan->target.max_rate_per_s;
    double rate = fmax(peak.exchanges_per_s, peak.rate_per_s);
    const void *field = plan->pace.n_replay > 0 ? (const void *)&plan->pace.replay
                        : peak.rate_per_s > 0   ? (const void *)&plan->pace.rate_per_s
                                                : (const void *)&plan->pace.think_time_ns;

    if (most > 0 && peak.is_unbounded) {
        diag_add(diag, plan_origin(plan, &plan->target.max_rate_per_s),
                 "target.max_rate: a closed loop asks as fast as it is answered; to keep below "
                 "%g/s add to [pace]: think_time = %.0fms",
                 most, ceil(1000 * (double)peak.connections / most));
        return;
    }
    if (most == 0 && away && peak.rate_per_s > 0) {
        most = RATE_PER_S;
    }
    if (most > 0 && rate > most) {
        diag_add(diag, plan_origin(plan, field),
                 "%.6g/s are above the ceiling of %g/s; if the target may be loaded so, write in "
                 "[target]: max_rate = %.0f/s",
                 rate, most, ceil(rate));
    }
}

static void hold_connections(const struct plan *plan, bool away, struct diag *diag)
{
    uint64_t most = plan->target.max_connections, n = plan_peak(plan).connections;

    if (most == 0 && away) {
        most = CONNECTIONS;
    }
    if (most > 0 && n > most) {
        diag_add(diag, plan_origin(plan, &plan->pace.connections),
                 "%llu connections are above the ceiling of %llu; if the target may be loaded so, "
                 "write in [target]: max_connections = %llu",
                 (unsigned long long)n, (unsigned long long)most, (unsigned long long)n);
    }
}

static void hold_misuse(const struct plan *plan, bool away, struct diag *diag)
{
    double most = plan->target.max_misuse, share = 0;
    struct origin origin = plan_origin(plan, &plan->target.max_misuse);

    for (size_t i = 0; i < plan->n_refuses; i++) {
        share += plan->refuses[i].share;
        origin = plan_origin(plan, &plan->refuses[i].share);
    }
    for (size_t i = 0; i < plan->n_misuses; i++) {
        share += plan->misuses[i].share;
        origin = plan_origin(plan, &plan->misuses[i].share);
    }
    if (most == 0 && away) {
        most = MISUSE;
    }
    if (most > 0 && share > most + 1e-9) {
        diag_add(diag, origin,
                 "%.3g %% of the attempts are bad on purpose, above the ceiling of %.3g %%; if the "
                 "target may be loaded so, write in [target]: max_misuse = %.0f%%",
                 100 * share, 100 * most, ceil(100 * share - 1e-6));
    }
}

bool policy_ceilings(const struct plan *plan, const struct policy_ruling *ruling, struct diag *diag)
{
    bool away = !is_all_loopback(ruling);
    size_t n_before = diag_count(diag);

    hold_rate(plan, away, diag);
    hold_connections(plan, away, diag);
    hold_misuse(plan, away, diag);
    return diag_count(diag) == n_before;
}

void policy_show(const struct plan *plan, const struct policy_ruling *ruling, struct sink *sink)
{
    for (size_t i = 0; i < ruling->n_addrs; i++) {
        const struct addr *addr = &ruling->addrs[i];
        char text[ADDR_TEXT];

        sink_printf(sink, "%s is %s: ", addr_text(addr, text), class_words[policy_classify(addr)]);
        switch (policy_judge(plan, addr)) {
        case POLICY_FREE:
            sink_printf(sink, "may be loaded\n");
            break;
        case POLICY_CONSENT:
            sink_printf(sink, "may be loaded once it has asked for a client certificate, accepted "
                              "ours and answered a request\n");
            break;
        case POLICY_REFUSED:
            sink_printf(sink, "will be refused (exit code 5)\n");
            break;
        }
    }
}
