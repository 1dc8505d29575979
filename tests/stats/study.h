/* The study of the judge's error rates: what study.c counts and study_print.c writes down.  All
 * counts are doubles, so that the parts of several processes add up as one array. */
#ifndef STATS_STUDY_H
#define STATS_STUDY_H

#include "families.h"

#include <stdio.h>

#define N_LENGTHS   3
#define N_NOISES    3
#define N_MULTIPLES 3
#define N_SHAPES    3
#define N_BASELINES 3

/* How the judge, and the baselines, called some traces. */
struct tally {
    double n, leak, bounded, stable;
    double baseline_n, alarm[N_BASELINES];
};

struct study {
    struct tally clean[N_LENGTHS][N_CLEAN_FAMILIES];
    struct tally hard[N_LENGTHS][N_HARD_FAMILIES];
    /* leaks of MULTIPLES times the budget, in all three noises */
    struct tally allowed[N_LENGTHS][N_MULTIPLES][N_LEAK_FAMILIES];
    /* leaks in typical noise, of growing size */
    struct tally shape[N_LENGTHS][N_SHAPES][N_LEAK_FAMILIES];
    /* the linear leak that is found in 80 % of runs, and what such runs report as the smallest
     * visible, both in bytes a second; without a budget */
    double smallest[N_LENGTHS][N_NOISES];
    double visible[N_LENGTHS][N_NOISES];
    /* the same leak with the budget, and by the baselines */
    double smallest_allowed[N_LENGTHS][N_NOISES];
    double smallest_baseline[N_LENGTHS][N_NOISES][N_BASELINES];
    double covered[N_LENGTHS][N_NOISES]; /* intervals that hold the truth */
    double asked[N_LENGTHS][N_NOISES];
};

struct study_options {
    unsigned first, seeds, baseline_seeds, power_seeds, jobs;
    const char *out;
};

struct study_length {
    size_t n;
    double budget; /* bytes a second */
    double shape[N_SHAPES];
};

struct study_noise {
    const char *name;
    struct noise noise;
};

extern const struct study_length study_lengths[N_LENGTHS];
extern const struct study_noise study_noises[N_NOISES];
extern const double study_multiples[N_MULTIPLES];
extern const char *const study_baselines[N_BASELINES];

/* Measures what one verdict costs (milliseconds of CPU, the median of many): a plain series of so
 * many readings through the whole judge. */
double study_cost_ms(size_t readings);
void study_print(FILE *to, const struct study *study, const struct study_options *options,
                 double seconds);

#endif
