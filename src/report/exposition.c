#include "report/exposition.h"

#include "base/mono.h"
#include "base/str.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_BYTES 96

/* INFO is a gauge of 1 in the text format, which has no such type. */
enum kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM, KIND_INFO };

struct page {
    struct sink *sink;
    bool open; /* OpenMetrics */
};

/* A metric as the table has it, by its name here. */
struct family {
    char name[NAME_BYTES];
    const char *unit;  /* "", or what the name ends in */
    uint64_t per_unit; /* the value is held in such parts of the unit: 1, 1e6, 1e9 */
};

static const char *suffix_of(const struct page *page, enum kind kind, bool sample)
{
    bool whole = sample || !page->open; /* OpenMetrics names the family without it */
    return !whole ? "" : kind == KIND_COUNTER ? "_total" : kind == KIND_INFO ? "_info" : "";
}

/* `help` holds nothing that would need an escape. */
static void put_head(const struct page *page, const char *name, enum kind kind, const char *unit,
                     const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram", "info"};
    const char *suffix = suffix_of(page, kind, false);
    const char *type = kind == KIND_INFO && !page->open ? "gauge" : types[kind];
    sink_printf(page->sink, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix,
                type);
    if (page->open && unit[0] != '\0') {
        sink_printf(page->sink, "# UNIT %s %s\n", name, unit);
    }
}

static void put_label(const struct page *page, const char *separator, const char *name,
                      const char *value)
{
    sink_printf(page->sink, "%s%s=\"", separator, name);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            sink_printf(page->sink, "\\%c", *c);
        } else {
            sink_printf(page->sink, "%c", (unsigned char)*c < ' ' ? '?' : *c);
        }
    }
    sink_write(page->sink, "\"", 1);
}

static void put_value(const struct page *page, uint64_t value, uint64_t per_unit)
{
    if (per_unit == 1) {
        sink_printf(page->sink, " %" PRIu64 "\n", value);
    } else {
        int digits = per_unit == NS_PER_S ? 9 : 6;
        sink_printf(page->sink, " %" PRIu64 ".%0*" PRIu64 "\n", value / per_unit, digits,
                    value % per_unit);
    }
}

static void put_number(const struct page *page, double value)
{
    if (isfinite(value)) {
        sink_printf(page->sink, " %.15g\n", value);
    } else {
        sink_printf(page->sink, isnan(value) ? " NaN\n" : value > 0 ? " +Inf\n" : " -Inf\n");
    }
}

/* A gauge or a counter without labels. */
static void put_plain(const struct page *page, const char *name, enum kind kind, const char *unit,
                      const char *help, double value)
{
    put_head(page, name, kind, unit, help);
    sink_printf(page->sink, "%s%s", name, suffix_of(page, kind, true));
    put_number(page, value);
}

/* "bytes_sent" is tlsoak_sent_bytes, "lag_ns" is tlsoak_lag_seconds. */
static struct family family_of(const char *prefix, const struct metric *metric)
{
    static const struct {
        const char *unit, *before, *behind, *unit_here;
        uint64_t per_unit;
    } rows[] = {
        {"bytes", "bytes_", "_bytes", "bytes", 1},
        {"ns", "", "_ns", "seconds", NS_PER_S},
        {"s", "", "_s", "seconds", NS_PER_S}, /* the column's unit: a reading has nanoseconds */
        {"1e-6", "", "", "", 1000000},
    };
    struct family family = {.unit = "", .per_unit = 1};
    const char *name = metric->name;
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (str_equal(metric->unit, rows[i].unit)) {
            size_t before = strlen(rows[i].before), behind = strlen(rows[i].behind);
            if (before > 0 && str_has_prefix(name, rows[i].before)) {
                name += before;
                len -= before;
            } else if (len > behind && str_equal(name + len - behind, rows[i].behind)) {
                len -= behind;
            }
            family.unit = rows[i].unit_here;
            family.per_unit = rows[i].per_unit;
        }
    }
    (void)snprintf(family.name, sizeof family.name, "tlsoak_%s%.*s%s%s", prefix, (int)len, name,
                   family.unit[0] != '\0' ? "_" : "", family.unit);
    return family;
}

static void put_metric(const struct page *page, const struct metric *metric, uint64_t value)
{
    enum kind kind = metric->kind == METRIC_COUNTER ? KIND_COUNTER : KIND_GAUGE;
    struct family family = family_of("", metric);
    put_head(page, family.name, kind, family.unit, metric->help);
    sink_printf(page->sink, "%s%s", family.name, suffix_of(page, kind, true));
    put_value(page, value, family.per_unit);
}

static void put_counts(const struct page *page, const struct interval *total)
{
    static const char *const statuses[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    for (int i = 0; i < COUNTER_COUNT; i++) {
        put_metric(page, metric_counter((enum counter)i), total->count[i]);
    }
    for (int i = 0; i < GAUGE_COUNT; i++) {
        put_metric(page, metric_gauge((enum gauge)i), total->gauge[i]);
    }
    put_head(page, "tlsoak_responses", KIND_COUNTER, "", "Complete responses by class of status.");
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        sink_printf(page->sink, "tlsoak_responses_total{status=\"%s\"}", statuses[i]);
        put_value(page, total->status[i], 1);
    }
    put_head(page, "tlsoak_outcomes", KIND_COUNTER, "",
             "Ends of exchanges, and of dials that failed.");
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        const struct outcome_info *info = outcome_info((enum outcome)i);
        sink_printf(page->sink, "tlsoak_outcomes_total{class=\"%s\",outcome=\"%s\"}",
                    outcome_class_name(info->class), info->name);
        put_value(page, total->outcome[i], 1);
    }
}

static void put_histogram(const struct page *page, const struct metric *metric,
                          const struct hist *hist)
{
    /* As OpenMetrics writes numbers, so that a series has one name in both formats. */
    static const struct {
        const char *text;
        uint64_t us;
    } bounds[] = {
        {"1e-05", 10},      {"2.5e-05", 25},  {"5e-05", 50},      {"0.0001", 100},
        {"0.00025", 250},   {"0.0005", 500},  {"0.001", 1000},    {"0.0025", 2500},
        {"0.005", 5000},    {"0.01", 10000},  {"0.025", 25000},   {"0.05", 50000},
        {"0.1", 100000},    {"0.25", 250000}, {"0.5", 500000},    {"1.0", 1000000},
        {"2.5", 2500000},   {"5.0", 5000000}, {"10.0", 10000000}, {"30.0", 30000000},
        {"60.0", 60000000},
    };
    struct family family = family_of("latency_", metric);
    uint64_t n = 0;
    uint32_t slot = hist->first;
    put_head(page, family.name, KIND_HISTOGRAM, family.unit, metric->help);
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        uint32_t top = hist_slot(bounds[i].us * NS_PER_US);
        for (; hist->n > 0 && slot <= top && slot <= hist->last; slot++) {
            n += hist->slots[slot];
        }
        sink_printf(page->sink, "%s_bucket{le=\"%s\"}", family.name, bounds[i].text);
        put_value(page, n, 1);
    }
    sink_printf(page->sink, "%s_bucket{le=\"+Inf\"}", family.name);
    put_value(page, hist->n, 1);
    sink_printf(page->sink, "%s_count", family.name);
    put_value(page, hist->n, 1);
    sink_printf(page->sink, "%s_sum", family.name);
    put_value(page, hist->sum_ns, family.per_unit);
}

/* What was read of each source; a family that no source tells is left out. */
static void put_memory(const struct page *page, const struct exposition_frame *frame,
                       enum memory_metric which)
{
    const struct metric *metric = metric_memory(which);
    enum kind kind = metric->kind == METRIC_COUNTER ? KIND_COUNTER : KIND_GAUGE;
    struct family family = family_of("server_", metric);
    bool begun = false;
    for (size_t i = 0; i < frame->n_sources; i++) {
        const struct reading *reading = frame->sources[i].newest;
        if (reading == NULL || !reading->ok || reading->value[which] < 0) {
            continue;
        }
        if (!begun) {
            put_head(page, family.name, kind, family.unit, metric->help);
            begun = true;
        }
        sink_printf(page->sink, "%s%s", family.name, suffix_of(page, kind, true));
        put_label(page, "{", "source", frame->sources[i].name);
        sink_write(page->sink, "}", 1);
        put_value(page, (uint64_t)reading->value[which], family.per_unit);
    }
}

static void put_server(const struct page *page, const struct exposition_frame *frame)
{
    if (frame->n_sources > 0) {
        put_head(page, "tlsoak_server_readable", KIND_GAUGE, "",
                 "1 while the memory source can be read.");
    }
    for (size_t i = 0; i < frame->n_sources; i++) {
        const struct reading *reading = frame->sources[i].newest;
        sink_printf(page->sink, "tlsoak_server_readable");
        put_label(page, "{", "source", frame->sources[i].name);
        sink_write(page->sink, "}", 1);
        put_value(page, reading != NULL && reading->ok, 1);
    }
    for (int i = 0; i < MEMORY_METRIC_COUNT; i++) {
        put_memory(page, frame, (enum memory_metric)i);
    }
}

static void put_finding(const struct page *page, const struct memory_finding *finding)
{
    put_head(page, "tlsoak_provisional_verdict", KIND_GAUGE, "",
             "What the judge would say so far of the first memory source: 1 for its class.");
    for (int i = MEMORY_INCONCLUSIVE; i <= MEMORY_LEAK; i++) {
        sink_printf(page->sink, "tlsoak_provisional_verdict");
        put_label(page, "{", "class", memory_class_name((enum memory_class)i));
        sink_write(page->sink, "}", 1);
        put_value(page, (int)finding->class == i, 1);
    }
    put_head(page, "tlsoak_provisional_growth_bytes_per_second", KIND_GAUGE, "",
             "Its growth so far, with the ends of the interval.");
    const struct {
        const char *name;
        double value;
    } ends[] = {
        {"low", finding->slope_low}, {"value", finding->slope}, {"high", finding->slope_high}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        sink_printf(page->sink, "tlsoak_provisional_growth_bytes_per_second{estimate=\"%s\"}",
                    ends[i].name);
        put_number(page, ends[i].value);
    }
}

static void put_progress(const struct page *page, const struct exposition_frame *frame)
{
    put_plain(page, "tlsoak_elapsed_seconds", KIND_GAUGE, "seconds", "Since the load began.",
              frame->elapsed_s);
    put_head(page, "tlsoak_phase", KIND_GAUGE, "", "1 for the phase that is under way.");
    sink_printf(page->sink, "tlsoak_phase");
    put_label(page, "{", "phase", frame->phase);
    sink_printf(page->sink, "} 1\n");
    put_plain(page, "tlsoak_asked_per_second", KIND_GAUGE, "",
              "Exchanges a second that the plan asks for now; 0 in a closed loop.",
              frame->rate_asked);
    put_plain(page, "tlsoak_generator_judged_seconds", KIND_COUNTER, "seconds",
              "Time in which the generator looked at itself.", frame->judged_s);
    put_plain(page, "tlsoak_generator_lagging_seconds", KIND_COUNTER, "seconds",
              "Of this, time in which it did not keep up with the plan.", frame->lagging_s);
    put_plain(page, "tlsoak_run_invalid", KIND_GAUGE, "",
              "1 when what was measured can no longer be used.", frame->invalid ? 1 : 0);
}

static void put_origin(const struct page *page, const struct exposition_frame *frame)
{
    put_head(page, "tlsoak_build", KIND_INFO, "", "What drives the load.");
    sink_printf(page->sink, "tlsoak_build_info");
    put_label(page, "{", "version", frame->version);
    put_label(page, ",", "tls_library", frame->tls_library);
    sink_printf(page->sink, "} 1\n");
    put_head(page, "tlsoak_run", KIND_INFO, "", "The run, by the name in its run.json.");
    sink_printf(page->sink, "tlsoak_run_info");
    put_label(page, "{", "run", frame->run_id);
    sink_printf(page->sink, "} 1\n");
    put_plain(page, "tlsoak_start_time_seconds", KIND_GAUGE, "seconds",
              "When the run began, since the epoch.", frame->start_wall_s);
    put_plain(page, "tlsoak_planned_seconds", KIND_GAUGE, "seconds", "Planned length of the load.",
              frame->planned_s);
}

void exposition_write(struct sink *sink, enum exposition_format format,
                      const struct exposition_frame *frame)
{
    const struct page page = {.sink = sink, .open = format == EXPOSITION_OPENMETRICS};
    put_origin(&page, frame);
    put_server(&page, frame);
    if (frame->total != NULL) {
        put_progress(&page, frame);
        put_counts(&page, frame->total);
        for (int i = 0; i < LATENCY_COUNT; i++) {
            put_histogram(&page, metric_latency((enum latency)i), &frame->total->latency[i]);
        }
    }
    if (frame->finding != NULL) {
        put_finding(&page, frame->finding);
    }
    if (page.open) {
        sink_printf(sink, "# EOF\n");
    }
}

const char *exposition_type(enum exposition_format format)
{
    return format == EXPOSITION_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

/* The next item of a list, blanks cut off; moves *text behind it.  NULL at the end. */
static char *next_item(char **text, char separator)
{
    char *item = *text;
    if (item == NULL) {
        return NULL;
    }
    char *end = strchr(item, separator);
    *text = end != NULL ? end + 1 : NULL;
    if (end != NULL) {
        *end = '\0';
    }
    return str_trim(item);
}

/* Weight of a media range, -1 when it asks for a version that we do not speak. */
static double weigh(char *parameters, const char *version)
{
    double q = 1;
    for (char *rest = parameters, *part; (part = next_item(&rest, ';')) != NULL;) {
        double value;
        if (strncasecmp(part, "q=", 2) == 0 && str_to_double(part + 2, &value)) {
            q = value;
        } else if (strncasecmp(part, "version=", 8) == 0 && !str_equal(part + 8, version)) {
            return -1;
        }
    }
    return q;
}

enum exposition_format exposition_wanted(const char *accept)
{
    double open = 0, text = 0;
    char copy[512];
    (void)str_copy(copy, sizeof copy, accept);
    for (char *rest = copy, *range; (range = next_item(&rest, ',')) != NULL;) {
        char *parameters = strchr(range, ';');
        if (parameters != NULL) {
            *parameters++ = '\0';
        }
        const char *type = str_trim(range);
        if (strcasecmp(type, "application/openmetrics-text") == 0) {
            open = fmax(open, weigh(parameters, "1.0.0"));
        } else if (strcasecmp(type, "text/plain") == 0) {
            text = fmax(text, weigh(parameters, "0.0.4"));
        }
    }
    return open > 0 && open >= text ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
}
