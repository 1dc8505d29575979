/* What passes between a worker's pool and the mint thread, and nothing else does: batches of
 * fresh credentials through a one-slot mailbox, and one order at a time for renewed ones.  Both
 * change owner through one atomic; everything else in here belongs to whoever holds the thing.
 * Private to ident.
 *
 * Invariants: a mailbox holds at most one batch, filled by the mint thread only when it is
 * empty; the fields of a renewal belong to the worker while it is IDLE or MADE, to the mint
 * thread while it is ASKED. */
#ifndef IDENT_SUPPLY_H
#define IDENT_SUPPLY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SUPPLY_BATCH_MIN   64
#define SUPPLY_BATCH_MAX   1024
#define SUPPLY_RENEWAL_MAX 64

struct credential;

struct batch {
    size_t n;
    size_t next;
    struct credential *items[];
};

enum renewal_state { RENEWAL_IDLE, RENEWAL_ASKED, RENEWAL_MADE };

struct renewal {
    _Atomic int state;
    size_t n;
    int64_t now_s;                       /* the worker's clock, which says what is stale */
    size_t index[SUPPLY_RENEWAL_MAX];    /* places in the worker's share */
    uint64_t number[SUPPLY_RENEWAL_MAX]; /* {n} of each */
    struct credential *made[SUPPLY_RENEWAL_MAX];
};

struct supply {
    _Atomic(struct batch *) mailbox;
    struct renewal renewal;
    int wake_fd; /* eventfd that wakes the mint thread; borrowed from it */
};

/* For the worker: the batch in the mailbox, now its own, or NULL; wakes the mint thread. */
struct batch *supply_take(struct supply *supply);
/* For the worker: hands the renewal over. */
void supply_ask(struct supply *supply);
/* For anybody: wakes the mint thread. */
void supply_wake(int wake_fd);

#endif
