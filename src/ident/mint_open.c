#include "ident/mint_inside.h"

#include "ident/credential.h"
#include "ident/pool_make.h"
#include "ident/source_inside.h"

#include "base/mem.h"
#include "base/mono.h"

#include <stdlib.h>

#define REFUSE_BATCH  8 /* refusals are few, and some are costly */
#define FETCH_BATCH   8
#define RETIRED_BATCH 16

static const char *const part_nouns[CREDENTIAL_PARTS] = {"certificates", "keys", "tokens"};

static bool open_sources(struct mint *mint, const struct source_job *job, struct diag *diag)
{
    const struct plan *plan = mint->plan;
    const size_t n[] = {plan->n_certs, plan->n_apikeys, plan->n_jwts};
    size_t before = diag_count(diag);
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        mint->sources[kind] = xcalloc(n[kind] + 1, sizeof(struct source *));
        for (size_t i = 0; i < n[kind]; i++) {
            const void *section = kind == CREDENTIAL_CERT     ? (const void *)&plan->certs[i]
                                  : kind == CREDENTIAL_APIKEY ? (const void *)&plan->apikeys[i]
                                                              : (const void *)&plan->jwts[i];
            mint->sources[kind][i] = source_new(job, (enum credential_kind)kind, section, diag);
        }
    }
    return diag_count(diag) == before;
}

/* The sources of an identity's parts; how many it has. */
static size_t find_parts(const struct mint *mint, const struct plan_identity *identity,
                         struct source *parts[CREDENTIAL_PARTS])
{
    const struct plan *plan = mint->plan;
    size_t n = 0;
    parts[CREDENTIAL_CERT] = identity->with_cert != NULL
                                 ? mint->sources[CREDENTIAL_CERT][identity->with_cert - plan->certs]
                                 : NULL;
    parts[CREDENTIAL_APIKEY] =
        identity->with_apikey != NULL
            ? mint->sources[CREDENTIAL_APIKEY][identity->with_apikey - plan->apikeys]
            : NULL;
    parts[CREDENTIAL_JWT] = identity->with_jwt != NULL
                                ? mint->sources[CREDENTIAL_JWT][identity->with_jwt - plan->jwts]
                                : NULL;
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        n += parts[kind] != NULL;
    }
    return n;
}

static struct stock *stock_new(struct mint *mint, size_t index, enum credential_kind kind)
{
    struct stock *stock = xcalloc(1, sizeof *stock);
    stock->maker.kind = kind;
    stock->maker.run_id = mint->run_id;
    stock->index = index;
    stock->outlets = xcalloc(mint->n_workers, sizeof *stock->outlets);
    mint->stocks[index] = stock;
    return stock;
}

/* How many there are, and how many are made at a time. */
static void set_size(struct stock *stock)
{
    const struct source *lead = persona_lead(&stock->maker);
    struct pool_rule rule = source_rule(lead);
    stock->count = source_count(lead);
    stock->batched = stock->count == 0 || rule.retire_after != 0;
    stock->last_n = stock->count;
    stock->batch_min = stock->batch_max = SUPPLY_BATCH_MIN;
    if (persona_is_fetched(&stock->maker)) {
        stock->batch_min = stock->batch_max = FETCH_BATCH;
    } else if (persona_is_cheap(&stock->maker)) {
        stock->batch_min = stock->count > 0 ? RETIRED_BATCH : SUPPLY_BATCH_MIN;
        stock->batch_max = SUPPLY_BATCH_MAX;
    } else if (stock->count > 0) {
        stock->batch_min = RETIRED_BATCH;
    }
}

/* What comes from files cannot be made to fit. */
static bool counts_agree(const struct stock *stock, const struct plan_identity *identity,
                         struct diag *diag)
{
    const struct source *lead = persona_lead(&stock->maker);
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        const struct source *source = stock->maker.part[kind];
        if (source == NULL || source == lead || !source_is_loaded(source) ||
            source_count(source) == stock->count) {
            continue;
        }
        const void *path =
            kind == CREDENTIAL_APIKEY ? (const void *)&source->apikey->path : &source->jwt->path;
        diag_add(diag, plan_origin(source->plan, path),
                 "identity %s: %zu %s but %zu %s, and a bound client has one of each (make them as "
                 "many, or write bound = no)",
                 identity->name, stock->count, part_nouns[lead->kind], source_count(source),
                 part_nouns[kind]);
        return false;
    }
    return true;
}

static void watch_files(struct mint *mint, struct stock *stock)
{
    for (int kind = 0; kind < CREDENTIAL_PARTS && stock->count > 0; kind++) {
        struct source *source = stock->maker.part[kind];
        stock->files[kind] = source != NULL ? source_files_new(source, mint->events) : NULL;
    }
}

static bool open_identity(struct mint *mint, size_t index, struct diag *diag)
{
    const struct plan_identity *identity = &mint->plan->identities[index];
    struct source *parts[CREDENTIAL_PARTS];
    bool good = true;
    bool together = find_parts(mint, identity, parts) > 1 && identity->bound;
    if (together) {
        struct stock *stock =
            stock_new(mint, index * CREDENTIAL_KINDS + CREDENTIAL_PERSONA, CREDENTIAL_PERSONA);
        for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
            stock->maker.part[kind] = parts[kind];
        }
        stock->maker.shown = parts[CREDENTIAL_CERT];
        set_size(stock);
        good = counts_agree(stock, identity, diag);
        watch_files(mint, stock);
    }
    for (int kind = 0; kind < CREDENTIAL_PARTS && !together; kind++) {
        if (parts[kind] != NULL) {
            struct stock *stock = stock_new(mint, index * CREDENTIAL_KINDS + (size_t)kind,
                                            (enum credential_kind)kind);
            stock->maker.part[kind] = parts[kind];
            stock->maker.shown = parts[CREDENTIAL_CERT];
            set_size(stock);
            watch_files(mint, stock);
        }
    }
    return good;
}

/* Whether tokens of a file can be made bad as asked is seen by making one. */
static bool try_one(const struct stock *stock, struct diag *diag)
{
    const struct persona_maker *maker = &stock->maker;
    const struct persona_numbers first = {{1, 1, 1}};
    char error[SOURCE_ERROR];
    if (maker->part[CREDENTIAL_JWT] == NULL || !source_is_loaded(maker->part[CREDENTIAL_JWT])) {
        return true;
    }
    struct credential *made = persona_make_bad(maker, &first, (int64_t)mono_wall_s(), error);
    if (made == NULL) {
        diag_add(diag, plan_origin(maker->part[CREDENTIAL_JWT]->plan, &maker->refuse->jwt),
                 "refuse.jwt: %s", error);
        return false;
    }
    credential_release(made);
    return true;
}

static bool open_refusal(struct mint *mint, size_t i, struct diag *diag)
{
    const struct plan *plan = mint->plan;
    const struct plan_refuse *refuse = &plan->refuses[i];
    size_t base = (size_t)(refuse->base - plan->identities) * CREDENTIAL_KINDS;
    struct stock *stock =
        stock_new(mint, plan->n_identities * CREDENTIAL_KINDS + i, CREDENTIAL_PERSONA);
    struct persona_maker *maker = &stock->maker;
    (void)find_parts(mint, refuse->base, maker->part);
    const struct source *cert = maker->part[CREDENTIAL_CERT];
    maker->shown = maker->part[CREDENTIAL_CERT];
    maker->refuse = refuse;
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        struct stock *of_part = mint->stocks[base + (size_t)kind];
        if (maker->part[kind] != NULL) {
            stock->numbers[kind] =
                of_part != NULL ? of_part : mint->stocks[base + CREDENTIAL_PERSONA];
        }
    }
    stock->batched = true;
    stock->batch_min = stock->batch_max = REFUSE_BATCH;
    if (refuse->cert != BAD_CERT_NOT && refuse->cert != BAD_CERT_NONE) {
        maker->bad_cert =
            cert_bad_new(plan, refuse, cert != NULL ? cert->issuer : NULL,
                         cert != NULL && source_is_loaded(cert) ? &cert->list : NULL, diag);
        if (maker->bad_cert == NULL) {
            return false;
        }
    }
    return try_one(stock, diag);
}

bool mint_open(struct mint *mint, const struct mint_job *job, bool check, struct diag *diag)
{
    const struct plan *plan = job->plan;
    const struct source_job sources = {
        .plan = plan, .run_id = mint->run_id, .fetcher = job->fetcher, .check = check};
    bool good = open_sources(mint, &sources, diag);
    mint->n_stocks = plan->n_identities * CREDENTIAL_KINDS + plan->n_refuses;
    mint->stocks = xcalloc(mint->n_stocks + 1, sizeof(struct stock *));
    for (size_t i = 0; i < plan->n_identities && good; i++) {
        good = open_identity(mint, i, diag);
    }
    for (size_t i = 0; i < plan->n_refuses && good; i++) {
        good = open_refusal(mint, i, diag);
    }
    return good;
}

static void stock_free(struct stock *stock, unsigned n_workers)
{
    if (stock == NULL) {
        return;
    }
    for (unsigned i = 0; i < n_workers; i++) {
        pool_free(stock->outlets[i].pool);
    }
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        source_files_free(stock->files[kind]);
    }
    cert_bad_free(stock->maker.bad_cert);
    free(stock->outlets);
    free(stock);
}

void mint_close(struct mint *mint)
{
    const size_t n[] = {mint->plan->n_certs, mint->plan->n_apikeys, mint->plan->n_jwts};
    for (size_t i = 0; i < mint->n_stocks; i++) {
        stock_free(mint->stocks[i], mint->n_workers);
    }
    free(mint->stocks);
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        for (size_t i = 0; mint->sources[kind] != NULL && i < n[kind]; i++) {
            source_free(mint->sources[kind][i]);
        }
        free(mint->sources[kind]);
    }
}
