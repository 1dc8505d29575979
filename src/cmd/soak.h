/* The story that `run` and `demo` share: from a checked plan to an exit code. */
#ifndef CMD_SOAK_H
#define CMD_SOAK_H

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>

struct soak_options {
    const char *dir;      /* run directory; NULL: the plan's, or a new name */
    const char *profile;  /* its file, for what CI shows; NULL: none */
    bool quiet;           /* no live view and no report, only the verdict's sentence */
    bool inconclusive_ok; /* exit 0 where the verdict is inconclusive */
};

/* Reads all files that the plan names, as a soak would but minting nothing, and adds what is wrong
 * with them. */
void soak_check(const struct plan *plan, struct diag *diag);

/* Soaks, judges, reports; returns the exit code of the verdict. */
int soak_perform(const struct plan *plan, const struct soak_options *options);
/* One exchange, shown in words; returns 0 when it was answered as expected, 4 when it was not, 2
 * when nothing could be tried. */
int soak_once(const struct plan *plan, bool verbose);

#endif
