/* Exposure: what the server was exposed to, and whether that suffices for a verdict.  A store that
 * is bounded at N entries looks exactly like a leak until N events have come, so a declared (or
 * well-known) bound must be passed before anything is called a leak or a pass.  Budgets, which
 * people give per event, become bytes a second here. */
#ifndef JUDGE_EXPOSURE_H
#define JUDGE_EXPOSURE_H

#include "judge/verdict.h"

#include <stdbool.h>
#include <stddef.h>

/* Fewer events than this of a driver can't show: default budgets ask nothing of it, and a pass
 * says that it doesn't speak of it. */
#define EXPOSURE_MIN_EVENTS 100

/* The rows [from, to) of a series that are judged. */
struct stretch {
    size_t from, to;
    double seconds;
    double idle_before, idle_after; /* seconds that were cut off */
    double events[DRIVER_COUNT];    /* time: the seconds */
    bool any_events;
};

/* A bound that the run did not reach. */
struct unreached {
    bool is;
    int driver;             /* -1: a time to live */
    double events, seconds; /* that are still needed */
};

/* From the first to the last event; the whole series where no events were counted, or too few
 * readings would be left. */
struct stretch exposure_stretch(const struct series *series);
/* Bytes a second that a pass is measured against: the least of the given budgets, else of the
 * default ones (driver_info floor_bytes). */
double exposure_budget(const struct stretch *stretch, const struct judge_options *options);
/* Bytes per event (time: per second) that are allowed to one driver. */
double exposure_allowed(const struct stretch *stretch, const struct judge_options *options,
                        enum driver driver);
/* A declared or known bound that matters for a verdict on `blamed` (indexed by driver; NULL: on
 * all) and was not passed by the run: of several the one that needs most.  Fills the finding's
 * known_bound with it, else with the first that there is. */
struct unreached exposure_unreached(const struct series *series, const struct stretch *stretch,
                                    const struct judge_options *options, const bool *blamed,
                                    struct memory_finding *finding);
/* The first row of [from, to), rows of one incarnation of the server, by which a declared or known
 * bound of the driver's store was passed and a declared time to live had gone by since its first
 * events; `to` when that never came. */
size_t exposure_passed(const struct series *series, const struct judge_options *options,
                       enum driver driver, size_t from, size_t to);
/* A runtime whose garbage hides what is retained, read without forcing collections. */
bool exposure_hidden_by_garbage(const struct series *series);

#endif
