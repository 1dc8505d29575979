/* The designed experiment as a pure function of plan and seed: which switches are on in which
 * dwell. Every worker computes the same schedule, so nothing is shared.  Each dwell redraws the
 * switches from a shuffled factorial: high or low rate, reconnecting or keep-alive, fresh or reused
 * certificate, key, token, and bad identities, misuses and the rotation hook where the profile has
 * them.  32 dwells are one block: a full factorial of the first five switches, with which the
 * further ones go as products of three (a fraction of resolution IV: no switch is confounded with
 * another or with a pair of others; Box and Hunter 1961).
 *
 * In pairs of dwells only one switch changes: on in one of the two, and a coin decides which. */
#ifndef LOAD_SCHEDULE_H
#define LOAD_SCHEDULE_H

#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A dwell of low rate has the profile's rate divided by this. */
#define SCHEDULE_LOW_RATE 10

struct switches {
    bool designed; /* false: no experiment, or before or after it: the profile's own load */
    bool idle;     /* the cooldown: no load */
    bool high_rate, reconnect, fresh_cert, fresh_key, fresh_jwt, refusals, misuses, rotations;
};

struct schedule {
    uint64_t start_ns, dwell_ns; /* of the first dwell */
    uint64_t end_ns;             /* of the last */
    uint64_t cooldown_ns;        /* its start; UINT64_MAX: there is none */
    size_t n_dwells;             /* 0: no experiment */
    uint8_t *cells;              /* owns; a bit for each switch, one a dwell */
    uint8_t factor;              /* mode = pairs: the bit that changes */
};

void schedule_init(struct schedule *schedule, const struct plan *plan);
void schedule_clear(struct schedule *schedule);
/* The switches at time `t_ns` since the start; *ret_dwell is its number, 0 outside of them, 1..
 * within. */
struct switches schedule_at(const struct schedule *schedule, uint64_t t_ns, size_t *ret_dwell);
/* Of mode = pairs: is the factor on in the first dwell of that pair (from 0 on)? */
bool schedule_on_first(const struct schedule *schedule, size_t pair);
/* The first time after `t_ns` at which the switches may change; UINT64_MAX: never. */
uint64_t schedule_next_ns(const struct schedule *schedule, uint64_t t_ns);

#endif
