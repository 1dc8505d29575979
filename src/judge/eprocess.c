#include "judge/eprocess.h"

#include "judge/numeric.h"

#include <math.h>

#define BORDER_READINGS 2

void eprocess_init(struct eprocess *eprocess)
{
    *eprocess = (struct eprocess){.e = 1};
}

void eprocess_add(struct eprocess *eprocess, bool fresh_first, double level_before,
                  double level_between, double level_after)
{
    double difference = (level_between - level_before) - (level_after - level_between);
    eprocess->n_pairs++;
    if (!isfinite(difference) || difference == 0) {
        return;
    }
    int sign = (difference > 0) == fresh_first ? 1 : -1;
    eprocess->e *= 1 + EPROCESS_BET * sign;
    if (eprocess->e >= EPROCESS_LIMIT && !eprocess->reached) {
        eprocess->reached = true;
        eprocess->called_at = eprocess->n_pairs;
    }
}

double eprocess_level(const double *before, size_t n_before, const double *behind, size_t n_behind)
{
    double around[2 * BORDER_READINGS];
    size_t n = 0;
    for (size_t i = n_before > BORDER_READINGS ? n_before - BORDER_READINGS : 0; i < n_before;
         i++) {
        around[n++] = before[i];
    }
    for (size_t i = 0; i < n_behind && i < BORDER_READINGS; i++) {
        around[n++] = behind[i];
    }
    return n > 0 ? numeric_median(around, n) : NAN;
}
