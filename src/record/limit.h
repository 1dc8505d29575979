/* Limits on what the load measures and on what the server's memory does: "the 99th percentile of
 * the response time is 25 ms at the most".  A limit is named METRIC.STAT.max or .min after the
 * metric table:
 *   latency.SERIES.STAT.max   SERIES response, service, connect, handshake_full,
 *                             handshake_resumed, first_byte; STAT p50, p99.9 and the like, mean,
 *                             max
 *   errors.ratio.max          exchanges and dials that failed, and answers with an unexpected
 *                             status, of all that ended but for what we stopped or lacked ourselves
 *   rate.reached.min          exchanges completed a second; in a load of handshakes alone those
 *   leak.DRIVER.max           bytes that the server keeps of each event of a driver (time: second)
 *   memory.growth.max         bytes a second by which memory grows, of every source;
 *                             memory.NAME.growth.max: of that one
 * The first three may be held to in every window of some length, and may end the run.  Here is what
 * a limit is and how those of the load are measured of any span of it; profile reads limits, load
 * holds the steps of a search to them, judge the whole run.
 *
 * More than eight functions: a span is measured whole, or by what windows add up. */
#ifndef RECORD_LIMIT_H
#define RECORD_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hist;
struct interval;
struct sink;

#define LIMITS_MAX      32
#define LIMIT_KEY       64
#define LIMIT_RULE_TEXT 144
#define LIMIT_VALUE     32
/* A window has no more parts than that, so that those in memory are few. */
#define LIMIT_WINDOW_PARTS 600

enum limit_metric { LIMIT_LATENCY, LIMIT_ERRORS, LIMIT_RATE, LIMIT_LEAK, LIMIT_GROWTH };
enum limit_stat { LIMIT_QUANTILE, LIMIT_MEAN, LIMIT_LARGEST };

struct limit {
    enum limit_metric metric;
    int latency; /* enum latency: of LIMIT_LATENCY, as the next two */
    enum limit_stat stat;
    double quantile;            /* 0..1 */
    bool handshakes;            /* a handshake is all that the load asks for */
    int driver;                 /* enum driver: of LIMIT_LEAK */
    char source[LIMIT_KEY];     /* of LIMIT_GROWTH; "": every one */
    double bound;               /* ns, 0..1, a second, bytes, bytes a second */
    uint64_t window_ns;         /* 0: the whole run */
    bool aborts;                /* the run ends when it is broken, ... */
    uint64_t after_ns;          /* ... looked at from then on only */
    char key[LIMIT_KEY];        /* "latency.response.p99.max" */
    char rule[LIMIT_RULE_TEXT]; /* as people write it: "latency.response.p99.max = 25ms" */
};

/* What was counted in a span of load, so far as a limit asks; spans add up. */
struct limit_counts {
    uint64_t n_done, n_errors, n_unexpected;
};

/* What the key names; bound, rule and what is behind the bound are the caller's to set.  False:
 * there is no such limit. */
bool limit_from_key(const char *key, struct limit *ret_limit) __attribute__((warn_unused_result));
/* All there is, in words. */
void limit_vocabulary(struct sink *sink);
/* Is it about the server's memory, and not about the load? */
bool limit_is_of_memory(const struct limit *limit);
/* Length of the parts that its windows are made of, in a run planned for so long: of a latency an
 * interval of the histogram log, else a row of ticks.csv. */
uint64_t limit_part_ns(const struct limit *limit, uint64_t duration_ns);
struct limit_counts limit_count(const struct limit *limit, const struct interval *interval);
/* The value in the unit of the bound, of a load that took `seconds` and had those latencies (NULL:
 * not of a latency); false: there was nothing to measure, or it is not of the load. */
bool limit_measure_span(const struct limit *limit, const struct hist *hist,
                        const struct limit_counts *counts, double seconds, double *ret_value)
    __attribute__((warn_unused_result));
/* The same of an interval. */
bool limit_measure(const struct limit *limit, const struct interval *interval, double seconds,
                   double *ret_value) __attribute__((warn_unused_result));
bool limit_holds(const struct limit *limit, double value);
/* "31 ms", "0.25 %", "398.0/s", "12 B", "1.2 MiB/h"; "no value" of NAN. */
const char *limit_value(const struct limit *limit, double value, char text[LIMIT_VALUE]);
/* For tables: what is measured, with the unit that limit_number gives it in:
 * "latency.response.p99_us", "errors.ratio", "rate.reached_per_s", "leak.jwt_bytes",
 * "memory.growth_bytes_per_s". */
void limit_column(const struct limit *limit, struct sink *sink);
double limit_number(const struct limit *limit, double value);
/* The value that limit_number gave that for. */
double limit_from_number(const struct limit *limit, double number);

#endif
