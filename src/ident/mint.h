/* Makes all credentials of a run, those that must be refused too: fills the finite pools before the
 * start (in parallel, with progress), then runs one helper thread that mints ahead for the
 * never-repeating pools, renews tokens and certificates before they expire, replaces what is
 * retired, reads files again that changed, and rotates signing keys; tokens that are fetched from
 * an endpoint have a second thread, since it blocks.  Nothing else signs during a run.
 *
 * More than eight functions: the life of a mint, and what each worker takes from it. */
#ifndef IDENT_MINT_H
#define IDENT_MINT_H

#include "base/diag.h"
#include "ident/pool.h"
#include "ident/token.h"
#include "profile/plan.h"

#include <stddef.h>
#include <stdint.h>

struct mint;

/* What befell an identity during the run: "client-17.pem changed, but does not parse; the old one
 * is kept".  No secret is ever in it. */
struct mint_event {
    struct mint_event *next; /* oldest first */
    uint64_t at_ns;          /* monotonic */
    char text[256];
};

struct mint_job {
    const struct plan *plan; /* borrows */
    unsigned n_workers;
    const char *run_id;
    const struct token_fetcher *fetcher; /* borrows; needed only where a jwt has a token_url */
    /* Called with done and total now and then; may be NULL. */
    void (*progress)(size_t done, size_t total);
};

/* Loads CA, files and secrets, fills the pools.  NULL with mistakes (file:line). */
struct mint *mint_new(const struct mint_job *job, struct diag *diag)
    __attribute__((warn_unused_result));
/* Loads CA, files and secrets only to see whether they are good; mistakes as of mint_new.  Nothing
 * is fetched and no file is written. */
void mint_check(const struct plan *plan, struct diag *diag);
/* The worker's pool of that kind of plan->identities[identity]; NULL when it has none: a bound
 * identity of more than one part has CREDENTIAL_PERSONA alone, any other the pools of its parts. */
struct pool *mint_pool(struct mint *mint, unsigned worker, size_t identity,
                       enum credential_kind kind);
/* The worker's pool of never-repeating personas for plan->refuses[refuse]. */
struct pool *mint_refusals(struct mint *mint, unsigned worker, size_t refuse);
/* Starts and ends the helper thread.  mint_new has already left a first batch in every mailbox. */
void mint_start(struct mint *mint);
void mint_stop(struct mint *mint);
/* Frees pools and credentials, all of which must have been dropped. */
void mint_free(struct mint *mint);
/* CPU time that the helper threads have used, ns. */
uint64_t mint_cpu_ns(const struct mint *mint);
/* mint_job.run_id; borrowed. */
const char *mint_run_id(const struct mint *mint);
/* What befell since the last call; the caller frees each.  For one thread beside the mint's own. */
struct mint_event *mint_events(struct mint *mint);

#endif
