/* The profile's hook: commands of the user's around and during the run.  `rotate` is run again and
 * again in a thread of its own, so a slow one never delays a tick, and never twice at a time; the
 * times at which it is due are told by a function of time alone.  A command that fails, or does not
 * end before its deadline, is an event and nothing more; only a rotation that ended with exit code
 * 0 is one.  `on_leak` may run beside the load, in a thread too; no rotation begins meanwhile.
 * What the commands print goes to hook.log of the run directory, up to 1 MiB, but for commands that
 * were written with ${} or @ references; of our environment they get PATH, HOME and few other
 * variables, no secrets.
 *
 * From hook_start on, functions take NULL for a run without. */
#ifndef PROBE_HOOK_H
#define PROBE_HOOK_H

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stdint.h>

struct hook;
struct sampler;

enum hook_command { HOOK_ROTATE, HOOK_ON_START, HOOK_ON_LEAK, HOOK_ON_END };

/* When rotations are due, in ns since zero_ns (monotonic) on a clock that may be put forward. */
struct hook_times {
    uint64_t zero_ns;
    /* The first at or after `t_ns`; UINT64_MAX: none.  Called by the hook's thread. */
    uint64_t (*due_ns)(const void *context, uint64_t t_ns);
    const void *context; /* borrows until hook_stop, as the next */
    const _Atomic(uint64_t)
        *early_ns; /* by which that clock is ahead; may grow; NULL: by nothing */
};

/* A command has ended. */
struct hook_event {
    uint64_t at_ns; /* monotonic */
    bool ok;
    char text[256]; /* not ok: one sentence */
};

/* Opens hook.log in the run directory where the plan has a hook.  `sampler` (NULL: none) knows the
 * process of {pid}.  Borrows all but `dir`.  NULL with mistakes.  The caller frees it. */
struct hook *hook_new(const struct plan *plan, struct sampler *sampler, const char *dir,
                      struct diag *diag) __attribute__((warn_unused_result));
/* Begins on_leak in a thread of its own, where the plan has it and it was not run; `stop_fd` as
 * below.  Without a thread to be had it is not begun. */
void hook_begin_leak(struct hook *hook, int stop_fd);
/* Runs that command now, in the calling thread; false when the plan has none.  `stop_fd`: readable
 * when it shall be killed; -1: none.  HOOK_ON_LEAK that was begun already is only waited for. */
bool hook_perform(struct hook *hook, enum hook_command command, int stop_fd,
                  struct hook_event *ret_event) __attribute__((warn_unused_result));
/* Starts the thread where the plan has something to rotate. */
void hook_start(struct hook *hook, const struct hook_times *times);
/* A rotation is under way. */
bool hook_busy(struct hook *hook);
/* Moves out the oldest event of a rotation that ended by `until_ns`; false when there is none. */
bool hook_take(struct hook *hook, uint64_t until_ns, struct hook_event *ret_event)
    __attribute__((warn_unused_result));
/* Ends the thread; kills a rotation that is under way, which is then a failed one. */
void hook_stop(struct hook *hook);
void hook_free(struct hook *hook);

#endif
