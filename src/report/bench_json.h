/* A run's numbers for services that keep trends: github-action-benchmark (an array of name, unit
 * and value; its direction is one a file, so there are two) and Bencher's metric format (BMF, value
 * with its bounds).  Names are those that `compare` knows, bounds the 95 % interval within the
 * run. */
#ifndef REPORT_BENCH_JSON_H
#define REPORT_BENCH_JSON_H

#include "base/sink.h"
#include "judge/verdict.h"
#include "record/run.h"

/* What is better when it is smaller: latencies, errors, costs, leaks. */
void bench_smaller_write(struct sink *sink, const struct stored_run *run,
                         const struct verdict *verdict);
/* What is better when it is larger: the rate. */
void bench_bigger_write(struct sink *sink, const struct stored_run *run,
                        const struct verdict *verdict);
void bmf_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict);

#endif
