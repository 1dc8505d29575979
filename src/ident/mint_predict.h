/* How fast this machine makes what a plan asks for, measured before a run that needs it: whether
 * one core keeps up with never-repeating identities, and how long filling the pools takes. */
#ifndef IDENT_MINT_PREDICT_H
#define IDENT_MINT_PREDICT_H

#include "base/diag.h"
#include "profile/plan.h"

/* Clients of this kind (all the parts that `identity` has; it need not be one of the plan's)
 * that one core makes in a second of its time, measured over some 200 ms, or over one client
 * where that takes longer.  Tokens of an endpoint are not asked for and count for nothing.  0
 * with mistakes, and without one when nothing is made here. */
double mint_predict_per_s(const struct plan *plan, const struct plan_identity *identity,
                          struct diag *diag) __attribute__((warn_unused_result));

#endif
