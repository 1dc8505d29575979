/* Limits on memory: how much the server may keep of each event, and by how much it may grow.  They
 * are judged as leaks are, with the limit in the place of the budget: held is what the judge would
 * pass (the upper end of the interval is below), broken what it would call a leak whose lower end
 * is above, and all else is unknown with what is still needed.  So a limit below the judge's budget
 * is never held by a verdict that was made with the larger one; and what is a leak by the judge's
 * budget stays one though a limit would allow it. */
#ifndef JUDGE_LEAK_LIMITS_H
#define JUDGE_LEAK_LIMITS_H

#include "judge/limits.h"
#include "judge/series.h"
#include "judge/verdict.h"

/* Of one memory source. */
struct limit_finding leak_limits_judge(const struct limit *limit, const struct series *series,
                                       const struct judge_options *options);
/* That limit of a run without a source that it is of. */
struct limit_finding leak_limits_unread(const struct limit *limit);
/* The graver of two: broken, unknown, held; of two alike the one with more growth. */
const struct limit_finding *leak_limits_graver(const struct limit_finding *a,
                                               const struct limit_finding *b);

#endif
