/* The arithmetic of one sample: the scale that it is compared on, and how well it is known.
 * Private to baseline and compare. */
#ifndef JUDGE_SAMPLE_H
#define JUDGE_SAMPLE_H

#include "judge/baseline.h"

#include <stdbool.h>

/* Compared by ratio: on the scale of logarithms. */
bool sample_is_log(enum baseline_kind kind);
double sample_scaled(enum baseline_kind kind, double value);
/* What is compared: the mean of the sections on that scale, which is what their variance is of
 * (batching: Nakayama 2014).  A quantile of all values may lie in a gap between two modes, where it
 * jumps by more than its sections tell. */
double sample_centre(const struct baseline_sample *sample);
/* Variance on that scale, within the run; false where it is not known. */
bool sample_variance(const struct baseline_sample *sample, double *ret_variance, double *ret_df)
    __attribute__((warn_unused_result));

#endif
