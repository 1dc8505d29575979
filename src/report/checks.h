/* What a run was held to, as one list of named checks: memory of each source, the limits, the bad
 * identities, the search, and whether the measurements can be trusted at all.  JUnit, the summary
 * and the annotations of CI say the same list, each in its way. */
#ifndef REPORT_CHECKS_H
#define REPORT_CHECKS_H

#include "judge/verdict.h"

#include <stdbool.h>
#include <stddef.h>

enum check_state {
    CHECK_PASSED,
    CHECK_FAILED,
    CHECK_UNKNOWN, /* the data can't tell */
    CHECK_INVALID, /* measurements that can't be used */
    CHECK_STATES
};

#define CHECKS_MAX (VERDICT_FINDINGS + REFUSALS_MAX + LIMITS_MAX + 4)

struct check {
    const char *group; /* "memory", "identity", "limit", "search", "run" */
    char name[512];    /* unique in its list: CI systems drop what comes twice */
    enum check_state state;
    char type[32]; /* one word for machines: "leak", "let_in", "trend", ... */
    char text[1024];
};

struct checks {
    struct check list[CHECKS_MAX];
    size_t n;
};

struct checks *checks_new(const struct verdict *verdict) __attribute__((warn_unused_result));
void checks_free(struct checks *checks);
size_t checks_count(const struct checks *checks, enum check_state state);
/* "passed", "FAILED", "inconclusive", "INVALID" */
const char *check_state_name(enum check_state state);

#endif
