/* Refusals: beside the exchanges of a worker, the profile's shares of attempts with bad identities,
 * each on a connection of its own that ends with it: dial, handshake, one request (in TLS 1.3 a
 * refused certificate shows only at the first read).  A credit that the worker's exchanges earn
 * says when the next is due, so the shares hold whatever the pace; at most REFUSAL_SLOTS are under
 * way, and credit beyond twice that is forgone.
 *
 * All functions take NULL for a plan without refusals. */
#ifndef LOAD_REFUSAL_H
#define LOAD_REFUSAL_H

#include "record/refusal.h"

#include "profile/plan.h"

#include <stdbool.h>
#include <stdint.h>

struct refusals;
struct worker;

#define REFUSAL_SLOTS 16

/* Once the worker's loop, TLS client and requests are there; NULL when the plan has none. */
struct refusals *refusals_new(struct worker *worker) __attribute__((warn_unused_result));
void refusals_free(struct refusals *refusals);
/* The worker began an exchange: begins the attempts that it earned. */
void refusals_earn(struct refusals *refusals);
/* A bad identity that had not been made in time may be there now. */
void refusals_try_again(struct refusals *refusals);
/* Once a loop turn, as conn_reap. */
void refusals_reap(struct refusals *refusals);
/* Closes what is under way (end of the drain). */
void refusals_stop(struct refusals *refusals);
/* How many attempts are under way; of NULL none. */
uint64_t refusals_under_way(const struct refusals *refusals);
/* What an answer means for a [refuse].  `alert`: that the server sent; 0 or less: none. */
enum refusal_result refusal_judge(const struct expect *expect, const struct refusal_answer *answer,
                                  int alert);

#endif
