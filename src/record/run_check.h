/* What tlsoak doctor found before the load, as a run keeps it: rows of run.json that nothing reads
 * back. */
#ifndef RECORD_RUN_CHECK_H
#define RECORD_RUN_CHECK_H

#include "base/jsonw.h"

#include <stddef.h>

/* All borrowed. */
struct run_check {
    const char *check; /* "descriptors" */
    const char *state; /* "ok", "warn", "fail" */
    const char *measured, *remedy;
};

/* The member "checks": an array of {check, state, measured, remedy}; no remedy is null. */
void run_checks_write(struct jsonw *w, const struct run_check *checks, size_t n);

#endif
