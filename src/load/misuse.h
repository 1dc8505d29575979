/* Misuses: beside the exchanges of a worker, the profile's shares of connections that misbehave
 * (closed half way, slow, silent, too large), each on a connection of its own that ends with it.
 * They are who the normal load is: identities by weight, with their credentials.  A credit that the
 * worker's exchanges earn says when the next is due, so the shares hold whatever the pace.  At most
 * MISUSE_SLOTS are under way, of which those that last (silent and slow ones) take
 * MISUSE_LASTING_SLOTS at most, and each ends after its `hold`; credit beyond MISUSE_CREDIT_MAX is
 * forgone and counted.
 *
 * All functions take NULL for a plan without misuses. */
#ifndef LOAD_MISUSE_H
#define LOAD_MISUSE_H

#include <stdint.h>

struct misuses;
struct worker;

#define MISUSE_SLOTS         64
#define MISUSE_LASTING_SLOTS 48
#define MISUSE_CREDIT_MAX    32

/* Once the worker's loop, TLS client, identities and requests are there; NULL when the plan has
 * none. */
struct misuses *misuses_new(struct worker *worker) __attribute__((warn_unused_result));
void misuses_free(struct misuses *misuses);
/* The worker began an exchange: begins the misuses that it earned. */
void misuses_earn(struct misuses *misuses);
/* A credential that had not been made in time may be there now. */
void misuses_try_again(struct misuses *misuses);
/* Once a loop turn: begins what is due. */
void misuses_turn(struct misuses *misuses);
/* The load ends: those that only last end now. */
void misuses_drain(struct misuses *misuses);
/* Closes what is under way (end of the drain). */
void misuses_stop(struct misuses *misuses);
/* How many are under way; of NULL none. */
uint64_t misuses_under_way(const struct misuses *misuses);

#endif
