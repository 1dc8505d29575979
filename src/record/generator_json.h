/* The generator's measurements of itself as members of the object "generator" of run.json. */
#ifndef RECORD_GENERATOR_JSON_H
#define RECORD_GENERATOR_JSON_H

#include "base/json.h"
#include "base/jsonw.h"
#include "record/run.h"

void generator_json_write(struct jsonw *w, const struct run_generator *generator);
/* What is not there, or is no such number, is 0: they are for people, and decide nothing. */
void generator_json_load(const struct json *object, struct run_generator *generator);

#endif
