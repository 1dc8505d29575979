#include "judge/series.h"

#include "base/str.h"

#include <math.h>
#include <string.h>

void series_init(struct series *series)
{
    memset(series, 0, sizeof *series);
    series->width = 1;
    series->has[DRIVER_TIME] = true;
}

static void copy_bucket(struct series *s, size_t to, size_t from)
{
    s->t[to] = s->t[from];
    s->y[to] = s->y[from];
    s->y_min[to] = s->y_min[from];
    s->open[to] = s->open[from];
    s->part[to] = s->part[from];
    s->count[to] = s->count[from];
    for (size_t d = 0; d < DRIVER_COUNT; d++) {
        s->x[d][to] = s->x[d][from];
    }
}

/* Bucket `later` into bucket `to`; what is cumulative is that of the later one. */
static void absorb(struct series *s, size_t to, size_t later)
{
    unsigned count = s->count[to] + s->count[later];
    double share = (double)s->count[later] / count;
    double mean = s->y[to] + share * (s->y[later] - s->y[to]);
    double open = s->open[to] + share * (s->open[later] - s->open[to]);
    double lowest = fmin(s->y_min[to], s->y_min[later]);
    copy_bucket(s, to, later);
    s->y[to] = mean;
    s->open[to] = open;
    s->y_min[to] = lowest;
    s->count[to] = count;
}

/* Joins neighbours of one incarnation.  A server that restarts all the time leaves none, and then
 * incarnations are joined too: such a run is a restart whatever its memory does. */
static void halve(struct series *s)
{
    bool across_parts = false;
    s->width *= 2;
    while (s->n == SERIES_BUCKETS) {
        size_t to = 0;
        for (size_t i = 0; i < s->n; to++) {
            bool pair = i + 1 < s->n && (across_parts || s->part[i] == s->part[i + 1]);
            copy_bucket(s, to, i);
            if (pair) {
                absorb(s, to, i + 1);
            }
            i += pair ? 2 : 1;
        }
        s->n = to;
        across_parts = true;
    }
}

bool series_is_part(const struct series *series)
{
    return series->chosen && str_has_prefix(series->metric, "cgroup_");
}

double series_spacing(const struct series *series, size_t from, size_t to)
{
    return (series->t[to - 1] - series->t[from]) / (double)(to - from - 1);
}

static bool is_reading(const struct series *s, double t, double y)
{
    return isfinite(t) && isfinite(y) && (series_is_part(s) ? y >= 0 : y > 0) &&
           (s->n == 0 || t > s->t[s->n - 1]);
}

static void open_bucket(struct series *s, double y)
{
    if (s->n == SERIES_BUCKETS) {
        halve(s);
    }
    for (size_t d = 0; d < DRIVER_COUNT; d++) {
        s->x[d][s->n] = s->n > 0 ? s->x[d][s->n - 1] : 0;
    }
    s->count[s->n] = 0;
    s->y_min[s->n] = y;
    s->y[s->n] = 0;
    s->open[s->n] = 0;
    s->n++;
}

void series_add(struct series *series, double t, double y, const double x[DRIVER_COUNT],
                double open, int part)
{
    bool good = is_reading(series, t, y);
    if (isfinite(t) && (series->n == 0 || t > series->end)) {
        series->end = t;
    }
    if (!good) {
        series->n_gaps++;
        return;
    }
    if (series->n == 0 || series->count[series->n - 1] >= series->width ||
        series->part[series->n - 1] != part) {
        open_bucket(series, y);
    }
    size_t last = series->n - 1;
    unsigned count = ++series->count[last];
    series->n_readings++;
    series->y[last] += (y - series->y[last]) / count;
    series->open[last] += ((isfinite(open) ? open : 0) - series->open[last]) / count;
    series->y_min[last] = fmin(series->y_min[last], y);
    series->t[last] = t;
    series->part[last] = part;
    for (size_t d = 0; d < DRIVER_COUNT; d++) {
        series->x[d][last] = isfinite(x[d]) ? x[d] : series->x[d][last];
    }
    series->x[DRIVER_TIME][last] = t;
}
