#include "judge/eprocess.h"

#include <math.h>

static const struct bet {
    double weight, stake;
} bets[EPROCESS_BETS] = {{0.75, 0.8}, {0.25, 0.4}};

void eprocess_init(struct eprocess *eprocess)
{
    *eprocess = (struct eprocess){.e = 1};
    for (size_t i = 0; i < EPROCESS_BETS; i++) {
        eprocess->product[i] = 1;
    }
}

void eprocess_add(struct eprocess *eprocess, bool fresh_first, double first, double second)
{
    double difference = first - second;
    eprocess->n_pairs++;
    if (!isfinite(difference) || difference == 0) {
        return;
    }
    int sign = (difference > 0) == fresh_first ? 1 : -1;
    eprocess->e = 0;
    for (size_t i = 0; i < EPROCESS_BETS; i++) {
        eprocess->product[i] *= 1 + bets[i].stake * sign;
        eprocess->e += bets[i].weight * eprocess->product[i];
    }
    if (eprocess->e >= EPROCESS_LIMIT && !eprocess->reached) {
        eprocess->reached = true;
        eprocess->called_at = eprocess->n_pairs;
    }
}
