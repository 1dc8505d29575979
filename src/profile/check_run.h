/* More parts that a plan is checked in: what happens in the run beside the exchanges of its
 * identities, and when.  Each has a file of its own, and fills in what is derived.
 * More than eight functions: one a part, and the word of a mode. */
#ifndef PROFILE_CHECK_RUN_H
#define PROFILE_CHECK_RUN_H

#include "profile/check_internal.h"

/* What pace.mode leaves out and derives; before the phases. */
void check_modes(const struct checker *c);
/* The word of pace.mode. */
const char *check_mode_word(const struct checker *c);
/* Before the threads and whatever else asks for run.duration. */
void check_phases(const struct checker *c);
/* After the phases, which may ask for resumption, too. */
void check_early_data(const struct checker *c);
/* What the limits come to. */
void check_limits(const struct checker *c);
/* Their windows, once it is known how long the run is. */
void check_windows(const struct checker *c);
/* After the modes and the limits, before whatever else asks for pace.rate or run.duration. */
void check_search(const struct checker *c);
/* Reads the file of pace.replay. */
void check_replay(const struct checker *c);
/* After the attribution. */
void check_misuses(const struct checker *c);
/* What the experiment switches must be there to switch; after the identities. */
void check_factor(const struct checker *c);
/* After the attribution. */
void check_hooks(const struct checker *c);

#endif
