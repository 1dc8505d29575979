#include "net/source_addr.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* Linux 6.3 */
#endif

#define PORTS_EASY 4000 /* of one worker, before its sockets get ranges of their own */

#define MISTAKES_MAX 8

static bool is_of_family(const struct ipnet *net, const struct addr *addr)
{
    return (addr->sa.ss_family == AF_INET) == ipnet_is_v4(net->bytes);
}

uint64_t source_addr_count(const struct plan_target *target, const struct addr *addr)
{
    uint64_t n = 0;

    for (size_t i = 0; i < target->n_sources; i++) {
        n += is_of_family(&target->sources[i], addr) ? ipnet_n_hosts(&target->sources[i]) : 0;
    }
    return target->n_sources == 0 ? 1 : n;
}

/* The i-th address of the family of `addr`; there are more than i. */
static struct addr choose(const struct plan_target *target, const struct addr *addr, uint64_t i)
{
    unsigned char bytes[IPNET_BYTES];
    const struct ipnet *net = target->sources;

    for (;; net++) {
        uint64_t n = is_of_family(net, addr) ? ipnet_n_hosts(net) : 0;
        if (i < n) {
            break;
        }
        i -= n;
    }
    ipnet_host(net, i, bytes);
    return addr_from_bytes(bytes);
}

/* Any port of the system's range, odd ones as soon as even ones. */
static void spread_ports(int fd)
{
    uint32_t whole = 1 | (uint32_t)UINT16_MAX << 16;

    (void)setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &whole, sizeof whole);
}

static int bind_to(int fd, const struct addr *from)
{
    int one = 1;

    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return bind(fd, (const struct sockaddr *)(const void *)&from->sa, from->len) == 0 ? 0 : errno;
}

int source_addr_bind(struct source_addr *source, int fd, const struct addr *addr)
{
    uint64_t n, i = source->n_dials++;

    source->n_open++;
    if (source->n_open > PORTS_EASY || (i >= PORTS_EASY && !addr_is_loopback(addr))) {
        spread_ports(fd);
    }
    if (source->target->n_sources == 0) {
        return 0;
    }
    n = source_addr_count(source->target, addr);
    if (n == 0) {
        return ENETUNREACH; /* the target may have an address of the other family */
    }
    struct addr from = choose(source->target, addr, i % n);
    return bind_to(fd, &from);
}

void source_addr_close(struct source_addr *source, int fd)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};

    source->n_open--;
    if (source->target->reset_on_close) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    (void)close(fd);
}

/* Whether this machine can connect from there. */
static int try_address(const struct addr *from)
{
    int fd = socket(from->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int error = fd < 0 ? errno : bind_to(fd, from);

    if (fd >= 0) {
        (void)close(fd);
    }
    return error;
}

static void check_net(const struct plan *plan, const struct ipnet *net, unsigned *n_mistakes,
                      struct diag *diag)
{
    uint64_t n = ipnet_n_hosts(net);

    for (uint64_t i = 0; i < n && *n_mistakes < MISTAKES_MAX; i++) {
        unsigned char bytes[IPNET_BYTES];
        char text[ADDR_TEXT];
        ipnet_host(net, i, bytes);
        struct addr from = addr_from_bytes(bytes);
        int error = try_address(&from);
        if (error != 0) {
            (*n_mistakes)++;
            diag_add(diag, plan_origin(plan, &plan->target.source),
                     "target.source: cannot connect from %s: %s", addr_text(&from, text),
                     error == EADDRNOTAVAIL ? "it is no address of this machine" : strerror(error));
        }
    }
}

void source_addr_check(const struct plan *plan, const struct addr *addrs, size_t n_addrs,
                       struct diag *diag)
{
    const struct plan_target *target = &plan->target;
    unsigned n_mistakes = 0;
    uint64_t n_fitting = 0;

    for (size_t i = 0; i < target->n_sources; i++) {
        check_net(plan, &target->sources[i], &n_mistakes, diag);
    }
    for (size_t i = 0; i < n_addrs; i++) {
        n_fitting += source_addr_count(target, &addrs[i]) > 0;
    }
    if (n_addrs > 0 && n_fitting == 0) {
        diag_add(diag, plan_origin(plan, &target->source),
                 "target.source: the target has no address of that family (IPv4, IPv6)");
    }
}
