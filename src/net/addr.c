#include "net/addr.h"

#include "base/mono.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>

struct lookup {
    struct addr *addrs;
    size_t n, max;
    uint16_t port;
    int status;
    bool done;
};

static bool add(struct addr *to, const struct sockaddr *sa, socklen_t len, uint16_t port)
{
    if ((sa->sa_family != AF_INET && sa->sa_family != AF_INET6) || len > sizeof to->sa) {
        return false;
    }
    memset(to, 0, sizeof *to);
    memcpy(&to->sa, sa, len);
    to->len = len;
    if (sa->sa_family == AF_INET) {
        ((struct sockaddr_in *)&to->sa)->sin_port = htons(port);
    } else {
        ((struct sockaddr_in6 *)&to->sa)->sin6_port = htons(port);
    }
    return true;
}

static bool parse_literal(const char *host, uint16_t port, struct addr *to)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        return add(to, (const struct sockaddr *)&v4, sizeof v4, port);
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        return add(to, (const struct sockaddr *)&v6, sizeof v6, port);
    }
    return false;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct lookup *lookup = arg;

    (void)timeouts;
    lookup->status = status;
    lookup->done = true;
    if (info == NULL) {
        return;
    }
    for (struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
        if (lookup->n < lookup->max &&
            add(&lookup->addrs[lookup->n], node->ai_addr, node->ai_addrlen, lookup->port)) {
            lookup->n++;
        }
    }
    ares_freeaddrinfo(info);
}

/* Until the answer or the deadline; false at the deadline. */
static bool wait_for_answer(ares_channel channel, struct lookup *lookup, uint64_t deadline_ns)
{
    while (!lookup->done) {
        uint64_t now_ns = mono_now_ns();
        struct timeval most, next, *wait;
        fd_set reads, writes;
        int n;

        if (now_ns >= deadline_ns) {
            return false;
        }
        FD_ZERO(&reads);
        FD_ZERO(&writes);
        n = ares_fds(channel, &reads, &writes);
        most.tv_sec = (time_t)((deadline_ns - now_ns) / NS_PER_S);
        most.tv_usec = (suseconds_t)((deadline_ns - now_ns) % NS_PER_S / NS_PER_US);
        wait = ares_timeout(channel, &most, &next);
        if (select(n, &reads, &writes, NULL, wait) < 0) {
            FD_ZERO(&reads);
            FD_ZERO(&writes);
        }
        ares_process(channel, &reads, &writes);
    }
    return true;
}

/* The sentence that says why, or NULL. */
static const char *look_up(const char *host, uint64_t timeout_ns, struct lookup *lookup)
{
    static char lookups[] = "fb"; /* /etc/hosts first, then DNS */
    struct ares_options options = {.lookups = lookups};
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_channel channel;
    bool answered;
    int status = ares_init_options(&channel, &options, ARES_OPT_LOOKUPS);

    if (status != ARES_SUCCESS) {
        return ares_strerror(status);
    }
    ares_getaddrinfo(channel, host, NULL, &hints, on_answer, lookup);
    answered = wait_for_answer(channel, lookup, mono_now_ns() + timeout_ns);
    ares_destroy(channel); /* ends a lookup under way */
    if (!answered) {
        return "no answer in time";
    }
    if (lookup->status == ARES_ENOTFOUND || lookup->status == ARES_ENODATA ||
        (lookup->status == ARES_SUCCESS && lookup->n == 0)) {
        return "no host has that name";
    }
    return lookup->status != ARES_SUCCESS ? ares_strerror(lookup->status) : NULL;
}

size_t addr_resolve(const char *host, uint16_t port, uint64_t timeout_ns, struct origin origin,
                    struct addr *ret_addrs, size_t max, struct diag *diag)
{
    struct lookup lookup = {.addrs = ret_addrs, .max = max, .port = port};
    const char *why;

    if (max > 0 && parse_literal(host, port, ret_addrs)) {
        return 1;
    }
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        diag_add(diag, origin, "cannot resolve %s: the resolver does not start", host);
        return 0;
    }
    why = look_up(host, timeout_ns, &lookup);
    ares_library_cleanup();
    if (why != NULL) {
        diag_add(diag, origin, "cannot resolve %s: %s", host, why);
        return 0;
    }
    return lookup.n;
}

const char *addr_text(const struct addr *addr, char text[ADDR_TEXT])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr->sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addr->sa;
    bool is_v4 = addr->sa.ss_family == AF_INET;
    uint16_t port = ntohs(is_v4 ? v4->sin_port : v6->sin6_port);
    char host[INET6_ADDRSTRLEN] = "?";

    if (is_v4) {
        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    } else {
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    }
    if (port == 0) {
        (void)snprintf(text, ADDR_TEXT, "%s", host);
    } else {
        (void)snprintf(text, ADDR_TEXT, is_v4 ? "%s:%u" : "[%s]:%u", host, port);
    }
    return text;
}

void addr_bytes(const struct addr *addr, unsigned char ret_bytes[IPNET_BYTES])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr->sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addr->sa;

    if (addr->sa.ss_family == AF_INET) {
        ipnet_map_v4(&v4->sin_addr, ret_bytes);
    } else {
        memcpy(ret_bytes, &v6->sin6_addr, IPNET_BYTES);
    }
}

struct addr addr_from_bytes(const unsigned char bytes[IPNET_BYTES])
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct addr addr = {.len = 0};

    if (ipnet_is_v4(bytes)) {
        memcpy(&v4.sin_addr, bytes + IPNET_BYTES - sizeof v4.sin_addr, sizeof v4.sin_addr);
        addr.len = sizeof v4;
        memcpy(&addr.sa, &v4, sizeof v4);
    } else {
        memcpy(&v6.sin6_addr, bytes, IPNET_BYTES);
        addr.len = sizeof v6;
        memcpy(&addr.sa, &v6, sizeof v6);
    }
    return addr;
}

bool addr_is_loopback(const struct addr *addr)
{
    static const unsigned char one[IPNET_BYTES] = {[IPNET_BYTES - 1] = 1};
    unsigned char bytes[IPNET_BYTES];

    addr_bytes(addr, bytes);
    return ipnet_is_v4(bytes) ? bytes[12] == 127 : memcmp(bytes, one, sizeof one) == 0;
}
