/* /proc of a process and its children: memory, descriptors, threads, CPU time, start time, and
 * who listens on a port.  Reads only what the kernel gives cheaply at every call (statm, status,
 * stat); smaps_rollup, which walks the pages under the server's mm lock, only when asked.
 * `root` is "/proc", or a made-up tree in tests. */
#ifndef PROBE_PROCFS_H
#define PROBE_PROCFS_H

#include "record/reading.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct procfs_owner {
    int64_t pid; /* 0: nobody that we may see */
    bool hidden; /* the socket exists, but its owner's descriptors may not be read */
};

/* Sums over `pid` and all its descendants into `reading` (values, ok, lost, incarnation: pid and
 * start time of the root).  detail: also Pss and Private_Dirty. */
void procfs_read(const char *root, int64_t pid, bool detail, struct reading *reading);
/* Who listens on `port` where a connect to the address `to` arrives (NULL: on any address, IPv4
 * or IPv6).  When several processes share the socket: the oldest whose ancestors do not hold it. */
struct procfs_owner procfs_listener(const char *root, uint16_t port, const struct sockaddr *to);
/* True when a process in the tree of `pid` holds the listening socket of `port` (and `to`, as
 * above), as the process's own network namespace shows it. */
bool procfs_tree_listens(const char *root, int64_t pid, uint16_t port, const struct sockaddr *to);
/* Pids whose comm (or executable's base name) is `name` and whose parent's is not; at most
 * `max`; returns how many. */
size_t procfs_find(const char *root, const char *name, int64_t *ret_pids, size_t max);
/* comm of the process, "?" when it cannot be read; number of descendants. */
const char *procfs_name(const char *root, int64_t pid, char *text, size_t size);
size_t procfs_children(const char *root, int64_t pid);
/* "jvm", "go", "node", "dotnet", recognised from /proc/PID/maps and exe of the process, else of the
 * first of its descendants that has one; "native" otherwise. */
const char *procfs_runtime(const char *root, int64_t pid);

#endif
