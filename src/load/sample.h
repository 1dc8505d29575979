/* One client of the plan's first identity, for what is tried before the load: its credentials as
 * they are presented together.  Taken from the first worker's pools while no worker runs; a first
 * use stays unclaimed, so the load's own count of them is whole. */
#ifndef LOAD_SAMPLE_H
#define LOAD_SAMPLE_H

#include "ident/mint.h"
#include "net/fetch.h"
#include "profile/plan.h"

#include <stdbool.h>

struct sample {
    struct credential *held[CREDENTIAL_KINDS]; /* by pool */
    struct credential *part[CREDENTIAL_PARTS]; /* what is presented; NULL: it has none */
};

/* False when one of them was not ready; sample_drop in either case. */
bool sample_take(struct sample *sample, struct mint *mint) __attribute__((warn_unused_result));
void sample_drop(struct sample *sample, struct mint *mint);
/* Sends the plan's first request with such a client's key and token, and its certificate where
 * `with_cert` says so; what is not ready is left out.  A raw request that expects nothing waits for
 * a sign of life all the same, a byte, since only then a server has accepted the client.  True when
 * a certificate was presented. */
bool sample_ask(struct fetch *fetch, const struct plan *plan, struct mint *mint, bool with_cert,
                struct fetch_answer *ret_answer);

#endif
