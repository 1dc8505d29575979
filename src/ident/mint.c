#include "ident/mint.h"

#include "ident/mint_inside.h"
#include "ident/pool_make.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct mint *mint_begin(const struct mint_job *job)
{
    struct mint *mint = xcalloc(1, sizeof *mint);
    BUG_ON(job->n_workers == 0);
    mint->plan = job->plan;
    mint->run_id = xstrdup(job->run_id);
    mint->n_workers = job->n_workers;
    mint->events = events_new();
    for (int kind = 0; kind < HANDS; kind++) {
        mint->hands[kind].mint = mint;
        mint->hands[kind].kind = (enum hand_kind)kind;
        mint->hands[kind].wake_fd = -1;
    }
    return mint;
}

static bool open_wakes(struct mint *mint, struct diag *diag)
{
    for (int kind = 0; kind < HANDS; kind++) {
        mint->hands[kind].wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (mint->hands[kind].wake_fd < 0) {
            diag_add(diag, (struct origin){"eventfd", 0}, "cannot be opened: %s", strerror(errno));
            return false;
        }
    }
    return true;
}

static void share_work(struct mint *mint)
{
    for (int kind = 0; kind < HANDS; kind++) {
        mint->hands[kind].stocks = xcalloc(mint->n_stocks + 1, sizeof(struct stock *));
    }
    for (size_t i = 0; i < mint->n_stocks; i++) {
        struct stock *stock = mint->stocks[i];
        if (stock != NULL) {
            bool fetched = persona_is_fetched(&stock->maker);
            struct hand *hand = &mint->hands[fetched ? HAND_FETCHING : HAND_SIGNING];
            hand->stocks[hand->n_stocks++] = stock;
        }
    }
}

struct mint *mint_new(const struct mint_job *job, struct diag *diag)
{
    struct mint *mint = mint_begin(job);
    if (!open_wakes(mint, diag) || !mint_open(mint, job, false, diag) ||
        !mint_fill(mint, job->progress, diag)) {
        mint_free(mint);
        return NULL;
    }
    share_work(mint);
    return mint;
}

void mint_check(const struct plan *plan, struct diag *diag)
{
    const struct mint_job job = {.plan = plan, .n_workers = 1, .run_id = "check"};
    struct mint *mint = mint_begin(&job);
    (void)!mint_open(mint, &job, true, diag);
    mint_free(mint);
}

static struct pool *pool_of(const struct mint *mint, size_t stock, unsigned worker)
{
    BUG_ON(worker >= mint->n_workers);
    return mint->stocks[stock] != NULL ? mint->stocks[stock]->outlets[worker].pool : NULL;
}

struct pool *mint_pool(struct mint *mint, unsigned worker, size_t identity,
                       enum credential_kind kind)
{
    BUG_ON(identity >= mint->plan->n_identities);
    return pool_of(mint, identity * CREDENTIAL_KINDS + kind, worker);
}

struct pool *mint_refusals(struct mint *mint, unsigned worker, size_t refuse)
{
    BUG_ON(refuse >= mint->plan->n_refuses);
    return pool_of(mint, mint->plan->n_identities * CREDENTIAL_KINDS + refuse, worker);
}

void mint_start(struct mint *mint)
{
    atomic_store(&mint->stop, false);
    for (int kind = 0; kind < HANDS; kind++) {
        struct hand *hand = &mint->hands[kind];
        BUG_ON(hand->running);
        if (hand->n_stocks > 0) {
            BUG_ON(pthread_create(&hand->thread, NULL, hand_main, hand) != 0);
            hand->running = true;
        }
    }
}

void mint_stop(struct mint *mint)
{
    atomic_store(&mint->stop, true);
    for (int kind = 0; kind < HANDS; kind++) {
        struct hand *hand = &mint->hands[kind];
        if (hand->running) {
            supply_wake(hand->wake_fd);
            (void)pthread_join(hand->thread, NULL);
            hand->running = false;
        }
    }
}

void mint_free(struct mint *mint)
{
    if (mint == NULL) {
        return;
    }
    mint_stop(mint);
    mint_close(mint);
    for (int kind = 0; kind < HANDS; kind++) {
        free(mint->hands[kind].stocks);
        if (mint->hands[kind].wake_fd >= 0) {
            (void)close(mint->hands[kind].wake_fd);
        }
    }
    events_free(mint->events);
    free(mint->run_id);
    free(mint);
}

static uint64_t hand_cpu_ns(const struct hand *hand)
{
    clockid_t clock;
    struct timespec used;
    if (!hand->running) {
        return hand->cpu_ns;
    }
    if (pthread_getcpuclockid(hand->thread, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}

const char *mint_run_id(const struct mint *mint)
{
    return mint->run_id;
}

uint64_t mint_cpu_ns(const struct mint *mint)
{
    return hand_cpu_ns(&mint->hands[HAND_SIGNING]) + hand_cpu_ns(&mint->hands[HAND_FETCHING]);
}

struct mint_event *mint_events(struct mint *mint)
{
    return events_take(mint->events);
}
