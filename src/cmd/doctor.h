/* What every run begins with: the checks of tlsoak doctor, but for those that cost time or that the
 * run itself tries a moment later.  Their findings are shown, stored in run.json, and refuse the
 * run where it could not work. */
#ifndef CMD_DOCTOR_H
#define CMD_DOCTOR_H

#include "base/diag.h"
#include "ident/mint.h"
#include "net/policy.h"
#include "net/tls_speed.h"
#include "profile/plan.h"
#include "record/run.h"

#include <stdbool.h>
#include <stddef.h>

/* What the run knows already. */
struct doctor_patient {
    const struct plan *plan;
    const char *dir; /* the run directory; NULL: the plan's, or a new one here */
    const struct mint *mint;
    const struct policy_ruling *ruling;
    const struct tls_speed *speed;
};

struct doctor; /* the findings */

/* False with a mistake when another TLS library is loaded into this process: to be asked before
 * the first use of our own. */
bool doctor_library_is_ours(struct diag *diag) __attribute__((warn_unused_result));
/* Takes some milliseconds, and up to 0.2 s for many certificates of files. */
struct doctor *doctor_examine(const struct doctor_patient *patient)
    __attribute__((warn_unused_result));
/* What the run found out itself, as one more row: in order, or a warning. */
void doctor_note(struct doctor *doctor, const char *name, bool ok, const char *measured);
/* Shows what is not in order.  False with mistakes where no run could work. */
bool doctor_permits(const struct doctor *doctor, struct diag *diag)
    __attribute__((warn_unused_result));
/* The rows, for run.json; borrowed. */
const struct run_check *doctor_rows(const struct doctor *doctor, size_t *ret_n);
void doctor_free(struct doctor *doctor); /* NULL is fine */

#endif
