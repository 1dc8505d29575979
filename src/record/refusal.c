#include "record/refusal.h"

#include "base/str.h"

#include <stdio.h>

static const char *const names[REFUSAL_RESULTS] = {
    [REFUSAL_REFUSED] = "refused",
    [REFUSAL_LET_IN] = "let_in",
    [REFUSAL_OTHERWISE] = "otherwise",
    [REFUSAL_UNCLEAR] = "unclear",
};

const char *refusal_result_name(enum refusal_result result)
{
    return names[result];
}

void refusal_count(struct refusal_tally *tally, enum refusal_result result,
                   struct refusal_answer answer)
{
    if (tally->n[result]++ == 0) {
        tally->first[result] = answer;
    }
}

void refusal_add(struct refusal_tally *to, const struct refusal_tally *from)
{
    to->tried += from->tried;
    for (int result = 0; result < REFUSAL_RESULTS; result++) {
        if (to->n[result] == 0) {
            to->first[result] = from->first[result];
        }
        to->n[result] += from->n[result];
    }
}

void refusal_answer_text(const struct refusal_answer *answer, char *text, size_t size)
{
    if (answer->status != 0) {
        (void)snprintf(text, size, "status %d", answer->status);
    } else {
        (void)str_copy(text, size,
                       answer->outcome == OUTCOME_OK ? "the expected reply"
                                                     : outcome_info(answer->outcome)->text);
    }
}
