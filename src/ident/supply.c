#include "ident/supply.h"

#include "base/bug.h"

#include <errno.h>
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
