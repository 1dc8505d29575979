/* One memory source at work: its process, who else tells of it, and what reading it has taught. */
#ifndef PROBE_WATCH_H
#define PROBE_WATCH_H

#include "probe/locate.h"
#include "probe/settle.h"
#include "probe/teller.h"
#include "record/reading.h"

#include <stdbool.h>
#include <stdint.h>

#define WATCH_WHY 192

struct watch {
    const struct place *place; /* borrows */
    const struct plan_memory *memory;
    int index;
    int64_t pid;          /* 0: the teller tells all that is known */
    int64_t spawned;      /* pid of what exec started; 0: nothing */
    bool proven;          /* its tree holds the target's socket, so must that of its successor */
    uint64_t incarnation; /* of `pid` */
    uint64_t page_incarnation; /* of what tells the page, whose proxy `pid` may be; 0: not known */
    uint64_t next_ns;          /* when its next reading is due */
    uint64_t lead_ns;        /* how much earlier settling begins, so that the reading is in time */
    uint64_t dwells_from_ns; /* with settle: from here on a reading each dwell_ns; 0: never */
    uint64_t dwell_ns;
    uint64_t next_detail_ns; /* UINT64_MAX: never again, it took too long */
    uint64_t detail_every_ns;
    uint64_t next_search_ns;
    uint64_t lost_at_ns;   /* 0: not lost */
    uint64_t untold_at_ns; /* since then the teller has told, or settling done, nothing */
    unsigned n_untold;     /* readings */
    struct teller *teller; /* owns; NULL: the process is all */
    struct settle *settle; /* owns; NULL: nothing to do before a reading */
    int stop_fd;           /* readable: no reading is worth a wait any more */
    char text[128];        /* "nginx (pid 4711 and 2 children)" */
    char runtime[16];      /* as the teller had it at first; "": it had not */
    char why[WATCH_WHY];   /* why settling or the teller failed in the last reading; "": did not */
    uint64_t n_killed;     /* by the kernel for want of memory, as the last reading found */
};

/* The proof that a process is the target (see locate_prove); in a control group one of all that
 * are in it. */
struct located watch_prove(const struct watch *watch, int64_t pid);
/* Takes `pid` as the process of this source; false when its memory can't be read. */
bool watch_adopt(struct watch *watch, int64_t pid) __attribute__((warn_unused_result));
/* Settles and reads it now.  After a loss, looks once a second for the process that took its place,
 * unless the profile named one by pid or tlsoak started it; lost when none came for 10 s, and when
 * the teller was asked, or settling tried, five times in as long and in vain. */
void watch_read(struct watch *watch, struct reading *ret_reading);
/* Takes note of which server a page of metrics is of, if it says. */
void watch_learn(struct watch *watch, const struct told *told);
/* Who tells: "command", "cgroup", "prometheus". */
const char *watch_teller(const struct watch *watch);
/* Sets the time of the next reading: whole periods after the last, never in the past. */
void watch_schedule(struct watch *watch, uint64_t now_ns);
/* When to begin with the next reading. */
uint64_t watch_begin_ns(const struct watch *watch);

#endif
