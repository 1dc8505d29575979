#include "judge/limits.h"

#include "base/unit.h"

#include <math.h>
#include <stdio.h>

static const char *const states[LIMIT_STATES] = {
    [LIMIT_HELD] = "held", [LIMIT_BROKEN] = "broken", [LIMIT_UNKNOWN] = "unknown"};

const char *limit_state_name(enum limit_state state)
{
    return states[state];
}

struct limit_finding limits_find(const struct limit *limit, double measured)
{
    return (struct limit_finding){
        .limit = *limit,
        .measured = measured,
        .state = isnan(measured)                ? LIMIT_UNKNOWN
                 : limit_holds(limit, measured) ? LIMIT_HELD
                                                : LIMIT_BROKEN,
    };
}

void limits_judge(const struct limit *limits, size_t n, const struct interval *interval,
                  double seconds, struct limit_finding *ret_findings)
{
    for (size_t i = 0; i < n; i++) {
        double value;
        bool any = limit_measure(&limits[i], interval, seconds, &value);
        ret_findings[i] = limits_find(&limits[i], any ? value : NAN);
    }
}

void limits_sentence(const struct limit_finding *finding, char *text, size_t size)
{
    const struct limit *limit = &finding->limit;
    char value[UNIT_TEXT];

    if (finding->state == LIMIT_UNKNOWN) {
        snprintf(text, size, "limit %s can't be judged: there was nothing of it to measure",
                 limit->rule);
    } else {
        snprintf(text, size, "limit %s is %s: %s", limit->rule, states[finding->state],
                 limit_value(limit, finding->measured, value));
    }
}
