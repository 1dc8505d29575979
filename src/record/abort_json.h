/* The limit that ended a run, as it was then: the object "ended_by" of run.json, whose numbers have
 * the unit of verdict.json (a latency microseconds).  Private to record. */
#ifndef RECORD_ABORT_JSON_H
#define RECORD_ABORT_JSON_H

#include "base/json.h"
#include "base/jsonw.h"
#include "record/run.h"

/* Nothing where no limit did. */
void abort_json_write(struct jsonw *w, const struct run_abort *abort);
/* `json`: run.json; leaves *ret_abort as it was where no limit did. */
void abort_json_load(const struct json *json, struct run_abort *ret_abort);

#endif
