/* Trend: the slope of block levels along an exposure, with an interval that holds although the
 * memory of the noise is unknown.  Levels and exposure are projected on a few low-frequency
 * cosines (Mueller and Watson 2015; Lazarus, Lewis, Stock and Watson 2018), where noise with a
 * spectrum of frequency^(-2d) becomes white when weighted by i^d.  The fit is made for d = 0
 * (white), 1/2 (1/f) and 1 (random walk); the interval is the union over every d that the data
 * do not rule out, so it widens by itself when they can't tell.  A logarithm of the exposure is
 * fitted as the rival: growth that a logarithm explains as well is slowing down. */
#ifndef JUDGE_TREND_H
#define JUDGE_TREND_H

#include "judge/levels.h"

#include <stddef.h>

struct trend_limits {
    double alpha;          /* one-sided error of the interval */
    double likelihood_cut; /* nats below the best at which a noise memory is ruled out */
    double line_nats;      /* nats by which a line must beat the logarithm; sizes se_for_line */
};

struct trend {
    double slope, low, high; /* bytes per unit of exposure */
    double se;               /* the largest of the plausible noise memories */
    double noise_memory;     /* d of the likeliest */
    double line_nats;        /* by which the line beat the logarithm, at the worst plausible d */
    double slope_for_line;   /* slope that it takes to beat the logarithm by limits.line_nats */
    size_t n_cosines;
};

/* Fits the levels.  `origin` and `span` are those of the whole run's exposure: the logarithm is
 * ln(x - origin + 0.03 span).  The exposure must grow within the levels. */
void trend_fit(const struct levels *levels, double origin, double span,
               const struct trend_limits *limits, struct trend *ret_trend);

#endif
