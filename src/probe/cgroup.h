/* A control group of Linux, as a container or a unit of systemd is one: what its processes use
 * together.  Version 2 (Documentation/admin-guide/cgroup-v2.rst), or the memory controller of
 * version 1 where that holds it.  Anonymous memory is what a leak grows; memory.current has the
 * page cache in it, which any file that is read or written makes larger.  `root` is "/proc", or a
 * made-up tree in tests, whose self/mountinfo says where the groups are. */
#ifndef PROBE_CGROUP_H
#define PROBE_CGROUP_H

#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_PATH 1024

struct cgroup {
    char path[CGROUP_PATH]; /* its directory */
    size_t mount_len;       /* of `path`: where the groups are mounted */
    bool v1;
};

/* The group of a process.  False with one sentence in `why`. */
bool cgroup_of_process(const char *root, int64_t pid, struct cgroup *ret_cgroup, char *why,
                       size_t size) __attribute__((warn_unused_result));
/* The one group that the pattern names (glob(7)), from the mount on where it does not begin with a
 * slash. */
bool cgroup_find(const char *root, const char *pattern, struct cgroup *ret_cgroup, char *why,
                 size_t size) __attribute__((warn_unused_result));
/* The process is in the group, or in one below it. */
bool cgroup_holds(const char *root, const struct cgroup *cgroup, int64_t pid);
/* The process in the group or below that has run longest; 0: none that can be seen. */
int64_t cgroup_oldest(const char *root, const struct cgroup *cgroup);
/* Its bytes; -1 with one sentence. */
int64_t cgroup_bytes(const struct cgroup *cgroup, enum cgroup_metric metric, char *why, size_t size)
    __attribute__((warn_unused_result));
/* Its limit, or that of a group above it where that is less; 0: none. */
double cgroup_limit(const struct cgroup *cgroup);
/* How often the kernel has killed one of its processes for want of memory; -1: not known. */
int64_t cgroup_oom_kills(const struct cgroup *cgroup);
/* Tells a group from a later one of the same name; 0: it is gone. */
uint64_t cgroup_incarnation(const struct cgroup *cgroup);

#endif
