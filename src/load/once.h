/* One connection, one exchange, and everything about it in words: what `tlsoak run PROFILE
 * --once -v` shows before anybody starts a soak. */
#ifndef LOAD_ONCE_H
#define LOAD_ONCE_H

#include "base/diag.h"
#include "base/sink.h"
#include "ident/mint.h"
#include "net/addr.h"
#include "profile/plan.h"
#include "record/outcome.h"

#include <stdbool.h>
#include <stddef.h>

/* Sends the plan's first request with the first identity and writes what happened to `show` (the
 * values of key and token headers, and of headers whose names say secret, are left out).
 * *ret_outcome is OUTCOME_STATUS for an unexpected status.  False with mistakes when nothing could
 * be tried. */
bool once_perform(const struct plan *plan, const struct addr *addrs, size_t n_addrs,
                  struct mint *mint, struct sink *show, enum outcome *ret_outcome,
                  struct diag *diag) __attribute__((warn_unused_result));

#endif
