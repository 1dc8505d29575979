/* Findings as CSV (RFC 4180): one row a memory metric and driver, empty where a number is not
 * known. */
#ifndef REPORT_CSV_H
#define REPORT_CSV_H

#include "base/sink.h"
#include "judge/verdict.h"
#include "record/run.h"

void csv_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict);

#endif
