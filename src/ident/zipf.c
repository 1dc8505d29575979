#include "ident/zipf.h"

#include <math.h>

#define NEAR_ZERO 1e-8

/* log(1 + x) / x and (e^x - 1) / x, which are 1 at 0, where the exponent is 1. */
static double log1p_over(double x)
{
    return fabs(x) > NEAR_ZERO ? log1p(x) / x : 1 - x / 2;
}

static double expm1_over(double x)
{
    return fabs(x) > NEAR_ZERO ? expm1(x) / x : 1 + x / 2;
}

static double hat(double exponent, double x)
{
    return exp(-exponent * log(x));
}

/* The hat's integral, (x^(1-s) - 1) / (1-s), and log x where s is 1. */
static double integral(double exponent, double x)
{
    double log_x = log(x);
    return expm1_over((1 - exponent) * log_x) * log_x;
}

static double inverse(double exponent, double y)
{
    double t = y * (1 - exponent);
    t = t < -1 ? -1 : t; /* by rounding only */
    return exp(log1p_over(t) * y);
}

struct zipf zipf_of(double exponent, uint64_t n)
{
    return (struct zipf){
        .exponent = exponent,
        .n = n,
        .upper = integral(exponent, (double)n + 0.5),
        .lower = integral(exponent, 1.5) - 1,
        .accepted = 2 - inverse(exponent, integral(exponent, 2.5) - hat(exponent, 2)),
    };
}

uint64_t zipf_draw(const struct zipf *zipf, struct rng *rng)
{
    for (;;) {
        double u = zipf->upper + rng_double(rng) * (zipf->lower - zipf->upper);
        double x = inverse(zipf->exponent, u);
        double k = floor(x + 0.5);
        k = k < 1 ? 1 : k > (double)zipf->n ? (double)zipf->n : k;
        if (k - x <= zipf->accepted ||
            u >= integral(zipf->exponent, k + 0.5) - hat(zipf->exponent, k)) {
            return (uint64_t)k;
        }
    }
}
