/* Gram: small symmetric systems, as least squares meets them when the rows are many and the columns
 * few.  The last column of a system is the left side y; those before it are the design. */
#ifndef JUDGE_GRAM_H
#define JUDGE_GRAM_H

#include <stdbool.h>
#include <stddef.h>

#define GRAM_MAX 32

/* Sums of products of columns, symmetric. */
struct gram {
    size_t n; /* columns, y included */
    double a[GRAM_MAX][GRAM_MAX];
};

/* Lower triangular factor of a system; columns that add nothing to those before them are out. */
struct factor {
    size_t n;
    double l[GRAM_MAX][GRAM_MAX];
    bool out[GRAM_MAX];
    size_t n_in;        /* columns of the design that are not out */
    double log_squares; /* logarithm of the design's determinant */
    double rest;        /* sum of squares that the design leaves of y */
};

/* Sum of products of two columns. */
double gram_dot(const double *a, const double *b, size_t n);
/* Products of `n_columns` columns, one after the other, of `n` rows each, with themselves.  Those
 * of the first gram->n columns with each other are there already. */
void gram_make(const double *columns, size_t n, size_t n_columns, struct gram *gram);
/* The same of the steps from row to row. */
void gram_make_steps(const double *columns, size_t n, size_t n_columns, struct gram *gram);
/* Adds `times` (a b' + b a') / 2. */
void gram_add(struct gram *gram, const double *a, const double *b, double times);
/* Cholesky's factor.  `out` (may be NULL) names columns that are to be left out in any case. */
void gram_factor(const struct gram *gram, const bool *out, struct factor *ret_factor);
/* Coefficients of the design; 0 for those that are out. */
void factor_solve(const struct factor *factor, double *ret_beta);
/* Diagonal element `of` of the inverse of the design's part; HUGE_VAL when it is out. */
double factor_inverse(const struct factor *factor, size_t of);
/* What the design leaves of the sum of squares of a column whose products with the design and with
 * itself these are, and the column's coefficients on the design. */
double factor_left(const struct factor *factor, const double *products, double square,
                   double *ret_beta);

#endif
