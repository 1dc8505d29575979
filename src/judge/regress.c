#include "judge/regress.h"

#include "base/bug.h"
#include "base/mem.h"
#include "judge/numeric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OUTLIER_SCALES  3.0
#define ROWS_PER_COLUMN 2.5
/* Noises less likely than the best by so many nats don't count. */
#define LEAST_NATS 7.0
/* The noise for which it is found out which columns add nothing and which rows are outliers (a
 * spike would look like noise that forgets). */
#define USUAL_RHO 0.8
/* What the design leaves of a column's squares, as a share, when the column adds nothing. */
#define NOTHING_LEFT 1e-9

/* One less the AR(1) coefficient. */
static const double gaps[] = {1,    0.7,  0.5,   0.36,  0.26,  0.19,   0.14,  0.1,
                              0.07, 0.05, 0.036, 0.026, 0.018, 0.0125, 0.008, 0.005};

#define N_NOISES (sizeof gaps / sizeof *gaps)

/* Sums of products of the table's rows with themselves and with the row before. */
struct products {
    struct gram same, across;
};

/* The same over the rows that are fitted: for any noise the whitened system is a sum of these. */
struct system {
    struct gram now, before, across;
    double first[GRAM_MAX];
    size_t n;
};

struct noise {
    double rho;
    double nats; /* restricted log likelihood */
};

static void take_row(const double *table, size_t n, size_t n_columns, size_t at, double *row)
{
    for (size_t c = 0; c < n_columns; c++) {
        row[c] = table[c * n + at];
    }
}

static struct products *make_products(const double *table, size_t n, size_t n_columns,
                                      const struct products *fewer)
{
    struct products *p = xcalloc(1, sizeof *p);
    if (fewer != NULL) {
        *p = *fewer;
    }
    gram_make(table, n, n_columns, 0, &p->same);
    gram_make(table, n, n_columns, 1, &p->across);
    return p;
}

static struct system *make_system(const double *table, size_t n, const struct products *p)
{
    struct system *s = xmalloc(sizeof *s);
    double last[GRAM_MAX];
    s->n = n - 1;
    take_row(table, n, p->same.n, 0, s->first);
    take_row(table, n, p->same.n, n - 1, last);
    s->now = p->same;
    s->before = p->same;
    s->across = p->across;
    gram_add(&s->now, s->first, s->first, -1);
    gram_add(&s->before, last, last, -1);
    return s;
}

/* The fitted row `at` counts more by `times`. */
static void system_weigh(struct system *p, const double *table, size_t n, size_t at, double times)
{
    double now[GRAM_MAX], before[GRAM_MAX];
    take_row(table, n, p->now.n, at, now);
    take_row(table, n, p->now.n, at - 1, before);
    gram_add(&p->now, now, now, times);
    gram_add(&p->before, before, before, times);
    gram_add(&p->across, now, before, 2 * times);
}

/* The whitened system.  The first row stands with the precision that the noise has by itself, so
 * that a level is known although the noise wanders.  The table's first column, y, comes last. */
static void whitened_system(const struct system *p, double rho, struct gram *ret_gram)
{
    size_t n = p->now.n;
    double precision = 1 - rho * rho;
    ret_gram->n = n;
    for (size_t i = 0; i < n; i++) {
        size_t row = i + 1 < n ? i + 1 : 0;
        for (size_t j = 0; j <= i; j++) {
            size_t column = j + 1 < n ? j + 1 : 0;
            ret_gram->a[i][j] = precision * p->first[row] * p->first[column] +
                                p->now.a[row][column] - rho * p->across.a[row][column] +
                                rho * rho * p->before.a[row][column];
        }
    }
}

static void solve(const struct system *p, const bool *out, double rho, struct factor *ret_factor)
{
    struct gram g;
    whitened_system(p, rho, &g);
    gram_factor(&g, out, ret_factor);
}

/* Degrees of freedom that are left. */
static double rows_left(const struct system *p, const struct factor *f)
{
    return (double)(p->n + 1 - f->n_in);
}

/* Weighs every noise of the grid; returns the likeliest. */
static size_t search(const struct system *p, const bool *out, struct noise *noises)
{
    size_t best = 0;
    for (size_t i = 0; i < N_NOISES; i++) {
        struct factor f;
        double rho = 1 - gaps[i];
        solve(p, out, rho, &f);
        noises[i].rho = rho;
        noises[i].nats = 0.5 * log(1 - rho * rho) - 0.5 * f.log_squares -
                         0.5 * rows_left(p, &f) * log(fmax(f.rest, 1e-9));
        best = noises[i].nats > noises[best].nats ? i : best;
    }
    return best;
}

void regress_whiten(const struct regress *fit, const double *column, double *ret)
{
    for (size_t i = 0; i < fit->n; i++) {
        ret[i] = fit->weight[i] * (column[i + 1] - fit->rho * column[i]);
    }
}

/* Whitens the table for the likeliest noise and takes that noise's residual. */
static void take_residual(const double *table, struct regress *fit)
{
    double beta[GRAM_MAX];
    factor_solve(&fit->factor, beta);
    regress_whiten(fit, table, fit->residual);
    for (size_t c = 0; c < fit->n_columns; c++) {
        regress_whiten(fit, table + (c + 1) * (fit->n + 1), fit->whitened + c * fit->n);
    }
    for (size_t c = 0; c < fit->n_columns; c++) {
        const double *x = fit->whitened + c * fit->n;
        for (size_t i = 0; i < fit->n; i++) {
            fit->residual[i] -= beta[c] * x[i];
        }
    }
}

/* Weights from the unweighted residual, so that no row counts for more than one at the limit, even
 * one that is absurd; the products follow. */
static void weigh_rows(const double *table, struct system *p, struct regress *fit)
{
    CLEANUP_FREE double *departure = xmalloc(fit->n * sizeof *departure);
    double middle = numeric_median(fit->residual, fit->n);
    for (size_t i = 0; i < fit->n; i++) {
        departure[i] = fabs(fit->residual[i] - middle);
    }
    double limit = OUTLIER_SCALES * (1.4826 * numeric_median(departure, fit->n) + 1);
    for (size_t i = 0; i < fit->n; i++) {
        fit->weight[i] = fmin(1, limit / fmax(fabs(fit->residual[i]), 1e-9));
        if (fit->weight[i] < 1) {
            system_weigh(p, table, fit->n + 1, i + 1, fit->weight[i] * fit->weight[i] - 1);
        }
    }
}

/* Coefficients and standard errors over all plausible noises: the mean of the squared standard
 * errors, and the spread of the coefficients. */
static void average(const struct system *p, const bool *out, const struct noise *noises,
                    size_t best, size_t n_wanted, struct regress *fit)
{
    double total = 0;
    double mean[GRAM_MAX] = {0}, square[GRAM_MAX] = {0}, variance[GRAM_MAX] = {0};
    for (size_t i = 0; i < N_NOISES; i++) {
        struct factor f;
        double beta[GRAM_MAX];
        double share = exp(noises[i].nats - noises[best].nats);
        if (noises[i].nats < noises[best].nats - LEAST_NATS) {
            continue;
        }
        solve(p, out, noises[i].rho, &f);
        factor_solve(&f, beta);
        total += share;
        for (size_t c = 0; c < fit->n_columns; c++) {
            mean[c] += share * beta[c];
            square[c] += share * beta[c] * beta[c];
            if (c < n_wanted) {
                variance[c] += share * f.rest / rows_left(p, &f) * factor_inverse(&f, c);
            }
        }
    }
    for (size_t c = 0; c < fit->n_columns; c++) {
        fit->beta[c] = mean[c] / total;
        double spread = square[c] / total - fit->beta[c] * fit->beta[c];
        if (c < n_wanted) {
            fit->se[c] = sqrt(fmax(1e-30, variance[c] / total + fmax(0, spread)));
        }
    }
    fit->df = fmax(5, rows_left(p, &fit->factor) - 2);
}

bool regress_fit(const double *table, size_t n, size_t n_columns, size_t n_wanted,
                 const struct regress *fewer, struct regress *ret_fit)
{
    struct regress fit = {.n = n - 1, .n_columns = n_columns};
    struct noise noises[N_NOISES];
    bool out[GRAM_MAX];
    BUG_ON(n_columns > REGRESS_COLUMNS || n_wanted > n_columns);
    if ((double)n < ROWS_PER_COLUMN * (double)n_columns) {
        return false;
    }
    fit.products = make_products(table, n, n_columns + 1, fewer != NULL ? fewer->products : NULL);
    CLEANUP_FREE struct system *p = make_system(table, n, fit.products);
    fit.whitened = xmalloc(fit.n * n_columns * sizeof *fit.whitened);
    fit.residual = xmalloc(fit.n * sizeof *fit.residual);
    fit.weight = xmalloc(fit.n * sizeof *fit.weight);
    for (size_t i = 0; i < fit.n; i++) {
        fit.weight[i] = 1;
    }
    fit.rho = USUAL_RHO;
    solve(p, NULL, fit.rho, &fit.factor);
    memcpy(out, fit.factor.out, sizeof out);
    take_residual(table, &fit);
    weigh_rows(table, p, &fit);
    size_t best = search(p, out, noises);
    fit.rho = noises[best].rho;
    solve(p, out, fit.rho, &fit.factor);
    take_residual(table, &fit);
    average(p, out, noises, best, n_wanted, &fit);
    *ret_fit = fit;
    return true;
}

bool regress_add(const struct regress *fit, const double *whitened, size_t of,
                 struct addition *ret_addition)
{
    double products[GRAM_MAX], others[GRAM_MAX], own[GRAM_MAX];
    double square = gram_dot(whitened, whitened, fit->n);
    double noise = gram_dot(fit->residual, fit->residual, fit->n);
    for (size_t c = 0; c < fit->n_columns; c++) {
        products[c] = gram_dot(whitened, fit->whitened + c * fit->n, fit->n);
    }
    double left = factor_left(&fit->factor, products, square, others);
    if (left <= NOTHING_LEFT * square) {
        return false;
    }
    double beta = gram_dot(whitened, fit->residual, fit->n) / left;
    double df = fmax(5, (double)(fit->n - fit->factor.n_in) - 1);
    noise = fmax(noise - beta * beta * left, 1e-9) / df;
    factor_solve(&fit->factor, own);
    *ret_addition = (struct addition){
        .beta = beta,
        .se = sqrt(noise / left),
        .rest = own[of] - beta * others[of],
        .rest_se =
            sqrt(noise * (factor_inverse(&fit->factor, of) + others[of] * others[of] / left)),
    };
    return true;
}

void regress_left(const double *design, size_t n, size_t n_columns, double *ret_left)
{
    CLEANUP_FREE double *centred = xcalloc(n * (n_columns + 1), sizeof *centred);
    struct gram g = {.n = 0};
    struct factor f;
    for (size_t c = 0; c < n_columns; c++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) {
            mean += design[c * n + i] / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
            centred[c * n + i] = design[c * n + i] - mean;
        }
    }
    gram_make(centred, n, n_columns + 1, 0, &g);
    gram_factor(&g, NULL, &f);
    for (size_t c = 0; c < n_columns; c++) {
        double inverse = factor_inverse(&f, c);
        ret_left[c] = g.a[c][c] > 0 && isfinite(inverse) ? 1 / (inverse * g.a[c][c]) : 0;
    }
}

void regress_end(struct regress *fit)
{
    free(fit->whitened);
    free(fit->residual);
    free(fit->weight);
    free(fit->products);
}
