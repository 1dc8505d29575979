/* Makes all credentials of a run: fills the finite pools before the start (in parallel, with
 * progress), then runs one helper thread that mints ahead for the never-repeating pools and
 * renews tokens and certificates before they expire.  Nothing else signs during a run. */
#ifndef IDENT_MINT_H
#define IDENT_MINT_H

#include "base/diag.h"
#include "ident/pool.h"
#include "profile/plan.h"

#include <stddef.h>
#include <stdint.h>

struct mint;

/* Loads CA, files and secrets, fills the pools for `n_workers` workers.  NULL with mistakes
 * (file:line). `progress` may be NULL: it is called with done and total now and then. */
struct mint *mint_new(const struct plan *plan, unsigned n_workers, const char *run_id,
                      void (*progress)(size_t done, size_t total), struct diag *diag)
    __attribute__((warn_unused_result));
/* Loads CA, files and secrets only to see whether they are good; mistakes as of mint_new. */
void mint_check(const struct plan *plan, struct diag *diag);
/* The worker's pool of that kind; NULL when the plan has no such section. */
struct pool *mint_pool(struct mint *mint, unsigned worker, enum credential_kind kind);
/* Starts and ends the helper thread.  mint_new has already left a first batch in every mailbox. */
void mint_start(struct mint *mint);
void mint_stop(struct mint *mint);
/* Frees pools and credentials, all of which must have been dropped. */
void mint_free(struct mint *mint);
/* CPU time that the helper thread has used, ns. */
uint64_t mint_cpu_ns(const struct mint *mint);

#endif
