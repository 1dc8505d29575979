/* What passes between a worker's pool and the thread that makes credentials for it, and nothing
 * else does: batches of fresh credentials through a one-slot mailbox, one order at a time for
 * renewed ones, and through a second mailbox what changed on disk.  Each changes owner through one
 * atomic; everything else in here belongs to whoever holds the thing.  Private to ident.
 *
 * Invariants: a mailbox holds at most one batch, filled by the making thread only when it is empty;
 * the fields of a renewal belong to the worker while it is IDLE or MADE, to the making thread while
 * it is ASKED, and the worker holds references on all of `old` as long; the second mailbox is the
 * making thread's to put into and to take back from, the worker's to take from. */
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
    size_t n;                         /* asked for */
    size_t n_made;                    /* the first so many are in `made` */
    int64_t now_s;                    /* the worker's clock, which says what is stale */
    size_t index[SUPPLY_RENEWAL_MAX]; /* places in the worker's share */
    const struct credential *old[SUPPLY_RENEWAL_MAX];
    struct credential *made[SUPPLY_RENEWAL_MAX];
};

/* A credential for a place of the worker's share; of a persona only the parts that changed. */
struct swap_item {
    size_t index;
    struct credential *made;
};

struct swap {
    size_t n;
    size_t next;
    struct swap_item items[];
};

struct supply {
    _Atomic(struct batch *) mailbox;
    _Atomic(struct swap *) swapped;
    struct renewal renewal;
    int wake_fd; /* eventfd that wakes the making thread; borrowed from it */
};

/* For the worker: the batch in the mailbox, now its own, or NULL; wakes the making thread. */
struct batch *supply_take(struct supply *supply);
/* For the worker: hands the renewal over. */
void supply_ask(struct supply *supply);
/* For the worker: what changed on disk, now its own, or NULL. */
struct swap *supply_take_swap(struct supply *supply);
/* For the making thread: puts a swap behind what the worker has not taken yet. */
void supply_put_swap(struct supply *supply, struct swap *swap);
/* For anybody: wakes the making thread. */
void supply_wake(int wake_fd);
/* Frees what they hold that was not taken out; NULL is fine. */
void batch_free(struct batch *batch);
void swap_free(struct swap *swap);

#endif
