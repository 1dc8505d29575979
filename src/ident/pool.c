#include "ident/pool.h"

#include "ident/credential.h"
#include "ident/pool_make.h"
#include "ident/zipf.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdlib.h>

#define RENEWAL_SCAN 256 /* places ahead that one order looks at */
#define RETIRED_SCAN 256 /* places ahead that are looked at for one that is not retired */
#define ADOPT_MAX    64  /* changed credentials placed in one take */

struct pool {
    struct pool_rule rule;
    struct rng rng;
    struct zipf zipf;
    struct credential **items; /* the worker's share of a finite set */
    size_t n_items;
    size_t index;               /* of the current one */
    bool chosen;                /* `index` is the next one, which could not be given yet */
    struct batch *batch;        /* what is left of the last batch */
    struct swap *swap;          /* what changed on disk and is not placed yet */
    struct credential *current; /* never-repeating: given last, and held */
    bool started;               /* something was given */
    bool held;
    uint64_t uses;        /* of the current one under the rule */
    uint64_t switched_ns; /* when the current one became due */
    uint64_t n_taken;     /* takes that were not dropped yet */
    struct supply supply;
};

struct pool *pool_new(const struct pool_rule *rule, struct credential **items, size_t n_items,
                      int wake_fd)
{
    struct pool *pool = xcalloc(1, sizeof *pool);
    BUG_ON((rule->pick == PICK_FRESH) != (n_items == 0));
    pool->rule = *rule;
    pool->items = items;
    pool->n_items = n_items;
    pool->supply.wake_fd = wake_fd;
    if (rule->pick == PICK_ZIPF) {
        pool->zipf = zipf_of(rule->exponent, n_items);
    }
    rng_init(&pool->rng, rule->seed, "pool", rule->stream);
    return pool;
}

struct supply *pool_supply(struct pool *pool)
{
    return &pool->supply;
}

/* Ends an order: what was not placed goes, and what it referred to is let go. */
static void renewal_end(struct renewal *renewal)
{
    for (size_t i = 0; i < renewal->n; i++) {
        credential_release((struct credential *)renewal->old[i]);
        credential_release(i < renewal->n_made ? renewal->made[i] : NULL);
    }
    renewal->n = 0;
    renewal->n_made = 0;
    atomic_store_explicit(&renewal->state, RENEWAL_IDLE, memory_order_relaxed);
}

void pool_free(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    BUG_ON(pool->n_taken != 0);
    renewal_end(&pool->supply.renewal);
    for (size_t i = 0; i < pool->n_items; i++) {
        credential_release(pool->items[i]);
    }
    free(pool->items);
    credential_release(pool->current);
    batch_free(pool->batch);
    batch_free(atomic_load(&pool->supply.mailbox));
    swap_free(pool->swap);
    swap_free(atomic_load(&pool->supply.swapped));
    free(pool);
}

/* Whether the rule asks for another credential now. */
static bool is_due(const struct pool *pool, uint64_t now_ns)
{
    if (!pool->started) {
        return true;
    }
    switch (pool->rule.rotate.kind) {
    case ROTATE_CONNECTION:
        return !pool->held;
    case ROTATE_USES:
        return !pool->held && pool->uses >= pool->rule.rotate.uses;
    case ROTATE_EVERY:
        return !pool->held && now_ns - pool->switched_ns >= pool->rule.rotate.every_ns;
    case ROTATE_NEVER:
        break;
    }
    return false;
}

/* Keeps the period's phase: a late take must not shift all later ones. */
static void note_switch(struct pool *pool, uint64_t now_ns)
{
    uint64_t every_ns = pool->rule.rotate.every_ns;
    bool periodic = pool->rule.rotate.kind == ROTATE_EVERY && every_ns > 0;
    pool->uses = 0;
    if (periodic && pool->started) {
        pool->switched_ns += (now_ns - pool->switched_ns) / every_ns * every_ns;
    } else {
        pool->switched_ns = now_ns;
    }
}

/* The old one lives on where it is held. */
static void place(struct pool *pool, size_t index, struct credential *made)
{
    credential_complete(made, pool->items[index]);
    credential_release(pool->items[index]);
    pool->items[index] = made;
}

/* What was made for a place that has another occupant by now (retired, or changed on disk) has no
 * use: that one's turn comes when it is stale itself. */
static void place_renewed(struct pool *pool)
{
    struct renewal *renewal = &pool->supply.renewal;
    for (size_t i = 0; i < renewal->n_made; i++) {
        if (pool->items[renewal->index[i]] == renewal->old[i]) {
            place(pool, renewal->index[i], renewal->made[i]);
            renewal->made[i] = NULL;
        }
    }
    renewal_end(renewal);
}

/* Orders what will soon be due and is stale: one order is under way at a time. */
static void order_renewals(struct pool *pool, int64_t now_s)
{
    struct renewal *renewal = &pool->supply.renewal;
    size_t scan = pool->n_items < RENEWAL_SCAN ? pool->n_items : RENEWAL_SCAN;
    size_t ahead = (pool->index + SUPPLY_RENEWAL_MAX) % pool->n_items;
    if (!credential_is_stale(pool->items[pool->index], now_s) &&
        (pool->rule.pick != PICK_SEQUENTIAL || pool->rule.rotate.kind == ROTATE_NEVER ||
         !credential_is_stale(pool->items[ahead], now_s))) {
        return;
    }
    scan = pool->rule.rotate.kind == ROTATE_NEVER ? 1 : scan;
    for (size_t i = 0; i < scan && renewal->n < SUPPLY_RENEWAL_MAX; i++) {
        size_t at = (pool->index + i) % pool->n_items;
        if (credential_is_stale(pool->items[at], now_s)) {
            pool->items[at]->refs++;
            renewal->index[renewal->n] = at;
            renewal->old[renewal->n++] = pool->items[at];
        }
    }
    renewal->now_s = now_s;
    supply_ask(&pool->supply);
}

static void renew(struct pool *pool, int64_t now_s)
{
    int state = atomic_load_explicit(&pool->supply.renewal.state, memory_order_acquire);
    if (state == RENEWAL_MADE) {
        place_renewed(pool);
    }
    if (state != RENEWAL_ASKED) {
        order_renewals(pool, now_s);
    }
}

/* Places what changed on disk; connections that hold the old ones keep them. */
static void adopt(struct pool *pool)
{
    if (pool->swap == NULL) {
        pool->swap = supply_take_swap(&pool->supply);
    }
    struct swap *swap = pool->swap;
    for (size_t i = 0; swap != NULL && i < ADOPT_MAX && swap->next < swap->n; i++) {
        const struct swap_item *item = &swap->items[swap->next++];
        place(pool, item->index, item->made);
    }
    if (swap != NULL && swap->next == swap->n) {
        free(swap);
        pool->swap = NULL;
    }
}

/* The next credential of the batch that is still good; those that went stale unused are lost. */
static struct credential *next_fresh(struct pool *pool, int64_t now_s)
{
    for (;;) {
        if (pool->batch == NULL || pool->batch->next == pool->batch->n) {
            free(pool->batch);
            pool->batch = supply_take(&pool->supply);
            if (pool->batch == NULL) {
                return NULL;
            }
        }
        struct credential *credential = pool->batch->items[pool->batch->next++];
        if (!credential_is_stale(credential, now_s)) {
            return credential;
        }
        credential_release(credential);
    }
}

static bool is_retired(const struct pool *pool, size_t index)
{
    return pool->rule.retire_after != 0 &&
           *credential_uses(pool->items[index]) >= pool->rule.retire_after;
}

/* Whether the place has one that may be given: a retired one is replaced first, for good. */
static bool is_open(struct pool *pool, size_t index, int64_t now_s)
{
    if (!is_retired(pool, index)) {
        return true;
    }
    struct credential *fresh = next_fresh(pool, now_s);
    if (fresh == NULL) {
        return false;
    }
    credential_release(pool->items[index]);
    pool->items[index] = fresh;
    return true;
}

/* Turns `index` to the place that is due, or from one that is retired to the next that is not;
 * false when there is none, or none near: the next take looks on from there. */
static bool choose(struct pool *pool, bool due, int64_t now_s)
{
    if (due && !pool->chosen) {
        if (pool->rule.pick == PICK_RANDOM) {
            pool->index = rng_below(&pool->rng, pool->n_items);
        } else if (pool->rule.pick == PICK_ZIPF) {
            pool->index = zipf_draw(&pool->zipf, &pool->rng) - 1;
        } else if (pool->started) {
            pool->index = (pool->index + 1) % pool->n_items;
        }
        pool->chosen = true;
    }
    size_t scan = pool->n_items < RETIRED_SCAN ? pool->n_items : RETIRED_SCAN;
    for (size_t i = 0; i < scan; i++) {
        if (is_open(pool, pool->index, now_s)) {
            return true;
        }
        pool->index = (pool->index + 1) % pool->n_items;
    }
    return false;
}

static struct credential *take_finite(struct pool *pool, bool due, int64_t now_s)
{
    adopt(pool);
    bool resting = pool->held && pool->started && !pool->chosen;
    if (!resting && !choose(pool, due, now_s)) {
        return NULL;
    }
    if (pool->rule.renewable) {
        renew(pool, now_s);
    }
    if (credential_is_dead(pool->items[pool->index], now_s)) {
        return NULL;
    }
    pool->chosen = false;
    if (!pool->held) {
        ++*credential_uses(pool->items[pool->index]);
    }
    return pool->items[pool->index];
}

static struct credential *take_fresh(struct pool *pool, bool due, int64_t now_s)
{
    if (!due && !credential_is_stale(pool->current, now_s)) {
        return pool->current;
    }
    struct credential *next = next_fresh(pool, now_s);
    if (next != NULL) {
        credential_release(pool->current);
        pool->current = next;
        return next;
    }
    return due || credential_is_dead(pool->current, now_s) ? NULL : pool->current;
}

struct credential *pool_take(struct pool *pool, uint64_t now_ns, int64_t now_s, bool *ret_first_use)
{
    bool due = is_due(pool, now_ns);
    struct credential *credential = pool->rule.pick == PICK_FRESH ? take_fresh(pool, due, now_s)
                                                                  : take_finite(pool, due, now_s);
    if (credential == NULL) {
        return NULL;
    }
    if (due) {
        note_switch(pool, now_ns);
    }
    pool->started = true;
    pool->uses += pool->held ? 0 : 1;
    pool->n_taken++;
    credential->refs++;
    *ret_first_use = credential_claim(credential);
    return credential;
}

void pool_drop(struct pool *pool, struct credential *credential)
{
    BUG_ON(pool->n_taken == 0);
    pool->n_taken--;
    credential_release(credential);
}

void pool_hold(struct pool *pool, bool held)
{
    pool->held = held;
}

bool pool_per_connection(const struct pool *pool)
{
    return pool->rule.rotate.kind == ROTATE_CONNECTION || pool->rule.dialled;
}

enum credential_kind pool_kind(const struct pool *pool)
{
    return pool->rule.kind;
}
