/* A search for the highest rate at which the limits hold, as it is recorded: its steps in
 * search.csv, a row when a step is over, and its answer in run.json.  Columns of search.csv: step,
 * start_s, asked_per_s, reached_per_s, what was measured for each limit (limit_column), result
 * (held, broken, generator) and reason; a value that was not there is empty. */
#ifndef RECORD_SEARCH_H
#define RECORD_SEARCH_H

#include "base/diag.h"
#include "record/limit.h"

#include <stdbool.h>
#include <stddef.h>

struct jsonw;

#define SEARCH_STEPS_MAX 64
#define STEP_REASON      256

enum step_result {
    STEP_HELD,
    STEP_BROKEN,    /* a limit, or the rate was not reached */
    STEP_GENERATOR, /* the same, but by the generator's own fault as far as one can tell */
    STEP_RESULTS
};

struct run_step {
    double start_s;     /* of its measured part, since the start of the load */
    double asked_per_s; /* exchanges or connections: what falls due */
    double reached_per_s;
    enum step_result result;
    size_t n_limits;
    double measured[LIMITS_MAX]; /* as limit_number gives it, in the plan's order; NAN: no value */
    char reason[STEP_REASON];    /* why it did not hold; "": it did */
};

enum search_end {
    SEARCH_NONE,         /* the run is no search */
    SEARCH_GOES_ON,      /* or was ended before it had its answer */
    SEARCH_FOUND,        /* the rate that holds, and one a little above that does not */
    SEARCH_TOP_HELD,     /* search.to holds */
    SEARCH_NOTHING_HELD, /* search.from does not hold */
    SEARCH_SATURATED,    /* what is above the rate that holds is beyond the generator */
    SEARCH_ENDS
};

struct run_search {
    enum search_end end;
    double held_per_s;   /* the highest rate that held; 0: none */
    double beyond_per_s; /* the lowest above it that did not; 0: none was tried */
};

const char *step_result_name(enum step_result result);
void search_header(struct sink *sink, const struct limit *limits, size_t n_limits);
void search_row(struct sink *sink, size_t number, const struct run_step *step);
/* The member "search" of run.json and verdict.json, with a sentence unless that is NULL; nothing of
 * a run that is none. */
void search_json_write(struct jsonw *w, const struct run_search *search, const char *reason);
/* The first SEARCH_STEPS_MAX rows into the array; no file: none.  False with one mistake. */
bool search_load(const char *path, struct run_step steps[SEARCH_STEPS_MAX], size_t *ret_n,
                 int *torn_lines, struct diag *diag) __attribute__((warn_unused_result));

#endif
