#include "judge/gram.h"

#include "base/bug.h"

#include <math.h>
#include <string.h>

/* Rows that are multiplied at a time: a block of all columns stays in the nearest cache. */
#define BLOCK_ROWS 64
/* What is left of a column's squares after the others, as a share, when it adds nothing. */
#define NOTHING_LEFT 1e-9

/* Four numbers at a time where the processor can; each is rounded as it is without. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) &&                            \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* Eight sums at once: a single one waits for itself at every addition. */
WIDE double gram_dot(const double *a, const double *b, size_t n)
{
    double sum[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        sum[0] += a[i] * b[i];
        sum[1] += a[i + 1] * b[i + 1];
        sum[2] += a[i + 2] * b[i + 2];
        sum[3] += a[i + 3] * b[i + 3];
        sum[4] += a[i + 4] * b[i + 4];
        sum[5] += a[i + 5] * b[i + 5];
        sum[6] += a[i + 6] * b[i + 6];
        sum[7] += a[i + 7] * b[i + 7];
    }
    for (; i < n; i++) {
        sum[0] += a[i] * b[i];
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]) + (sum[4] + sum[5]) + (sum[6] + sum[7]);
}

static void begin(struct gram *gram, size_t n_columns)
{
    BUG_ON(n_columns > GRAM_MAX || gram->n > n_columns);
    for (size_t i = gram->n; i < n_columns; i++) {
        memset(gram->a[i], 0, sizeof gram->a[i]);
    }
}

/* Adds the rows of one block. */
static void multiply(const double *const *column, size_t rows, size_t n_columns, struct gram *gram)
{
    for (size_t i = gram->n; i < n_columns; i++) {
        for (size_t j = 0; j <= i; j++) {
            gram->a[i][j] += gram_dot(column[i], column[j], rows);
        }
    }
}

static void finish(struct gram *gram, size_t n_columns)
{
    for (size_t i = gram->n; i < n_columns; i++) {
        for (size_t j = 0; j < i; j++) {
            gram->a[j][i] = gram->a[i][j];
        }
    }
    gram->n = n_columns;
}

void gram_make(const double *columns, size_t n, size_t n_columns, struct gram *gram)
{
    const double *column[GRAM_MAX];
    begin(gram, n_columns);
    for (size_t from = 0; from < n; from += BLOCK_ROWS) {
        for (size_t i = 0; i < n_columns; i++) {
            column[i] = columns + i * n + from;
        }
        multiply(column, n - from < BLOCK_ROWS ? n - from : BLOCK_ROWS, n_columns, gram);
    }
    finish(gram, n_columns);
}

void gram_make_steps(const double *columns, size_t n, size_t n_columns, struct gram *gram)
{
    double steps[GRAM_MAX][BLOCK_ROWS];
    const double *column[GRAM_MAX];
    begin(gram, n_columns);
    for (size_t from = 1; from < n; from += BLOCK_ROWS) {
        size_t rows = n - from < BLOCK_ROWS ? n - from : BLOCK_ROWS;
        for (size_t i = 0; i < n_columns; i++) {
            const double *x = columns + i * n + from, *before = x - 1;
            for (size_t k = 0; k < rows; k++) {
                steps[i][k] = x[k] - before[k];
            }
            column[i] = steps[i];
        }
        multiply(column, rows, n_columns, gram);
    }
    finish(gram, n_columns);
}

void gram_add(struct gram *gram, const double *a, const double *b, double times)
{
    for (size_t i = 0; i < gram->n; i++) {
        for (size_t j = 0; j < gram->n; j++) {
            gram->a[i][j] += 0.5 * times * (a[i] * b[j] + b[i] * a[j]);
        }
    }
}

void gram_factor(const struct gram *gram, const bool *out, struct factor *ret_factor)
{
    struct factor *f = ret_factor;
    size_t y = gram->n - 1;
    memset(f->out, 0, sizeof f->out);
    f->n = gram->n;
    f->n_in = 0;
    f->log_squares = 0;
    for (size_t j = 0; j < gram->n; j++) {
        double *row = f->l[j];
        double square = gram->a[j][j];
        for (size_t k = 0; k < j; k++) {
            double sum = gram->a[j][k];
            for (size_t m = 0; m < k; m++) {
                sum -= row[m] * f->l[k][m];
            }
            row[k] = f->out[k] ? 0 : sum / f->l[k][k];
            square -= row[k] * row[k];
        }
        if (j == y) {
            f->rest = fmax(0, square);
            break;
        }
        f->out[j] = (out != NULL && out[j]) || square <= NOTHING_LEFT * gram->a[j][j];
        row[j] = f->out[j] ? 1 : sqrt(square);
        for (size_t k = 0; k < j && f->out[j]; k++) {
            row[k] = 0;
        }
        f->n_in += !f->out[j];
        f->log_squares += f->out[j] ? 0 : log(square);
    }
}

/* Solves the factor's transpose for `along`. */
static void back_substitute(const struct factor *f, const double *along, double *ret_beta)
{
    size_t y = f->n - 1;
    for (size_t j = y; j-- > 0;) {
        double rest = along[j];
        for (size_t k = j + 1; k < y; k++) {
            rest -= f->l[k][j] * ret_beta[k];
        }
        ret_beta[j] = f->out[j] ? 0 : rest / f->l[j][j];
    }
}

void factor_solve(const struct factor *factor, double *ret_beta)
{
    back_substitute(factor, factor->l[factor->n - 1], ret_beta);
}

double factor_inverse(const struct factor *factor, size_t of)
{
    double column[GRAM_MAX];
    double sum = 0;
    if (factor->out[of]) {
        return HUGE_VAL;
    }
    for (size_t i = of; i < factor->n - 1; i++) {
        double value = i == of ? 1 : 0;
        for (size_t k = of; k < i; k++) {
            value -= factor->l[i][k] * column[k];
        }
        column[i] = factor->out[i] ? 0 : value / factor->l[i][i];
        sum += column[i] * column[i];
    }
    return sum;
}

double factor_left(const struct factor *factor, const double *products, double square,
                   double *ret_beta)
{
    double along[GRAM_MAX];
    for (size_t i = 0; i + 1 < factor->n; i++) {
        double value = products[i];
        for (size_t k = 0; k < i; k++) {
            value -= factor->l[i][k] * along[k];
        }
        along[i] = factor->out[i] ? 0 : value / factor->l[i][i];
        square -= along[i] * along[i];
    }
    back_substitute(factor, along, ret_beta);
    return square;
}
