#include "judge/attribute.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/str.h"
#include "judge/numeric.h"
#include "judge/regress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALPHA_BLAME 1e-4 /* one-sided, shared by the drivers that are asked */
#define ALPHA_UPPER 0.02 /* the same, for upper bounds */
#define ALPHA_SHOWN 0.025
/* Intervals for people are this much wider: in 70 s runs the plain ones held the truth in 92 %. */
#define WIDENING 1.15
/* At this t value a driver is guilty whatever the shape of the growth: in simulated runs of 70 s no
 * innocent got beyond 9.5, and what keeps 2 KiB per certificate begins at 11. */
#define OVERWHELMING_T 10.0
/* A counter is separable when what the others leave of its variance is more than this, divided
 * by the number of readings.  Over 200 simulated loads each (32 and 128 dwells), full factorials
 * of two-second dwells leave 0.36 at least, and steady Poisson arrivals 0.10 at most. */
#define MIN_LEFT 0.2
/* The mean of a rate reaches back over so many readings, but at least one second. */
#define RATE_READINGS 5
#define MIN_RATE_S    1.0
/* With readings further apart than this, what is held for a while can't be followed. */
#define MAX_SPACING_S 2.5
/* The part of the run that must still grow for a driver not to be bounded. */
#define TAIL_SHARE     0.42
#define TAIL_REMAINDER 0.5
#define TAIL_SE        2.5
/* Given back after a while (TTL): this share of it, at this t value. */
#define RETURNED_SHARE 0.4
#define RETURNED_T     4.0
#define MAX_DELAYS     64

/* The design matrix, column after column: counters, rates, constant, open connections. */
struct model {
    size_t n;
    size_t n_counters;
    size_t n_columns;
    enum driver driver[DRIVER_COUNT]; /* of the counters */
    size_t rate_rows;                 /* rows that a rate reaches back; 0: no rates */
    double *design;                   /* owns */
};

static bool moves(const struct series *s, enum driver d, size_t from, size_t to)
{
    return s->has[d] && s->x[d][to - 1] > s->x[d][from];
}

static size_t rate_rows(const struct series *s, size_t from, size_t to)
{
    double spacing = (s->t[to - 1] - s->t[from]) / (double)(to - from - 1);
    if (spacing <= 0 || spacing > MAX_SPACING_S) {
        return 0;
    }
    double rows = fmax(RATE_READINGS, ceil(MIN_RATE_S / spacing));
    return (size_t)fmin(rows, (double)(to - from) / 8);
}

static void fill_counters(const struct series *s, size_t from, struct model *m)
{
    for (size_t c = 0; c < m->n_counters; c++) {
        const double *x = s->x[m->driver[c]] + from;
        for (size_t i = 0; i < m->n; i++) {
            m->design[c * m->n + i] = x[i] - x[0];
        }
    }
}

/* Columns after the counters: rates of all drivers but time, the constant, open connections. */
static void fill_rest(const struct series *s, size_t from, struct model *m)
{
    double *column = m->design + m->n_counters * m->n;
    for (size_t c = 0; c < m->n_counters && m->rate_rows > 0; c++) {
        if (m->driver[c] == DRIVER_TIME) {
            continue;
        }
        for (size_t i = 0; i < m->n; i++, column++) {
            size_t at = from + i;
            size_t back = at > m->rate_rows ? at - m->rate_rows : 0;
            while (s->part[back] != s->part[at]) {
                back++;
            }
            *column = s->x[m->driver[c]][at] - s->x[m->driver[c]][back];
        }
    }
    for (size_t i = 0; i < m->n; i++) {
        *column++ = 1;
    }
    for (size_t i = 0; i < m->n; i++) {
        *column++ = s->open[from + i] - s->open[from];
    }
    m->n_columns = (size_t)(column - m->design) / m->n;
    BUG_ON(m->n_columns > REGRESS_COLUMNS);
}

static void model_make(const struct series *s, size_t from, size_t to, const enum driver *drivers,
                       size_t n_drivers, struct model *m)
{
    *m = (struct model){.n = to - from, .n_counters = n_drivers};
    memcpy(m->driver, drivers, n_drivers * sizeof *drivers);
    m->rate_rows = rate_rows(s, from, to);
    m->design = xmalloc((2 * n_drivers + 2) * m->n * sizeof *m->design);
    fill_counters(s, from, m);
    fill_rest(s, from, m);
}

static double correlation(const double *a, const double *b, size_t n)
{
    double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
    for (size_t i = 0; i < n; i++) {
        sa += a[i];
        sb += b[i];
        saa += a[i] * a[i];
        sbb += b[i] * b[i];
        sab += a[i] * b[i];
    }
    double k = (double)n;
    double va = saa - sa * sa / k;
    double vb = sbb - sb * sb / k;
    return va > 0 && vb > 0 ? (sab - sa * sb / k) / sqrt(va * vb) : 0;
}

/* The counter that moved most like counter `of`. */
static size_t nearest_counter(const struct model *m, size_t of)
{
    size_t best = of == 0 ? 1 : 0;
    double most = -2;
    for (size_t c = 0; c < m->n_counters; c++) {
        double alike =
            c == of ? -2 : correlation(m->design + c * m->n, m->design + of * m->n, m->n);
        if (alike > most) {
            most = alike;
            best = c;
        }
    }
    return best;
}

static void mark_confounded(struct attribution *a, enum driver d, enum driver with)
{
    a->driver[d].separable = false;
    (void)str_copy(a->driver[d].confounded_with, sizeof a->driver[d].confounded_with,
                   driver_info(with)->name);
}

/* Takes out, one by one, the counter that the others explain best while that is too much; the one
 * that it moved with stays, and stands for both.  Leaves the drivers that can be asked. */
static size_t separate(const struct series *s, size_t from, size_t to, enum driver *drivers,
                       size_t n, struct attribution *a)
{
    while (n > 1) {
        struct model m = {.n = to - from, .n_counters = n};
        double most = 0;
        size_t worst = 0;
        memcpy(m.driver, drivers, n * sizeof *drivers);
        CLEANUP_FREE double *design = xmalloc((n + 1) * m.n * sizeof *design);
        m.design = design;
        fill_counters(s, from, &m);
        for (size_t i = 0; i < m.n; i++) {
            design[n * m.n + i] = 1;
        }
        for (size_t c = 0; c < n; c++) {
            double explained = regress_explained(design, m.n, n + 1, c);
            if (explained >= most) {
                most = explained;
                worst = c;
            }
        }
        if (most <= 1 - MIN_LEFT / (double)m.n) {
            break;
        }
        size_t with = nearest_counter(&m, worst);
        mark_confounded(a, drivers[worst], drivers[with]);
        mark_confounded(a, drivers[with], drivers[worst]);
        memmove(drivers + worst, drivers + worst + 1, (n - worst - 1) * sizeof *drivers);
        n--;
    }
    return n;
}

/* Refit of the last part: growth that has since more than halved was a store that filled. */
static bool is_bounded(const struct series *s, size_t from, size_t to, const struct model *m,
                       size_t c, double beta)
{
    struct regress tail;
    struct model tail_model;
    size_t tail_from = to - (size_t)(TAIL_SHARE * (double)(to - from));
    bool bounded = false;
    model_make(s, tail_from, to, m->driver, m->n_counters, &tail_model);
    if (regress_fit(tail_model.design, s->y + tail_from, tail_model.n, tail_model.n_columns,
                    m->n_counters, &tail)) {
        bounded = tail.beta[c] + TAIL_SE * tail.se[c] < TAIL_REMAINDER * beta;
        regress_end(&tail);
    }
    free(tail_model.design);
    return bounded;
}

/* Does memory come back a fixed time after the event?  Every candidate delay is one projection of
 * the delayed counter. */
static bool is_returned(const struct model *m, const struct regress *fit, size_t c, double beta)
{
    const double *counter = m->design + c * m->n;
    CLEANUP_FREE double *delayed = xmalloc(m->n * sizeof *delayed);
    size_t base = m->rate_rows > 0 ? m->rate_rows : 1;
    size_t last = (size_t)(0.6 * (double)m->n);
    size_t step = base / 2 > last / MAX_DELAYS ? base / 2 : last / MAX_DELAYS;
    double best_t = 0;
    for (size_t delay = 3 * base; delay<last; delay += step> 0 ? step : 1) {
        double added, t;
        for (size_t i = 0; i < m->n; i++) {
            delayed[i] = i < delay ? 0 : counter[i - delay];
        }
        if (regress_added(fit, delayed, &added, &t) && added < -RETURNED_SHARE * beta) {
            best_t = fmin(best_t, t);
        }
    }
    return best_t < -RETURNED_T;
}

static void judge_counter(const struct series *s, size_t from, size_t to, const struct model *m,
                          const struct regress *fit, size_t c, struct attribution *a)
{
    enum driver d = m->driver[c];
    struct driver_finding *finding = &a->driver[d];
    double n_asked = (double)m->n_counters;
    double beta = fit->beta[c];
    double se = fit->se[c];
    double shown = WIDENING * numeric_t_quantile(ALPHA_SHOWN, fit->df) * se;
    double low = beta - numeric_t_quantile(ALPHA_BLAME / n_asked, fit->df) * se;
    bool grows = low > 0 && beta > driver_info(d)->floor_bytes;
    if (grows && d != DRIVER_TIME) {
        finding->bounded = is_bounded(s, from, to, m, c, beta) || is_returned(m, fit, c, beta);
    }
    a->explains[d] = grows && !finding->bounded;
    a->overwhelming[d] = a->explains[d] && d != DRIVER_TIME && beta > OVERWHELMING_T * se;
    if (finding->separable) {
        finding->bytes_per_event = beta;
        finding->low = beta - shown;
        finding->high = beta + shown;
        finding->blamed = a->explains[d];
        a->upper[d] = beta + numeric_t_quantile(ALPHA_UPPER / n_asked, fit->df) * se;
    }
}

/* Bytes by row that the explaining counters, and that rates and open connections account for. */
static void account(const struct model *m, const struct regress *fit, struct attribution *a)
{
    a->exposure = xcalloc(m->n, sizeof *a->exposure);
    a->held = xcalloc(m->n, sizeof *a->held);
    for (size_t c = 0; c < m->n_columns; c++) {
        const double *column = m->design + c * m->n;
        bool counter = c < m->n_counters;
        if (counter && !a->explains[m->driver[c]]) {
            continue;
        }
        double *to = counter ? a->exposure : a->held;
        for (size_t i = 0; i < m->n; i++) {
            to[i] += fit->beta[c] * (column[i] - column[0]);
        }
    }
}

/* Nothing could be asked: one driver alone, or too few readings. */
static void forget_separable(struct attribution *a)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        a->driver[d].separable = false;
    }
}

void attribution_make(const struct series *series, size_t from, size_t to,
                      struct attribution *ret_attribution)
{
    struct attribution *a = ret_attribution;
    enum driver drivers[DRIVER_COUNT];
    size_t n = 0;
    struct regress fit;
    struct model m;
    *a = (struct attribution){.n = to - from, .from = from};
    for (int d = 0; d < DRIVER_COUNT; d++) {
        a->upper[d] = NAN;
        a->driver[d] = (struct driver_finding){
            .driver = (enum driver)d, .bytes_per_event = NAN, .low = NAN, .high = NAN};
        if (to > from + 2 && moves(series, (enum driver)d, from, to)) {
            a->driver[d].events = series->x[d][to - 1] - series->x[d][from];
            a->driver[d].separable = true;
            drivers[n++] = (enum driver)d;
        }
    }
    n = n < 2 ? n : separate(series, from, to, drivers, n, a);
    if (n < 2) {
        forget_separable(a);
        return;
    }
    model_make(series, from, to, drivers, n, &m);
    if (regress_fit(m.design, series->y + from, m.n, m.n_columns, m.n_counters, &fit)) {
        a->fitted = true;
        for (size_t c = 0; c < m.n_counters; c++) {
            judge_counter(series, from, to, &m, &fit, c, a);
        }
        account(&m, &fit, a);
        regress_end(&fit);
    } else {
        forget_separable(a);
    }
    free(m.design);
}

void attribution_end(struct attribution *attribution)
{
    free(attribution->exposure);
    free(attribution->held);
}
