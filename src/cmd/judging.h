/* From a stored run or a series file to a verdict: what run, analyse and report share. */
#ifndef CMD_JUDGING_H
#define CMD_JUDGING_H

#include "base/diag.h"
#include "base/sink.h"
#include "judge/verdict.h"
#include "profile/plan.h"
#include "record/run.h"

#include <stdbool.h>

/* What the [judge] and [attribution] sections of the plan say for one memory source.  Ends with
 * judging_options_clear. */
struct judge_options judging_options(const struct plan *plan, size_t source);
void judging_options_clear(struct judge_options *options);
/* Judges every memory source of a stored run by the [judge] and [attribution] sections of
 * `plan`; what the command line gave (NULL: nothing) goes before them, where a budget below 0 and
 * anything else that is 0 was not given.  What was read is told to `told`, one sentence a source,
 * unless it is NULL.  The caller frees the verdict.  NULL with mistakes when a series cannot be
 * read. */
struct verdict *judging_run(const struct stored_run *stored, const struct plan *plan,
                            const struct judge_options *given, struct sink *told, struct diag *diag)
    __attribute__((warn_unused_result));
/* The verdict of a finished run calls a leak of any of its sources. */
bool judging_calls(const char *dir, const struct plan *plan);
/* A reading counts for its source: what is known of a process does not stand for what the source's
 * command or metric did not tell. */
bool judging_takes(const struct plan *plan, const struct reading *reading);
/* Judges the best metric of each source of one file, "-" for standard input, by `given`; the
 * memory.csv of a stored run by that run's plan too. */
struct verdict *judging_series(const char *path, const struct judge_options *given,
                               struct sink *told, struct diag *diag)
    __attribute__((warn_unused_result));
/* A stored run with the plan that it was made with; NULL with mistakes. */
struct stored_run *judging_load(const char *dir, struct plan **ret_plan, struct diag *diag)
    __attribute__((warn_unused_result));

#endif
