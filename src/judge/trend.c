#include "judge/trend.h"

#include "judge/numeric.h"

#include <math.h>

#define MAX_COSINES 24
#define N_SPECTRA   11
/* Keeps logarithms of residuals finite when a fit is exact. */
#define TINY_RESIDUAL 1e-6
#define RIVAL_OFFSET  0.03
/* Few cosines make a line look better than it is: the slope and the noise were fitted to them. */
#define FITTED 2.0

/* Noise power at the i-th cosine (half a cycle each over the window): white + walk / (i^2 +
 * corner^2), or 1/f. */
static const struct spectrum {
    double white, walk, corner, flicker;
} spectra[N_SPECTRA] = {
    {.white = 1},
    {.flicker = 1},
    {.walk = 1},
    {.walk = 1, .corner = 2},
    {.walk = 1, .corner = 4},
    {.walk = 1, .corner = 8},
    {.walk = 1, .corner = 16},
    {.walk = 1, .white = 1},
    {.walk = 1, .white = 1.0 / 9},
    {.walk = 1, .white = 1.0 / 36},
    {.walk = 1, .white = 1.0 / 144},
};

/* The line and its rivals. */
enum shape { LINE, LOGARITHM, STOPPED, N_SHAPES };

struct projection {
    double y[MAX_COSINES];
    double shape[N_SHAPES][MAX_COSINES];
    size_t n;
    double df;
};

struct spectrum_fit {
    double slope, se, log_likelihood, log_nats, stop_nats, slope_for_rivals;
};

static void project(const struct levels *levels, double origin, double span, struct projection *p)
{
    double k = (double)levels->n;
    double rival[LEVELS_MAX];
    double end = origin + (1 - TREND_STOPPED) * span;
    p->n = levels->n / 2 < MAX_COSINES ? levels->n / 2 : MAX_COSINES;
    for (size_t j = 0; j < levels->n; j++) {
        rival[j] = log(levels->x[j] - origin + RIVAL_OFFSET * span);
    }
    for (size_t i = 0; i < p->n; i++) {
        p->y[i] = 0;
        p->shape[LINE][i] = p->shape[LOGARITHM][i] = p->shape[STOPPED][i] = 0;
    }
    for (size_t j = 0; j < levels->n; j++) {
        double first = cos(M_PI * ((double)j + 0.5) / k);
        double before = 1;
        double c = first;
        double stopped = fmin(levels->x[j], end);
        for (size_t i = 0; i < p->n; i++) {
            p->y[i] += c * levels->level[j];
            p->shape[LINE][i] += c * levels->x[j];
            p->shape[LOGARITHM][i] += c * rival[j];
            p->shape[STOPPED][i] += c * stopped;
            double next = 2 * first * c - before; /* cos (i + 1) a */
            before = c;
            c = next;
        }
    }
}

/* Sum of products, weighted. */
static double product(const double *a, const double *b, const double *weight, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += weight[i] * a[i] * b[i];
    }
    return sum;
}

/* Weighted least squares through the origin: what the shape leaves of the readings. */
static double residual(const struct projection *p, const double *shape, const double *weight,
                       double *ret_slope)
{
    double left = TINY_RESIDUAL;
    *ret_slope = product(shape, p->y, weight, p->n) / product(shape, shape, weight, p->n);
    for (size_t i = 0; i < p->n; i++) {
        double r = p->y[i] - *ret_slope * shape[i];
        left += weight[i] * r * r;
    }
    return left;
}

/* The t value that a line takes to beat a rival by so many nats. */
static double t_for_rival(const struct projection *p, const double *rival, const double *weight,
                          double nats)
{
    const double *line = p->shape[LINE];
    double common = product(line, rival, weight, p->n);
    double unlike =
        1 -
        common * common / (product(line, line, weight, p->n) * product(rival, rival, weight, p->n));
    return sqrt(p->df * expm1(2 * nats / ((double)p->n - FITTED)) / (unlike + 1e-9));
}

static void fit_spectrum(const struct projection *p, const struct spectrum *spectrum,
                         const struct trend_limits *limits, struct spectrum_fit *ret_fit)
{
    double weight[MAX_COSINES];
    double log_weights = 0;
    double ignored;
    double q = (double)p->n;
    for (size_t i = 0; i < p->n; i++) {
        double f = (double)(i + 1);
        double power = spectrum->white + spectrum->flicker / f +
                       spectrum->walk / (f * f + spectrum->corner * spectrum->corner);
        weight[i] = 1 / power;
        log_weights -= log(power);
    }
    double left = residual(p, p->shape[LINE], weight, &ret_fit->slope);
    double left_by_log = residual(p, p->shape[LOGARITHM], weight, &ignored);
    double left_by_stop = residual(p, p->shape[STOPPED], weight, &ignored);
    double xx = product(p->shape[LINE], p->shape[LINE], weight, p->n);
    ret_fit->se = sqrt(left / p->df / xx);
    ret_fit->log_likelihood = 0.5 * (log_weights - q * log(left));
    ret_fit->log_nats = 0.5 * (q - FITTED) * log(left_by_log / left);
    ret_fit->stop_nats = 0.5 * (q - FITTED) * log(left_by_stop / left);
    ret_fit->slope_for_rivals =
        ret_fit->se * fmax(t_for_rival(p, p->shape[LOGARITHM], weight, limits->log_nats),
                           t_for_rival(p, p->shape[STOPPED], weight, limits->stop_nats));
}

void trend_fit(const struct levels *levels, double origin, double span,
               const struct trend_limits *limits, struct trend *ret_trend)
{
    struct projection p;
    struct spectrum_fit fit[N_SPECTRA];
    size_t best = 0;
    project(levels, origin, span, &p);
    p.df = fmax(1, (double)p.n - 1 - (double)limits->n_removed);
    for (size_t s = 0; s < N_SPECTRA; s++) {
        fit_spectrum(&p, &spectra[s], limits, &fit[s]);
        best = fit[s].log_likelihood > fit[best].log_likelihood ? s : best;
    }
    double t = numeric_t_quantile(limits->alpha, p.df);
    struct trend trend = {.slope = fit[best].slope,
                          .df = p.df,
                          .low = HUGE_VAL,
                          .high = -HUGE_VAL,
                          .log_nats = HUGE_VAL,
                          .stop_nats = HUGE_VAL};
    for (size_t s = 0; s < N_SPECTRA; s++) {
        if (fit[s].log_likelihood < fit[best].log_likelihood - limits->likelihood_cut) {
            continue;
        }
        trend.low = fmin(trend.low, fit[s].slope - t * fit[s].se);
        trend.high = fmax(trend.high, fit[s].slope + t * fit[s].se);
        trend.se = fmax(trend.se, fit[s].se);
        trend.log_nats = fmin(trend.log_nats, fit[s].log_nats);
        trend.stop_nats = fmin(trend.stop_nats, fit[s].stop_nats);
        trend.slope_for_rivals = fmax(trend.slope_for_rivals, fit[s].slope_for_rivals);
    }
    *ret_trend = trend;
}
