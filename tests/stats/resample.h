/* Runs made of seconds: of a model, or of those that real runs recorded, drawn anew in blocks
 * (moving block bootstrap, Kuensch 1989), so that the truth between two of them is known. */
#ifndef STATS_RESAMPLE_H
#define STATS_RESAMPLE_H

#include "base/diag.h"
#include "base/rng.h"
#include "judge/compare.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESAMPLE_SERIES  6
#define RESAMPLE_SECONDS 600

struct resample_values {
    size_t n, capacity;
    uint64_t *ns;
};

/* A run's seconds, each with what was measured in it. */
struct resample {
    size_t n;
    double drift; /* of what was measured as a whole (baseline.h) */
    struct resample_values second[RESAMPLE_SECONDS][RESAMPLE_SERIES];
};

struct resample *resample_new(void) __attribute__((warn_unused_result));
void resample_free(struct resample *run);
/* Adds a value to the last second. */
void resample_add(struct resample *run, int series, uint64_t ns);
/* The seconds of a stored run. */
struct resample *resample_load(const char *dir, struct diag *diag)
    __attribute__((warn_unused_result));
/* A run of `n` seconds in blocks of `block` from `from`, its durations `scale` times as long; block
 * 0: the run itself.  The caller frees it with baseline_free. */
struct baseline_run *resample_draw(const struct resample *from, size_t n, size_t block,
                                   double scale, struct rng *rng)
    __attribute__((warn_unused_result));
/* The run with all its latencies `scale` times as long, as if drawn from a histogram whose values
 * are.  The caller frees it with baseline_free. */
struct baseline_run *resample_slowed(const struct baseline_run *run, double scale)
    __attribute__((warn_unused_result));
/* What a comparison of such runs says with the usual tolerances. */
enum compare_state resample_compare(struct baseline_run *const *bases, size_t n_bases,
                                    struct baseline_run *const *news, size_t n_news);

#endif
