/* A series: readings of one memory metric with the cumulative drivers at each, in bounded memory
 * whatever the length: at most SERIES_BUCKETS buckets, whose resolution halves when they are
 * full.  Made from a stored run's memory.csv, from any CSV of the published series format or from
 * what Prometheus answers to a range query. */
#ifndef JUDGE_SERIES_H
#define JUDGE_SERIES_H

#include "base/diag.h"
#include "record/driver.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIES_BUCKETS 2048

struct series {
    char source[64];
    char metric[64];
    size_t n;                 /* buckets */
    double width;             /* readings in a full bucket */
    double t[SERIES_BUCKETS]; /* seconds, at the bucket's end */
    double y[SERIES_BUCKETS]; /* bytes, mean of the bucket */
    double y_min[SERIES_BUCKETS];
    double x[DRIVER_COUNT][SERIES_BUCKETS]; /* cumulative events (DRIVER_TIME: seconds) */
    double open[SERIES_BUCKETS];            /* open connections; 0 when unknown */
    int part[SERIES_BUCKETS];               /* incarnation: 0, 1, ... */
    unsigned count[SERIES_BUCKETS];         /* readings in the bucket */
    bool has[DRIVER_COUNT];                 /* the column was there */
    double end;                             /* seconds: of the last reading, left out or not */
    size_t n_readings;
    size_t n_gaps;  /* failed or absurd readings left out */
    bool collected; /* a runtime with a garbage collector was recognised */
    char runtime[16];
    bool floors;        /* each reading came right after a forced collection */
    bool chosen;        /* the profile named this metric to be judged */
    double limit_bytes; /* that the server may use, as its run learnt; 0: not known */
    char left_out[128]; /* columns that nobody understood: "foo, bar"; "": none */
};

/* Reads series from a file, "-" for standard input: a CSV (header time_s, memory columns ending in
 * _bytes or _kb, cumulative counters; aliases of recorded traces; # comments), or what Prometheus
 * answers to a range query (JSON).  Gives one series per source and memory metric that can be
 * judged, those of a source together and its best metric first (a heap after collection before
 * anonymous before private dirty before PSS before RSS).  Returns how many (the caller frees with
 * free()), 0 with mistakes (file:line).  What is odd but no mistake (a clock or a counter that
 * steps back) is told to `note`, which may be NULL. */
size_t series_load(const char *path, struct series **ret_series,
                   void (*note)(const char *text, void *context), void *context, struct diag *diag)
    __attribute__((warn_unused_result));
void series_init(struct series *series);
/* What a part of the server's memory uses, of a control group's: that may be little or nothing, as
 * no process's may. */
bool series_is_part(const struct series *series);
/* Mean seconds between the readings of rows [from, to), of which there are two or more. */
double series_spacing(const struct series *series, size_t from, size_t to);
/* Adds one reading; x[DRIVER_TIME] is ignored (t is it).  A reading that is no memory of a process
 * (not finite, or not above 0), or whose time does not come after the one before, is left out and
 * counted in n_gaps; a counter that is not finite keeps its last value. */
void series_add(struct series *series, double t, double y, const double x[DRIVER_COUNT],
                double open, int part);

#endif
