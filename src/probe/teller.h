/* Who tells the memory where the kernel's account of a process does not: a command of the user's,
 * a control group, or a page of Prometheus metrics.  What is not told is a gap with a reason, never
 * a zero. */
#ifndef PROBE_TELLER_H
#define PROBE_TELLER_H

#include "base/diag.h"
#include "probe/errand.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cgroup;
struct teller;

struct told {
    int64_t bytes;        /* -1: nothing was told */
    uint64_t incarnation; /* of the server, as far as they know; 0: they don't */
    uint64_t n_killed;    /* by the kernel for want of memory, since the last time */
    const char *runtime;  /* "jvm", ... as the names of metrics tell; NULL: not */
};

/* For a source other than a process, which must outlive it, as must `root` ("/proc").  NULL with
 * mistakes: a URL whose host has no address, a CA or certificate that can't be read. */
struct teller *teller_new(const struct plan *plan, const struct plan_memory *memory,
                          const char *root, struct diag *diag) __attribute__((warn_unused_result));
void teller_free(struct teller *teller);
/* Asks, of the process (0: unknown).  Without an answer bytes are -1, with one sentence in `why`.
 */
struct told teller_ask(struct teller *teller, int64_t pid, const struct patience *patience,
                       char *why, size_t size);
/* The limit that the control group is held to, bytes; 0: none, or no such source. */
double teller_limit(const struct teller *teller);
/* The control group that was asked last; NULL: none. */
const struct cgroup *teller_cgroup(const struct teller *teller);

#endif
