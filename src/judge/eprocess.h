/* E-process: an early stop that is valid, for one factor.  Dwells come in pairs that differ in
 * nothing but the factor (fresh credentials in one, reused ones in the other), and a coin says
 * which comes first.  If the server keeps nothing of the factor, the difference of the two dwells'
 * growth is above or below zero as the coin fell, whatever its warm-up, its caches or its noise
 * do; so E = prod(1 + 0.8 s), with s the sign of the pair, reaches 1000 with a chance of 1/1000 at
 * most, no matter how often one looks (Ville's inequality; Ramdas et al. 2023).  A load that wants
 * to stop early feeds it three levels a pair:
 *
 *     begin: eprocess_init(&e);
 *     per pair, in the order in which the dwells came:
 *         eprocess_add(&e, fresh_first, level_before, level_between, level_after);
 *         if (e.reached) stop: the server keeps memory of the factor
 *
 * A level is the memory around the border of two dwells; eprocess_level takes it from the last and
 * the first readings there. */
#ifndef JUDGE_EPROCESS_H
#define JUDGE_EPROCESS_H

#include <stdbool.h>
#include <stddef.h>

#define EPROCESS_BET   0.8
#define EPROCESS_LIMIT 1000.0
/* No factor is called with fewer pairs, since 1.8^11 is below 1000. */
#define EPROCESS_LEAST_PAIRS 12

struct eprocess {
    double e; /* 1 at the start */
    size_t n_pairs;
    size_t called_at; /* pair at which it was first called; 0: not yet */
    bool reached;     /* stays once it is true */
};

void eprocess_init(struct eprocess *eprocess);
/* One pair; levels in bytes.  A pair with a level that is no number (a failed read, a restart)
 * bets nothing. */
void eprocess_add(struct eprocess *eprocess, bool fresh_first, double level_before,
                  double level_between, double level_after);
/* The level at a border: the median of up to two readings before and two behind it; NAN where
 * there are none. */
double eprocess_level(const double *before, size_t n_before, const double *behind, size_t n_behind);
#endif
