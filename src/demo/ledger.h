/* Memory that the server holds on purpose, and the exact account of it.  A chunk of N bytes costs
 * the process N bytes, the allocator's own header included, so that what a leak is told to grow by
 * is what the heap grows by. */
#ifndef DEMO_LEDGER_H
#define DEMO_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#define LEDGER_CHUNK_MIN 32u /* the smallest piece of glibc's heap */
#define LEDGER_HEADER    8u  /* what glibc keeps in front of each block */

struct ledger {
    uint64_t entries;
    uint64_t bytes; /* blocks: malloc_usable_size + LEDGER_HEADER each */
};

/* A touched block of a chunk of `chunk_bytes` (rounded up to the allocator's sizes); the payload
 * is LEDGER_HEADER shorter.  Owned by the ledger until ledger_drop. */
void *ledger_hold(struct ledger *ledger, size_t chunk_bytes) __attribute__((warn_unused_result));
/* The bytes that this block costs. */
uint64_t ledger_cost(void *block);
void ledger_drop(struct ledger *ledger, void *block);

#endif
