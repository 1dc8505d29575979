/* Fuzzes what the kernel tells of processes: an input is files below /proc ("=== 1/status"), read
 * from a folder of our own.  What is told of them is about processes that are there, and numbers
 * that were read or are marked as missing. */
#include "kit/fuzz.h"
#include "kit/parts.h"

#include "base/mem.h"
#include "base/str.h"
#include "probe/process.h"
#include "probe/procfs.h"
#include "probe/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIDS 4

static bool is_allowed(const char *name)
{
    static const char *const files[] = {"stat", "status",  "smaps_rollup",    "maps",
                                        "comm", "net/tcp", "task/1/children", "exe"};
    if (str_equal(name, "net/tcp") || str_equal(name, "net/tcp6")) {
        return true;
    }
    return name[0] >= '1' && name[0] <= '0' + PIDS && name[1] == '/' &&
           str_index(name + 2, files, sizeof files / sizeof *files) >= 0;
}

static void check_reading(const struct reading *reading)
{
    fuzz_require(!(reading->ok && reading->lost), "read and lost at once");
    for (int i = 0; i < MEMORY_METRIC_COUNT; i++) {
        fuzz_require(reading->value[i] >= -1, "a value below nothing");
        fuzz_require(reading->ok || reading->value[i] == -1, "values of a reading that failed");
    }
    fuzz_require(!reading->ok || reading->incarnation != 0, "read without an incarnation");
}

static bool read_one(const char *root, int64_t pid)
{
    struct reading plain = {0}, detailed = {0};
    struct process process;
    CLEANUP_FREE struct process *tree = NULL;
    char name[32];
    procfs_read(root, pid, false, &plain);
    procfs_read(root, pid, true, &detailed);
    check_reading(&plain);
    check_reading(&detailed);
    fuzz_require(plain.ok == detailed.ok && plain.incarnation == detailed.incarnation,
                 "details change what process it is");
    fuzz_require(plain.value[MEMORY_RSS] == detailed.value[MEMORY_RSS], "details change the sum");
    size_t n = process_tree(root, pid, &tree);
    bool there = process_stat(root, pid, &process) && !process.zombie;
    fuzz_require((n > 0) == there, "a tree without its root");
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            fuzz_require(tree[i].pid != tree[k].pid, "twice in the tree");
        }
    }
    fuzz_require(n == 0 || procfs_children(root, pid) == n - 1, "children were lost");
    fuzz_require(procfs_runtime(root, pid) != NULL, "no runtime at all");
    fuzz_require(procfs_name(root, pid, name, sizeof name)[0] != '\0', "no name at all");
    return plain.ok;
}

/* The reach of a connect to an address is never wider than that to any address. */
static void read_sockets(const char *root)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(8443)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(8443)};
    const struct sockaddr *to[] = {NULL, (const struct sockaddr *)&v4,
                                   (const struct sockaddr *)&v6};
    CLEANUP_FREE char *net = xasprintf("%s/net", root);
    size_t n_any = 0;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    for (size_t i = 0; i < 3; i++) {
        CLEANUP_FREE uint64_t *inodes = NULL;
        size_t n = sockets_listening(net, 8443, to[i], &inodes);
        n_any = i == 0 ? n : n_any;
        fuzz_require(n <= n_any, "more listen for one address than for all");
        for (size_t k = 0; k < n; k++) {
            fuzz_require(inodes[k] != 0, "a socket without a number");
        }
        struct procfs_owner owner = procfs_listener(root, 8443, to[i]);
        fuzz_require(owner.pid >= 0 && owner.pid <= PIDS, "a listener that is not there");
        fuzz_require(n > 0 || owner.pid == 0, "someone holds a socket that is none");
        (void)procfs_tree_listens(root, 1, 8443, to[i]);
    }
}

static void find(const char *root)
{
    int64_t pids[PIDS];
    size_t n = procfs_find(root, "server", pids, PIDS);
    for (size_t i = 0; i < n; i++) {
        fuzz_require(pids[i] >= 1 && pids[i] <= PIDS, "found what is not there");
    }
}

static bool run(const char *bytes, size_t len)
{
    static struct part parts[PARTS_MAX];
    size_t n = parts_split(bytes, len, parts);
    bool ok = false;
    parts_write(parts, n, is_allowed);
    for (int64_t pid = 1; pid <= PIDS; pid++) {
        ok = read_one(fuzz_dir(), pid) || ok;
    }
    read_sockets(fuzz_dir());
    find(fuzz_dir());
    return ok;
}

/* Process 1 and 2 hold socket 4242. */
static void start(void)
{
    fuzz_confine(true);
    for (int pid = 1; pid <= 2; pid++) {
        CLEANUP_FREE char *process = xasprintf("%s/%d", fuzz_dir(), pid);
        CLEANUP_FREE char *fd = xasprintf("%s/fd", process), *link = xasprintf("%s/3", fd);
        fuzz_require(mkdir(process, 0700) == 0 && mkdir(fd, 0700) == 0 &&
                         symlink("socket:[4242]", link) == 0,
                     "no folder for a process");
    }
}

static const char *const words[] = {"\n=== 1/stat\n",
                                    "\n=== 2/stat\n",
                                    "\n=== 1/status\n",
                                    "\n=== 1/smaps_rollup\n",
                                    "\n=== 1/maps\n",
                                    "\n=== 1/comm\n",
                                    "\n=== 1/exe\n",
                                    "\n=== 1/task/1/children\n",
                                    "\n=== net/tcp\n",
                                    "\n=== net/tcp6\n",
                                    "VmRSS:\t",
                                    "RssAnon:\t",
                                    "Pss:",
                                    "Private_Dirty:",
                                    " kB\n",
                                    "18446744073709551615",
                                    "9007199254740992",
                                    "-1",
                                    ")",
                                    "(",
                                    " R ",
                                    " Z ",
                                    "server",
                                    "0A",
                                    "0100007F:20FB",
                                    "00000000:20FB",
                                    "00000000000000000000000000000000:20FB",
                                    "4242",
                                    "/libjvm.so\n",
                                    "/memfd:doublemapper",
                                    "\x7f"
                                    "ELF\x02",
                                    "Go",
                                    ".go.buildinfo",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "procfs",
    .about = "probe/process.c probe/procfs.c probe/runtime.c probe/sockets.c",
    .words = words,
    .start = start,
    .run = run,
};
