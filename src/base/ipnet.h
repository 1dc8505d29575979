/* Internet addresses and networks: "10.0.0.0/8", "fd00::/8", "127.0.0.1".  All are held as IPv6,
 * IPv4 in its mapped form (RFC 4291, section 2.5.5.2), so that ::ffff:10.0.0.1 is the address
 * 10.0.0.1 wherever somebody writes it so. */
#ifndef BASE_IPNET_H
#define BASE_IPNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IPNET_BYTES 16

struct ipnet {
    unsigned char bytes[IPNET_BYTES]; /* those behind the prefix are 0 */
    unsigned bits;                    /* of the prefix, 0 to 128; an address has 128 */
};

/* "ADDRESS" or "ADDRESS/BITS"; false, *ret_net untouched, for anything else. */
bool ipnet_parse(const char *text, size_t len, struct ipnet *ret_net)
    __attribute__((warn_unused_result));
bool ipnet_contains(const struct ipnet *net, const unsigned char bytes[IPNET_BYTES]);
/* The mapped form of an IPv4 address (four bytes in network order). */
void ipnet_map_v4(const void *v4, unsigned char ret_bytes[IPNET_BYTES]);
bool ipnet_is_v4(const unsigned char bytes[IPNET_BYTES]);
/* How many addresses a host can have there: all but the first and the last of an IPv4 network
 * (RFC 1122, section 3.2.1.3) unless it has two or one (RFC 3021).  UINT64_MAX at the most. */
uint64_t ipnet_n_hosts(const struct ipnet *net);
/* The i-th of them. */
void ipnet_host(const struct ipnet *net, uint64_t i, unsigned char ret_bytes[IPNET_BYTES]);

#endif
