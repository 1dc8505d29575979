#include "record/limit.h"

#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"
#include "base/unit.h"
#include "record/driver.h"
#include "record/hlog.h"
#include "record/interval.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Those of the load itself stand first in the table: not refusals, not the generator's delay. */
#define N_SERIES ((int)LATENCY_FIRST_BYTE + 1)

_Static_assert(LIMIT_VALUE == UNIT_TEXT, "values are written as units write them");

#define DIGITS_MAX 5 /* of a percentile: p99.999 */

/* "p50", "p99.9": the digits are the numerator, so that 99.9 % is the double nearest to 0.999. */
static bool parse_percentile(const char *text, double *ret_quantile)
{
    double digits = 0, whole = 100;
    size_t n = 0, n_whole = 0;
    bool behind_dot = false;

    if (*text++ != 'p') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text == '.' && !behind_dot && n > 0) {
            behind_dot = true;
            continue;
        }
        if (*text < '0' || *text > '9' || n == DIGITS_MAX) {
            return false;
        }
        digits = 10 * digits + (*text - '0');
        whole *= behind_dot ? 10 : 1;
        n_whole += !behind_dot;
        n++;
    }
    *ret_quantile = digits / whole;
    return n > 0 && n_whole <= 2 && (!behind_dot || n > n_whole) && digits > 0;
}

static bool parse_stat(const char *text, struct limit *limit)
{
    if (str_equal(text, "mean") || str_equal(text, "max")) {
        limit->stat = str_equal(text, "mean") ? LIMIT_MEAN : LIMIT_LARGEST;
        return true;
    }
    limit->stat = LIMIT_QUANTILE;
    return parse_percentile(text, &limit->quantile);
}

/* "response.p99.max" */
static bool parse_latency(const char *text, struct limit *limit)
{
    char stat[LIMIT_KEY];
    const char *dot = strchr(text, '.'), *end = strrchr(text, '.');
    int series = 0;

    if (dot == NULL || dot == end || !str_equal(end, ".max") ||
        !str_copy(stat, sizeof stat, dot + 1)) {
        return false;
    }
    stat[end - dot - 1] = '\0';
    for (; series < N_SERIES; series++) {
        const char *name = metric_latency((enum latency)series)->name;
        if (strlen(name) == (size_t)(dot - text) && str_has_prefix(text, name)) {
            break;
        }
    }
    limit->metric = LIMIT_LATENCY;
    limit->latency = series;
    return series < N_SERIES && parse_stat(stat, limit);
}

/* The text between a prefix and a suffix; false where that is empty, or the two are not there. */
static bool between(const char *key, const char *prefix, const char *suffix, char name[LIMIT_KEY])
{
    size_t len = strlen(key), n_before = strlen(prefix), n_after = strlen(suffix);

    if (len >= LIMIT_KEY || len <= n_before + n_after || !str_has_prefix(key, prefix) ||
        !str_equal(key + len - n_after, suffix)) {
        return false;
    }
    memcpy(name, key + n_before, len - n_before - n_after);
    name[len - n_before - n_after] = '\0';
    return true;
}

static bool parse_leak(const char *key, struct limit *limit)
{
    char name[LIMIT_KEY];
    enum driver driver = DRIVER_TIME;

    bool known = between(key, "leak.", ".max", name) && driver_from_name(name, &driver);
    limit->metric = LIMIT_LEAK;
    limit->driver = (int)driver;
    return known;
}

static bool parse_growth(const char *key, struct limit *limit)
{
    limit->metric = LIMIT_GROWTH;
    return str_equal(key, "memory.growth.max") ||
           (between(key, "memory.", ".growth.max", limit->source) &&
            strspn(limit->source, STR_NAME_LETTERS) == strlen(limit->source));
}

bool limit_from_key(const char *key, struct limit *ret_limit)
{
    struct limit limit = {.metric = LIMIT_ERRORS};
    bool known = str_equal(key, "errors.ratio.max");

    if (str_has_prefix(key, "latency.")) {
        known = parse_latency(key + strlen("latency."), &limit);
    } else if (str_has_prefix(key, "leak.")) {
        known = parse_leak(key, &limit);
    } else if (str_has_prefix(key, "memory.")) {
        known = parse_growth(key, &limit);
    } else if (str_equal(key, "rate.reached.min")) {
        limit.metric = LIMIT_RATE;
        known = true;
    }
    if (!known || !str_copy(limit.key, sizeof limit.key, key)) {
        return false;
    }
    *ret_limit = limit;
    return true;
}

void limit_vocabulary(struct sink *sink)
{
    sink_printf(sink, "latency.SERIES.STAT.max (SERIES: ");
    for (int i = 0; i < N_SERIES; i++) {
        sink_printf(sink, "%s%s", i > 0 ? ", " : "", metric_latency((enum latency)i)->name);
    }
    sink_printf(sink, "; STAT: p50, p99, p99.9 and the like, mean, max), errors.ratio.max, "
                      "rate.reached.min, leak.DRIVER.max (DRIVER: ");
    for (int d = 0; d < DRIVER_COUNT; d++) {
        sink_printf(sink, "%s%s", d > 0 ? ", " : "", driver_info((enum driver)d)->name);
    }
    sink_printf(sink, "), memory.growth.max and memory.NAME.growth.max");
}

bool limit_is_of_memory(const struct limit *limit)
{
    return limit->metric == LIMIT_LEAK || limit->metric == LIMIT_GROWTH;
}

uint64_t limit_part_ns(const struct limit *limit, uint64_t duration_ns)
{
    return limit->metric == LIMIT_LATENCY ? hlog_period_ns(duration_ns) : NS_PER_S;
}

static bool measure_latency(const struct limit *limit, const struct hist *hist, double *ret_value)
{
    if (hist->n == 0) {
        return false;
    }
    *ret_value = limit->stat == LIMIT_MEAN      ? hist_mean_ns(hist)
                 : limit->stat == LIMIT_LARGEST ? (double)hist->max_ns
                                                : (double)hist_quantile(hist, limit->quantile);
    return true;
}

static uint64_t n_done(const struct limit *limit, const struct interval *interval)
{
    const uint64_t *count = interval->count;

    return limit->handshakes ? count[COUNTER_HANDSHAKE_FULL] + count[COUNTER_HANDSHAKE_RESUMED]
                             : count[COUNTER_COMPLETED];
}

/* What the client lacked itself, and what it stopped at the end, is no fault of the server's. */
static uint64_t n_errors(const struct interval *interval)
{
    uint64_t n = 0;

    for (int i = 0; i < OUTCOME_COUNT; i++) {
        enum outcome_class class = outcome_info((enum outcome)i)->class;
        n += class == OUTCOME_CLASS_OK || class == OUTCOME_CLASS_CLIENT ? 0 : interval->outcome[i];
    }
    return n;
}

struct limit_counts limit_count(const struct limit *limit, const struct interval *interval)
{
    return (struct limit_counts){.n_done = n_done(limit, interval),
                                 .n_errors = n_errors(interval),
                                 .n_unexpected = interval->count[COUNTER_UNEXPECTED]};
}

bool limit_measure_span(const struct limit *limit, const struct hist *hist,
                        const struct limit_counts *counts, double seconds, double *ret_value)
{
    double done = (double)counts->n_done, errors = (double)counts->n_errors;

    switch (limit->metric) {
    case LIMIT_LATENCY:
        return measure_latency(limit, hist, ret_value);
    case LIMIT_ERRORS:
        /* an answer of unexpected status is both: it was completed */
        *ret_value = errors / (done + errors - (double)counts->n_unexpected);
        return done + errors > 0;
    case LIMIT_RATE:
        *ret_value = done / seconds;
        return seconds > 0;
    case LIMIT_LEAK:
    case LIMIT_GROWTH:
        break;
    }
    return false;
}

bool limit_measure(const struct limit *limit, const struct interval *interval, double seconds,
                   double *ret_value)
{
    struct limit_counts counts = limit_count(limit, interval);

    return limit_measure_span(limit, &interval->latency[limit->latency], &counts, seconds,
                              ret_value);
}

/* 7 of 1,000 are no more than 0.7 %, which has no exact value. */
bool limit_holds(const struct limit *limit, double value)
{
    double slack = limit->bound * 1e-12;

    return limit->metric == LIMIT_RATE ? value >= limit->bound - slack
                                       : value <= limit->bound + slack;
}

/* Of a request a server may keep less than a byte, on average. */
static const char *leak_text(double bytes, char text[LIMIT_VALUE])
{
    if (fabs(bytes) >= 10 || fabs(bytes) < 0.05) {
        return unit_bytes(text, bytes);
    }
    (void)snprintf(text, LIMIT_VALUE, "%.1f B", bytes);
    return text;
}

static const char *growth_text(double bytes_per_s, char text[LIMIT_VALUE])
{
    char an_hour[UNIT_TEXT];

    (void)snprintf(text, LIMIT_VALUE, "%.28s/h", unit_bytes(an_hour, 3600 * bytes_per_s));
    return text;
}

const char *limit_value(const struct limit *limit, double value, char text[LIMIT_VALUE])
{
    if (!isfinite(value)) {
        (void)str_copy(text, LIMIT_VALUE, "no value");
        return text;
    }
    switch (limit->metric) {
    case LIMIT_LATENCY:
        return unit_duration(text, value);
    case LIMIT_ERRORS:
        (void)snprintf(text, LIMIT_VALUE, "%.3g %%", 100 * value);
        break;
    case LIMIT_RATE:
        (void)snprintf(text, LIMIT_VALUE, "%.1f/s", value);
        break;
    case LIMIT_LEAK:
        return leak_text(value, text);
    case LIMIT_GROWTH:
        return growth_text(value, text);
    }
    return text;
}

void limit_column(const struct limit *limit, struct sink *sink)
{
    static const char *const units[] = {[LIMIT_LATENCY] = "_us",
                                        [LIMIT_ERRORS] = "",
                                        [LIMIT_RATE] = "_per_s",
                                        [LIMIT_LEAK] = "_bytes",
                                        [LIMIT_GROWTH] = "_bytes_per_s"};
    const char *end = strrchr(limit->key, '.');

    sink_write(sink, limit->key, (size_t)(end - limit->key));
    sink_printf(sink, "%s", units[limit->metric]);
}

double limit_number(const struct limit *limit, double value)
{
    return limit->metric == LIMIT_LATENCY ? value / (double)NS_PER_US : value;
}

double limit_from_number(const struct limit *limit, double number)
{
    return limit->metric == LIMIT_LATENCY ? number * (double)NS_PER_US : number;
}
