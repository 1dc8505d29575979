/* E-process: an early stop that is valid, for one factor.  Dwells come in pairs that differ in
 * nothing but the factor (fresh credentials in one, reused ones in the other), and a coin says
 * which comes first.  If the server keeps nothing of the factor, the difference of the two dwells'
 * growth is above or below zero as the coin fell, whatever its warm-up, its caches or its noise
 * do; so prod(1 + b s), with s the sign of the pair and b a bet below 1, reaches 1000 with a chance
 * of 1/1000 at most, no matter how often one looks, and so does the weighted mean of such products
 * (Ville's inequality; Ramdas et al. 2023).  The high bet, with most of the weight, calls at once
 * what shows in every pair; the low one finds what the noise hides in every third. */
#ifndef JUDGE_EPROCESS_H
#define JUDGE_EPROCESS_H

#include <stdbool.h>
#include <stddef.h>

#define EPROCESS_LIMIT 1000.0
/* No factor is called with fewer pairs. */
#define EPROCESS_LEAST_PAIRS 13
#define EPROCESS_BETS        2

struct eprocess {
    double e;                      /* 1 at the start */
    double product[EPROCESS_BETS]; /* of each bet */
    size_t n_pairs;
    size_t called_at; /* pair at which it was first called; 0: not yet */
    bool reached;     /* stays once it is true */
};

void eprocess_init(struct eprocess *eprocess);
/* One pair: the growth of its dwells, in the order in which they came.  A growth that is no number
 * (a failed read, a restart) bets nothing, and neither does a tie. */
void eprocess_add(struct eprocess *eprocess, bool fresh_first, double first, double second);

#endif
