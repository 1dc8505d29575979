#include "ident/mint.h"

#include "ident/pool_make.h"
#include "ident/source.h"
#include "ident/supply.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define FILL_THREADS_MAX 64
#define PROGRESS_NS      (100 * NS_PER_MS)
/* A batch is cut off then, so that no other pool waits long. */
#define SLICE_NS (10 * NS_PER_MS)
#define FAST_NS  (20 * NS_PER_MS) /* a batch used up in less was too small */
#define IDLE_MS  1000

/* The mint thread's view of one worker's pool of one kind. */
struct outlet {
    struct pool *pool;
    size_t batch_size;
    uint64_t filled_ns;
};

struct mint {
    struct source *sources[CREDENTIAL_KINDS];
    uint64_t next_n[CREDENTIAL_KINDS];   /* of the never-repeating sets */
    atomic_bool *used[CREDENTIAL_KINDS]; /* of credentials that several workers share */
    struct outlet *outlets;              /* [worker * CREDENTIAL_KINDS + kind]; no pool: NULL */
    unsigned n_workers;
    int wake_fd;
    atomic_bool stop;
    bool running;
    pthread_t thread;
    uint64_t cpu_ns; /* once the thread has ended */
};

/* Fills the finite set of one kind with several threads: each takes the next number. */
struct fill {
    const struct source *source;
    struct credential **made;
    size_t n;
    int64_t now_s;
    atomic_size_t next;
    atomic_size_t n_done;
};

static bool fill_one(struct fill *fill)
{
    size_t i = atomic_fetch_add(&fill->next, 1);
    if (i >= fill->n) {
        return false;
    }
    fill->made[i] = source_make(fill->source, i + 1, fill->now_s);
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

/* The caller's thread works too, and tells the progress; `before` were made before this kind. */
static struct credential **fill_run(const struct source *source, size_t before, size_t total,
                                    void (*progress)(size_t done, size_t total))
{
    struct fill fill = {
        .source = source, .n = source_count(source), .now_s = (int64_t)mono_wall_s()};
    pthread_t threads[FILL_THREADS_MAX];
    size_t n_wanted = fill.n < cores() ? fill.n : cores();
    size_t n_threads = 0;
    uint64_t told_ns = mono_now_ns();
    fill.made = xcalloc(fill.n, sizeof(struct credential *));
    while (n_threads + 1 < n_wanted &&
           pthread_create(&threads[n_threads], NULL, fill_main, &fill) == 0) {
        n_threads++;
    }
    while (fill_one(&fill)) {
        if (progress != NULL && mono_now_ns() - told_ns >= PROGRESS_NS) {
            told_ns = mono_now_ns();
            progress(before + atomic_load(&fill.n_done), total);
        }
    }
    for (size_t i = 0; i < n_threads; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    return fill.made;
}

static struct outlet *outlet_of(struct mint *mint, unsigned worker, enum credential_kind kind)
{
    return &mint->outlets[(size_t)worker * CREDENTIAL_KINDS + kind];
}

/* Splits what was made over the workers: place i goes to worker i mod n; with fewer credentials
 * than workers, those left over share one with an earlier worker. */
static void split(struct mint *mint, enum credential_kind kind, struct credential **made, size_t n)
{
    struct pool_rule rule = source_rule(mint->sources[kind]);
    if (n < mint->n_workers) {
        mint->used[kind] = xcalloc(n, sizeof(atomic_bool));
    }
    for (unsigned worker = 0; worker < mint->n_workers; worker++) {
        size_t share = n / mint->n_workers + (worker < n % mint->n_workers ? 1 : 0);
        struct credential **items = xcalloc(share > 0 ? share : 1, sizeof(struct credential *));
        for (size_t i = 0; i < share; i++) {
            items[i] = made[i * mint->n_workers + worker];
        }
        if (share == 0) {
            items[share++] = credential_share(made[worker % n], &mint->used[kind][worker % n]);
        }
        rule.worker = worker;
        outlet_of(mint, worker, kind)->pool = pool_new(&rule, items, share, mint->wake_fd);
    }
}

/* Mints ahead into an empty mailbox. */
static void fill_mailbox(struct mint *mint, struct outlet *outlet, enum credential_kind kind)
{
    struct supply *supply = pool_supply(outlet->pool);
    uint64_t start_ns = mono_now_ns();
    int64_t now_s = (int64_t)mono_wall_s();
    if (source_is_cheap(mint->sources[kind]) && outlet->filled_ns != 0 &&
        start_ns - outlet->filled_ns < FAST_NS && outlet->batch_size < SUPPLY_BATCH_MAX) {
        outlet->batch_size *= 2;
    }
    struct batch *batch = xmalloc(sizeof *batch + outlet->batch_size * sizeof(struct credential *));
    batch->n = 0;
    batch->next = 0;
    do {
        batch->items[batch->n++] = source_make(mint->sources[kind], ++mint->next_n[kind], now_s);
    } while (batch->n < outlet->batch_size && mono_now_ns() - start_ns < SLICE_NS &&
             !atomic_load_explicit(&mint->stop, memory_order_relaxed));
    outlet->filled_ns = mono_now_ns();
    atomic_store_explicit(&supply->mailbox, batch, memory_order_release);
}

/* What no longer fits into the slice is left out: the worker orders it again. */
static void make_renewals(const struct mint *mint, const struct source *source,
                          struct renewal *renewal)
{
    uint64_t start_ns = mono_now_ns();
    size_t n = 0;
    do {
        renewal->made[n] = source_make(source, renewal->number[n], renewal->now_s);
        n++;
    } while (n < renewal->n && mono_now_ns() - start_ns < SLICE_NS &&
             !atomic_load_explicit(&mint->stop, memory_order_relaxed));
    renewal->n = n;
    atomic_store_explicit(&renewal->state, RENEWAL_MADE, memory_order_release);
}

/* One look at every pool; true when there was something to do. */
static bool work_once(struct mint *mint)
{
    bool worked = false;
    for (size_t i = 0; i < (size_t)mint->n_workers * CREDENTIAL_KINDS; i++) {
        struct outlet *outlet = &mint->outlets[i];
        enum credential_kind kind = (enum credential_kind)(i % CREDENTIAL_KINDS);
        if (outlet->pool == NULL || atomic_load(&mint->stop)) {
            continue;
        }
        struct supply *supply = pool_supply(outlet->pool);
        if (atomic_load_explicit(&supply->renewal.state, memory_order_acquire) == RENEWAL_ASKED) {
            make_renewals(mint, mint->sources[kind], &supply->renewal);
            worked = true;
        }
        if (source_count(mint->sources[kind]) == 0 &&
            atomic_load_explicit(&supply->mailbox, memory_order_acquire) == NULL) {
            fill_mailbox(mint, outlet, kind);
            worked = true;
        }
    }
    return worked;
}

static void *mint_main(void *argument)
{
    struct mint *mint = argument;
    struct pollfd wake = {.fd = mint->wake_fd, .events = POLLIN};
    (void)pthread_setname_np(pthread_self(), "tlsoak-mint");
    while (!atomic_load(&mint->stop)) {
        if (work_once(mint)) {
            continue;
        }
        uint64_t unused;
        (void)poll(&wake, 1, IDLE_MS);
        BUG_ON(read(mint->wake_fd, &unused, sizeof unused) < 0 && errno != EAGAIN &&
               errno != EINTR);
    }
    mint->cpu_ns = mono_thread_cpu_ns();
    return NULL;
}

/* Opens what the plan names; false when a section has a mistake. */
static bool open_sources(struct mint *mint, const struct plan *plan, const char *run_id,
                         struct diag *diag)
{
    size_t before = diag_count(diag);
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        mint->sources[kind] = source_new(plan, (enum credential_kind)kind, run_id, diag);
    }
    return diag_count(diag) == before;
}

static void fill_pools(struct mint *mint, void (*progress)(size_t done, size_t total))
{
    size_t total = 0, done = 0;
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        total += mint->sources[kind] != NULL ? source_count(mint->sources[kind]) : 0;
    }
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        struct source *source = mint->sources[kind];
        size_t n = source != NULL ? source_count(source) : 0;
        if (n > 0) {
            struct credential **made = fill_run(source, done, total, progress);
            split(mint, (enum credential_kind)kind, made, n);
            free(made);
            done += n;
        }
        for (unsigned worker = 0; source != NULL && n == 0 && worker < mint->n_workers; worker++) {
            struct outlet *outlet = outlet_of(mint, worker, (enum credential_kind)kind);
            struct pool_rule rule = source_rule(source);
            rule.worker = worker;
            outlet->batch_size = SUPPLY_BATCH_MIN;
            outlet->pool = pool_new(&rule, NULL, 0, mint->wake_fd);
            fill_mailbox(mint, outlet, (enum credential_kind)kind);
        }
    }
    if (progress != NULL && total > 0) {
        progress(total, total);
    }
}

struct mint *mint_new(const struct plan *plan, unsigned n_workers, const char *run_id,
                      void (*progress)(size_t done, size_t total), struct diag *diag)
{
    struct mint *mint = xcalloc(1, sizeof *mint);
    BUG_ON(n_workers == 0);
    mint->n_workers = n_workers;
    mint->outlets = xcalloc((size_t)n_workers * CREDENTIAL_KINDS, sizeof *mint->outlets);
    mint->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mint->wake_fd < 0) {
        diag_add(diag, (struct origin){"eventfd", 0}, "cannot be opened: %s", strerror(errno));
        mint_free(mint);
        return NULL;
    }
    if (!open_sources(mint, plan, run_id, diag)) {
        mint_free(mint);
        return NULL;
    }
    fill_pools(mint, progress);
    return mint;
}

void mint_check(const struct plan *plan, struct diag *diag)
{
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        source_free(source_new(plan, (enum credential_kind)kind, "check", diag));
    }
}

struct pool *mint_pool(struct mint *mint, unsigned worker, enum credential_kind kind)
{
    BUG_ON(worker >= mint->n_workers);
    return outlet_of(mint, worker, kind)->pool;
}

void mint_start(struct mint *mint)
{
    BUG_ON(mint->running);
    atomic_store(&mint->stop, false);
    BUG_ON(pthread_create(&mint->thread, NULL, mint_main, mint) != 0);
    mint->running = true;
}

void mint_stop(struct mint *mint)
{
    if (mint->running) {
        atomic_store(&mint->stop, true);
        supply_wake(mint->wake_fd);
        (void)pthread_join(mint->thread, NULL);
        mint->running = false;
    }
}

void mint_free(struct mint *mint)
{
    if (mint == NULL) {
        return;
    }
    mint_stop(mint);
    for (size_t i = 0; i < (size_t)mint->n_workers * CREDENTIAL_KINDS; i++) {
        pool_free(mint->outlets[i].pool);
    }
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        source_free(mint->sources[kind]);
        free(mint->used[kind]);
    }
    free(mint->outlets);
    if (mint->wake_fd >= 0) {
        (void)close(mint->wake_fd);
    }
    free(mint);
}

uint64_t mint_cpu_ns(const struct mint *mint)
{
    clockid_t clock;
    struct timespec used;
    if (!mint->running) {
        return mint->cpu_ns;
    }
    if (pthread_getcpuclockid(mint->thread, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}
