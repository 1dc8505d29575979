#include "judge/season.h"

#include <math.h>
#include <string.h>

#define N_TERMS (2 + SEASON_COEFFICIENTS)

struct equations {
    double a[N_TERMS][N_TERMS + 1];
};

/* A constant, a line from 0 to 1, and the two waves. */
static void terms_at(double x, double from, double span, double period, double term[N_TERMS])
{
    double phase = 2 * M_PI * (x - from) / period;
    term[0] = 1;
    term[1] = (x - from) / span;
    term[2] = sin(phase);
    term[3] = cos(phase);
    term[4] = sin(2 * phase);
    term[5] = cos(2 * phase);
}

/* Gauss and Jordan, the largest pivot first; a column without one gets 0. */
static void solve(struct equations *e, double ret[N_TERMS])
{
    for (size_t c = 0; c < N_TERMS; c++) {
        size_t pivot = c;
        for (size_t r = c + 1; r < N_TERMS; r++) {
            pivot = fabs(e->a[r][c]) > fabs(e->a[pivot][c]) ? r : pivot;
        }
        double row[N_TERMS + 1];
        memcpy(row, e->a[c], sizeof row);
        memcpy(e->a[c], e->a[pivot], sizeof row);
        memcpy(e->a[pivot], row, sizeof row);
        for (size_t r = 0; r < N_TERMS && e->a[c][c] != 0; r++) {
            double times = r == c ? 0 : e->a[r][c] / e->a[c][c];
            for (size_t k = 0; k <= N_TERMS; k++) {
                e->a[r][k] -= times * e->a[c][k];
            }
        }
    }
    for (size_t c = 0; c < N_TERMS; c++) {
        ret[c] = e->a[c][c] != 0 ? e->a[c][N_TERMS] / e->a[c][c] : 0;
    }
}

bool season_remove(double *y, double *y_min, const double *x, size_t n, double period)
{
    struct equations e = {0};
    double term[N_TERMS];
    double beta[N_TERMS];
    double span = n > 0 ? x[n - 1] - x[0] : 0;
    if (period <= 0 || span < SEASON_PERIODS * period ||
        period * (double)(n - 1) < SEASON_READINGS * span) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        terms_at(x[i], x[0], span, period, term);
        for (size_t r = 0; r < N_TERMS; r++) {
            for (size_t c = 0; c < N_TERMS; c++) {
                e.a[r][c] += term[r] * term[c];
            }
            e.a[r][N_TERMS] += term[r] * (y[i] - y[0]);
        }
    }
    solve(&e, beta);
    for (size_t i = 0; i < n; i++) {
        double season = 0;
        terms_at(x[i], x[0], span, period, term);
        for (size_t k = 2; k < N_TERMS; k++) {
            season += beta[k] * term[k];
        }
        y[i] -= season;
        y_min[i] -= season;
    }
    return true;
}
