/* Where a slot waits: for an exchange, or to be dialed; each place is one queue of its worker,
 * oldest first, so that all connections are used in turn.  One that starves there, since a
 * credential of its identity is not ready, is in a queue of that identity instead. */
#ifndef LOAD_SLOT_QUEUE_H
#define LOAD_SLOT_QUEUE_H

struct slot;
struct worker;
struct worker_identity;

enum slot_place { SLOT_NOWHERE, SLOT_IDLE, SLOT_TO_DIAL, SLOT_PLACES };

struct slot_queue {
    struct slot *first, *last;
};

/* Puts the slot at the end of the worker's queue for `place` (taking it out of where it was). */
void slot_put(struct slot *slot, enum slot_place place);
/* At its head. */
void slot_put_first(struct slot *slot, enum slot_place place);
/* The slot waits in its place until that identity's credentials are there, and does not hold up
 * the others. */
void slot_starve(struct slot *slot, struct worker_identity *identity);
/* Who is next in a place, first those that starved and need not any more; NULL: nobody. */
struct slot *slot_next(const struct worker *worker, enum slot_place place);

#endif
