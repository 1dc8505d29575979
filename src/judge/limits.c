#include "judge/limits.h"

#include "base/str.h"
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
        .low = NAN,
        .high = NAN,
        .needed_driver = -1,
    };
}

struct limit_finding limits_find_window(const struct limit *limit, const struct worst_window *worst)
{
    struct limit_finding finding = limits_find(limit, worst->value);

    if (isnan(worst->value)) {
        (void)str_copy(finding.why, sizeof finding.why,
                       "no whole window had anything of it to measure");
    } else {
        finding.from_s = worst->from_s;
        finding.to_s = worst->to_s;
    }
    return finding;
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

/* "2:10", "1:02:10" since the start. */
static const char *clock_text(char text[UNIT_TEXT], double s)
{
    unsigned all = (unsigned)(s + 0.5), h = all / 3600, m = all / 60 % 60;

    if (h > 0) {
        (void)snprintf(text, UNIT_TEXT, "%u:%02u:%02u", h, m, all % 60);
    } else {
        (void)snprintf(text, UNIT_TEXT, "%u:%02u", m, all % 60);
    }
    return text;
}

const char *limits_measured(const struct limit_finding *finding, char text[LIMIT_MEASURED])
{
    const struct limit *limit = &finding->limit;
    char value[LIMIT_VALUE], side[LIMIT_VALUE], from[UNIT_TEXT], to[UNIT_TEXT];

    (void)limit_value(limit, finding->measured, value);
    if (finding->to_s > 0) {
        (void)snprintf(text, LIMIT_MEASURED, "%s %sfrom %s to %s", value,
                       finding->state == LIMIT_HELD ? "at the worst, " : "",
                       clock_text(from, finding->from_s), clock_text(to, finding->to_s));
    } else if (finding->state == LIMIT_BROKEN && isfinite(finding->low)) {
        (void)snprintf(text, LIMIT_MEASURED, "%s, %s at the least", value,
                       limit_value(limit, finding->low, side));
    } else if (finding->state != LIMIT_BROKEN && isfinite(finding->high)) {
        (void)snprintf(text, LIMIT_MEASURED, "%s, %s at the most", value,
                       limit_value(limit, finding->high, side));
    } else {
        (void)str_copy(text, LIMIT_MEASURED, value);
    }
    return text;
}

void limits_sentence(const struct limit_finding *finding, char *text, size_t size)
{
    const struct limit *limit = &finding->limit;
    char value[LIMIT_MEASURED];

    bool any = !isnan(finding->measured), why = finding->why[0] != '\0';

    (void)limits_measured(finding, value);
    if (finding->state == LIMIT_UNKNOWN) {
        snprintf(text, size, "limit %s can't be judged: %s%s%s", limit->rule, any ? value : "",
                 any && why ? "; " : "",
                 why   ? finding->why
                 : any ? ""
                       : "there was nothing of it to measure");
    } else {
        snprintf(text, size, "limit %s is %s: %s", limit->rule, states[finding->state], value);
    }
}
