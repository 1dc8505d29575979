/* The probe threads, one a memory source of the plan: each reads its source at its own period, with
 * a deadline, and hands readings over by value.  A slow source never delays another, or a tick of
 * the load.  Before the run it finds the processes and proves that they are the ones that listen
 * on the target's port; a source whose command tells the memory of a server elsewhere may have
 * none.
 *
 * More than eight functions: the life of a sampler, what it hands over, and what it knows of a
 * source. */
#ifndef PROBE_SAMPLER_H
#define PROBE_SAMPLER_H

#include "base/diag.h"
#include "net/addr.h"
#include "profile/plan.h"
#include "record/reading.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sampler;

/* Why readings fail: a settling or a command that did.  Their readings are gaps. */
struct sampler_message {
    uint64_t at_ns;
    char text[256]; /* one sentence */
};

/* Finds the process of every [memory NAME] (by pid, pid file, name, exec or listening port) and,
 * when a target address is on this machine, checks that the owner of its listening socket is in
 * the sampled tree; starts `exec` commands and waits until they listen.  NULL with mistakes.
 * *ret_refused is set when the mistake is a missing permission or the wrong process (exit 5)
 * rather than a wrong profile (exit 2). */
struct sampler *sampler_new(const struct plan *plan, const struct addr *addrs, size_t n_addrs,
                            bool *ret_refused, struct diag *diag)
    __attribute__((warn_unused_result));
/* With dwell_ns (0: no experiment), sources with `settle` are read at the end of each dwell, the
 * first at dwells_from_ns (monotonic), and as their `every` says before. */
void sampler_start(struct sampler *sampler, uint64_t dwells_from_ns, uint64_t dwell_ns);
/* Moves out up to `max` readings, oldest first, without waiting; returns how many. */
size_t sampler_take(struct sampler *sampler, struct reading *ret_readings, size_t max);
/* Moves out the oldest message; false when there is none. */
bool sampler_message(struct sampler *sampler, struct sampler_message *ret_message)
    __attribute__((warn_unused_result));
/* "nginx (pid 4711 and 2 children)" for source i. */
const char *sampler_describe(const struct sampler *sampler, size_t i);
/* The process of source i as it was last found, by any thread; 0: unknown. */
int64_t sampler_pid(struct sampler *sampler, size_t i);
/* What source i runs on, as procfs_runtime has it: "jvm", "go", "native", ...; "": unknown. */
const char *sampler_runtime(const struct sampler *sampler, size_t i);
/* Bytes that source i may use: the profile's limit, else that of its control group; 0: none. */
double sampler_limit(const struct sampler *sampler, size_t i);
/* Ends the thread and what `exec` started (SIGTERM, then SIGKILL after 2 s). */
void sampler_free(struct sampler *sampler);

#endif
