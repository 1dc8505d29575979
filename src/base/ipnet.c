#include "base/ipnet.h"

#include "base/mem.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { V4_AT = 12, V4_BITS = 96 };

static const unsigned char mapped[V4_AT] = {[10] = 0xff, [11] = 0xff};

static unsigned char mask_of(const struct ipnet *net, unsigned byte)
{
    unsigned from = 8 * byte;
    unsigned kept = net->bits <= from ? 0 : net->bits - from >= 8 ? 8 : net->bits - from;

    return (unsigned char)(0xff00 >> kept);
}

bool ipnet_parse(const char *text, size_t len, struct ipnet *ret_net)
{
    CLEANUP_FREE char *host = xstrndup(text, len);
    char *slash = strchr(host, '/');
    struct ipnet net = {.bits = 8 * IPNET_BYTES};
    uint64_t bits;

    if (slash != NULL) {
        *slash = '\0';
    }
    bool is_v4 = inet_pton(AF_INET, host, net.bytes + V4_AT) == 1;
    if (is_v4) {
        memcpy(net.bytes, mapped, sizeof mapped);
    } else if (inet_pton(AF_INET6, host, net.bytes) != 1) {
        return false;
    }
    if (slash != NULL) {
        if (!str_to_u64(slash + 1, &bits) || bits > (is_v4 ? 32 : 128)) {
            return false;
        }
        net.bits = (unsigned)bits + (is_v4 ? V4_BITS : 0);
    }
    for (unsigned i = 0; i < IPNET_BYTES; i++) {
        net.bytes[i] &= mask_of(&net, i);
    }
    *ret_net = net;
    return true;
}

bool ipnet_contains(const struct ipnet *net, const unsigned char bytes[IPNET_BYTES])
{
    for (unsigned i = 0; i < IPNET_BYTES; i++) {
        if ((bytes[i] & mask_of(net, i)) != net->bytes[i]) {
            return false;
        }
    }
    return true;
}

void ipnet_map_v4(const void *v4, unsigned char ret_bytes[IPNET_BYTES])
{
    memcpy(ret_bytes, mapped, sizeof mapped);
    memcpy(ret_bytes + V4_AT, v4, IPNET_BYTES - V4_AT);
}

bool ipnet_is_v4(const unsigned char bytes[IPNET_BYTES])
{
    return memcmp(bytes, mapped, sizeof mapped) == 0;
}

/* Its first and last addresses are those of the network and of all its hosts. */
static bool has_ends(const struct ipnet *net)
{
    return ipnet_is_v4(net->bytes) && net->bits < 127;
}

uint64_t ipnet_n_hosts(const struct ipnet *net)
{
    unsigned free_bits = 8 * IPNET_BYTES - net->bits;
    uint64_t n = free_bits < 64 ? (uint64_t)1 << free_bits : UINT64_MAX;

    return has_ends(net) ? n - 2 : n;
}

void ipnet_host(const struct ipnet *net, uint64_t i, unsigned char ret_bytes[IPNET_BYTES])
{
    uint64_t rest = i + has_ends(net);

    memcpy(ret_bytes, net->bytes, IPNET_BYTES);
    for (int at = IPNET_BYTES - 1; at >= 8; at--) {
        ret_bytes[at] |= (unsigned char)(rest & 0xff);
        rest >>= 8;
    }
}
