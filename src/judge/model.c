#include "judge/model.h"

#include "base/bug.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The mean of a rate reaches back over so many readings, but at least one second. */
#define RATE_READINGS 5
#define MIN_RATE_S    1.0
/* With readings further apart than this, what is held for a while can't be followed. */
#define MAX_SPACING_S 2.5
/* With one reading a dwell, rates are of that dwell, where there are so many dwells a column. */
#define DWELLS_PER_COLUMN 3.0
/* Lags that are asked for, in readings; the mean of the rate stands for longer ones. */
#define LAGS 3
/* Time constants of a warm-up that fades, as shares of the rows' time: most up to a tenth are
 * nearly a sum of these. */
static const double fades[] = {1.0 / 60, 1.0 / 18, 1.0 / 33};

#define N_FADES (sizeof fades / sizeof *fades)
/* With fewer rows two must do: each column costs. */
#define ROWS_OF_MANY 400

static size_t rate_rows(const struct series *s, size_t from, size_t n)
{
    double spacing = series_spacing(s, from, from + n);
    if (spacing <= 0 || spacing > MAX_SPACING_S) {
        return 0;
    }
    double rows = fmax(RATE_READINGS, ceil(MIN_RATE_S / spacing));
    return (size_t)fmin(rows, (double)n / 8);
}

/* Events of a driver in the last `rows` readings up to row `at` of the series. */
static double recent(const struct series *s, enum driver d, size_t at, size_t rows)
{
    size_t back = at > rows ? at - rows : 0;
    while (s->part[back] != s->part[at]) {
        back++;
    }
    return s->x[d][at] - s->x[d][back];
}

double *model_column(const struct model *model, size_t of)
{
    return model->table + (of + 1) * model->n;
}

void model_make_counters(const struct series *series, size_t from, size_t to,
                         const enum driver *drivers, size_t n_drivers, struct model *ret_model)
{
    struct model *m = ret_model;
    *m = (struct model){.series = series, .from = from, .n = to - from, .n_counters = n_drivers};
    memcpy(m->driver, drivers, n_drivers * sizeof *drivers);
    m->table = xmalloc((REGRESS_COLUMNS + 1) * m->n * sizeof *m->table);
    for (size_t c = 0; c < n_drivers; c++) {
        const double *x = series->x[drivers[c]] + from;
        for (size_t i = 0; i < m->n; i++) {
            model_column(m, c)[i] = x[i] - x[0];
        }
    }
    m->n_columns = n_drivers;
}

/* A level, open connections, and a warm-up that fades. */
static double *fill_levels(const struct model *m, double *column)
{
    const struct series *s = m->series;
    const double *t = s->t + m->from;
    double span = t[m->n - 1] - t[0];
    size_t n_fades = m->n < ROWS_OF_MANY ? N_FADES - 1 : N_FADES;
    for (size_t i = 0; i < m->n; i++) {
        column[i] = 1;
        column[m->n + i] = s->open[m->from + i] - s->open[m->from];
        for (size_t f = 0; f < n_fades; f++) {
            column[(2 + f) * m->n + i] = exp(-(t[i] - t[0]) / (fades[f] * span));
        }
    }
    return column + (2 + n_fades) * m->n;
}

/* Rates of all drivers but time. */
static double *fill_rates(const struct model *m, double *column)
{
    for (size_t c = 0; c < m->n_counters; c++) {
        if (m->driver[c] == DRIVER_TIME) {
            continue;
        }
        for (size_t i = 0; i < m->n; i++) {
            *column++ = recent(m->series, m->driver[c], m->from + i, m->rate_rows);
        }
    }
    return column;
}

void model_make(const struct series *series, size_t from, size_t to, const enum driver *drivers,
                size_t n_drivers, bool follows, struct model *ret_model)
{
    struct model *m = ret_model;
    size_t most = 2 * n_drivers + 2 + N_FADES;
    model_make_counters(series, from, to, drivers, n_drivers, m);
    m->rate_rows = follows                                           ? rate_rows(series, from, m->n)
                   : (double)m->n > DWELLS_PER_COLUMN * (double)most ? 1
                                                                     : 0;
    double *column = model_column(m, m->n_counters);
    if (m->rate_rows > 0) {
        column = fill_rates(m, column);
    }
    column = fill_levels(m, column);
    m->n_columns = (size_t)(column - model_column(m, 0)) / m->n;
    BUG_ON(m->n_columns > REGRESS_COLUMNS);
    memcpy(m->table, series->y + from, m->n * sizeof *column);
}

bool model_add(struct model *model, const double *column)
{
    if (model->n_columns >= REGRESS_COLUMNS) {
        return false;
    }
    memcpy(model_column(model, model->n_columns++), column, model->n * sizeof *column);
    return true;
}

/* What the server keeps of the events of the last `lag` readings, by the first fit: what is not yet
 * there if it books them so much later. */
static void lagging(const struct model *m, const struct regress *fit, size_t lag, double *column)
{
    for (size_t i = 0; i < m->n; i++) {
        column[i] = 0;
        for (size_t c = 0; c < m->n_counters; c++) {
            if (m->driver[c] != DRIVER_TIME) {
                column[i] += fit->beta[c] * recent(m->series, m->driver[c], m->from + i, lag);
            }
        }
    }
}

void model_refine(struct model *model, const struct regress *fit)
{
    CLEANUP_FREE double *column = xmalloc(model->n * sizeof *column);
    bool room = true;
    size_t lags = model->rate_rows > 1 ? LAGS : 1 - model->rate_rows;
    for (size_t lag = 1; room && lag <= lags; lag++) {
        lagging(model, fit, lag, column);
        room = model_add(model, column);
    }
}

void model_end(struct model *model)
{
    free(model->table);
}
