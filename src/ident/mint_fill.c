#include "ident/mint_inside.h"

#include "ident/credential.h"
#include "ident/pool_make.h"
#include "ident/source_inside.h"

#include "base/mem.h"
#include "base/mono.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILL_THREADS_MAX 64
#define PROGRESS_NS      (100 * NS_PER_MS)

/* Fills one finite set with several threads: each takes the next number. */
struct fill {
    const struct stock *stock;
    struct credential **made;
    int64_t now_s;
    atomic_size_t next;
    atomic_size_t n_done;
    atomic_bool failed;
    char error[SOURCE_ERROR]; /* of whoever set `failed` */
};

/* What all finite sets together have come to. */
struct progress {
    void (*tell)(size_t done, size_t total);
    size_t before, total;
};

static bool fill_one(struct fill *fill)
{
    char error[SOURCE_ERROR];
    size_t i = atomic_fetch_add(&fill->next, 1);
    if (i >= fill->stock->count || atomic_load(&fill->failed)) {
        return false;
    }
    /* An endpoint is asked one by one, so the time moves on. */
    int64_t now_s = persona_is_fetched(&fill->stock->maker) ? (int64_t)mono_wall_s() : fill->now_s;
    fill->made[i] = persona_make(&fill->stock->maker, i + 1, now_s, error);
    if (fill->made[i] == NULL) {
        if (!atomic_exchange(&fill->failed, true)) {
            memcpy(fill->error, error, sizeof error);
        }
        return false;
    }
    atomic_fetch_add(&fill->n_done, 1);
    return true;
}

static void *fill_main(void *argument)
{
    while (fill_one(argument)) {
    }
    return NULL;
}

static size_t cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > FILL_THREADS_MAX ? FILL_THREADS_MAX : (size_t)n;
}

/* The caller's thread works too, and tells the progress. */
static void fill_run(struct fill *fill, const struct progress *progress)
{
    pthread_t threads[FILL_THREADS_MAX];
    size_t most = persona_is_fetched(&fill->stock->maker) ? 1 : cores();
    size_t n_wanted = fill->stock->count < most ? fill->stock->count : most;
    size_t n_threads = 0;
    uint64_t told_ns = mono_now_ns();
    while (n_threads + 1 < n_wanted &&
           pthread_create(&threads[n_threads], NULL, fill_main, fill) == 0) {
        n_threads++;
    }
    while (fill_one(fill)) {
        if (progress->tell != NULL && mono_now_ns() - told_ns >= PROGRESS_NS) {
            told_ns = mono_now_ns();
            progress->tell(progress->before + atomic_load(&fill->n_done), progress->total);
        }
    }
    for (size_t i = 0; i < n_threads; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

/* A failure to make, as a mistake of the plan. */
static void blame(const struct stock *stock, const char *error, struct diag *diag)
{
    const struct source *token = stock->maker.part[CREDENTIAL_JWT];
    const struct plan_jwt *section = token->jwt;
    if (source_is_fetched(token)) {
        diag_add(diag, plan_origin(token->plan, &section->token_url), "jwt.token_url: %s", error);
    } else {
        diag_add(diag, section->origin, "jwt: %s", error);
    }
}

static struct pool *make_pool(const struct mint *mint, const struct stock *stock, unsigned worker,
                              struct credential **items, size_t n)
{
    const struct persona_maker *maker = &stock->maker;
    struct pool_rule rule = source_rule(persona_lead(maker));
    if (maker->refuse != NULL) {
        rule = (struct pool_rule){.rotate = {.kind = ROTATE_USES, .uses = 1}, .pick = PICK_FRESH};
    }
    rule.kind = maker->kind;
    rule.dialled = maker->part[CREDENTIAL_CERT] != NULL;
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        rule.renewable =
            rule.renewable || (kind != CREDENTIAL_APIKEY && maker->part[kind] != NULL &&
                               !source_is_loaded(maker->part[kind]));
    }
    rule.seed = mint->plan->run.seed;
    rule.stream = (uint64_t)stock->index << 32 | worker;
    const struct hand *hand =
        &mint->hands[persona_is_fetched(maker) ? HAND_FETCHING : HAND_SIGNING];
    return pool_new(&rule, items, n, hand->wake_fd);
}

/* Splits what was made over the workers: place i goes to worker i mod n; with fewer credentials
 * than workers, those left over share one with an earlier worker. */
static void split(const struct mint *mint, struct stock *stock, struct credential **made)
{
    size_t n = stock->count;
    for (unsigned worker = 0; worker < mint->n_workers; worker++) {
        size_t share = n / mint->n_workers + (worker < n % mint->n_workers ? 1 : 0);
        struct credential **items = xcalloc(share > 0 ? share : 1, sizeof(struct credential *));
        for (size_t i = 0; i < share; i++) {
            items[i] = made[i * mint->n_workers + worker];
        }
        if (share == 0) {
            items[share++] = credential_share(made[worker % n]);
        }
        stock->outlets[worker].pool = make_pool(mint, stock, worker, items, share);
    }
}

static bool fill_finite(const struct mint *mint, struct stock *stock, struct progress *progress,
                        struct diag *diag)
{
    struct fill fill = {.stock = stock, .now_s = (int64_t)mono_wall_s()};
    fill.made = xcalloc(stock->count, sizeof(struct credential *));
    fill_run(&fill, progress);
    bool good = !atomic_load(&fill.failed);
    if (good) {
        split(mint, stock, fill.made);
    } else {
        blame(stock, fill.error, diag);
    }
    for (size_t i = 0; i < stock->count && !good; i++) {
        credential_release(fill.made[i]);
    }
    free(fill.made);
    progress->before += stock->count;
    return good;
}

static bool fill_batches(const struct mint *mint, struct stock *stock, struct diag *diag)
{
    char error[SOURCE_ERROR];
    for (unsigned worker = 0; worker < mint->n_workers; worker++) {
        struct outlet *outlet = &stock->outlets[worker];
        if (outlet->pool == NULL) {
            outlet->pool = make_pool(mint, stock, worker, NULL, 0);
        }
        outlet->batch_size = stock->batch_min;
        if (!stock_fill_mailbox(mint, stock, outlet, error)) {
            blame(stock, error, diag);
            return false;
        }
    }
    return true;
}

bool mint_fill(struct mint *mint, void (*progress)(size_t done, size_t total), struct diag *diag)
{
    struct progress told = {.tell = progress};
    for (size_t i = 0; i < mint->n_stocks; i++) {
        told.total += mint->stocks[i] != NULL ? mint->stocks[i]->count : 0;
    }
    for (size_t i = 0; i < mint->n_stocks; i++) {
        struct stock *stock = mint->stocks[i];
        if (stock == NULL) {
            continue;
        }
        if ((stock->count > 0 && !fill_finite(mint, stock, &told, diag)) ||
            (stock->batched && !fill_batches(mint, stock, diag))) {
            return false;
        }
    }
    if (progress != NULL && told.total > 0) {
        progress(told.total, told.total);
    }
    return true;
}
