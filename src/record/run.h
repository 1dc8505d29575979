/* The run: the waist of the hourglass.  The left half writes it while the load runs, the right half
 * reads it, the same minute or years later.  On disk it is a directory:
 *   profile.ini   the effective profile, secrets redacted
 *   run.json      "tlsoak.run/1": meta and, when finished, totals; `finished` is false until then
 *   ticks.csv     one row a second, columns of the metric table; cumulative counters
 *   memory.csv    one row a reading of the server's memory with the cumulative drivers at that
 *                 time: the series format that `tlsoak analyse` reads; memory.NAME.csv for each
 *                 further source
 *   events.csv    what befell during the run: time, kind, one sentence
 *   latency.NAME.hlog   HdrHistogram log V2
 * Every record is appended by one write(2), so a run killed at any moment is readable.
 *
 * More than eight functions: it is written and read back, and both halves are one format. */
#ifndef RECORD_RUN_H
#define RECORD_RUN_H

#include "base/diag.h"
#include "record/interval.h"
#include "record/reading.h"
#include "record/refusal.h"

#include <stdbool.h>
#include <stdint.h>

#define RUN_SOURCES 8

/* Said once, at the start. Strings are borrowed while run_create runs. */
struct run_meta {
    char id[40]; /* "20261121-013142-7f3a" */
    double start_wall_s;
    uint64_t start_ns;    /* monotonic zero of all times in the run */
    uint64_t duration_ns; /* planned */
    uint64_t tick_ns;     /* a row of ticks.csv */
    uint64_t seed;
    unsigned threads;
    char version[16];
    char tls_library[64];
    char target[256]; /* the URL, without secrets */
    char verify[16];  /* server verification: "always", "cached", "no" */
    char server[128]; /* what the sampled process is: "nginx (pid 4711 and 2 children)" */
    int n_sources;
    char source[RUN_SOURCES][64];  /* names of the memory sources */
    char runtime[RUN_SOURCES][16]; /* what each runs on, "jvm" or "native"; "": unknown */
    bool floors[RUN_SOURCES];      /* each reading came right after a forced collection */
    int n_refusals;
    struct refusal_kind refusal[REFUSALS_MAX]; /* as plan->refuses */
    bool finished;                             /* read back: false when the run was killed */
    bool interrupted;
    bool healthy;      /* the generator kept up with its plan */
    char health[256];  /* why it did not */
    char invalid[256]; /* not empty: why the run's measurements can't be used (exit 4) */
};

struct run; /* being written */

/* Makes the directory (refuses one that holds a run) and writes profile.ini and run.json.  NULL
 * with a mistake added to `diag`. */
struct run *run_create(const char *dir, const struct run_meta *meta, const char *profile_text,
                       struct diag *diag) __attribute__((warn_unused_result));
/* One second: the merged interval (its own, not cumulative) and the cumulative sums.  False (once
 * per run) when the disk refused: the run goes on and is invalid at the end. */
bool run_tick(struct run *run, const struct interval *tick, const struct interval *cumulative)
    __attribute__((warn_unused_result));
/* One reading with the cumulative sums at that time. */
bool run_reading(struct run *run, const struct reading *reading, const struct interval *cumulative)
    __attribute__((warn_unused_result));
/* Writes totals and latency summaries into run.json and marks it finished. */
bool run_finish(struct run *run, const struct run_meta *meta, const struct interval *cumulative)
    __attribute__((warn_unused_result));
/* Appends a row to events.csv.  `kind`: "identity", "memory"; `text`: one sentence without
 * secrets. */
bool run_event(struct run *run, uint64_t at_ns, const char *kind, const char *text)
    __attribute__((warn_unused_result));
const char *run_dir(const struct run *run);
void run_free(struct run *run);

#define RUN_EVENTS_MAX 1000

struct run_event {
    double at_s; /* since the start */
    char kind[32];
    char text[256];
};

/* A stored run, read back: of the events, the first RUN_EVENTS_MAX.  Latencies come from the
 * .hlog files, so they are there after a kill. */
struct stored_run {
    struct run_meta meta;
    char *dir;
    char *memory_csv; /* path; NULL when there was no memory source */
    uint64_t n_ticks;
    uint64_t elapsed_ns; /* last tick's end */
    struct interval *total;
    size_t n_events;
    struct run_event *events; /* of events.csv, oldest first */
    int torn_lines;           /* incomplete last lines that were dropped */
};
/* NULL with one mistake in `diag` when the directory holds no readable run. */
struct stored_run *run_load(const char *dir, struct diag *diag) __attribute__((warn_unused_result));
void run_unload(struct stored_run *stored);

#endif
