/* Trend: the slope of block levels along an exposure, with an interval that holds although the
 * memory of the noise is unknown.  Levels and exposure are projected on a few low-frequency
 * cosines (Mueller and Watson 2015; Lazarus, Lewis, Stock and Watson 2018), where noise of a known
 * spectrum becomes white when weighted by its inverse.  The fit is made for eleven spectra: white,
 * 1/f and random walk, noise that forgets after a while (AR(1)), and a walk under white noise.  The
 * interval is the union over every spectrum that the data do not rule out, so it widens by itself
 * when they can't tell.  Two rivals of the line are fitted beside it: a logarithm of the exposure,
 * since growth that a logarithm explains as well is slowing down, and a line that stops before the
 * end, as a cache does when it is full. */
#ifndef JUDGE_TREND_H
#define JUDGE_TREND_H

#include "judge/levels.h"

#include <stddef.h>

/* The rival that stops leaves out this share of the span at the end. */
#define TREND_STOPPED 0.15

struct trend_limits {
    double alpha;          /* one-sided error of the interval */
    double likelihood_cut; /* nats below the best at which a spectrum is ruled out */
    double log_nats;       /* nats by which a line must beat the logarithm, and ... */
    double stop_nats;      /* ... the line that stops; they size slope_for_rivals */
    size_t n_removed;      /* coefficients that were fitted to the readings and removed before */
};

struct trend {
    double slope, low, high; /* bytes per unit of exposure */
    double se;               /* the largest of the plausible spectra */
    double log_nats;         /* by which the line beat the logarithm, at the worst plausible ... */
    double stop_nats;        /* ... spectrum, and the line that stops */
    double slope_for_rivals; /* slope that it takes to beat both by the limits */
    double df;               /* of the standard error */
};

/* Fits the levels.  `origin` and `span` are those of the whole run's exposure: the logarithm is
 * ln(x - origin + 0.03 span).  The exposure must grow within the levels. */
void trend_fit(const struct levels *levels, double origin, double span,
               const struct trend_limits *limits, struct trend *ret_trend);

#endif
