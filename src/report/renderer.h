/* Reports: pure functions of a stored run and its verdict.  One row of the table in renderer.c
 * declares a format. */
#ifndef REPORT_RENDERER_H
#define REPORT_RENDERER_H

#include "base/sink.h"
#include "judge/verdict.h"
#include "record/run.h"

#include <stddef.h>

/* For messages and --help. */
#define RENDERER_NAMES "text, json, html, junit, markdown, csv, bench-smaller, bench-bigger, bmf"

struct renderer {
    const char *name;   /* "text", "json", "csv" */
    const char *suffix; /* "txt" */
    const char *help;
    /* `run` is NULL when only a series was judged. */
    void (*write)(struct sink *sink, const struct stored_run *run, const struct verdict *verdict);
};

const struct renderer *renderer_find(const char *name); /* NULL: unknown */
const struct renderer *renderer_at(size_t i);           /* NULL past the end */
/* verdict.json in one line: `analyse` of several files prints one object a line. */
void renderer_json_line(struct sink *sink, const struct verdict *verdict);

#endif
