#include "record/events.h"

#include "base/mem.h"
#include "base/str.h"
#include "record/lines.h"

#include <errno.h>
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

bool events_load(const char *path, struct stored_run *stored, struct diag *diag)
{
    struct lines lines;
    bool ok = true;
    size_t capacity = 0;

    if (!lines_open(&lines, path, MAX_LINE)) {
        if (errno != ENOENT) {
            diag_add(diag, (struct origin){path, 0}, "can't be read: %s", strerror(errno));
        }
        return errno == ENOENT;
    }
    for (char *line; ok && (line = lines_next(&lines)) != NULL;) {
        if (lines.number == 1 || stored->n_events == RUN_EVENTS_MAX) {
            continue;
        }
        ARRAY_RESERVE(stored->events, stored->n_events, capacity);
        struct run_event *event = &stored->events[stored->n_events++];
        *event = (struct run_event){.at_s = 0};
        if (!parse(line, event)) {
            diag_add(diag, (struct origin){path, lines.number}, "not an event");
            ok = false;
        }
    }
    if (ok && lines.end == LINES_TOO_LONG) {
        diag_add(diag, (struct origin){path, lines.number}, "not an event");
        ok = false;
    }
    stored->torn_lines += lines.end == LINES_TORN;
    lines_close(&lines);
    return ok;
}
