/* From what the profile says about a memory source to a process, and the proof that this process
 * is the one that the load reaches: a reading of the wrong process is worse than none. */
#ifndef PROBE_LOCATE_H
#define PROBE_LOCATE_H

#include "net/addr.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCATE_ADDRS 16
#define LOCATE_TEXT  512

/* Where the target listens, as far as that is on this machine. */
struct place {
    const char *root; /* "/proc" */
    uint16_t port;
    struct addr addrs[LOCATE_ADDRS]; /* those of the target that are on this machine */
    size_t n_addrs;
};

struct located {
    int64_t pid;  /* 0: not found */
    bool refused; /* a missing permission or the wrong process, rather than a wrong profile */
    char why[LOCATE_TEXT];
};

void locate_init(struct place *place, const char *root, uint16_t port, const struct addr *addrs,
                 size_t n_addrs);
/* The process of a source (not of `exec`): exactly one, or none and why. */
struct located locate_find(const struct place *place, const struct plan_memory *memory);
/* pid when its tree holds every socket at which the target's port is reached on this machine (or
 * none of the target's addresses is here); else 0 and why. */
struct located locate_prove(const struct place *place, int64_t pid);
/* Who listens there already; 0: nobody (that we may see). */
int64_t locate_listener(const struct place *place);
/* "nginx (pid 4711 and 2 children)" */
void locate_describe(const char *root, int64_t pid, char *text, size_t size);

#endif
