#include "load/schedule.h"

#include "base/mem.h"
#include "base/rng.h"

#include <stdlib.h>

#define CELLS 32u
#define HALF  (CELLS / 2)

enum { HIGH_RATE = 1, RECONNECT = 2, FRESH_CERT = 4, FRESH_KEY = 8, FRESH_JWT = 16 };

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
        cells[odd * HALF + n[odd]++] = (uint8_t)cell;
    }
    rng_shuffle(&rng, cells, HALF, sizeof *cells);
    rng_shuffle(&rng, cells + HALF, HALF, sizeof *cells);
}

void schedule_init(struct schedule *schedule, const struct plan *plan)
{
    const struct plan_attribution *design = &plan->attribution;
    *schedule = (struct schedule){.warmup_ns = design->warmup_ns, .dwell_ns = design->dwell_ns};
    if (design->mode != ATTRIBUTION_CROSSOVER || design->dwell_ns == 0 ||
        plan->run.duration_ns <= design->warmup_ns) {
        return;
    }
    size_t n = (size_t)((plan->run.duration_ns - design->warmup_ns) / design->dwell_ns);
    size_t n_blocks = (n + CELLS - 1) / CELLS;
    schedule->n_dwells = n;
    schedule->cells = xcalloc(n_blocks + 1, CELLS);
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
    if (schedule->n_dwells == 0 || t_ns < schedule->warmup_ns) {
        *ret_dwell = 0;
        return (struct switches){.designed = false};
    }
    uint64_t dwell = (t_ns - schedule->warmup_ns) / schedule->dwell_ns;
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
    };
}
