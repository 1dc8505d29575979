#include "judge/trend.h"

#include "judge/numeric.h"

#include <math.h>

#define MAX_COSINES 12
#define N_MEMORIES  3
/* Keeps logarithms of residuals finite when a fit is exact. */
#define TINY_RESIDUAL 1e-6
#define RIVAL_OFFSET  0.03

static const double memories[N_MEMORIES] = {0, 0.5, 1};

struct projection {
    double x[MAX_COSINES];
    double y[MAX_COSINES];
    double rival[MAX_COSINES];
    size_t n;
};

struct memory_fit {
    double slope, se, log_likelihood, line_nats, slope_for_line;
};

static void project(const struct levels *levels, double origin, double span, struct projection *p)
{
    double k = (double)levels->n;
    p->n = levels->n / 2 < MAX_COSINES ? levels->n / 2 : MAX_COSINES;
    for (size_t i = 0; i < p->n; i++) {
        p->x[i] = p->y[i] = p->rival[i] = 0;
        for (size_t j = 0; j < levels->n; j++) {
            double c = cos(M_PI * (double)(i + 1) * ((double)j + 0.5) / k);
            p->x[i] += c * levels->x[j];
            p->y[i] += c * levels->level[j];
            p->rival[i] += c * log(levels->x[j] - origin + RIVAL_OFFSET * span);
        }
    }
}

/* Weighted least squares through the origin for one noise memory. */
static void fit_memory(const struct projection *p, double memory, double line_nats,
                       struct memory_fit *ret_fit)
{
    double xx = 0, xy = 0, gg = 0, gy = 0, xg = 0, log_weights = 0;
    double left_by_line = TINY_RESIDUAL;
    double left_by_rival = TINY_RESIDUAL;
    double q = (double)p->n;
    for (size_t i = 0; i < p->n; i++) {
        double w = pow((double)(i + 1), 2 * memory);
        xx += w * p->x[i] * p->x[i];
        xy += w * p->x[i] * p->y[i];
        gg += w * p->rival[i] * p->rival[i];
        gy += w * p->rival[i] * p->y[i];
        xg += w * p->x[i] * p->rival[i];
        log_weights += log((double)(i + 1));
    }
    double slope = xy / xx;
    for (size_t i = 0; i < p->n; i++) {
        double w = pow((double)(i + 1), 2 * memory);
        double line = p->y[i] - slope * p->x[i];
        double rival = p->y[i] - gy / gg * p->rival[i];
        left_by_line += w * line * line;
        left_by_rival += w * rival * rival;
    }
    double unlike = 1 - xg * xg / (xx * gg) + 1e-9;
    ret_fit->slope = slope;
    ret_fit->se = sqrt(left_by_line / (q - 1) / xx);
    ret_fit->log_likelihood = -0.5 * q * log(left_by_line) + memory * log_weights;
    ret_fit->line_nats = 0.5 * q * log(left_by_rival / left_by_line);
    ret_fit->slope_for_line = ret_fit->se * sqrt((q - 1) * expm1(2 * line_nats / q) / unlike);
}

void trend_fit(const struct levels *levels, double origin, double span,
               const struct trend_limits *limits, struct trend *ret_trend)
{
    struct projection p;
    struct memory_fit fit[N_MEMORIES];
    size_t best = 0;
    project(levels, origin, span, &p);
    for (size_t d = 0; d < N_MEMORIES; d++) {
        fit_memory(&p, memories[d], limits->line_nats, &fit[d]);
        best = fit[d].log_likelihood > fit[best].log_likelihood ? d : best;
    }
    double t = numeric_t_quantile(limits->alpha, (double)p.n - 1);
    struct trend trend = {.slope = fit[best].slope,
                          .noise_memory = memories[best],
                          .n_cosines = p.n,
                          .low = HUGE_VAL,
                          .high = -HUGE_VAL,
                          .line_nats = HUGE_VAL};
    for (size_t d = 0; d < N_MEMORIES; d++) {
        if (fit[d].log_likelihood < fit[best].log_likelihood - limits->likelihood_cut) {
            continue;
        }
        trend.low = fmin(trend.low, fit[d].slope - t * fit[d].se);
        trend.high = fmax(trend.high, fit[d].slope + t * fit[d].se);
        trend.se = fmax(trend.se, fit[d].se);
        trend.line_nats = fmin(trend.line_nats, fit[d].line_nats);
        trend.slope_for_line = fmax(trend.slope_for_line, fit[d].slope_for_line);
    }
    *ret_trend = trend;
}
