/* The watch: decides from the cumulative counts whether the run's measurements can be used.  Pure
 * arithmetic with a ring of the last minute; it is told what happened and asked at the end.  The
 * first reason found is the one that is reported; whether the generator kept up (health.h) comes
 * last. */
#ifndef LOAD_WATCH_H
#define LOAD_WATCH_H

#include "profile/plan.h"
#include "record/interval.h"
#include "record/reading.h"
#include "record/run.h"

#include <stdbool.h>
#include <stdint.h>

#define WATCH_MINUTE 60
#define WATCH_TEXT   256

/* Cumulative counts at the end of a second; but for n_undone without what we stopped ourselves. */
struct watch_mark {
    uint64_t n_completed, n_failing, n_ended, n_dial_failed, n_ready;
    uint64_t n_undone; /* exchanges and dials that came to nothing, for whatever reason */
};

struct watch {
    const struct plan *plan; /* borrows */
    struct watch_mark ring[WATCH_MINUTE];
    uint64_t n_seconds;
    uint64_t n_bad;                      /* exchanges on end until now, all of which failed */
    uint64_t bad_since_s;                /* the first of these ended in that second */
    uint64_t lost_since_ns[RUN_SOURCES]; /* 0: not lost */
    bool tolerates;           /* failures are for a limit to judge, or for a step of a search */
    bool over;                /* going on measures nothing: the run should end */
    char invalid[WATCH_TEXT]; /* empty: valid */
};

void watch_init(struct watch *watch, const struct plan *plan);
/* Once a second and when the load ends, `elapsed_ns` after the load's start. */
void watch_second(struct watch *watch, const struct interval *total, uint64_t elapsed_ns);
void watch_reading(struct watch *watch, const struct reading *reading);
/* The disk refused a record; `error` is its errno. */
void watch_disk(struct watch *watch, int error);
/* At the end. `interrupted`: the user ended it early; `unhealthy`: why the generator did not keep
 * up, or NULL. */
void watch_finish(struct watch *watch, const struct interval *total, bool interrupted,
                  const char *unhealthy);

#endif
