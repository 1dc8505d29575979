/* The designed experiment as a pure function of plan and seed: which switches are on in which
 * dwell. Every worker computes the same schedule, so nothing is shared.  A crossover redraws
 * five switches each dwell from a shuffled full factorial: high or low rate, reconnecting or
 * keep-alive, fresh or reused certificate, key, token.  32 dwells show each of the 32
 * combinations once. */
#ifndef LOAD_SCHEDULE_H
#define LOAD_SCHEDULE_H

#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A dwell of low rate has the profile's rate divided by this. */
#define SCHEDULE_LOW_RATE 10

struct switches {
    bool designed; /* false: no experiment, or its warm-up: the profile's own load */
    bool high_rate, reconnect, fresh_cert, fresh_key, fresh_jwt;
};

struct schedule {
    uint64_t warmup_ns, dwell_ns;
    size_t n_dwells; /* 0: no experiment */
    uint8_t *cells;  /* owns; bits 0..4: the five switches, one a dwell */
};

void schedule_init(struct schedule *schedule, const struct plan *plan);
void schedule_clear(struct schedule *schedule);
/* The switches at time `t_ns` since the start; *ret_dwell is its number, 0 in the warm-up, 1..
 * after. The last dwell lasts to the end of the run. */
struct switches schedule_at(const struct schedule *schedule, uint64_t t_ns, size_t *ret_dwell);

#endif
