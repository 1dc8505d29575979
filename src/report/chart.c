#include "report/chart.h"

#include "base/unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* In units of the picture. */
#define WIDTH     520.0
#define HEIGHT    270.0
#define LEFT      70.0
#define RIGHT     14.0
#define TOP       12.0
#define BOTTOM    30.0
#define TICKS_MAX 16

/* On the axis as drawn. */
static double place(enum chart_unit unit, double value)
{
    switch (unit) {
    case CHART_DURATION:
        return log10(fmax(value, 1));
    case CHART_PERCENTILE:
        return log10(1 / fmax(1 - value, 1e-9));
    default:
        return value;
    }
}

static double share(const struct chart_axis *axis, double value)
{
    double low = place(axis->unit, axis->low), high = place(axis->unit, axis->high);

    return high > low ? (place(axis->unit, value) - low) / (high - low) : 0.5;
}

static double at_x(const struct chart *chart, double x)
{
    return LEFT + share(&chart->x, x) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const struct chart *chart, double y)
{
    double part = fmin(fmax(share(&chart->y, y), -0.02), 1.02);

    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
}

/* The least of 1, 2 and 5 times a power of ten that is no less. */
static double round_up(double step)
{
    static const double mantissas[] = {1, 2, 5, 10};
    double power = pow(10, floor(log10(step)));

    for (size_t i = 0; i < sizeof mantissas / sizeof mantissas[0]; i++) {
        if (mantissas[i] * power >= step * (1 - 1e-9)) {
            return mantissas[i] * power;
        }
    }
    return 10 * power;
}

/* Steps that people count time in. */
static double time_step(double step)
{
    static const double steps[] = {1,     2,     5,     10,    15,     30,     60,
                                   120,   300,   600,   900,   1800,   3600,   7200,
                                   10800, 21600, 43200, 86400, 172800, 432000, 864000};

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (steps[i] >= step) {
            return steps[i];
        }
    }
    return 86400 * round_up(step / 86400);
}

/* The power of 1024 in which numbers of this size are said. */
static double byte_unit(double bytes)
{
    double unit = 1;

    while (bytes / unit >= 1024 && unit < 1099511627776.0) {
        unit *= 1024;
    }
    return unit;
}

/* The step of an axis in even steps, for about `n` of them. */
static double step_of(const struct chart_axis *axis, double n)
{
    double step = (axis->high - axis->low) / n;

    if (axis->unit == CHART_TIME) {
        return time_step(step);
    }
    if (axis->unit == CHART_BYTES) {
        double unit = byte_unit(step), rounded = round_up(step / unit);
        return unit * (rounded > 500 ? 1024 : rounded);
    }
    return round_up(step);
}

static void label_bytes(char *text, size_t size, double value, double step)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double unit = byte_unit(fabs(value));
    int name = (int)lround(log(unit) / log(1024));
    int digits = value == 0 ? 0 : (int)fmax(0, ceil(-log10(step / unit) - 1e-9));

    (void)snprintf(text, size, "%.*f %s", digits > 3 ? 3 : digits, value / unit, names[name]);
}

static void label_time(char *text, size_t size, double seconds, double step)
{
    if (step < 60) {
        (void)snprintf(text, size, "%.0f s", seconds);
    } else if (step < 3600) {
        (void)snprintf(text, size, "%.0f min", seconds / 60);
    } else if (step < 86400) {
        (void)snprintf(text, size, "%.0f h", seconds / 3600);
    } else {
        (void)snprintf(text, size, "%.0f d", seconds / 86400);
    }
}

static void label_of(char *text, size_t size, enum chart_unit unit, double value, double step)
{
    char number[UNIT_TEXT];

    switch (unit) {
    case CHART_TIME:
        label_time(text, size, value, step);
        return;
    case CHART_BYTES:
        label_bytes(text, size, value, step);
        return;
    case CHART_DURATION: {
        static const char *const names[] = {"ns", "us", "ms", "s"};
        int name = value < 1e3 ? 0 : value < 1e6 ? 1 : value < 1e9 ? 2 : 3;
        (void)snprintf(text, size, "%.0f %s", value / pow(1e3, name), names[name]);
        return;
    }
    case CHART_RATE:
        (void)snprintf(text, size, "%s/s",
                       step < 1 ? "" : unit_grouped(number, (uint64_t)llround(value)));
        if (step < 1) {
            (void)snprintf(text, size, "%.2g/s", value);
        }
        return;
    case CHART_PERCENTILE:
        (void)snprintf(text, size, "%.7g %%", 100 * value);
        return;
    }
}

static void put_tick(const struct chart *chart, bool is_x, double value, const char *text)
{
    struct sink *sink = chart->sink;

    if (is_x) {
        double x = at_x(chart, value);
        const char *anchor = x > WIDTH - RIGHT - 18 ? "end" : "middle";
        sink_printf(sink,
                    "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>"
                    "<text class=\"tick\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                    x, TOP, HEIGHT - BOTTOM, anchor, fmin(x, WIDTH - 2), HEIGHT - 10, text);
    } else {
        double y = at_y(chart, value);
        sink_printf(sink,
                    "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>"
                    "<text class=\"tick\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                    LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 4, text);
    }
}

static void put_even_ticks(const struct chart *chart, bool is_x)
{
    const struct chart_axis *axis = is_x ? &chart->x : &chart->y;
    double step = step_of(axis, is_x ? 6 : 5);
    double first = ceil(axis->low / step - 1e-9);

    for (int i = 0; i < TICKS_MAX && (first + i) * step <= axis->high + step * 1e-9; i++) {
        char text[48];
        label_of(text, sizeof text, axis->unit, (first + i) * step, step);
        put_tick(chart, is_x, (first + i) * step, text);
    }
}

/* Powers of ten, and their halves and fifths where there are few. */
static void put_duration_ticks(const struct chart *chart)
{
    static const double mantissas[] = {1, 2, 5};
    double low = log10(chart->y.low), high = log10(chart->y.high);
    size_t n_mantissas = high - low > 3.01 ? 1 : 3;

    for (double power = floor(low); power <= high; power++) {
        for (size_t i = 0; i < n_mantissas; i++) {
            double value = mantissas[i] * pow(10, power);
            char text[48];
            if (value >= chart->y.low * (1 - 1e-9) && value <= chart->y.high * (1 + 1e-9)) {
                label_of(text, sizeof text, CHART_DURATION, value, 0);
                put_tick(chart, false, value, text);
            }
        }
    }
}

static void put_percentile_ticks(const struct chart *chart)
{
    put_tick(chart, true, 0, "0 %");
    for (double left = 0.1; 1 - left <= chart->x.high + 1e-12 && left > 1e-8; left /= 10) {
        char text[48];
        label_of(text, sizeof text, CHART_PERCENTILE, 1 - left, 0);
        put_tick(chart, true, 1 - left, text);
    }
}

/* The next round numbers outside. */
static void widen(struct chart_axis *axis)
{
    if (axis->unit == CHART_DURATION) {
        static const double mantissas[] = {1, 2, 5, 10};
        double low = pow(10, floor(log10(fmax(axis->low, 1))));
        double high = pow(10, floor(log10(fmax(axis->high, 10))));
        size_t i = 0;
        while (mantissas[i] * high < axis->high * (1 - 1e-9)) {
            i++;
        }
        axis->low = low;
        axis->high = fmax(mantissas[i] * high, 10 * low);
    } else if (axis->unit == CHART_BYTES || axis->unit == CHART_RATE) {
        if (!(axis->high > axis->low)) {
            axis->high = axis->low + fmax(1, fabs(axis->low) * 0.01);
        }
        double step = step_of(axis, 5);
        axis->low = floor(axis->low / step + 1e-9) * step;
        axis->high = ceil(axis->high / step - 1e-9) * step;
    }
}

void chart_open(struct chart *chart, const char *label)
{
    struct sink *sink = chart->sink;

    widen(&chart->y);
    sink_printf(sink, "<svg class=\"chart\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"",
                WIDTH, HEIGHT);
    sink_xml(sink, label);
    sink_printf(sink, "\">\n");
    if (chart->y.unit == CHART_DURATION) {
        put_duration_ticks(chart);
    } else {
        put_even_ticks(chart, false);
    }
    if (chart->x.unit == CHART_PERCENTILE) {
        put_percentile_ticks(chart);
    } else {
        put_even_ticks(chart, true);
    }
}

void chart_line(const struct chart *chart, const char *class, const struct chart_point *points,
                size_t n)
{
    bool begun = false;

    sink_printf(chart->sink, "<path class=\"line %s\" d=\"", class);
    for (size_t i = 0; i < n; i++) {
        if (isfinite(points[i].y)) {
            sink_printf(chart->sink, "%c%.1f %.1f", begun ? 'L' : 'M', at_x(chart, points[i].x),
                        at_y(chart, points[i].y));
        }
        begun = isfinite(points[i].y);
    }
    sink_printf(chart->sink, "\"/>\n");
}

/* There on the upper edge, back on the lower one. */
static void put_area(const struct chart *chart, const struct chart_span *spans, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sink_printf(chart->sink, "%c%.1f %.1f", i == 0 ? 'M' : 'L', at_x(chart, spans[i].x),
                    at_y(chart, spans[i].high));
    }
    for (size_t i = n; i > 0; i--) {
        sink_printf(chart->sink, "L%.1f %.1f", at_x(chart, spans[i - 1].x),
                    at_y(chart, spans[i - 1].low));
    }
    sink_printf(chart->sink, "Z");
}

void chart_band(const struct chart *chart, const char *class, const struct chart_span *spans,
                size_t n)
{
    sink_printf(chart->sink, "<path class=\"band %s\" d=\"", class);
    for (size_t i = 0; i < n;) {
        size_t whole = 0;
        while (i + whole < n && isfinite(spans[i + whole].low)) {
            whole++;
        }
        if (whole > 1) {
            put_area(chart, spans + i, whole);
        }
        i += whole > 0 ? whole : 1;
    }
    sink_printf(chart->sink, "\"/>\n");
}

void chart_shade(const struct chart *chart, const char *class, double from, double to)
{
    double left = at_x(chart, fmax(from, chart->x.low));
    double right = at_x(chart, fmin(to, chart->x.high));

    if (right > left) {
        sink_printf(chart->sink,
                    "<rect class=\"shade %s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                    "height=\"%.1f\"/>\n",
                    class, left, TOP, right - left, HEIGHT - TOP - BOTTOM);
    }
}

static void put_words(const struct chart *chart, double x, double y, const char *anchor,
                      const char *words)
{
    sink_printf(chart->sink, "<text class=\"note\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">",
                anchor, x, y);
    sink_xml(chart->sink, words);
    sink_printf(chart->sink, "</text>\n");
}

void chart_mark_x(const struct chart *chart, double x, const char *words)
{
    if (x < chart->x.low || x > chart->x.high) {
        return;
    }
    bool late = share(&chart->x, x) > 0.5;
    sink_printf(chart->sink, "<path class=\"mark\" d=\"M%.1f %.1fV%.1f\"/>", at_x(chart, x), TOP,
                HEIGHT - BOTTOM);
    put_words(chart, at_x(chart, x) + (late ? -4 : 4), TOP + 12, late ? "end" : "start", words);
}

void chart_mark_y(const struct chart *chart, double y, const char *words)
{
    if (y < chart->y.low || y > chart->y.high) {
        return;
    }
    sink_printf(chart->sink, "<path class=\"mark\" d=\"M%.1f %.1fH%.1f\"/>", LEFT, at_y(chart, y),
                WIDTH - RIGHT);
    put_words(chart, WIDTH - RIGHT - 4, at_y(chart, y) - 5, "end", words);
}

void chart_close(struct chart *chart)
{
    sink_printf(chart->sink, "<path class=\"frame\" d=\"M%.1f %.1fV%.1fH%.1f\"/></svg>\n", LEFT,
                TOP, HEIGHT - BOTTOM, WIDTH - RIGHT);
}
