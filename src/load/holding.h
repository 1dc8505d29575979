/* A holding: what a slot or an exchange has taken from the pools of one identity, and whether the
 * server has seen it.  An identity is a kind of client of the plan as this worker has it: its
 * pools, and who waits for them.  Of a bound identity the holding has one persona, whose parts go
 * together; else each kind of credential for itself.
 *
 * Invariant: what was taken for the first time and never presented is unclaimed when it is dropped,
 * so first uses are counted once, by whatever presents it. */
#ifndef LOAD_HOLDING_H
#define LOAD_HOLDING_H

#include "ident/pool.h"
#include "load/slot_queue.h"

#include <stdbool.h>
#include <stddef.h>

struct exchange;
struct worker;

struct worker_identity {
    const struct plan_identity *plan;
    size_t index;                        /* in plan->identities */
    struct pool *pool[CREDENTIAL_KINDS]; /* borrows; NULL: it has none of that kind */
    double upto;                         /* sum of the weights up to this one */
    bool blocked[SLOT_PLACES];           /* by place: a credential was not there yet */
    struct slot_queue starved[SLOT_PLACES];
    struct exchange *next_exchange; /* being equipped: waits for a credential */
};

struct holding {
    struct worker_identity *identity; /* NULL: never held anything */
    struct credential *held[CREDENTIAL_KINDS];
    bool unseen[CREDENTIAL_KINDS]; /* a first use (of a persona: any) that no server has seen */
};

/* The kind that must be there before the dial: the certificate, or the persona that has one;
 * CREDENTIAL_KINDS: none. */
enum credential_kind holding_dial_kind(const struct worker_identity *identity);
/* Takes what is due of that kind; false: it is not there, wait (counted, `again` is set). */
bool holding_take(struct worker *worker, struct holding *holding, enum credential_kind kind)
    __attribute__((warn_unused_result));
void holding_drop(struct holding *holding, enum credential_kind kind);
/* Drops what is held of another identity and turns to this one. */
void holding_turn_to(struct holding *holding, struct worker_identity *identity);
/* What is presented of that kind (a part), or NULL. */
struct credential *holding_part(const struct holding *holding, enum credential_kind kind);
/* Counts a use, and a first use of all, of a credential (a part) that a server has seen. */
void holding_count(struct worker *worker, enum credential_kind kind, bool used, bool first);
/* The server has seen that part: counts its first use of all, and with `counts` this use. */
void holding_expose(struct worker *worker, struct holding *holding, enum credential_kind kind,
                    bool counts);

#endif
