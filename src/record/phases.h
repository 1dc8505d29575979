/* phases.csv: the phases of the run as they were gone through: the second in which each began, its
 * number, its name, and "load" or "idle"; the last line says when the last one was over ("end").  A
 * line is written when the phase begins, so a killed run has them too.  Runs without phases have no
 * such file.  Private to record. */
#ifndef RECORD_PHASES_H
#define RECORD_PHASES_H

#include "base/diag.h"
#include "record/run.h"

#include <stdbool.h>

#define PHASES_HEADER "start_s,number,name,kind\n"

/* Reads the first RUN_PHASES_MAX into stored->phases; the last of a killed run ends with it.  False
 * with one mistake. */
bool phases_load(const char *path, struct stored_run *stored, struct diag *diag)
    __attribute__((warn_unused_result));

#endif
