#include "base/jsonw.h"

#include "base/bug.h"

#include <inttypes.h>
#include <math.h>

void jsonw_init(struct jsonw *w, struct sink *sink, bool compact)
{
    *w = (struct jsonw){.sink = sink, .compact = compact};
}

/* Comma, line break, indentation and key before a value. */
static void begin_value(struct jsonw *w, const char *key)
{
    if (w->depth > 0) {
        if (w->filled[w->depth]) {
            sink_write(w->sink, ",", 1);
        }
        w->filled[w->depth] = true;
        if (!w->compact) {
            sink_printf(w->sink, "\n%*s", 2 * w->depth, "");
        }
    }
    if (key != NULL) {
        sink_json(w->sink, key);
        sink_printf(w->sink, w->compact ? ":" : ": ");
    }
}

static void open_group(struct jsonw *w, const char *key, char opener, char closer)
{
    begin_value(w, key);
    BUG_ON(w->depth + 1 >= JSONW_DEPTH);
    w->depth++;
    w->filled[w->depth] = false;
    w->closer[w->depth] = closer;
    sink_write(w->sink, &opener, 1);
}

void jsonw_object(struct jsonw *w, const char *key)
{
    open_group(w, key, '{', '}');
}

void jsonw_array(struct jsonw *w, const char *key)
{
    open_group(w, key, '[', ']');
}

void jsonw_end(struct jsonw *w)
{
    BUG_ON(w->depth == 0);
    bool filled = w->filled[w->depth];
    char closer = w->closer[w->depth];

    w->depth--;
    if (filled && !w->compact) {
        sink_printf(w->sink, "\n%*s", 2 * w->depth, "");
    }
    sink_write(w->sink, &closer, 1);
    if (w->depth == 0) {
        sink_write(w->sink, "\n", 1);
    }
}

void jsonw_string(struct jsonw *w, const char *key, const char *value)
{
    if (value == NULL) {
        jsonw_null(w, key);
        return;
    }
    begin_value(w, key);
    sink_json(w->sink, value);
}

void jsonw_number(struct jsonw *w, const char *key, double value)
{
    if (!isfinite(value)) {
        jsonw_null(w, key);
        return;
    }
    begin_value(w, key);
    /* without the sign of a zero, which readers of "-0" as a whole number lose */
    sink_printf(w->sink, "%.10g", value == 0 ? 0 : value);
}

void jsonw_integer(struct jsonw *w, const char *key, int64_t value)
{
    begin_value(w, key);
    sink_printf(w->sink, "%" PRId64, value);
}

void jsonw_bool(struct jsonw *w, const char *key, bool value)
{
    begin_value(w, key);
    sink_printf(w->sink, "%s", value ? "true" : "false");
}

void jsonw_null(struct jsonw *w, const char *key)
{
    begin_value(w, key);
    sink_printf(w->sink, "null");
}
