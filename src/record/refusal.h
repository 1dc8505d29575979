/* How the attempts of one [refuse NAME] ended.  Let in is what fails a run; the rest tells whether
 * the server refuses in the way that the profile expects. */
#ifndef RECORD_REFUSAL_H
#define RECORD_REFUSAL_H

#include "record/outcome.h"

#include <stddef.h>
#include <stdint.h>

#define REFUSALS_MAX 16

/* What a [refuse NAME] does, in words. */
struct refusal_kind {
    char name[64];
    char presented[256]; /* "an expired certificate" */
    char expect[64];     /* "401, 403" */
    bool any;            /* the profile did not say how: any refusal is as expected */
};

enum refusal_result {
    REFUSAL_REFUSED,   /* as expected */
    REFUSAL_LET_IN,    /* a status below 400, or the expected reply of a raw exchange */
    REFUSAL_OTHERWISE, /* refused, but not as the profile expects */
    REFUSAL_UNCLEAR,   /* neither: a timeout, a 404, a 5xx, or it never saw what is bad */
    REFUSAL_RESULTS
};

/* What came back. */
struct refusal_answer {
    enum outcome outcome; /* OUTCOME_OK: a response with `status`; else how the attempt ended */
    int status;           /* 0: no response, or a raw one */
};

struct refusal_tally {
    uint64_t tried; /* = the sum of n + those still under way */
    uint64_t n[REFUSAL_RESULTS];
    struct refusal_answer first[REFUSAL_RESULTS]; /* of each result, where n > 0 */
};

/* "refused", "let_in", "otherwise", "unclear": in JSON and CSV. */
const char *refusal_result_name(enum refusal_result result);
/* Counts one ended attempt. */
void refusal_count(struct refusal_tally *tally, enum refusal_result result,
                   struct refusal_answer answer);
/* Adds `from`; the first answers stay where there are any. */
void refusal_add(struct refusal_tally *to, const struct refusal_tally *from);
/* "status 200", "alert unknown_ca", "closed": for people. */
void refusal_answer_text(const struct refusal_answer *answer, char *text, size_t size);

#endif
