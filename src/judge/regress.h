/* Regress: least squares for a series whose noise remembers.  Both sides are quasi-differenced by
 * an AR(1) coefficient that is estimated along the way (feasible generalised least squares,
 * Cochrane and Orcutt 1949), outliers are weighted down (Huber 1964, at 2.5 scaled median
 * deviations), and the standard errors are the larger of the plain ones and those with Bartlett
 * weights over 1.3 sqrt(n) lags (Newey and West 1987). */
#ifndef JUDGE_REGRESS_H
#define JUDGE_REGRESS_H

#include <stdbool.h>
#include <stddef.h>

#define REGRESS_COLUMNS 24

struct regress {
    size_t n; /* rows that were fitted */
    size_t n_columns;
    double beta[REGRESS_COLUMNS]; /* 0 for a column that adds nothing to those before it */
    double
        se[REGRESS_COLUMNS]; /* of the first n_wanted columns; HUGE_VAL where beta is not known */
    double df;               /* degrees of freedom of the standard errors */
    double rho;              /* AR(1) coefficient of the noise */
    double *basis;    /* owns: orthonormal columns of the whitened design, one after the other */
    double *residual; /* owns: whitened and weighted */
    double *weight;   /* owns: square roots of Huber's weights */
};

/* Fits y (n rows) on the columns of `design` (column after column, n rows each; a constant must be
 * among them).  Standard errors are for the first `n_wanted` columns.  False when there are fewer
 * than 2.5 rows a column. */
bool regress_fit(const double *design, const double *y, size_t n, size_t n_columns, size_t n_wanted,
                 struct regress *ret_fit) __attribute__((warn_unused_result));
/* The coefficient and t value that `column` (n rows, not whitened) would have if it were added;
 * false when the design explains it already. */
bool regress_added(const struct regress *fit, const double *column, double *ret_beta, double *ret_t)
    __attribute__((warn_unused_result));
/* Share of the variance of column `of` that the other columns explain, without any whitening. */
double regress_explained(const double *design, size_t n, size_t n_columns, size_t of);
void regress_end(struct regress *fit);

#endif
