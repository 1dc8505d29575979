/* The phases as main goes through them: each is recorded when it begins, and an idle one that lasts
 * until memory has settled ends for all workers at one time when whoever judges memory says so.
 * The rests of a search end likewise, when its steps say so. */
#ifndef LOAD_PHASES_H
#define LOAD_PHASES_H

#include "load/timeline.h"
#include "record/run.h"

#include <stdbool.h>
#include <stdint.h>

struct steps;

struct phases {
    struct timeline timeline;
    struct run *run; /* borrows */
    uint64_t zero_ns;
    size_t n_noted; /* that have begun */
    bool cut;       /* the one under way ends early */
    /* Has the server's memory come to rest since `since_s` (after the start of the load)? */
    bool (*settled)(double since_s, void *context);
    void *context;
    struct steps *steps; /* borrows; NULL: no search */
    int disk_error;      /* errno of a record that could not be written; 0: none */
    bool ended;
};

/* zero_ns, `settled` with its `context`, and `steps` are the caller's to set before the load. */
void phases_init(struct phases *phases, const struct plan *plan, struct run *run);
/* At `t_ns` since the start of the load: the time at which the phase under way ends early, a little
 * ahead of now, as all workers must be told; 0: it goes on. */
uint64_t phases_follow(struct phases *phases, uint64_t t_ns) __attribute__((warn_unused_result));
/* The load has ended; the first such time counts. */
void phases_end(struct phases *phases, uint64_t t_ns);

#endif
