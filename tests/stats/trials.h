/* Trials: invented servers under a designed load, judged many times over, and how often the judge
 * was right.  The scenarios are those that the tests hold and that the study counts. */
#ifndef STATS_TRIALS_H
#define STATS_TRIALS_H

#include "judge/pairs.h"
#include "judge/verdict.h"
#include "servers.h"

#include <stdbool.h>
#include <stddef.h>

/* Counts over judged runs. */
struct score {
    unsigned runs;
    unsigned exact;           /* blamed exactly the drivers that leak */
    unsigned innocent_blamed; /* blamed one that does not */
    unsigned leaks, passes;
    unsigned bounded;           /* the driver of a store was seen to be bounded */
    unsigned separable;         /* drivers that could be asked */
    unsigned intervals, missed; /* 95 % intervals, and those without the truth */
    unsigned unbounded_said;    /* leaks whose reason says up to where no bound was seen */
    unsigned slowing_said;      /* reasons that name what growth may be slowing with */
    unsigned refresh_said;      /* reasons that say that the metric is refreshed too seldom */
    double error;               /* sum of |error| of blamed leaks, as a share */
    unsigned errors;
};

struct scenarios {
    const char *name;
    const struct server *server;
    size_t n;
};

/* Each of six leaks, four mixtures, and none. */
extern const struct scenarios scenarios_leaks;
/* Stores that fill at 40 % of their events or expire after a fifth of the run, one beside a
 * leak. */
extern const struct scenarios scenarios_traps;
/* Stores that fill at 85 % of their events. */
extern const struct scenarios scenarios_late;
/* Growth per event that fades to 4 or 14 % by the end of the run, or slows to 9 or 17 %. */
extern const struct scenarios scenarios_fading;
/* The small leaks of the 70 s crossover. */
extern const struct scenarios scenarios_crossover;
/* What does not leak there: stores, steps, a saw-tooth. */
extern const struct scenarios scenarios_innocent;
/* Leaks per aborted, refused and resumed exchange and per rotation. */
extern const struct scenarios scenarios_extra;

/* What the judge is told of such a run. */
struct judge_options trial_options(const struct experiment *experiment);
/* Judges one server n times from `seed` on and adds to the score. */
void trial_server(const struct server *server, const struct experiment *experiment, unsigned seed,
                  unsigned n, struct score *score);
/* Each scenario n times; those whose driver the experiment does not move are left out. */
struct score trial_all(const struct scenarios *scenarios, const struct experiment *experiment,
                       unsigned seed, unsigned n);
/* The budgets of a remedy, each beside the leak of its driver that a quarter of would come to it. */
enum { TRIAL_BUDGETS = 9 };
/* The experiment with the budget of that number alone, and the driver's switch where it is none of
 * the five. */
struct experiment trial_budgeted(struct experiment experiment, size_t number);
/* A server that keeps so many times that budget of its driver's events; 0: nothing. */
struct server trial_times_budget(size_t number, double times);
/* Four caches whose entries live for that share of the run, each held to a quarter of an entry; of
 * an entry so much is kept for ever.  Each n times. */
struct score trial_caches(const struct experiment *experiment, double lives, double kept_share,
                          unsigned seed, unsigned n);

/* The early stop on new certificates, or on whatever the server's first fault is about where that
 * is a store: its bound or time to live is declared then. */
void trial_pairs(const struct server *server, const struct experiment *experiment, unsigned seed,
                 struct pairs_finding *ret_finding);
/* The same over n seeds. */
struct early {
    unsigned runs, called;
    unsigned covered; /* intervals of the called that hold what is kept of a certificate */
    double seconds;   /* sum over the called */
};
struct early trial_early(const struct server *server, const struct experiment *experiment,
                         unsigned seed, unsigned n);

#endif
