/* Invented servers under a designed load: every dwell the switches (request rate, reconnect share,
 * fresh certificates, fresh API keys, fresh tokens, and up to three more) are redrawn from a
 * shuffled factorial, and the server keeps what its faults make it keep.  The memory around that
 * breathes as real servers' does: noise that remembers, a warm-up, what requests hold for a while,
 * and an allocator that keeps a share of its high-water mark. */
#ifndef STATS_SERVERS_H
#define STATS_SERVERS_H

#include "judge/series.h"

#include <stdbool.h>
#include <stddef.h>

#define SERVER_FAULTS   3
#define SERVER_SWITCHES 8

enum server_fault {
    FAULT_NONE,
    FAULT_KEEPS,   /* `bytes` for each event of `driver` (time: a second), for ever */
    FAULT_LRU,     /* the same, bounded at `bound` of the run's events */
    FAULT_TTL,     /* the same, given back after `bound` of the run */
    FAULT_FADES,   /* the same, ever less: by the factor e in `bound` of the run's events */
    FAULT_SLOWS,   /* the same, ever less: by half in `bound` of the run's events, a third in two */
    FAULT_STEP,    /* one jump of `bytes` */
    FAULT_SAWTOOTH /* `bytes` a request, swept at once every few seconds */
};

struct fault {
    enum server_fault kind;
    enum driver driver;
    double bytes;
    double bound;
};

struct server {
    const char *name;
    struct fault fault[SERVER_FAULTS];
};

enum server_noise {
    NOISE_STILL,   /* 4 to 16 KiB that hardly remember, 0.2 to 5 MiB of warm-up */
    NOISE_CALM,    /* the same with 16 to 64 KiB: an allocator that breathes */
    NOISE_QUIET,   /* 64 KiB, 0.8 of it left after a second, 5 MiB of warm-up */
    NOISE_TYPICAL, /* 512 KiB, 0.9 of it left after a second, 20 MiB of warm-up */
    NOISE_FORCED,  /* collected heaps, 128 KiB, nothing held */
    NOISE_COUNT
};

struct experiment {
    double seconds; /* the whole run */
    double hz;
    double warmup_s, dwell_s;
    enum server_noise noise;
    bool steady;      /* no switches at all */
    bool pairs;       /* constant rates; of two dwells one has fresh certificates, by a coin */
    bool floors;      /* one reading at the end of each dwell */
    double refresh_s; /* the metric changes so often, give or take a half; 0: each reading */
    bool resumes;     /* of the reconnections without fresh certificates every other is resumed */
    size_t n_extra;   /* switches beyond five */
    enum driver extra[SERVER_SWITCHES - 5]; /* not DRIVER_RESUMPTION where `resumes` */
    double budget[DRIVER_COUNT]; /* bytes an event that the judge is told to allow; 0: its own */
};

/* 70 s: a warm-up of 6 s and 32 dwells of 2 s, read at 5 Hz. */
struct experiment experiment_crossover(enum server_noise noise);
/* A warm-up of 15 s, then dwells of 10 s, read each second: 1800 s and the like. */
struct experiment experiment_modulation(enum server_noise noise, double seconds);
/* The same of a heap that is collected at the end of each dwell of 5 s, and read then alone. */
struct experiment experiment_collected(double seconds);
/* The shortest of these that a noise allows: 70 s where memory is still or calm, else 300 s. */
struct experiment experiment_short(enum server_noise noise);
void server_run(const struct server *server, const struct experiment *experiment, unsigned seed,
                struct series *ret_series);

#endif
