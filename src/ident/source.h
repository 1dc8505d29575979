/* Where the credentials of one section of the plan come from: a [cert], [apikey] or [jwt] made
 * ready, so that number n can be made (or was loaded, or is fetched).  Shared by all threads that
 * make; what was loaded may be read again meanwhile.  Private to ident.
 *
 * More than eight functions: opening, telling, making, reading again. */
#ifndef IDENT_SOURCE_H
#define IDENT_SOURCE_H

#include "ident/pool.h"
#include "ident/token.h"

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_ERROR 512

struct cert;
struct pool_rule;
struct source;

struct source_job {
    const struct plan *plan;
    const char *run_id;
    const struct token_fetcher *fetcher; /* NULL: nothing is fetched */
    bool check;                          /* nothing is fetched and no file is written */
};

/* What is to be made.  Zero but for n and now_s: a good one. */
struct source_order {
    uint64_t n;
    int64_t now_s;
    const struct cert *shown; /* to the token endpoint; NULL: none */
    const struct cert *bound; /* the token is bound to it, where the section says so */
    enum bad_jwt bad_jwt;
    enum bad_apikey bad_apikey;
};

/* Loads CA, files and secrets of the section, which is a plan_cert, plan_apikey or plan_jwt by the
 * kind, and publishes its key set.  NULL with mistakes. */
struct source *source_new(const struct source_job *job, enum credential_kind kind,
                          const void *section, struct diag *diag)
    __attribute__((warn_unused_result));
void source_free(struct source *source);
/* How many there are: of files what they hold, else what the section says; 0: without end. */
size_t source_count(const struct source *source);
/* Whether they come from files, and so come to an end. */
bool source_is_loaded(const struct source *source);
/* Whether making one asks the network. */
bool source_is_fetched(const struct source *source);
/* Whether making one costs about a microsecond (no public-key operation). */
bool source_is_cheap(const struct source *source);
/* Whether a token must be made again when its client's certificate is another. */
bool source_follows_cert(const struct source *source);
/* Rotation rule of the section, without what a pool is. */
struct pool_rule source_rule(const struct source *source);
/* One credential; of files number n counts on from the first again behind the last.  NULL with a
 * reason when the endpoint gives none, or when a token cannot be made bad in that way. */
struct credential *source_make(struct source *source, const struct source_order *order,
                               char error[SOURCE_ERROR]) __attribute__((warn_unused_result));
/* Does what is due by the clock: another signing key.  False with a reason. */
bool source_turn(struct source *source, int64_t now_s, char error[SOURCE_ERROR])
    __attribute__((warn_unused_result));

#endif
