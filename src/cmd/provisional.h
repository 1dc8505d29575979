/* What the judge would say so far: each minute of a run one line, marked provisional, that nothing
 * fails on.  It ends a run for two reasons only: its experiment of pairs has proven the leak and
 * the profile asked for that (judge.stop_early), or memory is on its way to the limit of the first
 * memory source and will be there before the run is over, so that the server would be killed. */
#ifndef CMD_PROVISIONAL_H
#define CMD_PROVISIONAL_H

#include <stdbool.h>

#define PROVISIONAL_TEXT 256

struct fleet_second;
struct interval;
struct memory_finding;
struct plan;
struct provisional;
struct reading;

/* `runtime` is what the first memory source runs on, as in run_meta; `limit_bytes` what it may use
 * (0: no limit). */
struct provisional *provisional_new(const struct plan *plan, const char *runtime,
                                    double limit_bytes) __attribute__((warn_unused_result));
void provisional_free(struct provisional *provisional);
/* Takes note of a reading, `t_s` after the start of the load. */
void provisional_reading(struct provisional *provisional, const struct reading *reading,
                         const struct interval *counts, double t_s);
/* What was told last, or NULL. */
const struct memory_finding *provisional_finding(const struct provisional *provisional);
/* Tells when a minute is over.  False: the run should end now, and why
 * is in `ended`. */
bool provisional_second(struct provisional *provisional, const struct fleet_second *second,
                        char ended[PROVISIONAL_TEXT]) __attribute__((warn_unused_result));
/* Why a leak was called, so surely that a hook may act on it; "": none was yet.  Of a proof by
 * pairs where the run is to end by it, or has hook.on_leak. */
const char *provisional_called(const struct provisional *provisional);

#endif
