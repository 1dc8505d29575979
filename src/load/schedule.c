#include "load/schedule.h"

#include "base/mem.h"
#include "base/rng.h"

#include <stdlib.h>

#define CELLS 32u
#define HALF  (CELLS / 2)

enum {
    HIGH_RATE = 1,
    RECONNECT = 2,
    FRESH_CERT = 4,
    FRESH_KEY = 8,
    FRESH_JWT = 16,
    REFUSALS = 32,
    MISUSES = 64,
    ROTATIONS = 128,
    /* Their products; any two of them share two switches, so that each is clear of the pairs. */
    REFUSALS_OF = HIGH_RATE | RECONNECT | FRESH_CERT,
    MISUSES_OF = HIGH_RATE | RECONNECT | FRESH_KEY,
    ROTATIONS_OF = HIGH_RATE | FRESH_CERT | FRESH_KEY
};

static unsigned product(unsigned cell, unsigned of, unsigned bit)
{
    return (unsigned)__builtin_popcount(cell & of) & 1 ? bit : 0;
}

/* One full factorial in random order, drawn as two half fractions (cells with an even and with
 * an odd number of switches on; resolution V), so that a run which ends in mid-block is still
 * balanced. */
static void draw_block(uint64_t seed, uint64_t block, uint8_t cells[CELLS])
{
    struct rng rng;
    rng_init(&rng, seed, "schedule", block);
    unsigned first = (unsigned)rng_below(&rng, 2);
    size_t n[2] = {0, 0};
    for (unsigned cell = 0; cell < CELLS; cell++) {
        unsigned odd = ((unsigned)__builtin_popcount(cell) & 1) ^ first;
        cells[odd * HALF + n[odd]++] =
            (uint8_t)(cell | product(cell, REFUSALS_OF, REFUSALS) |
                      product(cell, MISUSES_OF, MISUSES) | product(cell, ROTATIONS_OF, ROTATIONS));
    }
    rng_shuffle(&rng, cells, HALF, sizeof *cells);
    rng_shuffle(&rng, cells + HALF, HALF, sizeof *cells);
}

/* What stays on beside the factor, and the factor's own switch: a connection shows a certificate
 * only when it is made anew. */
static uint8_t pair_switch(enum driver factor, uint8_t *ret_always)
{
    *ret_always = HIGH_RATE;
    switch (factor) {
    case DRIVER_REQUEST:
        *ret_always = 0;
        return HIGH_RATE;
    case DRIVER_CONNECTION:
        return RECONNECT;
    case DRIVER_API_KEY:
        return FRESH_KEY;
    case DRIVER_JWT:
        return FRESH_JWT;
    case DRIVER_REFUSED:
        return REFUSALS;
    case DRIVER_ABORTED:
        return MISUSES;
    case DRIVER_ROTATION:
        return ROTATIONS;
    default:
        *ret_always = HIGH_RATE | RECONNECT;
        return FRESH_CERT;
    }
}

static void draw_pairs(uint64_t seed, enum driver factor, uint8_t *cells, size_t n_pairs)
{
    struct rng rng;
    uint8_t always, on = pair_switch(factor, &always);
    rng_init(&rng, seed, "schedule pairs", 0);
    for (size_t pair = 0; pair < n_pairs; pair++) {
        bool first = rng_below(&rng, 2) == 0;
        cells[2 * pair] = (uint8_t)(always | (first ? on : 0));
        cells[2 * pair + 1] = (uint8_t)(always | (first ? 0 : on));
    }
}

/* The last dwell takes what is left after whole ones. */
void schedule_init(struct schedule *schedule, const struct plan *plan)
{
    const struct plan_attribution *design = &plan->attribution;
    uint64_t start_ns = design->warmup_ns + design->steady_ns;
    *schedule = (struct schedule){
        .start_ns = start_ns, .dwell_ns = design->dwell_ns, .cooldown_ns = UINT64_MAX};
    if (design->mode == ATTRIBUTION_OFF || design->dwell_ns == 0 ||
        plan->run.duration_ns <= start_ns + design->cooldown_ns) {
        return;
    }
    uint64_t end_ns = plan->run.duration_ns - design->cooldown_ns;
    schedule->cooldown_ns = design->cooldown_ns > 0 ? end_ns : UINT64_MAX;
    schedule->end_ns = design->duration_ns > 0 ? start_ns + design->duration_ns : end_ns;
    size_t n = (size_t)((schedule->end_ns - start_ns) / design->dwell_ns);
    size_t n_blocks = (n + CELLS - 1) / CELLS;
    schedule->n_dwells = n;
    schedule->cells = xcalloc(n_blocks + 1, CELLS);
    if (design->mode == ATTRIBUTION_PAIRS) {
        schedule->n_dwells = n & ~(size_t)1;
        schedule->end_ns = start_ns + schedule->n_dwells * design->dwell_ns;
        schedule->factor = pair_switch(design->factor, &(uint8_t){0});
        draw_pairs(plan->run.seed, design->factor, schedule->cells, n / 2);
        return;
    }
    for (size_t block = 0; block < n_blocks; block++) {
        draw_block(plan->run.seed, block, schedule->cells + block * CELLS);
    }
}

void schedule_clear(struct schedule *schedule)
{
    free(schedule->cells);
    *schedule = (struct schedule){0};
}

struct switches schedule_at(const struct schedule *schedule, uint64_t t_ns, size_t *ret_dwell)
{
    *ret_dwell = 0;
    if (t_ns >= schedule->cooldown_ns) {
        return (struct switches){.idle = true};
    }
    if (schedule->n_dwells == 0 || t_ns < schedule->start_ns || t_ns >= schedule->end_ns) {
        return (struct switches){.designed = false};
    }
    uint64_t dwell = (t_ns - schedule->start_ns) / schedule->dwell_ns;
    if (dwell >= schedule->n_dwells) {
        dwell = schedule->n_dwells - 1;
    }
    *ret_dwell = (size_t)dwell + 1;
    unsigned cell = schedule->cells[dwell];
    return (struct switches){
        .designed = true,
        .high_rate = cell & HIGH_RATE,
        .reconnect = cell & RECONNECT,
        .fresh_cert = cell & FRESH_CERT,
        .fresh_key = cell & FRESH_KEY,
        .fresh_jwt = cell & FRESH_JWT,
        .refusals = cell & REFUSALS,
        .misuses = cell & MISUSES,
        .rotations = cell & ROTATIONS,
    };
}

bool schedule_on_first(const struct schedule *schedule, size_t pair)
{
    return schedule->cells[2 * pair] & schedule->factor;
}

uint64_t schedule_next_ns(const struct schedule *schedule, uint64_t t_ns)
{
    if (schedule->n_dwells == 0 || t_ns >= schedule->cooldown_ns) {
        return UINT64_MAX;
    }
    if (t_ns < schedule->start_ns) {
        return schedule->start_ns;
    }
    uint64_t n = (t_ns - schedule->start_ns) / schedule->dwell_ns + 1;
    uint64_t next_ns = schedule->start_ns + n * schedule->dwell_ns;
    if (t_ns < schedule->end_ns && n < schedule->n_dwells) {
        return next_ns;
    }
    return t_ns < schedule->end_ns ? schedule->end_ns : schedule->cooldown_ns;
}
