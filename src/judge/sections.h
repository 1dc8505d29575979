/* Sections: how well is a number known that one run measured, when its seconds remember each
 * other?  The run is cut into consecutive sections, the number is taken of each (for quantiles:
 * batching, Nakayama 2014, "Confidence intervals for quantiles using sectioning when applying
 * variance-reduction techniques"), and the variance of their mean is that of the lowest cosines of
 * the series that they make, so that a memory that outlasts a section is in it: the equal-weighted
 * cosine estimator with Student's t (Lazarus, Lewis, Stock and Watson 2018, "HAR inference").  No
 * random numbers, and a run is kept as a dozen numbers.  What changes more slowly than a run lasts
 * can't be in it. */
#ifndef JUDGE_SECTIONS_H
#define JUDGE_SECTIONS_H

#include "record/hist.h"

#include <stddef.h>
#include <stdint.h>

/* With fewer nothing is said. */
#define SECTIONS_MIN 8
#define SECTIONS_MAX 16

struct sections {
    size_t n;
    double value[SECTIONS_MAX]; /* in the order of time */
};

/* Variance of the mean of at least SECTIONS_MIN sections; *ret_df is of Student's t for it. */
double sections_variance(const struct sections *sections, double *ret_df);

/* Cuts a stream of histograms, a second each, into sections of about as many values. */
struct sections_cut {
    double quantile;
    uint64_t n_total; /* values that will come */
    uint64_t n_seen;
    size_t n_wanted;
    struct hist *part;        /* owns */
    struct sections sections; /* of logarithms of the quantile in ns */
};

/* As many sections as leave three values beyond the quantile in each. */
void sections_cut_begin(struct sections_cut *cut, double quantile, uint64_t n_total);
void sections_cut_add(struct sections_cut *cut, const struct hist *hist);
/* What was cut; n is 0 where there were not values or seconds enough. */
struct sections sections_cut_end(struct sections_cut *cut);

#endif
