/* The remedied form of a credential cache: a map with a bound by count (least recently used goes)
 * or by age (what was not used for a time is swept).  Entries and payload are held in a ledger. */
#ifndef DEMO_CACHE_H
#define DEMO_CACHE_H

#include "demo/ledger.h"

struct cache;

/* `cap` entries at most (0: no bound by count), each with `payload` bytes.  Borrows the ledger.
 * The caller frees it. */
struct cache *cache_new(uint64_t cap, uint64_t payload, struct ledger *ledger)
    __attribute__((warn_unused_result));
void cache_free(struct cache *cache);
/* Uses the entry with this fingerprint, or makes it. */
void cache_touch(struct cache *cache, uint64_t fingerprint, double now_s);
/* Drops what was last used before then. */
void cache_expire(struct cache *cache, double before_s);

#endif
