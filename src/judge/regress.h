/* Regress: least squares for a series whose noise remembers.  The noise is taken as AR(1); every
 * memory of a grid is weighed by its restricted likelihood (Patterson and Thompson 1971), and
 * coefficients and standard errors are averaged over the grid, so that they hold although the
 * memory is estimated from few rows.  The level itself may wander besides, so that all columns are
 * seen through the filter that takes a slow walk off, (1 - B) / (1 - keep B) (Muth 1960: the
 * forgetting mean, by which a walk under noise is predicted).  Outliers count no more than a row at
 * three scaled median deviations. */
#ifndef JUDGE_REGRESS_H
#define JUDGE_REGRESS_H

#include "judge/gram.h"

#include <stdbool.h>
#include <stddef.h>

#define REGRESS_COLUMNS (GRAM_MAX - 1)

struct regress {
    size_t n; /* rows that were fitted: those of the table but the first */
    size_t n_columns;
    double beta[REGRESS_COLUMNS]; /* 0 for a column that adds nothing to those before it */
    double
        se[REGRESS_COLUMNS];   /* of the first n_wanted columns; HUGE_VAL where beta is not known */
    double df;                 /* degrees of freedom of the standard errors */
    double rho;                /* AR(1) coefficient of the likeliest noise */
    struct factor factor;      /* of the whitened design, for that noise */
    double *whitened;          /* owns: the design's columns, whitened and weighted */
    double *residual;          /* owns: whitened and weighted */
    struct products *products; /* owns: of the table's columns, for a fit of more columns */
    double *weight;            /* owns: of rows; squared they are what a row counts */
};

/* What one more column would bring. */
struct addition {
    double beta, se; /* its own */
    double rest;     /* what is left of the coefficient of another column beside it */
    double rest_se;
};

/* Fits the first of the n_columns + 1 columns of `table` (column after column, n rows each) on
 * those after it, a constant among them.  Standard errors are for the first `n_wanted` of these.
 * `fewer` is NULL, or a fit of the same table without its last columns, which saves work.  False
 * when there are fewer than 2.5 rows a column. */
bool regress_fit(const double *table, size_t n, size_t n_columns, size_t n_wanted,
                 const struct regress *fewer, struct regress *ret_fit)
    __attribute__((warn_unused_result));
/* Whitens and weighs a column of fit->n + 1 rows as the fit's design; `ret` takes fit->n. */
void regress_whiten(const struct regress *fit, const double *column, double *ret);
/* What a whitened column would bring, beside column `of`; false when the design explains it
 * already. */
bool regress_add(const struct regress *fit, const double *whitened, size_t of,
                 struct addition *ret_addition) __attribute__((warn_unused_result));
/* Products of a design's columns around their means, for regress_left. */
void regress_centre(const double *design, size_t n, size_t n_columns, struct gram *ret_centred);
/* Share of each column's variance that the others leave, without any whitening; `without` is NULL
 * or a column that is left out, whose own share is then 0. */
void regress_left(const struct gram *centred, const size_t *without, double *ret_left);
void regress_end(struct regress *fit);

#endif
