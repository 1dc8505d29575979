/* Baseline: what one run measured, as samples that another run's can be held against, and the
 * comparison.  A sample is a number with the sections (sections.h) that say how well it is known.
 * Of each pair there is a difference with two intervals: one of 95 % for itself, and one that is as
 * wide as it takes for all metrics at once (Bonferroni), so that the whole comparison calls a
 * metric worse by mistake in BASELINE_ALPHA of all cases at the most.
 *   worse     the interval of all lies above zero and the difference above the tolerance
 *   better    the same the other way round
 *   same      the 95 % interval lies within the tolerance
 *   no worse  it lies below the tolerance
 *   unclear   anything else
 * That all metrics are the same is claimed only if each is, which needs no correction (Berger 1982,
 * the intersection-union test).  With several runs of a kind the difference between these is in
 * the intervals.  With one of each it is not known; then intervals of what takes time are wider by
 * as much as the generator's threads had to wait for a core on a machine that was not calm: another
 * run may have to wait for all of that again, or for none. */
#ifndef JUDGE_BASELINE_H
#define JUDGE_BASELINE_H

#include "base/diag.h"
#include "base/sink.h"
#include "judge/sections.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run_generator;
struct stored_run;
struct verdict;

#define BASELINE_ALPHA    0.02
#define BASELINE_NAME     96
#define BASELINE_SAMPLES  160
#define BASELINE_RUNS_MAX 64

enum baseline_kind {
    BASELINE_LATENCY, /* ns; this and the next two are compared by their ratio */
    BASELINE_RATE,    /* a second; more is better */
    BASELINE_COST,    /* an exchange, in the unit of its name */
    BASELINE_RATIO,   /* of all, or an exchange; by difference, as the next */
    BASELINE_LEAK,    /* bytes an event */
    BASELINE_KINDS
};

struct baseline_sample {
    char name[BASELINE_NAME]; /* "latency.response.p99", "leak.request" */
    enum baseline_kind kind;
    double value;
    double n;                 /* values or events that it rests on */
    struct sections sections; /* of value, or its logarithm; n 0: it can't be compared */
    double drift;             /* its logarithm may be off by as much, as busy as the machine was */
    double low, high;         /* of a leak: its 95 % interval, in place of sections */
};

struct baseline_run {
    char name[256]; /* the directory or file it came from */
    char id[40];
    char version[16];
    double seconds;    /* of load, without the drain */
    bool invalid;      /* nothing but its leaks can be used */
    char problem[320]; /* "was interrupted", "is invalid: ..."; "": none */
    char *load;        /* owns: one line each, what it did; NULL: not known */
    struct baseline_sample sample[BASELINE_SAMPLES];
    size_t n;
};

/* Reads what a stored run measured; `verdict` gives its leaks, and is all there is of a series
 * alone (`stored` NULL).  The caller frees it with
 * baseline_free.  NULL with a mistake. */
struct baseline_run *baseline_take(const struct stored_run *stored, const struct verdict *verdict,
                                   struct diag *diag) __attribute__((warn_unused_result));
void baseline_free(struct baseline_run *run);
/* 95 % interval of a sample by itself, in its unit; false where it is not known. */
bool baseline_interval(const struct baseline_sample *sample, double *ret_low, double *ret_high)
    __attribute__((warn_unused_result));

/* How far the logarithm of a duration may be off, by how much of its time the generator's threads
 * waited for a core: 0 on a calm machine. */
double baseline_drift(const struct run_generator *own);

/* Of value, low, high: "ns", "bytes/event". */
const char *baseline_unit(enum baseline_kind kind);

/* "tlsoak.baseline/1": the samples of runs of one load. */
void baseline_write(struct sink *sink, struct baseline_run *const *runs, size_t n);
/* Reads such text; returns how many runs, which the caller frees; 0 with a mistake. */
size_t baseline_read(const char *path, const char *text, size_t len,
                     struct baseline_run *ret_runs[BASELINE_RUNS_MAX], struct diag *diag)
    __attribute__((warn_unused_result));

#endif
