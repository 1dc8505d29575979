/* A comparison of runs: a table for people, JSON and JUnit for machines. */
#ifndef REPORT_COMPARISON_H
#define REPORT_COMPARISON_H

#include "base/sink.h"
#include "judge/compare.h"

#include <stddef.h>

struct comparison_sides {
    struct baseline_run *const *bases, *const *news; /* borrows */
    size_t n_bases, n_news;
    const char *differences; /* lines: how their loads differ, which was allowed; "": not at all */
    int exit_code;
};

void comparison_text(struct sink *sink, const struct comparison *comparison,
                     const struct comparison_sides *sides);
/* "tlsoak.compare/1" */
void comparison_json(struct sink *sink, const struct comparison *comparison,
                     const struct comparison_sides *sides);
/* One case a metric: a failure is one that is worse, skipped one that can't be told. */
void comparison_junit(struct sink *sink, const struct comparison *comparison,
                      const struct comparison_sides *sides);
/* "3 of 23 metrics are worse: latency.response.p50 by 12.3 %, ..." */
void comparison_sentence(struct sink *sink, const struct comparison *comparison);

#endif
