#include "report/html_charts.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "judge/series.h"
#include "report/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double elapsed_s(const struct stored_run *run)
{
    return fmax(1, (double)run->elapsed_ns / (double)NS_PER_S);
}

/* class and words, in pairs, up to NULL. */
static void put_legend(struct sink *sink, const char *const *entries)
{
    sink_printf(sink, "<figcaption>");
    for (; entries[0] != NULL; entries += 2) {
        sink_printf(sink, "<span class=\"key\"><i class=\"%s\"></i>%s</span> ", entries[0],
                    entries[1]);
    }
    sink_printf(sink, "</figcaption></figure>\n");
}

static void put_unreadable(struct sink *sink, struct diag *diag)
{
    sink_printf(sink, "<p class=\"warning\">This chart's data can't be read: ");
    sink_xml(sink, diag_count(diag) > 0 ? diag_text(diag, 0) : "the metric is not in the file");
    sink_printf(sink, "</p>\n");
}

/* The series that the finding is about; NULL: not there. */
static const struct series *find_series(const struct series *series, size_t n,
                                        const struct memory_finding *finding)
{
    for (size_t i = 0; i < n; i++) {
        if (str_equal(series[i].metric, finding->metric)) {
            return &series[i];
        }
    }
    return NULL;
}

/* The level in the middle of what was judged. */
static double middle_level(const struct series *series, const struct memory_finding *finding)
{
    double sum = 0, n = 0;

    for (size_t i = 0; i < series->n; i++) {
        if (series->t[i] >= finding->from_s && series->t[i] <= finding->to_s) {
            sum += series->y[i];
            n++;
        }
    }
    return n > 0 ? sum / n : NAN;
}

/* The growth as it was judged, and what its interval leaves open, through the middle. */
static void draw_trend(const struct chart *chart, const struct series *series,
                       const struct memory_finding *finding)
{
    double half = (finding->to_s - finding->from_s) / 2, at = finding->from_s + half;
    double level = middle_level(series, finding);

    if (!isfinite(level) || !isfinite(finding->slope_low) || !isfinite(finding->slope_high)) {
        return;
    }
    struct chart_span spans[] = {
        {at - half, level - finding->slope_high * half, level - finding->slope_low * half},
        {at, level, level},
        {at + half, level + finding->slope_low * half, level + finding->slope_high * half},
    };
    struct chart_point line[] = {{at - half, level - finding->slope * half},
                                 {at + half, level + finding->slope * half}};
    chart_band(chart, "trend", spans, 3);
    chart_line(chart, "trend", line, 2);
}

/* When that many events of the driver had happened; NAN: never. */
static double when_reached(const struct series *series, enum driver driver, double events)
{
    double passed = 0;

    for (size_t i = 1; i < series->n; i++) {
        passed += fmax(0, series->x[driver][i] - series->x[driver][i - 1]);
        if (passed >= events) {
            return series->t[i];
        }
    }
    return NAN;
}

static void mark_bound(const struct chart *chart, const struct series *series,
                       const struct memory_finding *finding)
{
    const char *name = finding->known_bound;

    if (str_equal(name, "expect_ttl")) {
        chart_mark_x(chart, series->t[0] + finding->known_bound_size, "expect_ttl");
    } else if (name[0] != '\0') {
        double at = when_reached(series, finding->known_bound_driver, finding->known_bound_size);
        if (isfinite(at)) {
            chart_mark_x(chart, at, "bound reached");
        }
    }
}

static void draw_memory(struct sink *sink, const struct stored_run *run,
                        const struct series *series, const struct memory_finding *finding)
{
    struct chart chart = {.sink = sink,
                          .x = {CHART_TIME, 0, fmax(elapsed_s(run), series->t[series->n - 1])},
                          .y = {CHART_BYTES, HUGE_VAL, -HUGE_VAL}};
    struct chart_point *points = xcalloc(2 * series->n, sizeof *points);
    size_t n = 0;

    for (size_t i = 0; i < series->n; i++) {
        if (i > 0 && series->part[i] != series->part[i - 1]) {
            points[n++] = (struct chart_point){series->t[i], NAN};
        }
        points[n++] = (struct chart_point){series->t[i], series->y[i]};
        chart.y.low = fmin(chart.y.low, series->y[i]);
        chart.y.high = fmax(chart.y.high, series->y[i]);
    }
    double range = chart.y.high - chart.y.low;
    if (finding->limit_bytes > 0 && finding->limit_bytes < chart.y.high + 2 * range) {
        chart.y.high = fmax(chart.y.high, finding->limit_bytes);
    }
    chart_open(&chart, "Memory of the server over time");
    chart_shade(&chart, "warmup", 0, finding->to_s > 0 ? finding->from_s : 0);
    for (size_t i = 0; i < run->n_phases; i++) {
        const struct run_phase *phase = &run->phases[i];
        chart_shade(&chart,
                    phase->idle  ? "idle"
                    : i % 2 == 0 ? "even"
                                 : "odd",
                    phase->from_s, phase->to_s);
    }
    draw_trend(&chart, series, finding);
    chart_line(&chart, "memory", points, n);
    if (finding->limit_bytes > 0) {
        chart_mark_y(&chart, finding->limit_bytes, "limit");
    }
    mark_bound(&chart, series, finding);
    chart_close(&chart);
    free(points);
}

void html_memory_chart(struct sink *sink, const struct stored_run *run, size_t i,
                       const struct memory_finding *finding)
{
    static const char *const legend[] = {
        "memory", "readings", "trend", "growth as judged, with its 99 % interval",
        "warmup", "warm-up",  NULL};
    static const char *const phased[] = {
        "memory", "readings", "trend", "growth as judged, with its 99 % interval",
        "warmup", "warm-up",  "even",  "phases in turn",
        "idle",   "idle",     NULL};
    CLEANUP_FREE char *path = i == 0 ? xasprintf("%s/memory.csv", run->dir)
                                     : xasprintf("%s/memory.%s.csv", run->dir, finding->source);
    struct diag *diag = diag_new();
    struct series *all = NULL;
    size_t n = series_load(path, &all, NULL, NULL, diag);
    const struct series *series = find_series(all, n, finding);

    if (series == NULL || series->n == 0) {
        put_unreadable(sink, diag);
    } else {
        sink_printf(sink, "<figure>");
        draw_memory(sink, run, series, finding);
        put_legend(sink, run->n_phases > 0 ? phased : legend);
    }
    free(all);
    diag_free(diag);
}

/* Bytes in all, of -scale to scale. */
static double bar_x(double bytes, double low, double high)
{
    return 200 * (fmin(fmax(bytes, low), high) - low) / (high - low);
}

static void put_bar(struct sink *sink, const struct driver_finding *driver, double low, double high)
{
    double zero = bar_x(0, low, high);
    double end = bar_x(driver->bytes_per_event * driver->events, low, high);
    double from = bar_x(driver->low * driver->events, low, high);
    double to = bar_x(driver->high * driver->events, low, high);

    sink_printf(sink,
                "<svg class=\"bar\" viewBox=\"0 0 200 16\" role=\"img\" aria-label=\"share of the "
                "growth\"><rect class=\"%s\" x=\"%.1f\" y=\"3\" width=\"%.1f\" height=\"10\"/>"
                "<path class=\"frame\" d=\"M%.1f 0V16\"/>"
                "<path class=\"whisker\" d=\"M%.1f 4V12M%.1f 8H%.1fM%.1f 4V12\"/></svg>",
                driver->blamed ? "blamed" : "bar-other", fmin(zero, end), fabs(end - zero), zero,
                from, from, to, to);
}

static void put_driver(struct sink *sink, const struct driver_finding *driver, double low,
                       double high)
{
    char size[UNIT_TEXT], from[UNIT_TEXT], to[UNIT_TEXT], events[UNIT_TEXT];

    sink_printf(sink, "<tr%s><th scope=\"row\">%s</th>", driver->blamed ? " class=\"guilty\"" : "",
                driver_info(driver->driver)->event);
    if (!driver->separable || !isfinite(driver->bytes_per_event)) {
        sink_printf(sink, "<td class=\"n\" colspan=\"2\">not separable%s%s</td><td></td>",
                    driver->confounded_with[0] != '\0' ? " from " : "", driver->confounded_with);
    } else {
        sink_printf(sink, "<td class=\"n\">%s</td><td class=\"n\">%s to %s</td><td>",
                    unit_bytes(size, driver->bytes_per_event), unit_bytes(from, driver->low),
                    unit_bytes(to, driver->high));
        put_bar(sink, driver, low, high);
        sink_printf(sink, "%s</td>", unit_bytes(size, driver->bytes_per_event * driver->events));
    }
    sink_printf(sink, "<td class=\"n\">%s</td><td>%s</td></tr>\n",
                unit_grouped(events, (uint64_t)fmax(0, driver->events)),
                driver->blamed                          ? "leak"
                : driver->bounded && driver->separable  ? "bounded"
                : driver->may_slow && driver->separable ? "may slow"
                                                        : "");
}

void html_attribution(struct sink *sink, const struct memory_finding *finding)
{
    double low = 0, high = 1;

    if (finding->n_drivers == 0 || (finding->n_drivers == 1 && !finding->drivers[0].separable)) {
        return;
    }
    for (size_t i = 0; i < finding->n_drivers; i++) {
        const struct driver_finding *driver = &finding->drivers[i];
        if (driver->separable && isfinite(driver->low) && isfinite(driver->high)) {
            low = fmin(low, driver->low * driver->events);
            high = fmax(high, driver->high * driver->events);
        }
    }
    sink_printf(sink,
                "<h3>What the growth follows</h3><div class=\"wide\"><table><thead><tr>"
                "<th scope=\"col\">per</th><th scope=\"col\" class=\"n\">keeps</th>"
                "<th scope=\"col\" class=\"n\">95 %% interval</th>"
                "<th scope=\"col\">in all, with interval</th>"
                "<th scope=\"col\" class=\"n\">events</th><th scope=\"col\"></th></tr></thead>"
                "<tbody>\n");
    for (size_t i = 0; i < finding->n_drivers; i++) {
        put_driver(sink, &finding->drivers[i], low, high);
    }
    sink_printf(sink, "</tbody></table></div>\n");
}

/* What a histogram has at quantiles that are evenly spread on the axis. */
static void draw_quantiles(const struct chart *chart, const char *class, const struct hist *hist)
{
    enum { STEPS = 120 };
    struct chart_point points[STEPS + 1];
    double most = log10(fmax(10, (double)hist->n));

    for (int i = 0; i <= STEPS; i++) {
        double q = 1 - pow(10, -most * i / STEPS);
        points[i] = (struct chart_point){fmin(q, chart->x.high), (double)hist_quantile(hist, q)};
    }
    if (hist->n > 0) {
        chart_line(chart, class, points, STEPS + 1);
    }
}

static void draw_percentiles(struct sink *sink, const struct stored_run *run)
{
    static const char *const legend[] = {"response", "response time, from when it was due",
                                         "service", "service time, from when it was sent", NULL};
    const struct hist *response = &run->total->latency[LATENCY_RESPONSE];
    const struct hist *service = &run->total->latency[LATENCY_SERVICE];
    struct chart chart = {.sink = sink,
                          .x = {CHART_PERCENTILE, 0, 1 - 1 / fmax(10, (double)response->n)},
                          .y = {CHART_DURATION,
                                fmin((double)response->min_ns, (double)service->min_ns),
                                fmax((double)response->max_ns, (double)service->max_ns)}};

    sink_printf(sink, "<figure>");
    chart_open(&chart, "Response and service time by percentile");
    draw_quantiles(&chart, "service", service);
    draw_quantiles(&chart, "response", response);
    chart_close(&chart);
    put_legend(sink, legend);
}

static void draw_course(const struct chart *chart, const char *class, const struct curves *curves,
                        int latency)
{
    struct chart_span *spans = xcalloc(curves->n, sizeof *spans);
    struct chart_point *middle = xcalloc(curves->n, sizeof *middle);

    for (size_t i = 0; i < curves->n; i++) {
        const struct curve_point *p = &curves->point[i];
        bool any = p->latency[latency].n > 0;
        double at = (p->from_s + p->to_s) / 2;
        spans[i] = (struct chart_span){at, any ? (double)p->latency[latency].p50_ns : NAN,
                                       any ? (double)p->latency[latency].p99_ns : NAN};
        middle[i] = (struct chart_point){at, spans[i].low};
    }
    chart_band(chart, class, spans, curves->n);
    chart_line(chart, class, middle, curves->n);
    free(spans);
    free(middle);
}

static void draw_latency_over_time(struct sink *sink, const struct stored_run *run,
                                   const struct curves *curves)
{
    static const char *const legend[] = {"response", "response, p50 (line) to p99", "service",
                                         "service, p50 (line) to p99", NULL};
    struct chart chart = {
        .sink = sink, .x = {CHART_TIME, 0, elapsed_s(run)}, .y = {CHART_DURATION, HUGE_VAL, 0}};

    for (size_t i = 0; i < curves->n; i++) {
        for (int k = 0; k < CURVES_LATENCIES; k++) {
            if (curves->point[i].latency[k].n > 0) {
                chart.y.low = fmin(chart.y.low, (double)curves->point[i].latency[k].p50_ns);
                chart.y.high = fmax(chart.y.high, (double)curves->point[i].latency[k].p99_ns);
            }
        }
    }
    if (chart.y.high <= 0) {
        return;
    }
    sink_printf(sink, "<figure>");
    chart_open(&chart, "Response and service time over the run");
    draw_course(&chart, "response", curves, LATENCY_RESPONSE);
    draw_course(&chart, "service", curves, LATENCY_SERVICE);
    chart_close(&chart);
    put_legend(sink, legend);
}

void html_latency_charts(struct sink *sink, const struct stored_run *run,
                         const struct curves *curves)
{
    if (run->total->latency[LATENCY_RESPONSE].n == 0) {
        return;
    }
    sink_printf(sink, "<div class=\"pair\">");
    draw_percentiles(sink, run);
    draw_latency_over_time(sink, run, curves);
    sink_printf(sink, "</div>\n");
}

static void draw_rate(const struct chart *chart, const char *class, const struct curves *curves,
                      double (*rate)(const struct curve_point *point))
{
    struct chart_point *points = xcalloc(curves->n, sizeof *points);

    for (size_t i = 0; i < curves->n; i++) {
        const struct curve_point *p = &curves->point[i];
        points[i] = (struct chart_point){(p->from_s + p->to_s) / 2, rate(p)};
    }
    chart_line(chart, class, points, curves->n);
    free(points);
}

static double asked(const struct curve_point *point)
{
    return point->due_per_s;
}

static double begun(const struct curve_point *point)
{
    return point->begun_per_s;
}

static double failed(const struct curve_point *point)
{
    return point->failed_per_s;
}

void html_rate_chart(struct sink *sink, const struct stored_run *run, const struct curves *curves)
{
    static const char *const open_loop[] = {"asked",  "asked",  "reached", "reached",
                                            "failed", "failed", NULL};
    static const char *const closed_loop[] = {"reached", "reached", "failed", "failed", NULL};
    bool any_due = run->total->count[COUNTER_DUE] > 0;
    struct chart chart = {
        .sink = sink, .x = {CHART_TIME, 0, elapsed_s(run)}, .y = {CHART_RATE, 0, 1}};

    for (size_t i = 0; i < curves->n; i++) {
        const struct curve_point *p = &curves->point[i];
        chart.y.high =
            fmax(chart.y.high, fmax(fmax(p->due_per_s, p->begun_per_s), p->failed_per_s));
    }
    sink_printf(sink, "<figure>");
    chart_open(&chart, "Rates asked and reached over the run");
    if (any_due) {
        draw_rate(&chart, "asked", curves, asked);
    }
    draw_rate(&chart, "reached", curves, begun);
    draw_rate(&chart, "failed", curves, failed);
    chart_close(&chart);
    put_legend(sink, any_due ? open_loop : closed_loop);
}
