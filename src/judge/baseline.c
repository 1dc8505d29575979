#include "judge/baseline.h"

#include "judge/numeric.h"

#include <math.h>
#include <stdlib.h>

#include "judge/sample.h"

/* A histogram has three significant digits. */
#define LATENCY_RESOLUTION 5e-4

void baseline_free(struct baseline_run *run)
{
    if (run != NULL) {
        free(run->load);
    }
    free(run);
}

bool sample_is_log(enum baseline_kind kind)
{
    return kind == BASELINE_LATENCY || kind == BASELINE_RATE || kind == BASELINE_COST;
}

double sample_scaled(enum baseline_kind kind, double value)
{
    return sample_is_log(kind) ? log(value) : value;
}

double sample_centre(const struct baseline_sample *sample)
{
    double sum = 0;

    if (sample->kind == BASELINE_LEAK) {
        return sample->value;
    }
    for (size_t i = 0; i < sample->sections.n; i++) {
        sum += sample->sections.value[i];
    }
    return sum / (double)sample->sections.n;
}

/* The least that is not known of a number, however evenly its sections came out. */
static double floor_variance(const struct baseline_sample *sample)
{
    double n = fmax(1, sample->n), p = fmin(1, sample->value);

    switch (sample->kind) {
    case BASELINE_LATENCY:
        return LATENCY_RESOLUTION * LATENCY_RESOLUTION;
    case BASELINE_RATIO:
        /* a share of n events; of none in n, the next would be 1 / n */
        return (p * (1 - p) + 1 / n) / n;
    default:
        return 0;
    }
}

bool sample_variance(const struct baseline_sample *sample, double *ret_variance, double *ret_df)
{
    if (sample->kind == BASELINE_LEAK) {
        double z = numeric_t_quantile(0.025, 1e6);
        double se = (sample->high - sample->low) / 2 / z;
        *ret_variance = se * se;
        *ret_df = 1e6;
        return isfinite(se) && isfinite(sample->value);
    }
    if (sample->sections.n < SECTIONS_MIN ||
        !isfinite(sample_scaled(sample->kind, sample->value))) {
        return false;
    }
    *ret_variance = fmax(sections_variance(&sample->sections, ret_df), floor_variance(sample));
    return isfinite(*ret_variance);
}

bool baseline_interval(const struct baseline_sample *sample, double *ret_low, double *ret_high)
{
    double variance, df;

    if (!sample_variance(sample, &variance, &df)) {
        return false;
    }
    double at = sample_scaled(sample->kind, sample->value);
    double half = numeric_t_quantile(0.025, df) * sqrt(variance);
    bool is_log = sample_is_log(sample->kind);
    *ret_low = is_log ? exp(at - half) : at - half;
    *ret_high = is_log ? exp(at + half) : at + half;
    return true;
}
