/* Formats of files that hold series: each reads an open file into rows, or adds mistakes. */
#ifndef JUDGE_SERIES_FORMATS_H
#define JUDGE_SERIES_FORMATS_H

#include "judge/series_rows.h"

#include <stdio.h>

#define SERIES_OTHER     8
#define SERIES_NO_MEMORY 9

/* The published series CSV: a header, then rows (RFC 4180 quotes; LF, CRLF or CR). */
void series_csv_read(struct rows *rows, FILE *file);
/* A range query's answer in JSON (Prometheus HTTP API v1, resultType matrix), whole or its
 * `result` alone. */
void series_prometheus_read(struct rows *rows, FILE *file);
/* How good a metric is at showing what a process keeps, best (0) first: a heap after collection,
 * then what is the process's own, then what holds shared pages too; SERIES_OTHER for names that say
 * nothing, SERIES_NO_MEMORY for limits, reservations and the like, which say nothing of use. */
int series_rank(const char *metric);
/* "jvm", "go", "node", "dotnet": memory waits for a collection. */
bool series_runtime_collects(const char *runtime);

#endif
