#include "judge/regress.h"

#include "base/bug.h"
#include "base/mem.h"
#include "judge/numeric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROUNDS      8
#define RHO_MAX         0.995
#define HUBER_SCALES    2.5
#define ROWS_PER_COLUMN 2.5
/* What is left of a column after the others, as a share of its length, when it adds nothing. */
#define NOTHING_LEFT 1e-7

/* Four sums at once: a single one waits for itself at every addition. */
static double dot_product(const double *a, const double *b, size_t n)
{
    double sum[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        sum[0] += a[i] * b[i];
        sum[1] += a[i + 1] * b[i + 1];
        sum[2] += a[i + 2] * b[i + 2];
        sum[3] += a[i + 3] * b[i + 3];
    }
    for (; i < n; i++) {
        sum[0] += a[i] * b[i];
    }
    return sum[0] + sum[1] + sum[2] + sum[3];
}

/* Orthogonalises the columns of q in place (modified Gram-Schmidt); r is upper triangular.  A
 * column that adds nothing gets r = 0 on its diagonal and a zero column. */
static void orthogonalise(double *q, size_t n, size_t p, double r[][REGRESS_COLUMNS])
{
    for (size_t j = 0; j < p; j++) {
        double *column = q + j * n;
        double before = dot_product(column, column, n);
        for (size_t k = 0; k < j; k++) {
            const double *earlier = q + k * n;
            double dot = dot_product(earlier, column, n);
            for (size_t i = 0; i < n; i++) {
                column[i] -= dot * earlier[i];
            }
            r[k][j] = dot;
        }
        double left = dot_product(column, column, n);
        bool adds = left > NOTHING_LEFT * NOTHING_LEFT * before && before > 0;
        r[j][j] = adds ? sqrt(left) : 0;
        for (size_t i = 0; i < n; i++) {
            column[i] = adds ? column[i] / r[j][j] : 0;
        }
    }
}

/* Residual of y after the orthonormal columns, in place; along[] takes the projections. */
static void project_out(const double *q, size_t n, size_t p, double *y, double *along)
{
    for (size_t j = 0; j < p; j++) {
        const double *column = q + j * n;
        double dot = dot_product(column, y, n);
        for (size_t i = 0; i < n; i++) {
            y[i] -= dot * column[i];
        }
        along[j] = dot;
    }
}

static void back_substitute(double r[][REGRESS_COLUMNS], size_t p, const double *along,
                            double *beta)
{
    for (size_t j = p; j-- > 0;) {
        double rest = along[j];
        for (size_t k = j + 1; k < p; k++) {
            rest -= r[j][k] * beta[k];
        }
        beta[j] = r[j][j] > 0 ? rest / r[j][j] : 0;
    }
}

/* Row i of the inverse of the triangular r. */
static void inverse_row(double r[][REGRESS_COLUMNS], size_t p, size_t i, double *row)
{
    for (size_t j = 0; j < p; j++) {
        double sum = i == j ? 1 : 0;
        for (size_t k = i; k < j; k++) {
            sum -= row[k] * r[k][j];
        }
        row[j] = j >= i && r[j][j] > 0 ? sum / r[j][j] : 0;
    }
}

static void quasi_difference(const double *from, size_t n, double rho, const double *weight,
                             double *to)
{
    for (size_t i = 0; i + 1 < n; i++) {
        to[i] = weight[i] * (from[i + 1] - rho * from[i]);
    }
}

/* AR(1) coefficient of what the design leaves of y, with its small-sample bias taken off. */
static double estimate_rho(const double *design, const double *y, size_t n, size_t p,
                           const double *beta)
{
    double cross = 0;
    double square = 0;
    double before = 0;
    for (size_t i = 0; i < n; i++) {
        double u = y[i];
        for (size_t j = 0; j < p; j++) {
            u -= design[j * n + i] * beta[j];
        }
        if (i > 0) {
            cross += u * before;
            square += before * before;
        }
        before = u;
    }
    double rho = square > 0 ? cross / square : 0;
    return fmin(RHO_MAX, fmax(0, rho + 4 / (double)n));
}

/* New weights from the unweighted residuals. */
static void reweigh(struct regress *fit)
{
    CLEANUP_FREE double *e = xmalloc(fit->n * sizeof *e);
    CLEANUP_FREE double *departure = xmalloc(fit->n * sizeof *departure);
    for (size_t i = 0; i < fit->n; i++) {
        e[i] = fit->residual[i] / fit->weight[i];
    }
    double middle = numeric_median(e, fit->n);
    for (size_t i = 0; i < fit->n; i++) {
        departure[i] = fabs(e[i] - middle);
    }
    double limit = HUBER_SCALES * (1.4826 * numeric_median(departure, fit->n) + 1);
    for (size_t i = 0; i < fit->n; i++) {
        fit->weight[i] = sqrt(fmin(1, limit / fmax(fabs(e[i]), 1e-9)));
    }
}

/* Standard error of coefficient i by its influence series: sum of row(i) of (X'X)^-1 X' e. */
static double standard_error(const struct regress *fit, double r[][REGRESS_COLUMNS], size_t i,
                             double *influence)
{
    double row[REGRESS_COLUMNS] = {0};
    double plain = 0;
    double squares = 0;
    size_t lags = (size_t)fmax(3, 1.3 * sqrt((double)fit->n));
    if (r[i][i] <= 0) {
        return HUGE_VAL;
    }
    inverse_row(r, fit->n_columns, i, row);
    memset(influence, 0, fit->n * sizeof *influence);
    for (size_t j = i; j < fit->n_columns; j++) {
        plain += row[j] * row[j];
        for (size_t t = 0; t < fit->n; t++) {
            influence[t] += row[j] * fit->basis[j * fit->n + t];
        }
    }
    for (size_t t = 0; t < fit->n; t++) {
        influence[t] *= fit->residual[t];
        squares += fit->residual[t] * fit->residual[t];
    }
    double robust = 0;
    for (size_t lag = 0; lag <= lags && lag < fit->n; lag++) {
        double sum = dot_product(influence + lag, influence, fit->n - lag);
        robust += (lag == 0 ? 1 : 2) * (1 - (double)lag / (double)(lags + 1)) * sum;
    }
    plain *= squares / (double)(fit->n - fit->n_columns);
    return sqrt(fmax(1e-30, fmax(plain, robust)));
}

static void standard_errors(struct regress *fit, double r[][REGRESS_COLUMNS], size_t n_wanted)
{
    CLEANUP_FREE double *influence = xmalloc(fit->n * sizeof *influence);
    for (size_t i = 0; i < n_wanted; i++) {
        fit->se[i] = standard_error(fit, r, i, influence);
    }
    fit->df = fmax(5, 1.5 * (double)fit->n / fmax(3, floor(1.3 * sqrt((double)fit->n))));
}

static void fit_once(const double *design, const double *y, struct regress *fit, double rho,
                     double r[][REGRESS_COLUMNS])
{
    double along[REGRESS_COLUMNS];
    size_t n = fit->n + 1;
    fit->rho = rho;
    for (size_t j = 0; j < fit->n_columns; j++) {
        quasi_difference(design + j * n, n, rho, fit->weight, fit->basis + j * fit->n);
    }
    quasi_difference(y, n, rho, fit->weight, fit->residual);
    orthogonalise(fit->basis, fit->n, fit->n_columns, r);
    project_out(fit->basis, fit->n, fit->n_columns, fit->residual, along);
    back_substitute(r, fit->n_columns, along, fit->beta);
}

bool regress_fit(const double *design, const double *y, size_t n, size_t n_columns, size_t n_wanted,
                 struct regress *ret_fit)
{
    double r[REGRESS_COLUMNS][REGRESS_COLUMNS] = {{0}};
    struct regress fit = {.n = n - 1, .n_columns = n_columns};
    BUG_ON(n_columns > REGRESS_COLUMNS || n_wanted > n_columns);
    if ((double)n < ROWS_PER_COLUMN * (double)n_columns) {
        return false;
    }
    fit.basis = xmalloc(fit.n * n_columns * sizeof *fit.basis);
    fit.residual = xmalloc(fit.n * sizeof *fit.residual);
    fit.weight = xmalloc(fit.n * sizeof *fit.weight);
    for (size_t i = 0; i < fit.n; i++) {
        fit.weight[i] = 1;
    }
    double rho = 0;
    for (int round = 0; round < MAX_ROUNDS; round++) {
        fit_once(design, y, &fit, rho, r);
        double next = estimate_rho(design, y, n, n_columns, fit.beta);
        if (round > 2 && fabs(next - rho) < 1e-3) {
            break;
        }
        if (round + 1 < MAX_ROUNDS) {
            reweigh(&fit);
            rho = next;
        }
    }
    standard_errors(&fit, r, n_wanted);
    *ret_fit = fit;
    return true;
}

bool regress_added(const struct regress *fit, const double *column, double *ret_beta, double *ret_t)
{
    double along[REGRESS_COLUMNS];
    CLEANUP_FREE double *c = xmalloc(fit->n * sizeof *c);
    double left = 0;
    quasi_difference(column, fit->n + 1, fit->rho, fit->weight, c);
    double before = dot_product(c, c, fit->n);
    project_out(fit->basis, fit->n, fit->n_columns, c, along);
    double square = dot_product(c, c, fit->n);
    double dot = dot_product(c, fit->residual, fit->n);
    if (square <= 1e-9 * before) {
        return false;
    }
    double beta = dot / square;
    for (size_t i = 0; i < fit->n; i++) {
        double e = fit->residual[i] - beta * c[i];
        left += e * e;
    }
    *ret_beta = beta;
    *ret_t = beta / sqrt(fmax(left, 1e-9) / (double)fit->n / square);
    return true;
}

double regress_explained(const double *design, size_t n, size_t n_columns, size_t of)
{
    double r[REGRESS_COLUMNS][REGRESS_COLUMNS] = {{0}};
    double along[REGRESS_COLUMNS];
    double mean = 0, total = 0, left = 0;
    BUG_ON(n_columns > REGRESS_COLUMNS);
    CLEANUP_FREE double *others = xmalloc(n * n_columns * sizeof *others);
    CLEANUP_FREE double *y = xmalloc(n * sizeof *y);
    memcpy(others, design, n * n_columns * sizeof *others);
    memcpy(y, design + of * n, n * sizeof *y);
    memset(others + of * n, 0, n * sizeof *others);
    for (size_t i = 0; i < n; i++) {
        mean += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        total += (y[i] - mean) * (y[i] - mean);
    }
    orthogonalise(others, n, n_columns, r);
    project_out(others, n, n_columns, y, along);
    for (size_t i = 0; i < n; i++) {
        left += y[i] * y[i];
    }
    return total > 0 ? 1 - left / total : 1;
}

void regress_end(struct regress *fit)
{
    free(fit->basis);
    free(fit->residual);
    free(fit->weight);
}
