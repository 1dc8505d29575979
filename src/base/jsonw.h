/* Writes JSON through a sink: commas, nesting and indentation are kept here, so that no caller can
 * produce a broken document.  `key` is NULL inside an array.  Numbers that JSON cannot say (NaN,
 * infinities) are written as null. More than eight functions, one for each kind of value. */
#ifndef BASE_JSONW_H
#define BASE_JSONW_H

#include "base/sink.h"

#include <stdbool.h>
#include <stdint.h>

#define JSONW_DEPTH 16

struct jsonw {
    struct sink *sink; /* borrows */
    int depth;
    bool compact; /* one line, for one object a line */
    bool filled[JSONW_DEPTH];
    char closer[JSONW_DEPTH];
};

void jsonw_init(struct jsonw *w, struct sink *sink, bool compact);
void jsonw_object(struct jsonw *w, const char *key);
void jsonw_array(struct jsonw *w, const char *key);
/* Ends the innermost object or array. */
void jsonw_end(struct jsonw *w);
/* value NULL is written as null. */
void jsonw_string(struct jsonw *w, const char *key, const char *value);
void jsonw_number(struct jsonw *w, const char *key, double value);
void jsonw_integer(struct jsonw *w, const char *key, int64_t value);
void jsonw_bool(struct jsonw *w, const char *key, bool value);
void jsonw_null(struct jsonw *w, const char *key);

#endif
