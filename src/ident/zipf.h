/* Zipf's law over 1..n, where k is drawn in proportion to k^-exponent: few are hot and most are
 * cold.  Rejection-inversion, W. Hoermann and G. Derflinger, "Rejection-inversion to generate
 * variates from monotone discrete distributions", ACM TOMACS 6(3), 1996: exact, constant time
 * whatever n is, and no table.  Private to ident. */
#ifndef IDENT_ZIPF_H
#define IDENT_ZIPF_H

#include "base/rng.h"

#include <stdint.h>

struct zipf {
    double exponent;
    uint64_t n;
    double upper, lower; /* the hat's integral at n + 1/2, and where k = 1 begins */
    double accepted;     /* nearer to k than this no test is needed */
};

/* exponent > 0, n > 0. */
struct zipf zipf_of(double exponent, uint64_t n);
uint64_t zipf_draw(const struct zipf *zipf, struct rng *rng);

#endif
