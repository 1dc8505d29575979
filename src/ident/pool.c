#include "ident/pool.h"

#include "ident/crypt.h"
#include "ident/cert_parts.h"
#include "ident/pool_make.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

#define RENEWAL_SCAN 256 /* places ahead that one order looks at */

/* A credential as it is allocated; the rest of the tool sees the front. */
struct holder {
    struct credential front;
    enum credential_kind kind;
    int64_t renew_at_s; /* from then on it is stale; 0: never */
    atomic_bool *used;  /* of several workers' copies; NULL: front.used alone tells */
};

struct pool {
    struct pool_rule rule;
    struct rng rng;
    struct credential **items; /* the worker's share of a finite set */
    size_t n_items;
    size_t index;               /* of the current one */
    bool chosen;                /* `index` is the next one, which could not be given yet */
    struct batch *batch;        /* never-repeating: what is left of the last batch */
    struct credential *current; /* never-repeating: given last, and held */
    bool started;               /* something was given */
    bool held;
    uint64_t uses;        /* of the current one under the rule */
    uint64_t switched_ns; /* when the current one became due */
    uint64_t n_taken;     /* takes that were not dropped yet */
    struct supply supply;
};

struct credential *credential_new(enum credential_kind kind, uint64_t n)
{
    struct holder *holder = xcalloc(1, sizeof *holder);
    holder->kind = kind;
    holder->front.n = n;
    holder->front.refs = 1;
    return &holder->front;
}

void credential_set_life(struct credential *credential, int64_t not_after_s, int64_t now_s,
                         int64_t renew_before_s)
{
    int64_t life_s = not_after_s - now_s;
    int64_t before_s = renew_before_s < life_s / 2 ? renew_before_s : life_s / 2;
    credential->not_after_s = not_after_s;
    ((struct holder *)credential)->renew_at_s = not_after_s != 0 ? not_after_s - before_s : 0;
}

struct credential *credential_share(struct credential *credential, atomic_bool *used)
{
    struct holder *original = (struct holder *)credential;
    struct credential *copy = credential_new(original->kind, credential->n);
    original->used = used;
    ((struct holder *)copy)->used = used;
    copy->cert = credential->cert != NULL ? cert_copy(credential->cert) : NULL;
    if (credential->text != NULL) {
        copy->text = xstrdup(credential->text);
        copy->text_len = credential->text_len;
    }
    copy->not_after_s = credential->not_after_s;
    ((struct holder *)copy)->renew_at_s = original->renew_at_s;
    return copy;
}

void credential_free(struct credential *credential)
{
    if (credential == NULL) {
        return;
    }
    cert_free(credential->cert);
    crypt_wipe(credential->text, credential->text_len);
    free(credential->text);
    free((struct holder *)credential);
}

struct pool *pool_new(const struct pool_rule *rule, struct credential **items, size_t n_items,
                      int wake_fd)
{
    struct pool *pool = xcalloc(1, sizeof *pool);
    BUG_ON((rule->pick == PICK_FRESH) != (n_items == 0));
    pool->rule = *rule;
    pool->items = items;
    pool->n_items = n_items;
    pool->supply.wake_fd = wake_fd;
    rng_init(&pool->rng, rule->seed, "pool",
             (uint64_t)rule->worker * CREDENTIAL_KINDS + rule->kind);
    return pool;
}

struct supply *pool_supply(struct pool *pool)
{
    return &pool->supply;
}

static void batch_free(struct batch *batch)
{
    for (size_t i = batch != NULL ? batch->next : 0; batch != NULL && i < batch->n; i++) {
        credential_free(batch->items[i]);
    }
    free(batch);
}

void pool_free(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    BUG_ON(pool->n_taken != 0);
    for (size_t i = 0; i < pool->n_items; i++) {
        credential_free(pool->items[i]);
    }
    free(pool->items);
    credential_free(pool->current);
    batch_free(pool->batch);
    batch_free(atomic_load(&pool->supply.mailbox));
    struct renewal *renewal = &pool->supply.renewal;
    for (size_t i = 0; i < renewal->n && atomic_load(&renewal->state) == RENEWAL_MADE; i++) {
        credential_free(renewal->made[i]);
    }
    free(pool);
}

/* Gives one reference back; the last one frees. */
static void release(struct credential *credential)
{
    BUG_ON(credential->refs == 0);
    if (--credential->refs == 0) {
        credential_free(credential);
    }
}

static bool is_stale(const struct credential *credential, int64_t now_s)
{
    int64_t renew_at_s = ((const struct holder *)credential)->renew_at_s;
    return renew_at_s != 0 && renew_at_s <= now_s;
}

static bool is_expired(const struct credential *credential, int64_t now_s)
{
    return credential->not_after_s != 0 && credential->not_after_s <= now_s;
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

/* Puts renewed credentials in the places of the old ones, which live on where they are held. */
static void place_renewed(struct pool *pool)
{
    struct renewal *renewal = &pool->supply.renewal;
    for (size_t i = 0; i < renewal->n; i++) {
        struct credential **place = &pool->items[renewal->index[i]];
        release(*place);
        *place = renewal->made[i];
    }
    renewal->n = 0;
    atomic_store_explicit(&renewal->state, RENEWAL_IDLE, memory_order_relaxed);
}

/* Orders what will soon be due and is stale: one order is under way at a time. */
static void order_renewals(struct pool *pool, int64_t now_s)
{
    struct renewal *renewal = &pool->supply.renewal;
    size_t scan = pool->n_items < RENEWAL_SCAN ? pool->n_items : RENEWAL_SCAN;
    size_t ahead = (pool->index + SUPPLY_RENEWAL_MAX) % pool->n_items;
    if (!is_stale(pool->items[pool->index], now_s) &&
        (pool->rule.pick != PICK_SEQUENTIAL || pool->rule.rotate.kind == ROTATE_NEVER ||
         !is_stale(pool->items[ahead], now_s))) {
        return;
    }
    scan = pool->rule.rotate.kind == ROTATE_NEVER ? 1 : scan;
    renewal->n = 0;
    renewal->now_s = now_s;
    for (size_t i = 0; i < scan && renewal->n < SUPPLY_RENEWAL_MAX; i++) {
        size_t at = (pool->index + i) % pool->n_items;
        if (is_stale(pool->items[at], now_s)) {
            renewal->index[renewal->n] = at;
            renewal->number[renewal->n++] = pool->items[at]->n;
        }
    }
    supply_ask(&pool->supply);
}

static struct credential *take_finite(struct pool *pool, bool due, int64_t now_s)
{
    if (due && !pool->chosen) {
        if (pool->rule.pick == PICK_RANDOM) {
            pool->index = rng_below(&pool->rng, pool->n_items);
        } else if (pool->started) {
            pool->index = (pool->index + 1) % pool->n_items;
        }
        pool->chosen = true;
    }
    if (pool->rule.renewable) {
        struct renewal *renewal = &pool->supply.renewal;
        int state = atomic_load_explicit(&renewal->state, memory_order_acquire);
        if (state == RENEWAL_MADE) {
            place_renewed(pool);
        }
        if (state != RENEWAL_ASKED) {
            order_renewals(pool, now_s);
        }
        if (is_expired(pool->items[pool->index], now_s)) {
            return NULL;
        }
    }
    pool->chosen = false;
    return pool->items[pool->index];
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
        if (!is_stale(credential, now_s)) {
            return credential;
        }
        credential_free(credential);
    }
}

static struct credential *take_fresh(struct pool *pool, bool due, int64_t now_s)
{
    if (!due && !is_stale(pool->current, now_s)) {
        return pool->current;
    }
    struct credential *next = next_fresh(pool, now_s);
    if (next != NULL) {
        if (pool->current != NULL) {
            release(pool->current);
        }
        pool->current = next;
        return next;
    }
    return due || is_expired(pool->current, now_s) ? NULL : pool->current;
}

static bool is_first_use(struct credential *credential)
{
    struct holder *holder = (struct holder *)credential;
    if (credential->used) {
        return false;
    }
    credential->used = true;
    return holder->used == NULL ||
           !atomic_exchange_explicit(holder->used, true, memory_order_relaxed);
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
    *ret_first_use = is_first_use(credential);
    return credential;
}

void pool_drop(struct pool *pool, struct credential *credential)
{
    BUG_ON(pool->n_taken == 0);
    pool->n_taken--;
    release(credential);
}

void pool_hold(struct pool *pool, bool held)
{
    pool->held = held;
}

bool pool_per_connection(const struct pool *pool)
{
    return pool->rule.rotate.kind == ROTATE_CONNECTION;
}

enum credential_kind pool_kind(const struct pool *pool)
{
    return pool->rule.kind;
}
