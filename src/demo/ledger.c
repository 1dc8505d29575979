#include "demo/ledger.h"

#include "base/mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *ledger_hold(struct ledger *ledger, size_t chunk_bytes)
{
    if (chunk_bytes < LEDGER_CHUNK_MIN) {
        chunk_bytes = LEDGER_CHUNK_MIN;
    }
    size_t size = chunk_bytes - LEDGER_HEADER;
    void *block = xmalloc(size);
    /* Untouched pages would be promised and not grown. */
    memset(block, 0xa5, size);
    ledger->entries++;
    ledger->bytes += ledger_cost(block);
    return block;
}

uint64_t ledger_cost(void *block)
{
    return malloc_usable_size(block) + LEDGER_HEADER;
}

void ledger_drop(struct ledger *ledger, void *block)
{
    ledger->entries--;
    ledger->bytes -= ledger_cost(block);
    free(block);
}
