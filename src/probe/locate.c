#include "probe/locate.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "probe/cgroup.h"
#include "probe/procfs.h"
#include "probe/process.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define N_MATCHES 16
#define NAME_TEXT 64

static const char permission[] =
    "run tlsoak as the same user as the server or as root, or give it CAP_SYS_PTRACE";

__attribute__((format(printf, 2, 3))) static struct located not_found(bool refused,
                                                                      const char *format, ...)
{
    struct located located = {.refused = refused};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(located.why, sizeof located.why, format, args);
    va_end(args);
    return located;
}

static bool same_address(const struct sockaddr *a, const struct sockaddr *b)
{
    if (a->sa_family != b->sa_family) {
        return false;
    }
    if (a->sa_family == AF_INET) {
        return memcmp(&((const struct sockaddr_in *)(const void *)a)->sin_addr,
                      &((const struct sockaddr_in *)(const void *)b)->sin_addr, 4) == 0;
    }
    return a->sa_family == AF_INET6 &&
           memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr, 16) == 0;
}

static bool is_here(const struct addr *addr, const struct ifaddrs *interfaces)
{
    if (addr_is_loopback(addr)) {
        return true;
    }
    for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
        if (i->ifa_addr != NULL &&
            same_address(i->ifa_addr, (const struct sockaddr *)(const void *)&addr->sa)) {
            return true;
        }
    }
    return false;
}

void locate_init(struct place *place, const char *root, uint16_t port, const struct addr *addrs,
                 size_t n_addrs)
{
    struct ifaddrs *interfaces = NULL;

    *place = (struct place){.root = root, .port = port};
    if (getifaddrs(&interfaces) != 0) {
        interfaces = NULL; /* loopback is still known */
    }
    for (size_t i = 0; i < n_addrs && place->n_addrs < LOCATE_ADDRS; i++) {
        if (is_here(&addrs[i], interfaces)) {
            place->addrs[place->n_addrs++] = addrs[i];
        }
    }
    if (interfaces != NULL) {
        freeifaddrs(interfaces);
    }
}

void locate_describe(const char *root, int64_t pid, char *text, size_t size)
{
    size_t n = procfs_children(root, pid);
    char name[NAME_TEXT];

    (void)procfs_name(root, pid, name, sizeof name);
    if (n == 0) {
        (void)snprintf(text, size, "%s (pid %lld)", name, (long long)pid);
    } else {
        (void)snprintf(text, size, "%s (pid %lld and %zu %s)", name, (long long)pid, n,
                       n == 1 ? "child" : "children");
    }
}

static const struct sockaddr *address_of(const struct place *place, size_t i)
{
    return (const struct sockaddr *)(const void *)&place->addrs[i].sa;
}

static struct located found_alive(const char *root, int64_t pid, const char *what)
{
    struct process process;

    if (!process_stat(root, pid, &process) || process.zombie) {
        return not_found(false, "%s %lld is not running", what, (long long)pid);
    }
    return (struct located){.pid = pid};
}

static struct located find_pid_file(const char *root, const char *path)
{
    CLEANUP_FREE char *text = file_read(path, 4096, NULL);
    uint64_t pid;

    if (text == NULL) {
        return not_found(errno == EACCES, "%s: %s", path, strerror(errno));
    }
    if (!str_to_u64(str_trim(text), &pid) || pid == 0 || pid > INT32_MAX) {
        return not_found(false, "%s does not hold the number of a process", path);
    }
    return found_alive(root, (int64_t)pid, "the process of the pid file,");
}

static struct located find_named(const char *root, const char *name)
{
    int64_t pids[N_MATCHES];
    size_t n_all = procfs_find(root, name, pids, N_MATCHES), n = 0, len = 0;
    char list[N_MATCHES * 12] = "";

    for (size_t i = 0; i < n_all; i++) {
        if (pids[i] != getpid()) {
            pids[n++] = pids[i];
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%lld", n > 1 ? ", " : "",
                                    (long long)pids[i]);
        }
    }
    if (n == 0) {
        return not_found(false, "no process is called \"%s\"", name);
    }
    if (n > 1) {
        return not_found(false, "%s%zu processes are called \"%s\" (pids %s): name one by its pid",
                         n_all == N_MATCHES ? "at least " : "", n, name, list);
    }
    return (struct located){.pid = pids[0]};
}

static struct located of_owner(struct procfs_owner owner, const char *where)
{
    if (owner.pid != 0) {
        return (struct located){.pid = owner.pid};
    }
    if (owner.hidden) {
        return not_found(true, "the process that listens on %s may not be seen: %s", where,
                         permission);
    }
    return not_found(false, "no process on this machine listens on %s", where);
}

static struct located find_target(const struct place *place)
{
    struct located located;
    char where[ADDR_TEXT];

    if (place->n_addrs == 0) {
        return not_found(false, "the target is not on this machine, so the process must be named: "
                                "pid, pid_file, name or port");
    }
    for (size_t i = 0; i < place->n_addrs; i++) {
        located = of_owner(procfs_listener(place->root, place->port, address_of(place, i)),
                           addr_text(&place->addrs[i], where));
        if (located.pid != 0) {
            break;
        }
    }
    return located;
}

static struct located find_in_cgroup(const char *root, const char *pattern)
{
    struct located located = {.pid = 0};
    struct cgroup cgroup;

    if (cgroup_find(root, pattern, &cgroup, located.why, sizeof located.why)) {
        located.pid = cgroup_oldest(root, &cgroup);
        (void)snprintf(located.why, sizeof located.why,
                       "no process of the control group %.256s "
                       "can be seen",
                       cgroup.path);
    }
    return located;
}

struct located locate_find(const struct place *place, const struct plan_memory *memory)
{
    char where[32];

    if (memory->path != NULL) {
        return find_in_cgroup(place->root, memory->path);
    }

    if (memory->pid > 0) {
        return found_alive(place->root, memory->pid, "process");
    }
    if (memory->pid_file != NULL) {
        return find_pid_file(place->root, memory->pid_file);
    }
    if (memory->process != NULL) {
        return find_named(place->root, memory->process);
    }
    if (memory->port != 0) {
        (void)snprintf(where, sizeof where, "port %u", (unsigned)memory->port);
        return of_owner(procfs_listener(place->root, (uint16_t)memory->port, NULL), where);
    }
    return find_target(place);
}

int64_t locate_listener(const struct place *place)
{
    int64_t pid = 0;

    for (size_t i = 0; i < place->n_addrs && pid == 0; i++) {
        pid = procfs_listener(place->root, place->port, address_of(place, i)).pid;
    }
    return pid;
}

/* Another view of the network than ours: its sockets are not in the tables that the target's
 * port is in. */
static bool is_elsewhere(const char *root, int64_t pid)
{
    CLEANUP_FREE char *its = xasprintf("%s/%lld/ns/net", root, (long long)pid);
    CLEANUP_FREE char *ours = xasprintf("%s/self/ns/net", root);
    char a[64] = "", b[64] = "";

    return readlink(its, a, sizeof a - 1) > 0 && readlink(ours, b, sizeof b - 1) > 0 &&
           !str_equal(a, b);
}

static struct located wrong_process(const struct place *place, size_t i, int64_t pid,
                                    struct procfs_owner owner)
{
    char where[ADDR_TEXT], wrong[128], right[128];

    (void)addr_text(&place->addrs[i], where);
    locate_describe(place->root, pid, wrong, sizeof wrong);
    if (owner.hidden) {
        return not_found(true,
                         "whether %s listens on %s can't be checked, its open files may "
                         "not be seen: %s",
                         wrong, where, permission);
    }
    locate_describe(place->root, owner.pid, right, sizeof right);
    return not_found(true, "%s listens on %s, not %s", right, where, wrong);
}

struct located locate_prove(const struct place *place, int64_t pid)
{
    char text[128];
    size_t n_held = 0;

    if (place->n_addrs == 0) {
        return (struct located){.pid = pid};
    }
    locate_describe(place->root, pid, text, sizeof text);
    if (is_elsewhere(place->root, pid)) {
        log_warn("%s has a network of its own (a container): that it listens on port %u of this "
                 "machine can't be checked",
                 text, (unsigned)place->port);
        return (struct located){.pid = pid};
    }
    for (size_t i = 0; i < place->n_addrs; i++) {
        if (procfs_tree_listens(place->root, pid, place->port, address_of(place, i))) {
            n_held++;
            continue;
        }
        struct procfs_owner owner = procfs_listener(place->root, place->port, address_of(place, i));
        if (owner.pid != 0 || owner.hidden) {
            return wrong_process(place, i, pid, owner);
        }
    }
    if (n_held == 0) {
        return not_found(true, "nobody listens on port %u of this machine, so %s is not the target",
                         (unsigned)place->port, text);
    }
    return (struct located){.pid = pid};
}
