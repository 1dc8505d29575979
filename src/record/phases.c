#include "record/phases.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "record/lines.h"

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

struct table {
    struct stored_run *stored;
    size_t capacity;
};

static bool add(char *line, void *context)
{
    struct table *table = context;
    struct stored_run *stored = table->stored;
    struct run_phase phase = {.idle = false};
    bool end;

    if (stored->n_phases == RUN_PHASES_MAX) {
        return true;
    }
    if (!parse(line, &phase, &end)) {
        return false;
    }
    if (stored->n_phases > 0) {
        stored->phases[stored->n_phases - 1].to_s = phase.from_s;
    }
    if (!end) {
        ARRAY_RESERVE(stored->phases, stored->n_phases, table->capacity);
        phase.to_s = (double)stored->elapsed_ns / (double)NS_PER_S;
        stored->phases[stored->n_phases++] = phase;
    }
    return true;
}

bool phases_load(const char *path, struct stored_run *stored, struct diag *diag)
{
    struct table table = {.stored = stored};

    return lines_rows(path, MAX_LINE, "not a phase", add, &table, &stored->torn_lines, diag);
}
