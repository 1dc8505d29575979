/* Limits on what the load measures: "the 99th percentile of the response time is 25 ms at the
 * most".  A limit is named METRIC.STAT.max or .min after the metric table:
 *   latency.SERIES.STAT.max   SERIES response, service, connect, handshake_full,
 *                             handshake_resumed, first_byte; STAT p50, p99.9 and the like, mean,
 *                             max
 *   errors.ratio.max          exchanges and dials that failed, and answers with an unexpected
 *                             status, of all that ended but for what we stopped or lacked ourselves
 *   rate.reached.min          exchanges completed a second; in a load of handshakes alone those
 * Here is what a limit is and how it is measured of any span of a load; profile reads limits, load
 * holds the steps of a search to them, judge the whole run. */
#ifndef RECORD_LIMIT_H
#define RECORD_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

struct interval;
struct sink;

#define LIMITS_MAX      32
#define LIMIT_KEY       64
#define LIMIT_RULE_TEXT 112
#define LIMIT_VALUE     32

enum limit_metric { LIMIT_LATENCY, LIMIT_ERRORS, LIMIT_RATE };
enum limit_stat { LIMIT_QUANTILE, LIMIT_MEAN, LIMIT_LARGEST };

struct limit {
    enum limit_metric metric;
    int latency; /* enum latency: of LIMIT_LATENCY, as the next two */
    enum limit_stat stat;
    double quantile;            /* 0..1 */
    bool handshakes;            /* a handshake is all that the load asks for */
    double bound;               /* ns, 0..1, a second */
    char key[LIMIT_KEY];        /* "latency.response.p99.max" */
    char rule[LIMIT_RULE_TEXT]; /* as people write it: "latency.response.p99.max = 25ms" */
};

/* What the key names; bound and rule are the caller's to set.  False: there is no such limit. */
bool limit_from_key(const char *key, struct limit *ret_limit) __attribute__((warn_unused_result));
/* All there is, in words. */
void limit_vocabulary(struct sink *sink);
/* The value in the unit of the bound, of a load that took `seconds`; false: there was nothing to
 * measure. */
bool limit_measure(const struct limit *limit, const struct interval *interval, double seconds,
                   double *ret_value) __attribute__((warn_unused_result));
bool limit_holds(const struct limit *limit, double value);
/* "31 ms", "0.25 %", "398.0/s"; "no value" of NAN. */
const char *limit_value(const struct limit *limit, double value, char text[LIMIT_VALUE]);
/* For tables: what is measured, with the unit that limit_number gives it in:
 * "latency.response.p99_us", "errors.ratio", "rate.reached_per_s". */
void limit_column(const struct limit *limit, struct sink *sink);
double limit_number(const struct limit *limit, double value);
/* The value that limit_number gave that for. */
double limit_from_number(const struct limit *limit, double number);

#endif
