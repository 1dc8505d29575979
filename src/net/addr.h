/* Names to addresses, by c-ares (never the blocking resolver with its plugins), once before the
 * run. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "base/diag.h"
#include "base/ipnet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
    struct sockaddr_storage sa;
    socklen_t len;
};

#define ADDR_TEXT 64

/* Up to `max` addresses of `host` (a name from /etc/hosts or DNS, or a literal address), IPv4 and
 * IPv6 in the resolver's order.  Returns how many; 0 with a mistake. Waits at most `timeout_ns`. */
size_t addr_resolve(const char *host, uint16_t port, uint64_t timeout_ns, struct origin origin,
                    struct addr *ret_addrs, size_t max, struct diag *diag)
    __attribute__((warn_unused_result));
/* "127.0.0.1:8443", "[::1]:8443", without a port "::1", into `text`, which it returns. */
const char *addr_text(const struct addr *addr, char text[ADDR_TEXT]);
/* As base/ipnet.h holds addresses, and back (with port 0). */
void addr_bytes(const struct addr *addr, unsigned char ret_bytes[IPNET_BYTES]);
struct addr addr_from_bytes(const unsigned char bytes[IPNET_BYTES]);
bool addr_is_loopback(const struct addr *addr);

#endif
