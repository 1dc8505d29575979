/* events.csv: what befell during the run, a line each: time in seconds, kind, one sentence.
 * Private to record. */
#ifndef RECORD_EVENTS_H
#define RECORD_EVENTS_H

#include "base/diag.h"
#include "record/run.h"

#include <stdbool.h>

/* Reads the first RUN_EVENTS_MAX into stored->events; a run without the file has none.  False with
 * one mistake. */
bool events_load(const char *path, struct stored_run *stored, struct diag *diag)
    __attribute__((warn_unused_result));

#endif
