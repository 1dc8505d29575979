/* A chart as inline SVG: axes with round numbers and units, then lines, bands and marks in the
 * order in which they are asked for.  Colours are classes of the page's style sheet, so that a
 * chart follows its light, dark and printed looks.  Pure functions into a sink.
 *
 * More than eight functions: the few things that a chart is made of. */
#ifndef REPORT_CHART_H
#define REPORT_CHART_H

#include "base/sink.h"

#include <stdbool.h>
#include <stddef.h>

enum chart_unit {
    CHART_TIME,       /* seconds since the start */
    CHART_BYTES,      /* powers of 1024 */
    CHART_DURATION,   /* nanoseconds, on a logarithmic axis */
    CHART_RATE,       /* a second */
    CHART_PERCENTILE, /* quantiles 0 to 1, spread as 1 / (1 - q) on a logarithmic axis */
};

struct chart_axis {
    enum chart_unit unit;
    double low, high; /* what must be on it; widened to round numbers by chart_open, but for time */
};

struct chart {
    struct sink *sink; /* borrows */
    struct chart_axis x, y;
};

struct chart_point {
    double x, y; /* y NAN: a gap */
};

struct chart_span {
    double x, low, high; /* low NAN: a gap */
};

/* Begins it with its axes.  `label` says for those who can't see it what it shows. */
void chart_open(struct chart *chart, const char *label);
void chart_line(const struct chart *chart, const char *class, const struct chart_point *points,
                size_t n);
/* The area between low and high. */
void chart_band(const struct chart *chart, const char *class, const struct chart_span *spans,
                size_t n);
/* All of the height, from one x to another. */
void chart_shade(const struct chart *chart, const char *class, double from, double to);
/* A line across, with words at its end; nothing where it lies off the chart. */
void chart_mark_x(const struct chart *chart, double x, const char *words);
void chart_mark_y(const struct chart *chart, double y, const char *words);
void chart_close(struct chart *chart);

#endif
