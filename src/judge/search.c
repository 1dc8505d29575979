#include "judge/search.h"

#include <stdio.h>

#define GROUPED_FROM 999.5

const char *search_rate(double per_s, char text[UNIT_TEXT])
{
    char grouped[UNIT_TEXT];

    if (per_s >= GROUPED_FROM) {
        snprintf(text, UNIT_TEXT, "%s/s", unit_grouped(grouped, (uint64_t)(per_s + 0.5)));
    } else {
        snprintf(text, UNIT_TEXT, "%.4g/s", per_s);
    }
    return text;
}

static const char *times(size_t n, char text[UNIT_TEXT])
{
    snprintf(text, UNIT_TEXT, n == 1 ? "once" : n == 2 ? "twice" : "%zu times", n);
    return text;
}

/* Why it goes no higher: "; 1,930/s broke ... with 31 ms (twice)"; empty of nothing above. */
static void tell_beyond(const struct search_finding *f, char *text, size_t size)
{
    char rate[UNIT_TEXT], n[UNIT_TEXT];

    text[0] = '\0';
    if (f->answer.beyond_per_s > 0) {
        snprintf(text, size, "; %s %s (%s)", search_rate(f->answer.beyond_per_s, rate),
                 f->beyond_reason, times(f->n_beyond, n));
    }
}

void search_sentence(const struct search_finding *f, char *text, size_t size)
{
    char held[UNIT_TEXT], n[UNIT_TEXT], beyond[STEP_REASON + 96];
    const char *what = f->dials ? " of connections" : "";

    (void)search_rate(f->answer.held_per_s, held);
    tell_beyond(f, beyond, sizeof beyond);
    switch (f->answer.end) {
    case SEARCH_FOUND:
        snprintf(text, size, "highest rate%s that holds: %s (held %s)%s", what, held,
                 times(f->n_held, n), beyond);
        break;
    case SEARCH_TOP_HELD:
        snprintf(text, size, "a rate%s of at least %s holds (held %s), the highest to be tried",
                 what, held, times(f->n_held, n));
        break;
    case SEARCH_NOTHING_HELD:
        snprintf(text, size, "not even the lowest rate%s to be tried holds%s", what, beyond);
        break;
    case SEARCH_SATURATED:
        if (f->answer.held_per_s > 0) {
            snprintf(text, size, "a rate%s of at least %s holds (held %s)%s", what, held,
                     times(f->n_held, n), beyond);
        } else {
            snprintf(text, size, "what rate%s holds can't be told%s", what, beyond);
        }
        break;
    default:
        if (f->answer.held_per_s > 0) {
            snprintf(text, size,
                     "the search ended before it had its answer: a rate%s of at least %s holds%s",
                     what, held, beyond);
        } else {
            snprintf(text, size,
                     "the search ended before it had its answer, and no rate%s is "
                     "known to hold%s",
                     what, beyond);
        }
    }
}
