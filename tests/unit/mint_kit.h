/* What the tests of the mint share: a plan with a PKI in a scratch directory, and waiting for a
 * thread without sleeping and hoping (the time out is ctest's). */
#ifndef TESTS_MINT_KIT_H
#define TESTS_MINT_KIT_H

#include "ident/mint.h"
#include "ident/pki.h"
#include "ident/pool.h"

#include "base/mem.h"
#include "base/mono.h"

#include <malloc.h>
#include <sched.h>
#include <stdlib.h>

#include "ident_kit.h"

struct mint_kit {
    struct kit kit;
    struct plan plan;
    struct plan_cert cert;
    struct plan_apikey apikey;
    struct plan_jwt jwt;
    struct plan_identity identity;
    char *ca, *ca_key; /* owns */
};

static inline int mint_kit_set_up(void **state)
{
    struct kit *kit;
    if (kit_set_up((void **)&kit) != 0) {
        return -1;
    }
    struct mint_kit *mk = xcalloc(1, sizeof *mk);
    mk->kit = *kit;
    free(kit);
    static char subject[] = "CN=client-{n}", usage[] = "digitalSignature, clientAuth", name[] = "c";
    const struct pki_request request = {.dir = mk->kit.dir,
                                        .server_names = "localhost",
                                        .key_type = KEY_ECDSA_P256,
                                        .days = 30,
                                        .n_clients = 3,
                                        .bad = true};
    if (!pki_make(&request, mk->kit.diag)) {
        return -1;
    }
    mk->ca = kit_path(&mk->kit, "ca.pem");
    mk->ca_key = kit_path(&mk->kit, "ca.key");
    mk->cert = (struct plan_cert){.name = name,
                                  .ca = mk->ca,
                                  .ca_key = mk->ca_key,
                                  .subject = subject,
                                  .key_usage = usage,
                                  .lifetime_ns = 86400 * NS_PER_S,
                                  .renew_before_ns = 3600 * NS_PER_S,
                                  .count = 10,
                                  .rotate = {.kind = ROTATE_CONNECTION}};
    mk->apikey = kit_apikey(10, PICK_SEQUENTIAL, (struct rotate){.kind = ROTATE_CONNECTION});
    mk->apikey.name = name;
    mk->jwt = kit_jwt(10, PICK_SEQUENTIAL, 400);
    mk->jwt.name = name;
    *state = mk;
    return 0;
}

static inline int mint_kit_tear_down(void **state)
{
    struct mint_kit *mk = *state;
    struct kit *kit = xmalloc(sizeof *kit);
    *kit = mk->kit;
    free(mk->ca);
    free(mk->ca_key);
    free(mk);
    return kit_tear_down((void **)&kit);
}

/* One identity of these parts. */
static inline void mint_kit_plan(struct mint_kit *mk, bool cert, bool apikey, bool jwt, bool bound)
{
    mk->plan = (struct plan){.run.seed = 7,
                             .certs = &mk->cert,
                             .n_certs = cert,
                             .apikeys = &mk->apikey,
                             .n_apikeys = apikey,
                             .jwts = &mk->jwt,
                             .n_jwts = jwt,
                             .identities = &mk->identity,
                             .n_identities = 1};
    mk->identity = kit_identity(&mk->plan, bound);
}

static inline struct mint *mint_kit_new(struct mint_kit *mk, unsigned n_workers,
                                        const struct token_fetcher *fetcher)
{
    const struct mint_job job = {
        .plan = &mk->plan, .n_workers = n_workers, .run_id = "run-1", .fetcher = fetcher};
    struct mint *mint = mint_new(&job, mk->kit.diag);
    for (size_t i = 0; mint == NULL && i < diag_count(mk->kit.diag); i++) {
        print_message("%s\n", diag_text(mk->kit.diag, i));
    }
    return mint;
}

/* Takes until the pool delivers: the mint thread may be at it. */
static inline struct credential *take_soon(struct pool *pool, uint64_t now_ns, int64_t now_s,
                                           bool *ret_first)
{
    struct credential *credential;
    while ((credential = pool_take(pool, now_ns, now_s, ret_first)) == NULL) {
        sched_yield();
    }
    return credential;
}

static inline int64_t wall_s(void)
{
    return (int64_t)mono_wall_s();
}

/* Bytes that are allocated now; one arena, since mallinfo2 sees the main one only. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
size_t __sanitizer_get_current_allocated_bytes(void);
#define allocated_bytes __sanitizer_get_current_allocated_bytes
#else
static inline size_t allocated_bytes(void)
{
    return mallinfo2().uordblks;
}
#endif

/* The next event; waits for it. */
static inline struct mint_event *event_soon(struct mint *mint)
{
    struct mint_event *event;
    while ((event = mint_events(mint)) == NULL) {
        usleep(1000);
    }
    return event;
}

static inline void events_drop(struct mint_event *event)
{
    while (event != NULL) {
        struct mint_event *next = event->next;
        free(event);
        event = next;
    }
}

#endif
