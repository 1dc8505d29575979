#include "ident/mint_predict.h"

#include "ident/credential.h"
#include "ident/mint_inside.h"

#include "base/bug.h"
#include "base/mono.h"

#define MEASURED_NS (200 * NS_PER_MS)

/* The makers of the only identity's stocks, without what an endpoint makes; how many there are. */
static size_t makers_of(const struct mint *mint, struct persona_maker makers[CREDENTIAL_KINDS])
{
    size_t n = 0;
    for (size_t kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        const struct stock *stock = mint->stocks[kind];
        if (stock == NULL) {
            continue;
        }
        makers[n] = stock->maker;
        if (persona_is_fetched(&makers[n])) {
            makers[n].part[CREDENTIAL_JWT] = NULL;
        }
        n += persona_lead(&makers[n]) != NULL;
    }
    return n;
}

static double measure(const struct persona_maker *makers, size_t n_makers)
{
    char error[SOURCE_ERROR];
    uint64_t start_ns = mono_thread_cpu_ns(), used_ns, n = 0;
    do {
        n++;
        for (size_t i = 0; i < n_makers; i++) {
            struct credential *made = persona_make(&makers[i], n, (int64_t)mono_wall_s(), error);
            BUG_ON(made == NULL);
            credential_release(made);
        }
        used_ns = mono_thread_cpu_ns() - start_ns;
    } while (used_ns < MEASURED_NS);
    return (double)n * (double)NS_PER_S / (double)used_ns;
}

double mint_predict_per_s(const struct plan *plan, const struct plan_identity *identity,
                          struct diag *diag)
{
    struct plan_identity one = *identity;
    struct plan only = *plan;
    /* Refusals present what their own identity has. */
    only.n_refuses = 0;
    only.identities = &one;
    only.n_identities = 1;
    const struct mint_job job = {.plan = &only, .n_workers = 1, .run_id = "predict"};
    struct persona_maker makers[CREDENTIAL_KINDS];
    struct mint *mint = mint_begin(&job);
    double per_s = 0;
    if (mint_open(mint, &job, true, diag)) {
        size_t n = makers_of(mint, makers);
        per_s = n > 0 ? measure(makers, n) : 0;
    }
    mint_free(mint);
    return per_s;
}
