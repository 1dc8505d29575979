/* The verdict: what the judge says of a run.  Pure arithmetic over series: no I/O, no clock, no
 * threads.  The procedure, its evidence and its error rates are in tests/stats and bench; it
 * errs on neither side by rule: a pass is a claim that growth is below the budget, a leak must
 * pass every gate, and everything else is inconclusive with what is still needed. */
#ifndef JUDGE_VERDICT_H
#define JUDGE_VERDICT_H

#include "judge/limits.h"
#include "judge/search.h"
#include "judge/series.h"
#include "profile/plan.h"
#include "record/refusal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum memory_class { MEMORY_INCONCLUSIVE, MEMORY_STABLE, MEMORY_BOUNDED, MEMORY_LEAK };

enum verdict_kind {
    VERDICT_PASS,
    VERDICT_FAIL,
    VERDICT_INCONCLUSIVE,
    VERDICT_INVALID,
    VERDICT_REFUSED,
    VERDICT_INTERRUPTED
};

/* Bytes per event of one driver. */
struct driver_finding {
    enum driver driver;
    bool blamed;
    bool separable; /* its counter moved apart from the others' */
    bool bounded;   /* grew with it at first, and no longer */
    bool may_slow;  /* grows with it, but it can't be told from growth that slows down */
    double bytes_per_event, low, high; /* 95 % interval for people; NAN when not separable */
    double lower, upper; /* that verdicts go by: errors of 0.1 % and 2 %, shared by all drivers */
    double events;
    double seen; /* of its events, those up to which growth is sure to go on; 0: not known */
    char confounded_with[64]; /* not separable: the driver it moved with */
};

#define JUDGE_IDLES 8

/* Where memory settled while the load was idle. */
struct idle_floor {
    double from_s, to_s; /* of the readings that were taken for the level */
    double level_bytes;
    double uncertainty_bytes; /* half of the 95 % interval */
    bool settled;             /* false: it was still moving when the phase ended */
    int part;                 /* incarnation of the server */
};

enum floors_change {
    FLOORS_NOT_COMPARED, /* fewer than two that settled, of one incarnation of the server */
    FLOORS_ROSE,
    FLOORS_SETTLED_BACK,
    FLOORS_UNCLEAR /* the levels are not known well enough */
};

/* What the loads between the idle phases left behind. */
struct floors_finding {
    struct idle_floor floor[JUDGE_IDLES];
    size_t n; /* phases that had readings */
    enum floors_change change;
    size_t first, last;               /* that are compared */
    double rise, rise_low, rise_high; /* bytes from the first to the last of these, 95 % */
    double events[DRIVER_COUNT];      /* between these two; rise / events is bytes per event */
    char reason[512];                 /* one sentence; "": no idle phase had readings */
};

struct memory_finding {
    char source[64];
    char metric[64];
    enum memory_class class;
    char reason[768];      /* one plain sentence with the numbers */
    bool usable;           /* its intervals are of readings that say something */
    char reason_code[24];  /* "trend", "staircase", "within_budget", "noisy", "too_short", ... */
    double needed_seconds; /* 0: nothing needed */
    int needed_driver;     /* -1: none */
    double needed_events;
    char known_bound[64]; /* "" : none */
    double known_bound_size;
    enum driver known_bound_driver;      /* whose events fill it; of expect_ttl time */
    double slope, slope_low, slope_high; /* bytes a second */
    double smallest_visible;             /* bytes a second */
    double budget;                       /* bytes a second that the pass was measured against */
    double limit_bytes;                  /* 0: none */
    double seconds_to_limit_low, seconds_to_limit_high; /* NAN: no limit or no growth */
    double growth_bytes, level_bytes, noise_bytes, duration_s;
    double from_s, to_s; /* readings that the growth was judged by: without warm-up; to_s 0: none */
    size_t n_readings, n_gaps, n_restarts;
    double refresh_s; /* above 0: the metric is refreshed so seldom that no driver is separable */
    struct driver_finding drivers[DRIVER_COUNT];
    size_t n_drivers;             /* only drivers with events (and time) */
    struct floors_finding floors; /* reported beside the class, which does not depend on it */
};

/* A load in pairs of dwells that differ in one factor, which a coin puts first or second. */
struct judge_pairs {
    double start_s, dwell_s;    /* of the first dwell */
    size_t n;                   /* pairs planned; 0: no such load */
    const uint8_t *fresh_first; /* borrows: one a pair, 1: the dwell with the factor came first */
    enum driver factor;
};

/* No load, connections closed. */
struct judge_idle {
    double from_s, to_s;
};

/* What the judge is told beside the series. */
struct judge_options {
    struct plan_judge judge;
    double limit_bytes; /* 0: none */
    bool designed;      /* the load followed an attribution design */
    double warmup_s;    /* start of the design */
    double dwell_s;     /* of the design; 0: not known */
    bool floors;        /* one reading a dwell, each after a forced collection */
    double period_s;    /* of the load, removed from soaks that hold it 1.75 times; 0: a day */
    struct judge_pairs pairs; /* of a designed load of that kind */
    struct judge_idle idle[JUDGE_IDLES];
    size_t n_idles;
};

#define VERDICT_FINDINGS 16

/* How the server dealt with one kind of bad identity. */
struct refusal_finding {
    struct refusal_kind what;
    struct refusal_tally tally;
};

struct verdict {
    enum verdict_kind kind;
    int exit_code;
    char reason[896];
    struct memory_finding memory[VERDICT_FINDINGS];
    size_t n_memory;
    /* bad identities, and the generator: filled from the stored run */
    struct refusal_finding refusals[REFUSALS_MAX];
    size_t n_refusals;
    struct limit_finding limits[LIMITS_MAX];
    size_t n_limits;
    struct search_finding search;
    uint64_t n_let_in; /* in all, also of a killed run, which doesn't say of which kind */
    bool generator_healthy;
    char generator_reason[256];
    uint64_t generator_mint_waits; /* times that the load waited for a credential */
    char ended[256];               /* not empty: why the run was ended before its time */
    char invalid[256]; /* not empty: why its measurements can't be used, whatever else is decided */
    bool interrupted;  /* or killed */
};

/* Nothing declared: no budgets but the default ones, no bounds, no design. */
struct judge_options judge_options_none(void);
/* Judges one series. */
void judge_series(const struct series *series, const struct judge_options *options,
                  struct memory_finding *ret_finding);
/* The same for a run that goes on, without attribution (but under a design): about a millisecond
 * whatever the length, so that a live view may ask each minute.  Changes nothing in the series, and
 * the final verdict does not depend on it.  Provisional: a warm-up that is not over looks like a
 * leak, and who asks often is told so more often, so nothing may fail on it.  The
 * reason begins with "so far". */
void judge_provisional(const struct series *series, const struct judge_options *options,
                       struct memory_finding *ret_finding);
const char *memory_class_name(enum memory_class class);
/* The worst result: let in even once, then otherwise than the profile asked for, then nothing that
 * tells. */
enum refusal_result refusal_worst(const struct refusal_finding *finding);
/* "the server let in an expired certificate (refuse NAME): 3 of 40 attempts, status 200", and the
 * like for one that was refused in another way than the profile expects, or of which nothing can be
 * said; empty when all is as it should be. */
void refusal_sentence(const struct refusal_finding *finding, char *text, size_t size);
const char *verdict_kind_name(enum verdict_kind kind);
/* Folds findings and what befell the run into kind, exit code and one sentence: the one place
 * that decides the code.  `invalid` is NULL or why the run's measurements can't be used. */
void verdict_decide(struct verdict *verdict, const char *invalid, bool interrupted);

#endif
