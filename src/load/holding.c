#include "load/holding.h"

#include "base/bug.h"
#include "base/mono.h"
#include "load/worker_inside.h"

enum credential_kind holding_dial_kind(const struct worker_identity *identity)
{
    if (identity->pool[CREDENTIAL_CERT] != NULL) {
        return CREDENTIAL_CERT;
    }
    bool together = identity->pool[CREDENTIAL_PERSONA] != NULL && identity->plan->with_cert != NULL;
    return together ? CREDENTIAL_PERSONA : CREDENTIAL_KINDS;
}

bool holding_take(struct worker *worker, struct holding *holding, enum credential_kind kind)
{
    uint64_t now_ns = mono_now_ns();
    bool first = false;
    struct credential *taken =
        pool_take(holding->identity->pool[kind], now_ns, worker_epoch_s(worker, now_ns), &first);
    if (taken == NULL) {
        worker_wait(worker);
        return false;
    }
    holding_drop(holding, kind);
    holding->held[kind] = taken;
    holding->unseen[kind] = first || kind == CREDENTIAL_PERSONA;
    return true;
}

void holding_drop(struct holding *holding, enum credential_kind kind)
{
    struct credential *held = holding->held[kind];
    if (held == NULL) {
        return;
    }
    if (holding->unseen[kind] && kind != CREDENTIAL_PERSONA) {
        credential_unclaim(held);
    }
    pool_drop(holding->identity->pool[kind], held);
    holding->held[kind] = NULL;
    holding->unseen[kind] = false;
}

void holding_turn_to(struct holding *holding, struct worker_identity *identity)
{
    for (int kind = 0; kind < CREDENTIAL_KINDS && holding->identity != identity; kind++) {
        holding_drop(holding, kind);
    }
    holding->identity = identity;
}

struct credential *holding_part(const struct holding *holding, enum credential_kind kind)
{
    const struct credential *persona = holding->held[CREDENTIAL_PERSONA];
    return persona != NULL ? persona->part[kind] : holding->held[kind];
}

/* Whether this is its first use of all. */
static bool claim(struct holding *holding, enum credential_kind kind)
{
    struct credential *persona = holding->held[CREDENTIAL_PERSONA];
    bool first = holding->unseen[kind];
    if (persona != NULL) {
        holding->unseen[CREDENTIAL_PERSONA] = false;
        return credential_claim(persona->part[kind]);
    }
    holding->unseen[kind] = false;
    return first;
}

void holding_count(struct worker *worker, enum credential_kind kind, bool used, bool first)
{
    static const struct {
        enum counter used, new;
    } counter[CREDENTIAL_PARTS] = {
        [CREDENTIAL_CERT] = {COUNTER_CERT_USED, COUNTER_CERT_NEW},
        [CREDENTIAL_APIKEY] = {COUNTER_KEY_USED, COUNTER_KEY_NEW},
        [CREDENTIAL_JWT] = {COUNTER_JWT_USED, COUNTER_JWT_NEW},
    };
    worker->interval->count[counter[kind].used] += used;
    worker->interval->count[counter[kind].new] += first;
}

void holding_expose(struct worker *worker, struct holding *holding, enum credential_kind kind,
                    bool counts)
{
    holding_count(worker, kind, counts, claim(holding, kind));
}
