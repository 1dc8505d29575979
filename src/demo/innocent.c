#include "demo/innocent.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "demo/cache.h"

#include <malloc.h>
#include <math.h>
#include <stdlib.h>

#define WARMUP_TIME_CONSTANT_S 8.0
#define STEP_AFTER_S           20.0
#define STAIRS                 6 /* doublings */

struct innocence {
    const struct serve_options *options;
    struct ledger ledger;
    double elapsed_s, swept_s;
    uint64_t n_requests;
    struct cache *cache[DRIVER_COUNT]; /* bounded_cache, ttl: one per kind of credential */
    void **blocks;                     /* warmup, sawtooth, fragmentation: at most cap */
    uint64_t n_blocks;
    void *buffer; /* step, stairs: one buffer that is resized */
    uint64_t stair;
    struct rng rng;
};

struct shape {
    const char *name;
    void (*start)(struct innocence *innocence);
    void (*tick)(struct innocence *innocence);
    void (*request)(struct innocence *innocence);
};

static const struct shape shapes[INNOCENT_COUNT];

const char *innocent_name(enum innocent innocent)
{
    return shapes[innocent].name;
}

bool innocent_from_name(const char *name, enum innocent *ret_innocent)
{
    for (int i = INNOCENT_NONE + 1; i < INNOCENT_COUNT; i++) {
        if (str_equal(name, shapes[i].name)) {
            *ret_innocent = (enum innocent)i;
            return true;
        }
    }
    return false;
}

static void caches_new(struct innocence *innocence, uint64_t cap)
{
    static const enum driver kinds[] = {DRIVER_CLIENT_CERTIFICATE, DRIVER_API_KEY, DRIVER_JWT};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        innocence->cache[kinds[i]] =
            cache_new(cap, innocence->options->payload, &innocence->ledger);
    }
}

static void bounded_cache_start(struct innocence *innocence)
{
    caches_new(innocence, innocence->options->cap);
}

static void ttl_start(struct innocence *innocence)
{
    caches_new(innocence, 0);
}

static void ttl_tick(struct innocence *innocence)
{
    if (innocence->elapsed_s - innocence->swept_s < (double)innocence->options->sweep_s) {
        return;
    }
    innocence->swept_s = innocence->elapsed_s;
    for (int i = 0; i < DRIVER_COUNT; i++) {
        if (innocence->cache[i] != NULL) {
            cache_expire(innocence->cache[i],
                         innocence->elapsed_s - (double)innocence->options->ttl_s);
        }
    }
}

static void blocks_start(struct innocence *innocence)
{
    innocence->blocks = xcalloc(innocence->options->cap, sizeof *innocence->blocks);
}

static void blocks_add(struct innocence *innocence)
{
    innocence->blocks[innocence->n_blocks++] =
        ledger_hold(&innocence->ledger, innocence->options->payload);
}

static void warmup_tick(struct innocence *innocence)
{
    double share = -expm1(-innocence->elapsed_s / WARMUP_TIME_CONSTANT_S);
    while (innocence->n_blocks < innocence->options->cap &&
           (double)innocence->n_blocks < share * (double)innocence->options->cap) {
        blocks_add(innocence);
    }
}

static void sawtooth_request(struct innocence *innocence)
{
    if (innocence->n_blocks < innocence->options->cap) {
        blocks_add(innocence);
        return;
    }
    while (innocence->n_blocks > 0) {
        ledger_drop(&innocence->ledger, innocence->blocks[--innocence->n_blocks]);
    }
    /* As a collector does; free alone would leave a level line. */
    malloc_trim(0);
}

static void buffer_resize(struct innocence *innocence, uint64_t bytes)
{
    if (innocence->buffer != NULL) {
        ledger_drop(&innocence->ledger, innocence->buffer);
    }
    innocence->buffer = ledger_hold(&innocence->ledger, bytes);
}

static uint64_t bound_bytes(const struct innocence *innocence)
{
    return innocence->options->cap * innocence->options->payload;
}

static void step_start(struct innocence *innocence)
{
    buffer_resize(innocence, bound_bytes(innocence) / 2);
}

static void step_tick(struct innocence *innocence)
{
    if (innocence->stair == 0 && (innocence->elapsed_s >= STEP_AFTER_S ||
                                  innocence->n_requests >= innocence->options->cap)) {
        innocence->stair = 1;
        buffer_resize(innocence, bound_bytes(innocence));
    }
}

static void stairs_start(struct innocence *innocence)
{
    buffer_resize(innocence, bound_bytes(innocence) >> STAIRS);
}

/* A table that doubles when it is full: at cap/64, cap/32, ... cap/2 requests. */
static void stairs_request(struct innocence *innocence)
{
    uint64_t room = innocence->options->cap >> (STAIRS - innocence->stair);
    if (innocence->stair < STAIRS && innocence->n_requests >= room) {
        innocence->stair++;
        buffer_resize(innocence, bound_bytes(innocence) >> (STAIRS - innocence->stair));
    }
}

static void fragmentation_request(struct innocence *innocence)
{
    void **block = &innocence->blocks[rng_below(&innocence->rng, innocence->options->cap)];
    if (*block != NULL) {
        ledger_drop(&innocence->ledger, *block);
    }
    *block = ledger_hold(&innocence->ledger,
                         1 + rng_below(&innocence->rng, 2 * innocence->options->payload));
}

static const struct shape shapes[INNOCENT_COUNT] = {
    [INNOCENT_NONE] = {.name = "none"},
    [INNOCENT_BOUNDED_CACHE] = {.name = "bounded_cache", .start = bounded_cache_start},
    [INNOCENT_TTL] = {.name = "ttl", .start = ttl_start, .tick = ttl_tick},
    [INNOCENT_WARMUP] = {.name = "warmup", .start = blocks_start, .tick = warmup_tick},
    [INNOCENT_SAWTOOTH] = {.name = "sawtooth", .start = blocks_start, .request = sawtooth_request},
    [INNOCENT_STEP] = {.name = "step",
                       .start = step_start,
                       .tick = step_tick,
                       .request = step_tick},
    [INNOCENT_STAIRS] = {.name = "stairs", .start = stairs_start, .request = stairs_request},
    [INNOCENT_FRAGMENTATION] = {.name = "fragmentation",
                                .start = blocks_start,
                                .request = fragmentation_request},
};

struct innocence *innocence_new(const struct serve_options *options)
{
    struct innocence *innocence = xcalloc(1, sizeof *innocence);
    innocence->options = options;
    rng_init(&innocence->rng, 1, "fragmentation", 0);
    if (shapes[options->innocent].start != NULL) {
        shapes[options->innocent].start(innocence);
    }
    return innocence;
}

void innocence_free(struct innocence *innocence)
{
    if (innocence == NULL) {
        return;
    }
    for (int i = 0; i < DRIVER_COUNT; i++) {
        cache_free(innocence->cache[i]);
    }
    for (uint64_t i = 0; innocence->blocks != NULL && i < innocence->options->cap; i++) {
        free(innocence->blocks[i]);
    }
    free(innocence->blocks);
    free(innocence->buffer);
    free(innocence);
}

void innocence_tick(struct innocence *innocence, double elapsed_s)
{
    const struct shape *shape = &shapes[innocence->options->innocent];
    innocence->elapsed_s = elapsed_s;
    if (shape->tick != NULL) {
        shape->tick(innocence);
    }
}

void innocence_request(struct innocence *innocence)
{
    const struct shape *shape = &shapes[innocence->options->innocent];
    innocence->n_requests++;
    if (shape->request != NULL) {
        shape->request(innocence);
    }
}

void innocence_credential(struct innocence *innocence, enum driver kind, uint64_t fingerprint)
{
    if (innocence->cache[kind] != NULL) {
        cache_touch(innocence->cache[kind], fingerprint, innocence->elapsed_s);
    }
}

const struct ledger *innocence_ledger(const struct innocence *innocence)
{
    return &innocence->ledger;
}
