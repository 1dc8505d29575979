/* The story that `run` and `demo` share: from a checked plan to an exit code. */
#ifndef CMD_SOAK_H
#define CMD_SOAK_H

#include "profile/plan.h"

#include <stdbool.h>

struct soak_options {
    const char *dir;      /* run directory; NULL: the plan's, or a new name */
    bool quiet;           /* no live view and no report, only the verdict's sentence */
    bool inconclusive_ok; /* exit 0 where the verdict is inconclusive */
};

/* Soaks, judges, reports; returns the exit code of the verdict. */
int soak_perform(const struct plan *plan, const struct soak_options *options);
/* One exchange, shown in words; returns 0 when it was answered as expected, else 1. */
int soak_once(const struct plan *plan, bool verbose);

#endif
