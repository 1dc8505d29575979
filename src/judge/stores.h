/* Stores: growth with a counter that belongs to a store which is bounded.  A store of so many
 * entries grows as a leak does until it is full; one whose entries expire grows for as long as they
 * live.  Both are asked as one more column of a fit: the counter stopped at a share of its events,
 * for every share, and the counter delayed, for every delay.  A pool that is filled by chance has
 * no such end: growth with it fades. */
#ifndef JUDGE_STORES_H
#define JUDGE_STORES_H

#include "judge/model.h"

#include <stdbool.h>
#include <stddef.h>

enum store_kind { STORE_NONE, STORE_FILLED, STORE_EXPIRES };

struct store {
    enum store_kind kind;
    double evidence; /* chi squared by which the store explains more than endless growth */
    double seen;     /* share of the counter's events up to which growth is sure to go on */
};

/* Asks for counter `c` of the fit.  `column` (n rows) takes the store's column where there is a
 * store: events up to the bound, or events whose entries have not yet expired.  Beside it the
 * counter's own coefficient is what is kept of an event for ever. */
void store_find(const struct model *model, const struct regress *fit, size_t c, double *column,
                struct store *ret_store);
/* Does growth with counter `c` slow down, or can't it be told from growth that does: where a
 * logarithm of the events explains about as much as the events themselves. */
bool store_may_slow(const struct model *model, const struct regress *fit, size_t c);

#endif
