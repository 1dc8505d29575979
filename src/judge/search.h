/* What a search has found, for the verdict: which rate holds, which does not and why not. */
#ifndef JUDGE_SEARCH_H
#define JUDGE_SEARCH_H

#include "base/unit.h"
#include "record/search.h"

#include <stdbool.h>
#include <stddef.h>

struct search_finding {
    struct run_search answer;        /* end SEARCH_NONE: the run is none */
    bool dials;                      /* the rates are of connections, not of exchanges */
    size_t n_held, n_beyond;         /* tries at the rate that held, at the one that did not */
    char beyond_reason[STEP_REASON]; /* of the one that did not: "broke ... with ..." */
};

/* The answer in one sentence. */
void search_sentence(const struct search_finding *finding, char *text, size_t size);
/* "1,840/s", "12.5/s". */
const char *search_rate(double per_s, char text[UNIT_TEXT]);

#endif
