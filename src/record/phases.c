#include "record/phases.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "record/lines.h"

#include <errno.h>
#include <string.h>

#define MAX_LINE 256

/* False: not a line of this file. */
static bool parse(char *line, struct run_phase *phase, bool *ret_end)
{
    char *rest = line;
    const char *start = strsep(&rest, ","), *number = strsep(&rest, ",");
    const char *name = strsep(&rest, ","), *kind = rest;

    if (kind == NULL || !str_to_double(start, &phase->from_s) ||
        !str_to_u64(number, &phase->number) || !str_copy(phase->name, sizeof phase->name, name)) {
        return false;
    }
    phase->idle = str_equal(kind, "idle");
    *ret_end = str_equal(kind, "end");
    return phase->idle || *ret_end || str_equal(kind, "load");
}

static bool add(struct stored_run *stored, char *line, size_t *capacity)
{
    struct run_phase phase = {.idle = false};
    bool end;

    if (!parse(line, &phase, &end)) {
        return false;
    }
    if (stored->n_phases > 0) {
        stored->phases[stored->n_phases - 1].to_s = phase.from_s;
    }
    if (!end && stored->n_phases < RUN_PHASES_MAX) {
        ARRAY_RESERVE(stored->phases, stored->n_phases, *capacity);
        phase.to_s = (double)stored->elapsed_ns / (double)NS_PER_S;
        stored->phases[stored->n_phases++] = phase;
    }
    return true;
}

bool phases_load(const char *path, struct stored_run *stored, struct diag *diag)
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
        ok =
            lines.number == 1 || stored->n_phases == RUN_PHASES_MAX || add(stored, line, &capacity);
    }
    ok = ok && lines.end != LINES_TOO_LONG;
    if (!ok) {
        diag_add(diag, (struct origin){path, lines.number}, "not a phase");
    }
    stored->torn_lines += lines.end == LINES_TORN;
    lines_close(&lines);
    return ok;
}
