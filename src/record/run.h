/* The run: the waist of the hourglass.  The left half writes it while the load runs, the right half
 * reads it, the same minute or years later.  On disk it is a directory:
 *   profile.ini   the effective profile, secrets redacted
 *   run.json      "tlsoak.run/1": meta and, when finished, totals; `finished` is false until then
 *   ticks.csv     one row a second, columns of the metric table; cumulative counters
 *   memory.csv    one row a reading of the server's memory with the cumulative drivers at that
 *                 time: the series format that `tlsoak analyse` reads; memory.NAME.csv for each
 *                 further source
 *   events.csv    what befell during the run: time, kind, one sentence
 *   phases.csv    when each phase of the profile began; only where it has phases
 *   search.csv    the steps of a search (search.h); only where it is one
 *   latency.NAME.hlog   HdrHistogram log V2
 * Every record is appended by one write(2), so a run killed at any moment is readable.
 *
 * More than eight functions: it is written and read back, and both halves are one format. */
#ifndef RECORD_RUN_H
#define RECORD_RUN_H

#include "base/diag.h"
#include "record/interval.h"
#include "record/reading.h"
#include "record/misuse.h"
#include "record/refusal.h"
#include "record/run_check.h"
#include "record/search.h"

#include <stdbool.h>
#include <stdint.h>

#define RUN_SOURCES 8

/* What the generator measured of itself; known at the end only.  Shares are of the time that the
 * load ran. */
struct run_generator {
    bool latency_is_own; /* latencies hold delays of the generator's own, to no small part */
    double lagging_s;    /* time in which it did not keep up */
    double cpu_share, wait_share; /* of a worker, on average: on a core, waiting for one */
    double busiest_share;         /* both together, of the worker that had most */
    double stolen_share;          /* of the machine's cores, by its hypervisor */
    uint64_t n_throttled;         /* times that the CPU quota of its control group was used up */
    double throttled_s;
    uint64_t n_descriptors, descriptors_max; /* the most that were open; the limit */
    uint64_t n_ports, ports_max; /* most TCP sockets of the machine; ephemeral ports there are */
    uint64_t backlog;            /* open loop: most starts that waited at once */
    uint64_t backlog_ns;         /* the longest that a start waited */
    double backlog_at_s;         /* when that was, since the start */
};

/* A limit that ended the run. */
struct run_abort {
    char limit[LIMIT_KEY]; /* its key; "": none did */
    double measured;       /* then, in the unit of its bound */
    double from_s, to_s;   /* of the window; to_s 0: of the whole run until then */
};

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
    double p256_signs_per_s; /* of its self-test, on one core; 0: a run of a version without it */
    double p256_verifies_per_s;
    char target[256]; /* the URL, without secrets */
    char verify[16];  /* server verification: "always", "cached", "no" */
    bool dials_due;   /* what falls due is a connection, not an exchange */
    char server[128]; /* what the sampled process is: "nginx (pid 4711 and 2 children)" */
    int n_sources;
    char source[RUN_SOURCES][64];    /* names of the memory sources */
    char runtime[RUN_SOURCES][16];   /* what each runs on, "jvm" or "native"; "": unknown */
    bool floors[RUN_SOURCES];        /* each reading came right after a forced collection */
    char metric[RUN_SOURCES][64];    /* column of what the profile chose to be judged; "": none */
    double limit_bytes[RUN_SOURCES]; /* that the server may use; 0: none */
    int n_refusals;
    struct refusal_kind refusal[REFUSALS_MAX]; /* as plan->refuses */
    int n_misuses;
    struct misuse_kind misuse[MISUSES_MAX]; /* as plan->misuses */
    bool finished;                          /* read back: false when the run was killed */
    bool interrupted;
    bool healthy;     /* the generator kept up with its plan */
    char health[256]; /* why it did not, or what it has to say though it did */
    struct run_generator generator;
    char invalid[256];        /* not empty: why the run's measurements can't be used (exit 4) */
    char ended[256];          /* not empty: why tlsoak ended the run before its time */
    struct run_abort abort;   /* whether a limit did */
    uint64_t load_ns;         /* until the load ended; 0: not known, or of a killed run */
    struct run_search search; /* known at the end only, and not read back: the steps tell */
    const struct run_check
        *checks; /* before the load; borrowed while the run is written, not read back */
    size_t n_checks;
};

struct run; /* being written */

/* Makes the directory (refuses one that holds a run) and writes profile.ini and run.json.  NULL
 * with a mistake added to `diag`. */
struct run *run_create(const char *dir, const struct run_meta *meta, const char *profile_text,
                       struct diag *diag) __attribute__((warn_unused_result));
/* Moves the zero of all times, before the first record. */
void run_start(struct run *run, uint64_t start_ns);
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
/* Appends a row to phases.csv: phase `number`, from 1 on, begins; `name` NULL: the last one is
 * over. */
bool run_phase(struct run *run, uint64_t at_ns, uint64_t number, const char *name, bool idle)
    __attribute__((warn_unused_result));
/* Appends a row to search.csv, whose columns are those of the limits: step `number`, from 1 on. */
bool run_step(struct run *run, size_t number, const struct run_step *step,
              const struct limit *limits) __attribute__((warn_unused_result));
void run_free(struct run *run);

#define RUN_EVENTS_MAX 1000

struct run_event {
    double at_s; /* since the start */
    char kind[32];
    char text[256];
};

#define RUN_PHASES_MAX 4096

/* A phase as it was gone through; times since the start. */
struct run_phase {
    double from_s, to_s;
    uint64_t number; /* from 1 on */
    char name[48];
    bool idle;
};

/* A stored run, read back: of the events, the first RUN_EVENTS_MAX, of the phases RUN_PHASES_MAX.
 * Latencies come from the .hlog files, so they are there after a kill. */
struct stored_run {
    struct run_meta meta;
    char *dir;
    char *memory_csv; /* path; NULL when there was no memory source */
    uint64_t n_ticks;
    uint64_t elapsed_ns; /* last tick's end */
    struct interval *total;
    size_t n_events;
    struct run_event *events; /* of events.csv, oldest first */
    size_t n_phases;
    struct run_phase *phases; /* of phases.csv */
    size_t n_steps;
    struct run_step *steps; /* of search.csv */
    int torn_lines;         /* incomplete last lines that were dropped */
};
/* NULL with one mistake in `diag` when the directory holds no readable run. */
struct stored_run *run_load(const char *dir, struct diag *diag) __attribute__((warn_unused_result));
void run_unload(struct stored_run *stored);
/* Nanoseconds of load: without the drain; of a killed run, or one from an earlier version, what is
 * known. */
uint64_t run_load_ns(const struct stored_run *stored);

#endif
