#include "load/sample.h"

#include "base/mono.h"

bool sample_take(struct sample *sample, struct mint *mint)
{
    bool ok = true;
    *sample = (struct sample){.held = {NULL}};
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        struct pool *pool = mint_pool(mint, 0, 0, kind);
        bool first = false;
        if (pool == NULL) {
            continue;
        }
        struct credential *taken = pool_take(pool, mono_now_ns(), (int64_t)mono_wall_s(), &first);
        ok = ok && taken != NULL;
        sample->held[kind] = taken;
        if (taken != NULL && first) {
            credential_unclaim(taken);
        }
        for (int part = 0; part < CREDENTIAL_PARTS && taken != NULL; part++) {
            if (kind == CREDENTIAL_PERSONA) {
                sample->part[part] = taken->part[part];
            } else if (kind == part) {
                sample->part[part] = taken;
            }
        }
    }
    return ok;
}

void sample_drop(struct sample *sample, struct mint *mint)
{
    for (int kind = 0; kind < CREDENTIAL_KINDS; kind++) {
        if (sample->held[kind] != NULL) {
            pool_drop(mint_pool(mint, 0, 0, kind), sample->held[kind]);
        }
    }
    *sample = (struct sample){.held = {NULL}};
}
