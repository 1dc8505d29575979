#include "demo/cache.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define N_BUCKETS (1u << 16)

struct entry {
    struct entry *newer, *older, *chain;
    uint64_t fingerprint;
    double used_s;
};

struct cache {
    struct entry *newest, *oldest;
    uint64_t n, cap;
    size_t chunk_bytes;
    struct ledger *ledger;
    struct entry *buckets[N_BUCKETS];
};

struct cache *cache_new(uint64_t cap, uint64_t payload, struct ledger *ledger)
{
    struct cache *cache = xmalloc(sizeof *cache);
    /* All pages at once: the table is no part of the growth that is to be seen. */
    memset(cache, 0, sizeof *cache);
    cache->cap = cap;
    cache->chunk_bytes = sizeof(struct entry) + payload + LEDGER_HEADER;
    cache->ledger = ledger;
    return cache;
}

static void list_remove(struct cache *cache, struct entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void list_push(struct cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void drop_oldest(struct cache *cache)
{
    struct entry *entry = cache->oldest;
    struct entry **at = &cache->buckets[entry->fingerprint % N_BUCKETS];
    while (*at != entry) {
        at = &(*at)->chain;
    }
    *at = entry->chain;
    list_remove(cache, entry);
    ledger_drop(cache->ledger, entry);
    cache->n--;
}

void cache_free(struct cache *cache)
{
    if (cache == NULL) {
        return;
    }
    while (cache->oldest != NULL) {
        drop_oldest(cache);
    }
    free(cache);
}

void cache_touch(struct cache *cache, uint64_t fingerprint, double now_s)
{
    struct entry **bucket = &cache->buckets[fingerprint % N_BUCKETS], *entry = *bucket;
    while (entry != NULL && entry->fingerprint != fingerprint) {
        entry = entry->chain;
    }
    if (entry != NULL) {
        list_remove(cache, entry);
    } else {
        if (cache->cap != 0 && cache->n == cache->cap) {
            drop_oldest(cache);
        }
        entry = ledger_hold(cache->ledger, cache->chunk_bytes);
        entry->fingerprint = fingerprint;
        entry->chain = *bucket;
        *bucket = entry;
        cache->n++;
    }
    entry->used_s = now_s;
    list_push(cache, entry);
}

void cache_expire(struct cache *cache, double before_s)
{
    while (cache->oldest != NULL && cache->oldest->used_s < before_s) {
        drop_oldest(cache);
    }
}
