/* The ceiling: [memory] stop_at.  The run ends before a server's memory is as large, by what it has
 * grown lately: in the next seconds it may grow as much again. */
#ifndef CMD_CEILING_H
#define CMD_CEILING_H

#include "record/reading.h"
#include "record/run.h"

#include <stdbool.h>
#include <stddef.h>

#define CEILING_MARKS 64

struct plan;

/* One source's readings of the last seconds. */
struct ceiling_source {
    double t[CEILING_MARKS], y[CEILING_MARKS]; /* seconds since the load's start, bytes */
    size_t n;
    uint64_t incarnation;
};

struct ceiling {
    const struct plan *plan; /* borrows */
    struct ceiling_source sources[RUN_SOURCES];
    char ended[256]; /* why the run should end; "": it should not */
};

void ceiling_init(struct ceiling *ceiling, const struct plan *plan);
/* Takes note of a reading, `t_s` after the start of the load. */
void ceiling_reading(struct ceiling *ceiling, const struct reading *reading, double t_s);

#endif
