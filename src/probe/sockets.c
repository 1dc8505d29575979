#include "probe/sockets.h"

#include "base/mem.h"
#include "base/str.h"
#include "probe/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_LISTEN 0x0A

/* How a listener takes a connect; the kernel prefers the later ones. */
enum reach { REACH_NOT, REACH_WILDCARD, REACH_EXACT };

struct inodes {
    uint64_t *items;
    size_t n, capacity;
    enum reach best;
};

/* What a socket is bound to: an IPv6 address, or an IPv4 one in its mapped form (RFC 4291
 * 2.5.5.2). */
struct bound {
    unsigned char address[16];
    uint64_t port;
};

static bool hex_at(const char *s, size_t len, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++) {
        static const char digits[] = "0123456789ABCDEF0123456789abcdef";
        const char *digit = s[i] != '\0' ? strchr(digits, s[i]) : NULL;
        if (digit == NULL) {
            return false;
        }
        value = value * 16 + (uint64_t)(digit - digits) % 16;
    }
    *ret_value = value;
    return true;
}

static void map_v4(unsigned char address[16], const void *v4)
{
    memset(address, 0, 10);
    memset(address + 10, 0xff, 2);
    memcpy(address + 12, v4, 4);
}

/* "0100007F:20FB", "...:20FB" with four words: words are printed as numbers of this machine's
 * byte order. */
static bool parse_bound(const char *s, struct bound *ret_bound)
{
    const char *colon = strchr(s, ':');
    size_t len = colon != NULL ? (size_t)(colon - s) : 0;
    uint32_t words[4];
    uint64_t word;

    if ((len != 8 && len != 32) || !hex_at(colon + 1, 4, &ret_bound->port)) {
        return false;
    }
    for (size_t i = 0; i < len / 8; i++) {
        if (!hex_at(s + i * 8, 8, &word)) {
            return false;
        }
        words[i] = (uint32_t)word;
    }
    if (len == 8) {
        map_v4(ret_bound->address, words);
    } else {
        memcpy(ret_bound->address, words, 16);
    }
    return true;
}

static bool is_any(const unsigned char address[16])
{
    static const unsigned char any[16], v4_any[16] = {[10] = 0xff, [11] = 0xff};

    return memcmp(address, any, 16) == 0 || memcmp(address, v4_any, 16) == 0;
}

/* A wildcard of IPv6 counts for IPv4 too: whether it takes both can't be seen from outside. */
static enum reach reach_of(const struct bound *bound, const struct sockaddr *to)
{
    unsigned char wanted[16];
    static const unsigned char v4_any[16] = {[10] = 0xff, [11] = 0xff};

    if (to == NULL) {
        return REACH_WILDCARD;
    }
    if (to->sa_family == AF_INET) {
        map_v4(wanted, &((const struct sockaddr_in *)(const void *)to)->sin_addr);
    } else {
        memcpy(wanted, &((const struct sockaddr_in6 *)(const void *)to)->sin6_addr, 16);
        if (memcmp(bound->address, v4_any, 16) == 0 && memcmp(wanted, v4_any, 12) != 0) {
            return REACH_NOT;
        }
    }
    if (memcmp(bound->address, wanted, 16) == 0) {
        return REACH_EXACT;
    }
    return is_any(bound->address) ? REACH_WILDCARD : REACH_NOT;
}

/* The i-th word of a line, or NULL. */
static const char *word_at(const char *s, int i)
{
    s += strspn(s, " ");
    for (; i > 0 && *s != '\0'; i--) {
        s += strcspn(s, " ");
        s += strspn(s, " ");
    }
    return *s != '\0' ? s : NULL;
}

static void consider_line(const char *line, uint16_t port, const struct sockaddr *to,
                          struct inodes *found)
{
    const char *local = word_at(line, 1), *state = word_at(line, 3), *inode = word_at(line, 9);
    struct bound bound;
    uint64_t state_number, number;

    if (inode == NULL || !hex_at(state, 2, &state_number) || state_number != STATE_LISTEN ||
        !parse_bound(local, &bound) || bound.port != port ||
        process_number(inode, &number) == NULL || number == 0) {
        return;
    }
    enum reach reach = reach_of(&bound, to);
    if (reach == REACH_NOT || reach < found->best) {
        return;
    }
    if (reach > found->best) {
        found->best = reach;
        found->n = 0;
    }
    ARRAY_RESERVE(found->items, found->n, found->capacity);
    found->items[found->n++] = number;
}

/* Line by line: with a million connections the table is larger than we want to hold. */
static void consider_table(const char *net, const char *name, uint16_t port,
                           const struct sockaddr *to, struct inodes *found)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", net, name);
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");

    while (file != NULL && getline(&line, &size, file) > 0) {
        consider_line(line, port, to, found);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

size_t sockets_listening(const char *net, uint16_t port, const struct sockaddr *to,
                         uint64_t **ret_inodes)
{
    struct inodes found = {0};

    consider_table(net, "tcp", port, to, &found);
    consider_table(net, "tcp6", port, to, &found);
    *ret_inodes = found.items;
    return found.n;
}

static bool is_one_of(const char *link, const uint64_t *inodes, size_t n)
{
    static const char prefix[] = "socket:[";
    uint64_t inode;

    if (!str_has_prefix(link, prefix) || process_number(link + sizeof prefix - 1, &inode) == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (inodes[i] == inode) {
            return true;
        }
    }
    return false;
}

bool sockets_held(const char *root, int64_t pid, const uint64_t *inodes, size_t n, bool *ret_hidden)
{
    CLEANUP_FREE char *path = xasprintf("%s/%lld/fd", root, (long long)pid);
    DIR *dir = opendir(path);
    bool held = false;

    if (dir == NULL) {
        *ret_hidden |= errno == EACCES || errno == EPERM;
        return false;
    }
    for (struct dirent *e; !held && (e = readdir(dir)) != NULL;) {
        char link[64];
        ssize_t len = readlinkat(dirfd(dir), e->d_name, link, sizeof link - 1);
        link[len > 0 ? len : 0] = '\0';
        held = is_one_of(link, inodes, n);
    }
    (void)closedir(dir);
    return held;
}

static const struct process *process_with(const struct process *all, size_t n, int64_t pid)
{
    for (size_t i = 0; i < n; i++) {
        if (all[i].pid == pid) {
            return &all[i];
        }
    }
    return NULL;
}

/* systemd keeps the sockets that it hands to services; the service is meant. */
static bool is_socket_keeper(const char *root, int64_t pid)
{
    char name[32];

    return str_equal(procfs_name(root, pid, name, sizeof name), "systemd");
}

static bool has_holder_above(const struct process *process, const struct process *all,
                             const bool *holds, size_t n)
{
    const struct process *above = process_with(all, n, process->parent);

    for (size_t depth = 0; above != NULL && depth < n; depth++) {
        if (holds[above - all]) {
            return true;
        }
        above = process_with(all, n, above->parent);
    }
    return false;
}

/* Of those that hold the socket and whose ancestors don't, the oldest: the root of the server. */
static int64_t oldest_holder(const struct process *all, const bool *holds, size_t n)
{
    const struct process *oldest = NULL;

    for (size_t i = 0; i < n; i++) {
        if (holds[i] && !has_holder_above(&all[i], all, holds, n) &&
            (oldest == NULL || all[i].start < oldest->start ||
             (all[i].start == oldest->start && all[i].pid < oldest->pid))) {
            oldest = &all[i];
        }
    }
    return oldest != NULL ? oldest->pid : 0;
}

struct procfs_owner procfs_listener(const char *root, uint16_t port, const struct sockaddr *to)
{
    CLEANUP_FREE char *net = xasprintf("%s/net", root);
    CLEANUP_FREE uint64_t *inodes = NULL;
    CLEANUP_FREE struct process *all = NULL;
    struct procfs_owner owner = {0};
    size_t n_inodes = sockets_listening(net, port, to, &inodes);
    bool hidden = false;

    if (n_inodes == 0) {
        return owner;
    }
    size_t n = process_all(root, &all);
    CLEANUP_FREE bool *holds = xcalloc(n + 1, sizeof *holds);
    for (size_t i = 0; i < n; i++) {
        holds[i] = !all[i].zombie && sockets_held(root, all[i].pid, inodes, n_inodes, &hidden) &&
                   !is_socket_keeper(root, all[i].pid);
    }
    owner.pid = oldest_holder(all, holds, n);
    owner.hidden = owner.pid == 0;
    return owner;
}

bool procfs_tree_listens(const char *root, int64_t pid, uint16_t port, const struct sockaddr *to)
{
    CLEANUP_FREE char *net = xasprintf("%s/%lld/net", root, (long long)pid);
    CLEANUP_FREE uint64_t *inodes = NULL;
    CLEANUP_FREE struct process *tree = NULL;
    bool hidden = false, held = false;
    /* its own view of the network: it may live in a container */
    size_t n_inodes = sockets_listening(net, port, to, &inodes);
    size_t n = n_inodes > 0 ? process_tree(root, pid, &tree) : 0;

    for (size_t i = 0; i < n && !held; i++) {
        held = sockets_held(root, tree[i].pid, inodes, n_inodes, &hidden);
    }
    return held;
}
