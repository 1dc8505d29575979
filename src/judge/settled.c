#include "judge/settled.h"

#include "judge/numeric.h"

#include <math.h>

/* Allocators that give back after a while do so within this. */
#define LEAST_S 10.0
/* The tail is the last share of the time. */
#define TAIL_SHARE 0.5
/* What it may still move is asked for half as long again, but for a minute at least, so that a slow
 * give-back is seen in a short wait. */
#define AHEAD_SHARE 0.5
#define AHEAD_S     60.0
#define STILL_BYTES (256.0 * 1024)
#define STILL_SHARE 1e-3
#define STILL_NOISE 3.0
#define ALPHA       0.025
#define LEAST_DF    4.0
/* Noise is taken to remember no longer than this. */
#define MOST_RHO 0.98

/* A line through the tail. */
struct tail {
    size_t n;
    double level, slope; /* bytes at its middle, bytes a second */
    double seconds;
    double squares; /* of t around its middle */
    double noise;   /* bytes */
    double counts;  /* how many independent readings it is worth */
};

static struct tail fit_line(const double *t, const double *y, size_t n)
{
    struct tail tail = {.n = n, .seconds = t[n - 1] - t[0]};
    double middle = 0, along = 0;
    for (size_t i = 0; i < n; i++) {
        middle += t[i] / (double)n;
        tail.level += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        along += (t[i] - middle) * (y[i] - tail.level);
        tail.squares += (t[i] - middle) * (t[i] - middle);
    }
    tail.slope = along / tail.squares;
    return tail;
}

/* Noise that remembers (AR(1)) counts for fewer readings.  The estimate of its memory is too small
 * by about (2 + 4 rho) / n around a fitted line (Kendall 1954), which matters in short tails. */
static void weigh_noise(const double *t, const double *y, struct tail *tail)
{
    double n = (double)tail->n;
    double middle = (t[0] + t[tail->n - 1]) / 2;
    double before = 0, squares = 0, across = 0;
    for (size_t i = 0; i < tail->n; i++) {
        double rest = y[i] - tail->level - tail->slope * (t[i] - middle);
        across += i > 0 ? rest * before : 0;
        squares += rest * rest;
        before = rest;
    }
    double rho = squares > 0 ? across / squares : 0;
    rho = fmin(MOST_RHO, fmax(0, (n * rho + 2) / (n - 4)));
    double remembers = (1 + rho) / (1 - rho);
    tail->counts = fmax(n / remembers, 3);
    tail->noise = sqrt(squares / fmax(n - 2 * remembers, n / 4));
}

void judge_settled(const double *t, const double *y, size_t n, struct settled *ret_settled)
{
    struct settled s = {.settled = false};
    double waited_s = n > 0 ? t[n - 1] - t[0] : 0;
    while (s.from + 1 < n && t[s.from] < t[n - 1] - TAIL_SHARE * waited_s) {
        s.from++;
    }
    size_t left = n - s.from;
    if (n < SETTLED_MIN_READINGS || left < 5) {
        s.level = n > 0 ? numeric_median(y + s.from, left) : 0;
        s.uncertainty = s.moves = HUGE_VAL;
        *ret_settled = s;
        return;
    }
    struct tail tail = fit_line(t + s.from, y + s.from, left);
    weigh_noise(t + s.from, y + s.from, &tail);
    double shrunk = tail.counts / (double)left;
    double times = numeric_t_quantile(ALPHA, fmax(LEAST_DF, tail.counts - 2));
    double slope_se = tail.noise / sqrt(tail.squares * shrunk);
    double level_se = tail.noise / sqrt(tail.counts);
    double still = fmax(fmax(STILL_BYTES, STILL_SHARE * tail.level), STILL_NOISE * tail.noise);
    s.level = tail.level;
    s.slope = tail.slope;
    s.uncertainty = hypot(times * level_se, tail.slope * tail.seconds / 2);
    s.moves = (fabs(tail.slope) + times * slope_se) * fmax(AHEAD_S, AHEAD_SHARE * waited_s);
    s.settled = waited_s >= LEAST_S && s.moves <= still;
    *ret_settled = s;
}
