#include "ident/supply.h"

#include "ident/credential.h"

#include "base/bug.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void supply_wake(int wake_fd)
{
    const uint64_t one = 1;
    ssize_t n;
    do {
        n = write(wake_fd, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
    /* A full counter (EAGAIN) is a wake-up that has not been read yet, which will do. */
    BUG_ON(n < 0 && errno != EAGAIN);
}

struct batch *supply_take(struct supply *supply)
{
    /* The look first: an empty mailbox must not cost a locked instruction at each try. */
    if (atomic_load_explicit(&supply->mailbox, memory_order_relaxed) == NULL) {
        return NULL;
    }
    struct batch *batch = atomic_exchange_explicit(&supply->mailbox, NULL, memory_order_acq_rel);
    supply_wake(supply->wake_fd);
    return batch;
}

void supply_ask(struct supply *supply)
{
    atomic_store_explicit(&supply->renewal.state, RENEWAL_ASKED, memory_order_release);
    supply_wake(supply->wake_fd);
}

struct swap *supply_take_swap(struct supply *supply)
{
    if (atomic_load_explicit(&supply->swapped, memory_order_relaxed) == NULL) {
        return NULL;
    }
    return atomic_exchange_explicit(&supply->swapped, NULL, memory_order_acq_rel);
}

void supply_put_swap(struct supply *supply, struct swap *swap)
{
    struct swap *before = atomic_exchange_explicit(&supply->swapped, NULL, memory_order_acq_rel);
    if (before != NULL) {
        /* In this order: what changed last is placed last. */
        size_t n = before->n + swap->n;
        before = xrealloc(before, sizeof *before + n * sizeof before->items[0]);
        memcpy(before->items + before->n, swap->items, swap->n * sizeof swap->items[0]);
        before->n = n;
        free(swap);
        swap = before;
    }
    atomic_store_explicit(&supply->swapped, swap, memory_order_release);
}

void batch_free(struct batch *batch)
{
    for (size_t i = batch != NULL ? batch->next : 0; batch != NULL && i < batch->n; i++) {
        credential_release(batch->items[i]);
    }
    free(batch);
}

void swap_free(struct swap *swap)
{
    for (size_t i = swap != NULL ? swap->next : 0; swap != NULL && i < swap->n; i++) {
        credential_release(swap->items[i].made);
    }
    free(swap);
}
