#include "record/events.h"

#include "base/mem.h"
#include "base/str.h"
#include "record/lines.h"

#include <string.h>

#define MAX_LINE 4096

/* Takes the quotes off a CSV field that ends the line; false when they don't match. */
static bool unquote(char *text)
{
    char *to = text, *from = text + 1;

    if (text[0] != '"') {
        return strchr(text, '"') == NULL;
    }
    for (; *from != '\0'; from++) {
        if (*from == '"' && from[1] == '\0') {
            *to = '\0';
            return true;
        }
        if (*from == '"' && *++from != '"') {
            return false;
        }
        *to++ = *from;
    }
    return false;
}

static bool parse(char *line, struct run_event *event)
{
    char *rest = line;
    const char *time = strsep(&rest, ",");
    const char *kind = strsep(&rest, ",");

    if (rest == NULL || !str_to_double(time, &event->at_s) || !unquote(rest) ||
        !str_copy(event->kind, sizeof event->kind, kind)) {
        return false;
    }
    (void)str_copy(event->text, sizeof event->text, rest);
    return true;
}

struct table {
    struct stored_run *stored;
    size_t capacity;
};

static bool add(char *line, void *context)
{
    struct table *table = context;
    struct stored_run *stored = table->stored;

    if (stored->n_events == RUN_EVENTS_MAX) {
        return true;
    }
    ARRAY_RESERVE(stored->events, stored->n_events, table->capacity);
    struct run_event *event = &stored->events[stored->n_events++];
    *event = (struct run_event){.at_s = 0};
    return parse(line, event);
}

bool events_load(const char *path, struct stored_run *stored, struct diag *diag)
{
    struct table table = {.stored = stored};

    return lines_rows(path, MAX_LINE, "not an event", add, &table, &stored->torn_lines, diag);
}
