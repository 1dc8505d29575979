/* A course: a number that moves linearly from one value to another, then stays: a rate, or how many
 * connections there shall be.  Pure arithmetic; times are nanoseconds since the start of the load.
 *
 * As a rate it counts: N(t), the events since its start, is the integral, and course_when is the
 * inverse of N.  Both are computed from the start and never summed up, so nothing drifts. */
#ifndef LOAD_COURSE_H
#define LOAD_COURSE_H

#include <stdint.h>

struct course {
    double start_ns, ramp_ns; /* it moves in the ramp's length from the start on */
    double from, to;          /* per second, when it is a rate; not negative */
};

/* The value at `t_ns`; before the start that at the start. */
double course_value(const struct course *course, double t_ns);
/* N(t): events from the start up to `t_ns`. */
double course_count(const struct course *course, double t_ns);
/* When N(t) goes beyond that count, in ns; INFINITY when it never does. */
double course_when(const struct course *course, double count);
/* The first time at which the value has come beyond `value`: above when it grows, at or below when
 * it falls; the start when it is there already, INFINITY when it never comes. */
double course_passes(const struct course *course, double value);

#endif
