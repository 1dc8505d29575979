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

/* What the filter keeps of a level from row to row: half of it after 34 rows.  Noise that does not
 * wander loses little by it: in simulated runs the same drivers are found, and intervals of runs
 * whose level does wander hold as often as they say. */
#define KEEP 0.98
/* A reading is absurd when it is so many times further from its neighbours than nearly all are;
 * where the load switches they are apart in one row of ten. */
#define ABSURD_SCALES   10.0
#define ABSURD_QUANTILE 0.97

/* Sums of products of the table's rows with themselves, and of their steps. */
struct products {
    struct gram same, steps;
};

/* The same over the rows that are fitted: for any noise the whitened system is a sum of these. */
struct system {
    struct gram now, before, steps;
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
    gram_make(table, n, n_columns, &p->same);
    gram_make_steps(table, n, n_columns, &p->steps);
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
    s->steps = p->steps;
    gram_add(&s->now, s->first, s->first, -1);
    gram_add(&s->before, last, last, -1);
    return s;
}

/* The fitted row `at` counts more by `times`. */
static void system_weigh(struct system *p, const double *table, size_t n, size_t at, double times)
{
    double now[GRAM_MAX], before[GRAM_MAX], step[GRAM_MAX];
    take_row(table, n, p->now.n, at, now);
    take_row(table, n, p->now.n, at - 1, before);
    for (size_t c = 0; c < p->now.n; c++) {
        step[c] = now[c] - before[c];
    }
    gram_add(&p->now, now, now, times);
    gram_add(&p->before, before, before, times);
    gram_add(&p->steps, step, step, times);
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
                                (1 - rho) * p->now.a[row][column] + rho * p->steps.a[row][column] -
                                rho * (1 - rho) * p->before.a[row][column];
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

/* (1 - B) / (1 - KEEP B), from the level 0 on; four rows at a time, since each waits for the one
 * before. */
static void filter(const double *column, size_t n, double *ret)
{
    const double k = KEEP;
    double before = 0, passed = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        double a = column[i] - before, b = column[i + 1] - column[i];
        double c = column[i + 2] - column[i + 1], d = column[i + 3] - column[i + 2];
        double ab = k * a + b, abc = k * ab + c, abcd = k * abc + d;
        ret[i] = a + k * passed;
        ret[i + 1] = ab + k * k * passed;
        ret[i + 2] = abc + k * k * k * passed;
        ret[i + 3] = passed = abcd + k * k * k * k * passed;
        before = column[i + 3];
    }
    for (; i < n; i++) {
        ret[i] = passed = column[i] - before + k * passed;
        before = column[i];
    }
}

/* A reading that is absurd beside its neighbours becomes their median: through the filter it would
 * pull on many rows. */
static void mend(double *y, size_t n)
{
    CLEANUP_FREE double *middle = xmalloc(2 * n * sizeof *middle);
    double *departure = middle + n;
    for (size_t i = 0; i < n; i++) {
        bool inside = i >= 2 && i + 2 < n;
        middle[i] = inside ? numeric_median(y + i - 2, 5) : y[i];
        departure[i] = fabs(y[i] - middle[i]);
    }
    double limit = ABSURD_SCALES * (1.4826 * numeric_quantile(departure, n, ABSURD_QUANTILE) + 1);
    for (size_t i = 0; i < n; i++) {
        y[i] = departure[i] > limit ? middle[i] : y[i];
    }
}

/* The table's first column is mended before. */
static double *filter_table(const double *table, size_t n, size_t n_columns)
{
    double *filtered = xmalloc(n * n_columns * sizeof *filtered);
    CLEANUP_FREE double *y = xmalloc(n * sizeof *y);
    memcpy(y, table, n * sizeof *y);
    mend(y, n);
    filter(y, n, filtered);
    for (size_t c = 1; c < n_columns; c++) {
        filter(table + c * n, n, filtered + c * n);
    }
    return filtered;
}

/* A column that went through the filter already. */
static void whiten(const struct regress *fit, const double *column, double *ret)
{
    for (size_t i = 0; i < fit->n; i++) {
        ret[i] = fit->weight[i] * (column[i + 1] - fit->rho * column[i]);
    }
}

void regress_whiten(const struct regress *fit, const double *column, double *ret)
{
    CLEANUP_FREE double *filtered = xmalloc((fit->n + 1) * sizeof *filtered);
    filter(column, fit->n + 1, filtered);
    whiten(fit, filtered, ret);
}

/* The residual of the factor's noise. */
static void take_residual(const double *table, struct regress *fit)
{
    double beta[GRAM_MAX];
    size_t n = fit->n + 1;
    CLEANUP_FREE double *rest = xmalloc(n * sizeof *rest);
    factor_solve(&fit->factor, beta);
    memcpy(rest, table, n * sizeof *rest);
    for (size_t c = 0; c < fit->n_columns; c++) {
        const double *x = table + (c + 1) * n;
        for (size_t i = 0; i < n; i++) {
            rest[i] -= beta[c] * x[i];
        }
    }
    whiten(fit, rest, fit->residual);
}

/* Weights from the unweighted residual, so that no row counts for more than one at the limit, even
 * one that is absurd; the products follow. */
static void weigh_rows(const double *table, struct system *p, struct regress *fit)
{
    CLEANUP_FREE double *departure = xmalloc(fit->n * sizeof *departure);
    for (size_t i = 0; i < fit->n; i++) {
        departure[i] = fabs(fit->residual[i]);
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

static void fit_filtered(const double *table, size_t n_wanted, struct regress *fit)
{
    struct noise noises[N_NOISES];
    bool out[GRAM_MAX];
    CLEANUP_FREE struct system *p = make_system(table, fit->n + 1, fit->products);
    fit->rho = USUAL_RHO;
    solve(p, NULL, fit->rho, &fit->factor);
    memcpy(out, fit->factor.out, sizeof out);
    take_residual(table, fit);
    weigh_rows(table, p, fit);
    size_t best = search(p, out, noises);
    fit->rho = noises[best].rho;
    solve(p, out, fit->rho, &fit->factor);
    take_residual(table, fit);
    for (size_t c = 0; c < fit->n_columns; c++) {
        whiten(fit, table + (c + 1) * (fit->n + 1), fit->whitened + c * fit->n);
    }
    average(p, out, noises, best, n_wanted, fit);
}

bool regress_fit(const double *table, size_t n, size_t n_columns, size_t n_wanted,
                 const struct regress *fewer, struct regress *ret_fit)
{
    struct regress fit = {.n = n - 1, .n_columns = n_columns};
    BUG_ON(n_columns > REGRESS_COLUMNS || n_wanted > n_columns);
    if ((double)n < ROWS_PER_COLUMN * (double)n_columns) {
        return false;
    }
    CLEANUP_FREE double *filtered = filter_table(table, n, n_columns + 1);
    fit.products =
        make_products(filtered, n, n_columns + 1, fewer != NULL ? fewer->products : NULL);
    fit.whitened = xmalloc(fit.n * n_columns * sizeof *fit.whitened);
    fit.residual = xmalloc(fit.n * sizeof *fit.residual);
    fit.weight = xmalloc(fit.n * sizeof *fit.weight);
    for (size_t i = 0; i < fit.n; i++) {
        fit.weight[i] = 1;
    }
    fit_filtered(filtered, n_wanted, &fit);
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

void regress_centre(const double *design, size_t n, size_t n_columns, struct gram *ret_centred)
{
    CLEANUP_FREE double *centred = xcalloc(n * (n_columns + 1), sizeof *centred);
    for (size_t c = 0; c < n_columns; c++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) {
            mean += design[c * n + i] / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
            centred[c * n + i] = design[c * n + i] - mean;
        }
    }
    ret_centred->n = 0;
    gram_make(centred, n, n_columns + 1, ret_centred);
}

void regress_left(const struct gram *centred, const size_t *without, double *ret_left)
{
    struct factor f;
    bool out[GRAM_MAX] = {false};
    if (without != NULL) {
        out[*without] = true;
    }
    gram_factor(centred, out, &f);
    for (size_t c = 0; c + 1 < centred->n; c++) {
        double square = centred->a[c][c];
        double inverse = factor_inverse(&f, c);
        ret_left[c] = square > 0 && isfinite(inverse) ? 1 / (inverse * square) : 0;
    }
}

void regress_end(struct regress *fit)
{
    free(fit->whitened);
    free(fit->residual);
    free(fit->weight);
    free(fit->products);
}
