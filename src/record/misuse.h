/* How the attempts of one [misuse NAME] ended.  A misuse has no right answer, so nothing is judged:
 * it was done (the server saw it) or could not be done, and what it answered is counted.
 *
 * Invariant: tried = done + undone + those under way. */
#ifndef RECORD_MISUSE_H
#define RECORD_MISUSE_H

#include "base/sink.h"
#include "record/outcome.h"

#include <stddef.h>
#include <stdint.h>

#define MISUSES_MAX     16
#define MISUSE_STATUSES 6

/* What a [misuse NAME] does, in words. */
struct misuse_kind {
    char name[64];
    char kind[32];  /* as in the profile: "abort-body" */
    char what[128]; /* "request bodies aborted half way" */
};

struct misuse_tally {
    uint64_t tried, done, undone;
    uint64_t forgone;                 /* were due and not tried, since every place was taken */
    uint64_t status[MISUSE_STATUSES]; /* answers by class: [1] 1xx .. [5] 5xx, [0] other */
    enum outcome why;                 /* the first could not be done, where undone > 0 */
};

void misuse_add(struct misuse_tally *to, const struct misuse_tally *from);
/* "1,200 request bodies aborted half way; 3 could not be done (the server refused ...)". */
void misuse_print(struct sink *sink, const struct misuse_kind *kind,
                  const struct misuse_tally *tally);

#endif
