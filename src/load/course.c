#include "load/course.h"

#include <math.h>

#define NS_A_SECOND 1e9

static double seconds_since_start(const struct course *course, double t_ns)
{
    return fmax(t_ns - course->start_ns, 0) / NS_A_SECOND;
}

/* Of the value, a second. */
static double slope(const struct course *course)
{
    return course->ramp_ns > 0 ? (course->to - course->from) / (course->ramp_ns / NS_A_SECOND) : 0;
}

double course_value(const struct course *course, double t_ns)
{
    double past_ns = fmax(t_ns - course->start_ns, 0);
    if (past_ns >= course->ramp_ns) {
        return course->to;
    }
    return course->from + (course->to - course->from) * (past_ns / course->ramp_ns);
}

double course_count(const struct course *course, double t_ns)
{
    double past = seconds_since_start(course, t_ns), ramp = course->ramp_ns / NS_A_SECOND;
    if (past <= ramp) {
        return past * (course->from + slope(course) / 2 * past);
    }
    return ramp * (course->from + course->to) / 2 + course->to * (past - ramp);
}

/* Within the ramp, x * (from + slope / 2 * x) = count, solved for x in the form that does not
 * cancel (Press et al., Numerical Recipes, 5.6). */
double course_when(const struct course *course, double count)
{
    double ramp = course->ramp_ns / NS_A_SECOND;
    double in_ramp = ramp * (course->from + course->to) / 2;
    if (count <= 0 && (in_ramp > 0 || course->to > 0)) {
        return course->start_ns;
    }
    if (count < in_ramp) {
        double root = sqrt(fmax(course->from * course->from + 2 * slope(course) * count, 0));
        return course->start_ns + 2 * count / (course->from + root) * NS_A_SECOND;
    }
    if (!(course->to > 0)) {
        return INFINITY;
    }
    return course->start_ns + course->ramp_ns + (count - in_ramp) * NS_A_SECOND / course->to;
}

double course_passes(const struct course *course, double value)
{
    double from = course->from, to = course->to;
    if (to > from ? from > value : from <= value) {
        return course->start_ns;
    }
    if (to > from ? to <= value : to > value) {
        return INFINITY;
    }
    return course->start_ns + course->ramp_ns * ((value - from) / (to - from));
}
