/* Compare: runs against the runs of a baseline, metric by metric; baseline.h says by which rules.
 * Pure arithmetic. */
#ifndef JUDGE_COMPARE_H
#define JUDGE_COMPARE_H

#include "judge/baseline.h"

#include <stdbool.h>
#include <stddef.h>

enum compare_state {
    COMPARE_WORSE,
    COMPARE_BETTER,
    COMPARE_SAME,
    COMPARE_NO_WORSE,
    COMPARE_UNCLEAR,
    COMPARE_LEFT_OUT, /* the baseline can't say, or its tolerance is "off"; counts for nothing */
    COMPARE_STATES
};

/* A tolerance for the metrics that a pattern names: "latency", "latency.*.p99". */
struct compare_rule {
    char pattern[BASELINE_NAME];
    double tolerance; /* share of the baseline's; of ratios a difference, of leaks bytes an event */
    bool off;         /* leave them out */
};

/* Of these, differences are shares of the baseline's value where the kind is compared by its
 * ratio, and in the metric's unit otherwise; above zero means a larger value. */
struct compare_finding {
    char name[BASELINE_NAME];
    enum baseline_kind kind;
    enum compare_state state;
    double base, new_value; /* NAN: there is none */
    double difference;      /* NAN, as the intervals, where it is not known */
    double low, high;       /* 95 % */
    double low_all, high_all;
    double tolerance;
    char reason[112]; /* of what is unclear or left out */
};

struct comparison {
    struct compare_finding finding[BASELINE_SAMPLES];
    size_t n;
    size_t n_judged; /* between which the error rate is shared out */
    size_t n_bases, n_news;
    bool between;             /* the difference between runs of a kind is in the intervals */
    bool cut_short;           /* a new run ended before a third of the baseline's time */
    enum compare_state state; /* worse, unclear, better or same, in this order of weight */
    size_t count[COMPARE_STATES];
};

/* The caller frees it with free().  Later rules go before earlier ones of the same weight. */
struct comparison *compare_runs(struct baseline_run *const *bases, size_t n_bases,
                                struct baseline_run *const *news, size_t n_news,
                                const struct compare_rule *rules, size_t n_rules)
    __attribute__((warn_unused_result));
/* "worse", "better", "same", "no worse", "can't tell", "left out" */
const char *compare_state_name(enum compare_state state);
/* Does the pattern, of parts between dots of which "*" is any, name it or what it belongs to? */
bool compare_matches(const char *pattern, const char *name);
/* True when some metric can have a name that the pattern names. */
bool compare_is_pattern(const char *pattern);
/* The difference, in the direction that is worse. */
double compare_worsening(const struct compare_finding *finding);

#endif
