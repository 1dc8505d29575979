/* Model: the columns that a server's memory is regressed on. The cumulative counters of the
 * drivers come first; short means of their rates and the open connections take up what is only
 * held for a while, and lag, since N(t - l) is about N(t) - l rate(t). A warm-up
 * that fades has columns of its own; when the server books its events a first fit tells. */
#ifndef JUDGE_MODEL_H
#define JUDGE_MODEL_H

#include "judge/regress.h"
#include "judge/series.h"

#include <stdbool.h>
#include <stddef.h>

/* Column after column of n rows; the first is y. */
struct model {
    const struct series *series; /* borrowed */
    size_t from, n;
    size_t n_counters;
    size_t n_columns;                 /* without y */
    enum driver driver[DRIVER_COUNT]; /* of the counters */
    size_t rate_rows;                 /* rows that a rate reaches back; 0: no rates */
    double *table;                    /* owns; room for REGRESS_COLUMNS and y */
};

/* Rows [from, to) of the series.  `follows`: readings come often enough to follow rates within a
 * dwell.  Ends with model_end. */
void model_make(const struct series *series, size_t from, size_t to, const enum driver *drivers,
                size_t n_drivers, bool follows, struct model *ret_model);
/* The counters alone, without y, for questions about the load. */
void model_make_counters(const struct series *series, size_t from, size_t to,
                         const enum driver *drivers, size_t n_drivers, struct model *ret_model);
/* A column of the design. */
double *model_column(const struct model *model, size_t of);
/* Adds a column; false when there is no room. */
bool model_add(struct model *model, const double *column) __attribute__((warn_unused_result));
/* Adds what a first fit tells: how late the server books its events. */
void model_refine(struct model *model, const struct regress *fit);
void model_end(struct model *model);

#endif
