/* The look-alikes: memory that grows as a leak does for a while, and is none.  Each has a bound
 * that follows from cap and payload (and, for ttl, from the rate of new credentials). */
#ifndef DEMO_INNOCENT_H
#define DEMO_INNOCENT_H

#include "demo/ledger.h"
#include "demo/serve.h"

struct innocence;

/* Borrows `options`.  The caller frees it. */
struct innocence *innocence_new(const struct serve_options *options)
    __attribute__((warn_unused_result));
void innocence_free(struct innocence *innocence);
/* Tells the time since the start, a few times a second. */
void innocence_tick(struct innocence *innocence, double elapsed_s);
/* A request was served. */
void innocence_request(struct innocence *innocence);
/* A certificate, key or token was used, by its fingerprint. */
void innocence_credential(struct innocence *innocence, enum driver kind, uint64_t fingerprint);
const struct ledger *innocence_ledger(const struct innocence *innocence);

#endif
