/* Growth: the verdict on one series along one exposure axis.  "Is there a trend" is the wrong
 * question, since warm-up, filling caches and collectors do grow; a leak is growth that goes on,
 * evenly, with no sign of slowing, and must pass every gate below.  A pass is a claim of its own:
 * the upper bound of the growth is below the budget.  All else is inconclusive. */
#ifndef JUDGE_GROWTH_H
#define JUDGE_GROWTH_H

#include "judge/verdict.h"

#include <stdbool.h>
#include <stddef.h>

enum growth_reason {
    GROWTH_NOISY, /* growth could be nothing, or more than the budget */
    GROWTH_TOO_SHORT,
    GROWTH_DECELERATING, /* it slows down, or can't be told from growth that does */
    GROWTH_STEP,         /* one jump explains it */
    GROWTH_UNEVEN,       /* a quarter of the window hardly grew */
    GROWTH_FEW_CYCLES,   /* of a saw-tooth */
    GROWTH_RESTART,
    GROWTH_SMALL, /* too little in all */
    GROWTH_TREND,
    GROWTH_STAIRCASE,
    GROWTH_WITHIN_BUDGET,
    GROWTH_UNSEEN, /* all that the budget allows is too little to show in the readings */
    GROWTH_GAPS,   /* too much of the run has no readings */
    GROWTH_STUCK,  /* a metric that should move never did */
    GROWTH_UNIT,   /* no process is that small */
    GROWTH_REASON_COUNT
};

/* Fewer readings than this are never judged. */
#define GROWTH_MIN_READINGS 40
/* A smaller rise over the window is never a leak, in bytes. */
#define GROWTH_MIN_RISE (256.0 * 1024)

/* Readings along an exposure that does not fall.  Borrows its arrays. */
struct growth_input {
    const double *y;     /* bytes */
    const double *y_min; /* lowest reading of each bucket */
    const double *x;     /* exposure */
    const int *part;     /* incarnation */
    size_t n;
};

struct growth_options {
    double alpha_leak; /* one-sided error spent on "leak", shared by the cuts and parts */
    double alpha_pass; /* one-sided error spent on "pass", shared by the cuts */
    double budget;     /* allowed bytes per unit of exposure */
    double warmup;     /* share left out at the start; 0: the judge's own cuts */
    double period;     /* of a season to remove, in units of exposure; 0: none */
};

/* Rates are per unit of exposure. */
struct growth {
    enum memory_class class;
    enum growth_reason reason;
    double slope, low, high, se;
    double smallest_visible; /* HUGE_VAL: nothing could have been seen */
    double rise;             /* bytes from the window's first to last level; 0: not reached */
    double net_growth;       /* bytes, last tenth less first tenth of the readings */
    double level;            /* bytes, last tenth */
    double noise;            /* bytes, spread of successive readings */
    bool season_removed;     /* the period was there often enough */
    size_t n_parts;
    size_t from, to; /* readings of the part that was decisive: [from, to) */
};

/* The usual errors (leak 0.001, pass 0.02) for this budget. */
struct growth_options growth_options(double budget);
void growth_judge(const struct growth_input *input, const struct growth_options *options,
                  struct growth *ret_growth);
/* "trend", "within_budget", ... */
const char *growth_reason_name(enum growth_reason reason);

#endif
