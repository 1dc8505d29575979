#include "load/sample.h"

#include "base/mem.h"
#include "base/mono.h"
#include "load/request.h"

#include <stdlib.h>

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

bool sample_ask(struct fetch *fetch, const struct plan *plan, struct mint *mint, bool with_cert,
                struct fetch_answer *ret_answer)
{
    struct request_set requests;
    struct sample sample;
    request_set_init(&requests, plan, mint_run_id(mint));
    (void)!sample_take(&sample, mint);
    const struct request *request = requests.requests;
    const struct credential *part = with_cert ? sample.part[CREDENTIAL_CERT] : NULL;
    char *head = xmalloc(request_size(&requests, 0, request, sample.part));
    size_t len = request_write(&requests, 0, request, sample.part, head);
    const struct cert *cert = part != NULL ? part->cert : NULL;
    if (request->raw) {
        static const struct raw_reply sign = {.kind = RAW_LENGTH, .len = 1};
        bool silent = request->reply.kind == RAW_NOTHING;
        fetch_perform_raw(fetch, cert, head, len, silent ? &sign : &request->reply, ret_answer);
        if (silent && ret_answer->outcome == OUTCOME_REPLY_EXTRA) {
            ret_answer->outcome = OUTCOME_OK; /* more than a byte is more than a sign */
        }
    } else {
        fetch_perform(fetch, cert, head, len, request->body, request->body_len, ret_answer);
    }
    free(head);
    sample_drop(&sample, mint);
    request_set_clear(&requests);
    return part != NULL;
}
