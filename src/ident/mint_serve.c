#include "ident/mint_inside.h"

#include "ident/credential.h"
#include "ident/pool_make.h"

#include "base/mem.h"
#include "base/mono.h"

#include <stdlib.h>
#include <string.h>

#define FAST_NS     (20 * NS_PER_MS) /* a batch used up in less was too small */
#define PAUSE_MIN   (100 * NS_PER_MS)
#define PAUSE_MAX   (10 * NS_PER_S)
#define PAUSE_SOME  NS_PER_S /* where only some were refused */
#define FAILED_MAX  2        /* renewals in a row, before any was made */
#define CHANGED_MAX 256      /* credentials that changed on disk, made at a time */

/* Whether a slice that began at start_ns may go on. */
static bool has_time(const struct mint *mint, uint64_t start_ns)
{
    return mono_now_ns() - start_ns < MINT_SLICE_NS &&
           !atomic_load_explicit(&mint->stop, memory_order_relaxed);
}

struct credential *stock_fresh(struct stock *stock, int64_t now_s, char error[SOURCE_ERROR])
{
    struct persona_numbers numbers = {{0}};
    if (stock->maker.refuse == NULL) {
        return persona_make(&stock->maker, atomic_fetch_add(&stock->last_n, 1) + 1, now_s, error);
    }
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        struct stock *from = stock->numbers[kind];
        for (int earlier = 0; earlier < kind && from != NULL; earlier++) {
            if (stock->numbers[earlier] == from) {
                numbers.of[kind] = numbers.of[earlier];
            }
        }
        if (from != NULL && numbers.of[kind] == 0) {
            numbers.of[kind] = atomic_fetch_add(&from->last_n, 1) + 1;
        }
    }
    return persona_make_bad(&stock->maker, &numbers, now_s, error);
}

bool stock_fill_mailbox(const struct mint *mint, struct stock *stock, struct outlet *outlet,
                        char error[SOURCE_ERROR])
{
    uint64_t start_ns = mono_now_ns();
    if (outlet->filled_ns != 0 && start_ns - outlet->filled_ns < FAST_NS &&
        outlet->batch_size < stock->batch_max) {
        outlet->batch_size *= 2;
    }
    struct batch *batch = xmalloc(sizeof *batch + outlet->batch_size * sizeof(struct credential *));
    batch->n = 0;
    batch->next = 0;
    do {
        struct credential *made = stock_fresh(stock, (int64_t)mono_wall_s(), error);
        if (made == NULL) {
            break;
        }
        batch->items[batch->n++] = made;
    } while (batch->n < outlet->batch_size && has_time(mint, start_ns));
    if (batch->n == 0) {
        free(batch);
        return false;
    }
    outlet->filled_ns = mono_now_ns();
    atomic_store_explicit(&pool_supply(outlet->pool)->mailbox, batch, memory_order_release);
    return true;
}

/* Behind all others that were asked for. */
static void put_last(struct renewal *renewal, size_t i)
{
    const struct credential *old = renewal->old[i];
    size_t index = renewal->index[i], n_behind = renewal->n - i - 1;
    memmove(&renewal->old[i], &renewal->old[i + 1], n_behind * sizeof renewal->old[0]);
    memmove(&renewal->index[i], &renewal->index[i + 1], n_behind * sizeof renewal->index[0]);
    renewal->old[renewal->n - 1] = old;
    renewal->index[renewal->n - 1] = index;
}

/* What no longer fits into the slice is left out: the worker orders it again.  A client that an
 * endpoint refuses holds up no other; an endpoint that refuses all is not asked for all. */
static bool make_renewals(const struct mint *mint, const struct stock *stock,
                          struct renewal *renewal, bool *ret_failed, char error[SOURCE_ERROR])
{
    uint64_t start_ns = mono_now_ns();
    bool fetched = persona_is_fetched(&stock->maker);
    size_t n = 0, n_failed = 0;
    do {
        /* The worker's clock said what is stale; an endpoint's lives begin when it is asked. */
        int64_t now_s = fetched ? (int64_t)mono_wall_s() : renewal->now_s;
        now_s = now_s < renewal->now_s ? renewal->now_s : now_s;
        renewal->made[n] = persona_renew(&stock->maker, renewal->old[n], now_s, error);
        if (renewal->made[n] == NULL) {
            put_last(renewal, n);
            n_failed++;
        } else {
            n++;
        }
    } while (n + n_failed < renewal->n && (n > 0 || n_failed < FAILED_MAX) &&
             has_time(mint, start_ns));
    *ret_failed = n_failed > 0;
    if (n == 0) {
        return false;
    }
    renewal->n_made = n;
    atomic_store_explicit(&renewal->state, RENEWAL_MADE, memory_order_release);
    return true;
}

static void add_swap(struct swap **swap, size_t room, size_t index, struct credential *made)
{
    if (*swap == NULL) {
        *swap = xmalloc(sizeof **swap + room * sizeof(*swap)->items[0]);
        (*swap)->n = 0;
        (*swap)->next = 0;
    }
    (*swap)->items[(*swap)->n++] = (struct swap_item){index, made};
}

/* Gives number n of a finite set to the workers that have it, as it was split. */
static void hand_out(const struct mint *mint, const struct stock *stock, struct swap **swaps,
                     size_t room, uint64_t n, struct credential *made)
{
    size_t at = n - 1;
    if (stock->count >= mint->n_workers) {
        add_swap(&swaps[at % mint->n_workers], room, at / mint->n_workers, made);
        return;
    }
    for (size_t worker = at + stock->count; worker < mint->n_workers; worker += stock->count) {
        add_swap(&swaps[worker], room, 0, credential_share(made));
    }
    add_swap(&swaps[at], room, 0, made);
}

/* Makes the next of what changed on disk. */
static bool replace_changed(const struct mint *mint, struct stock *stock, enum credential_kind kind,
                            char error[SOURCE_ERROR])
{
    const uint64_t *numbers;
    uint64_t start_ns = mono_now_ns();
    size_t n = source_files_changed(stock->files[kind], &numbers), done = 0;
    n = n < CHANGED_MAX ? n : CHANGED_MAX;
    CLEANUP_FREE struct swap **swaps = xcalloc(mint->n_workers, sizeof(struct swap *));
    while (done < n && (done == 0 || has_time(mint, start_ns))) {
        struct credential *made =
            persona_replace(&stock->maker, kind, numbers[done], (int64_t)mono_wall_s(), error);
        if (made == NULL) {
            break;
        }
        hand_out(mint, stock, swaps, n, numbers[done], made);
        done++;
    }
    for (unsigned worker = 0; worker < mint->n_workers; worker++) {
        if (swaps[worker] != NULL) {
            supply_put_swap(pool_supply(stock->outlets[worker].pool), swaps[worker]);
        }
    }
    source_files_done(stock->files[kind], done);
    return done > 0;
}

/* The endpoint is left alone for a while, and longer each time that it gives nothing. */
static void note_failure(const struct mint *mint, struct stock *stock, bool worked,
                         const char *error)
{
    stock->pause_ns = worked ? PAUSE_SOME : stock->pause_ns == 0 ? PAUSE_MIN : 2 * stock->pause_ns;
    stock->pause_ns = stock->pause_ns > PAUSE_MAX ? PAUSE_MAX : stock->pause_ns;
    stock->retry_ns = mono_now_ns() + stock->pause_ns;
    events_add(mint->events, EVENT_FETCH, "%s; tried again in %g s", error,
               (double)stock->pause_ns / (double)NS_PER_S);
}

/* Serves one pool; *ret_failed: something could not be made, with a reason. */
static bool serve_outlet(const struct mint *mint, struct stock *stock, struct outlet *outlet,
                         bool *ret_failed, char error[SOURCE_ERROR])
{
    struct supply *supply = pool_supply(outlet->pool);
    bool worked = false;
    if (atomic_load_explicit(&supply->renewal.state, memory_order_acquire) == RENEWAL_ASKED) {
        worked = make_renewals(mint, stock, &supply->renewal, ret_failed, error);
    }
    if (!*ret_failed && stock->batched &&
        atomic_load_explicit(&supply->mailbox, memory_order_acquire) == NULL) {
        bool filled = stock_fill_mailbox(mint, stock, outlet, error);
        worked = worked || filled;
        *ret_failed = !filled;
    }
    return worked;
}

bool stock_serve(const struct mint *mint, struct stock *stock)
{
    char error[SOURCE_ERROR] = "";
    const uint64_t *unused;
    bool worked = false, failed = false;
    if (stock->retry_ns != 0 && mono_now_ns() < stock->retry_ns) {
        return false;
    }
    for (int kind = 0; kind < CREDENTIAL_PARTS && !failed; kind++) {
        if (stock->files[kind] != NULL && source_files_changed(stock->files[kind], &unused) > 0) {
            bool replaced = replace_changed(mint, stock, (enum credential_kind)kind, error);
            worked = worked || replaced;
            failed = !replaced;
        }
    }
    bool goes_on = !failed;
    for (unsigned worker = 0; worker < mint->n_workers && goes_on && !atomic_load(&mint->stop);
         worker++) {
        bool lacks = false;
        worked = serve_outlet(mint, stock, &stock->outlets[worker], &lacks, error) || worked;
        failed = failed || lacks;
    }
    if (failed) {
        note_failure(mint, stock, worked, error);
    } else if (worked) {
        stock->pause_ns = 0;
        stock->retry_ns = 0;
    }
    return worked;
}
