/* The inside of a mint, shared by mint.c (its life), mint_open.c (what the plan says), mint_fill.c
 * (before the start), mint_serve.c and mint_hand.c (during the run).  A stock is one set of
 * credentials with one rule, split over the workers' pools; a hand is a thread that makes for some
 * of the stocks: one signs, the other fetches, since that blocks.  Private to ident.
 *
 * Invariants: each stock belongs to one hand, which alone makes for it once the hands run. */
#ifndef IDENT_MINT_INSIDE_H
#define IDENT_MINT_INSIDE_H

#include "ident/mint.h"
#include "ident/mint_events.h"
#include "ident/persona.h"
#include "ident/source_files.h"
#include "ident/supply.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A batch is cut off then, so that no other pool waits long. */
#define MINT_SLICE_NS (10 * NS_PER_MS)

enum hand_kind { HAND_SIGNING, HAND_FETCHING, HANDS };

/* The making thread's view of one worker's pool. */
struct outlet {
    struct pool *pool;
    size_t batch_size;
    uint64_t filled_ns;
};

struct stock {
    struct persona_maker maker;
    size_t index;            /* in mint->stocks */
    size_t count;            /* 0: never-repeating */
    _Atomic uint64_t last_n; /* numbers up to this are given away */
    bool batched;            /* its pools have a mailbox for fresh ones */
    size_t batch_min, batch_max;
    struct outlet *outlets; /* one for each worker */
    /* Of a refusal, by part: the set whose numbers it continues, so that its keys and certificates
     * are never those of a good client. */
    struct stock *numbers[CREDENTIAL_PARTS];
    /* Of the sources that come from files, but for those of a refusal. */
    struct source_files *files[CREDENTIAL_PARTS];
    uint64_t look_ns[CREDENTIAL_PARTS]; /* when to look again */
    uint64_t pause_ns, retry_ns;        /* after a failure: how long, until when */
};

struct hand {
    struct mint *mint;
    enum hand_kind kind;
    struct stock **stocks; /* that are its; borrows */
    size_t n_stocks;
    uint64_t turn_ns; /* when signing keys are looked at again */
    int wake_fd;
    bool running;
    pthread_t thread;
    uint64_t cpu_ns; /* once the thread has ended */
};

struct mint {
    const struct plan *plan;
    char *run_id;
    unsigned n_workers;
    struct source **sources[CREDENTIAL_PARTS]; /* as the plan's sections of that kind */
    struct stock **stocks; /* [identity * CREDENTIAL_KINDS + kind], then the refusals; or NULL */
    size_t n_stocks;
    struct events *events;
    struct hand hands[HANDS];
    atomic_bool stop;
};

/* An empty one, for mint_open and mint_free. */
struct mint *mint_begin(const struct mint_job *job) __attribute__((warn_unused_result));
/* Opens sources and makes stocks without pools; false with mistakes.  For the check nothing is
 * fetched or written. */
bool mint_open(struct mint *mint, const struct mint_job *job, bool check, struct diag *diag)
    __attribute__((warn_unused_result));
void mint_close(struct mint *mint);
/* Makes the pools: finite ones full, the others with a first batch; false with a mistake. */
bool mint_fill(struct mint *mint, void (*progress)(size_t done, size_t total), struct diag *diag)
    __attribute__((warn_unused_result));
/* A new one for the stock, with a number of its own; NULL with a reason. */
struct credential *stock_fresh(struct stock *stock, int64_t now_s, char error[SOURCE_ERROR])
    __attribute__((warn_unused_result));
/* Makes what the stock's pools lack: renewals, batches, what changed on disk.  True when it made
 * something. */
bool stock_serve(const struct mint *mint, struct stock *stock);
/* Puts a first or another batch into the outlet's empty mailbox; false with a reason. */
bool stock_fill_mailbox(const struct mint *mint, struct stock *stock, struct outlet *outlet,
                        char error[SOURCE_ERROR]) __attribute__((warn_unused_result));
/* The thread. */
void *hand_main(void *hand);

#endif
