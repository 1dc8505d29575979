/* verdict.json, schema "tlsoak.verdict/1": a contract with people's CI.  Keys are added, never
 * renamed. */
#ifndef REPORT_VERDICT_JSON_H
#define REPORT_VERDICT_JSON_H

#include "base/sink.h"
#include "judge/verdict.h"
#include "record/run.h"

void verdict_json_write(struct sink *sink, const struct stored_run *run,
                        const struct verdict *verdict);
/* The same in one line. */
void verdict_json_line(struct sink *sink, const struct verdict *verdict);

#endif
