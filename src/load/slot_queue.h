/* Where a slot waits: for an exchange, or to be dialed; each place is one queue of its worker,
 * oldest first, so that all connections are used in turn. */
#ifndef LOAD_SLOT_QUEUE_H
#define LOAD_SLOT_QUEUE_H

struct slot;

enum slot_place { SLOT_NOWHERE, SLOT_IDLE, SLOT_TO_DIAL, SLOT_PLACES };

struct slot_queue {
    struct slot *first, *last;
};

#endif
