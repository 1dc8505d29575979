#include "servers.h"

#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RATE_HIGH 600.0
#define CELLS     32u
#define BLOCK     16u
#define BASIC     5u
#define HELD_ROWS 5 /* what is held for a while follows the mean rate of so many readings */
#define PAGE      4096.0
#define KB        1024.0
#define MB        (1024.0 * KB)

/* The drivers of the server's counters, in the order of the columns of struct load. */
static const enum driver counted[] = {DRIVER_REQUEST, DRIVER_CONNECTION, DRIVER_CLIENT_CERTIFICATE,
                                      DRIVER_API_KEY, DRIVER_JWT,        DRIVER_RESUMPTION,
                                      DRIVER_REFUSED, DRIVER_ABORTED,    DRIVER_ROTATION};

#define N_COUNTED (sizeof counted / sizeof *counted)

/* Bytes held for a while per event a second. */
static const double held[N_COUNTED] = {1500, 9000, 1000, 300, 900, 4000, 2000, 1500, 0};

struct temper_class {
    double sigma, sigma_ratio; /* bytes, up to so many times that */
    double phi;                /* of it left after a second */
    double walk;               /* bytes a square root of a second */
    double warm, warm_ratio;
    double warm_least_s, warm_share; /* time constant: seconds, or share of the run */
    double held_least, held_ratio;
    double kept_share; /* of the high-water mark; <0: drawn, up to a half */
    double open_bytes;
};

static const struct temper_class classes[NOISE_COUNT] = {
    [NOISE_STILL] = {4 * KB, 4, 0.33, 0, MB, 5, 1, 0, 0.03, 10, -1, 0},
    [NOISE_CALM] = {16 * KB, 4, 0.33, 0, MB, 5, 1, 0, 0.03, 10, -1, 0},
    [NOISE_QUIET] = {64 * KB, 1, 0.8, 4 * KB, 5 * MB, 1, 0, 1.0 / 40, 1, 1, 0.3, 24 * KB},
    [NOISE_TYPICAL] = {512 * KB, 1, 0.9, 16 * KB, 20 * MB, 1, 0, 1.0 / 40, 1, 1, 0.5, 24 * KB},
    [NOISE_FORCED] = {128 * KB, 1, 0.3, 8 * KB, 20 * MB, 1, 0, 1.0 / 40, 0, 1, 0, 2 * KB},
};

/* Cumulative events by row, and rates over the last readings. */
struct load {
    const struct experiment *experiment;
    size_t n, warmup_rows, dwell_rows;
    double *x[N_COUNTED];
    double *rate[N_COUNTED];
};

struct temper {
    double sigma, phi, walk, level, transient, kept_share, warm, warm_tau_s, open_bytes;
    double step_at, period;
    size_t lag;
};

struct experiment experiment_crossover(enum server_noise noise)
{
    return (struct experiment){.seconds = 70, .hz = 5, .warmup_s = 6, .dwell_s = 2, .noise = noise};
}

struct experiment experiment_modulation(enum server_noise noise, double seconds)
{
    return (struct experiment){
        .seconds = seconds, .hz = 1, .warmup_s = 15, .dwell_s = 10, .noise = noise};
}

struct experiment experiment_collected(double seconds)
{
    struct experiment e = experiment_modulation(NOISE_FORCED, seconds);
    e.dwell_s = 5;
    e.floors = true;
    return e;
}

struct experiment experiment_short(enum server_noise noise)
{
    return noise <= NOISE_CALM     ? experiment_crossover(noise)
           : noise == NOISE_FORCED ? experiment_collected(300)
                                   : experiment_modulation(noise, 300);
}

static double uniform(struct rng *r, double low, double high)
{
    return low + (high - low) * rng_double(r);
}

static double events(struct rng *r, double mean)
{
    return fmax(0, round(mean + sqrt(mean) * rng_normal(r)));
}

/* The next 32 dwells: a full factorial of five switches as two shuffled halves, with which further
 * ones go as products of three of them (resolution IV), as the load draws them. */
static void draw_cells(struct rng *r, unsigned cells[CELLS])
{
    static const unsigned products[SERVER_SWITCHES - BASIC] = {1 | 2 | 4, 1 | 2 | 8, 1 | 4 | 8};
    size_t n[2] = {0, 0};
    for (unsigned i = 0; i < CELLS; i++) {
        unsigned half = (unsigned)__builtin_popcount(i) & 1;
        unsigned cell = i;
        for (unsigned k = 0; k < SERVER_SWITCHES - BASIC; k++) {
            cell |= ((unsigned)__builtin_popcount(i & products[k]) & 1) << (BASIC + k);
        }
        cells[half * BLOCK + n[half]++] = cell;
    }
    rng_shuffle(r, cells, BLOCK, sizeof *cells);
    rng_shuffle(r, cells + BLOCK, BLOCK, sizeof *cells);
}

static size_t counter_of(enum driver driver)
{
    size_t f = 0;
    while (counted[f] != driver) {
        f++;
    }
    return f;
}

static void rates_of(const struct experiment *e, unsigned switches, double rates[N_COUNTED])
{
    double low = e->dwell_s < 5 ? 60 : 20;
    double requests = switches & 1 ? RATE_HIGH : low;
    double connections = switches & 2 ? 0.25 * requests : 0;
    for (size_t f = 0; f < N_COUNTED; f++) {
        rates[f] = 0;
    }
    rates[0] = requests;
    rates[1] = connections;
    rates[2] = switches & 4 ? connections : 0;
    rates[3] = switches & 8 ? requests : 0;
    if (e->resumes && rates[2] <= 0) {
        rates[counter_of(DRIVER_RESUMPTION)] = rates[1] = connections / 2;
    }
    rates[4] = switches & 16 ? requests : 0;
    for (size_t k = 0; k < e->n_extra; k++) {
        double on = e->extra[k] == DRIVER_ABORTED      ? 0.1 * requests
                    : e->extra[k] == DRIVER_RESUMPTION ? 0.25 * requests
                    : e->extra[k] == DRIVER_ROTATION   ? 0.5
                                                       : 20;
        rates[counter_of(e->extra[k])] = switches >> (BASIC + k) & 1 ? on : 0;
    }
}

static void pair_rates(bool fresh, double rates[N_COUNTED])
{
    memset(rates, 0, N_COUNTED * sizeof *rates);
    rates[0] = 400;
    rates[1] = 100;
    rates[2] = fresh ? 100 : 0;
}

/* Events between two readings; what comes with others comes with all of them. */
static void draw_events(struct rng *r, const double rates[N_COUNTED], double dt,
                        double n[N_COUNTED])
{
    for (size_t f = 0; f < N_COUNTED; f++) {
        n[f] = f == 2 && rates[2] > 0               ? n[1]
               : (f == 3 || f == 4) && rates[f] > 0 ? n[0]
                                                    : events(r, rates[f] * dt);
    }
}

static void draw_load(struct rng *r, struct load *load)
{
    const struct experiment *e = load->experiment;
    unsigned cells[CELLS];
    double at[N_COUNTED] = {0};
    bool fresh_first = true;
    for (size_t i = 0; i < load->n; i++) {
        double rates[N_COUNTED], n[N_COUNTED];
        size_t row = i < load->warmup_rows ? 0 : i - load->warmup_rows;
        size_t dwell = row / load->dwell_rows;
        if (dwell % CELLS == 0 && row % load->dwell_rows == 0) {
            draw_cells(r, cells);
        }
        rates_of(e, e->steady || i < load->warmup_rows ? ~0u : cells[dwell % CELLS], rates);
        if (e->pairs) {
            if (dwell % 2 == 0 && row % load->dwell_rows == 0) {
                fresh_first = rng_below(r, 2) == 0;
            }
            pair_rates((dwell % 2 == 0) == fresh_first, rates);
        }
        draw_events(r, rates, 1 / e->hz, n);
        for (size_t f = 0; f < N_COUNTED; f++) {
            at[f] += n[f];
            load->x[f][i] = at[f];
            load->rate[f][i] =
                (at[f] - (i >= HELD_ROWS ? load->x[f][i - HELD_ROWS] : 0)) * e->hz / HELD_ROWS;
        }
    }
}

/* Bytes that one fault keeps at row i; the server books an event up to some readings late. */
static double kept(const struct fault *fault, const struct load *load, size_t i,
                   const struct temper *t)
{
    if (fault->kind == FAULT_NONE || fault->kind == FAULT_SAWTOOTH) {
        return 0;
    }
    if (fault->kind == FAULT_STEP) {
        return (double)i >= t->step_at ? fault->bytes : 0;
    }
    if (fault->driver == DRIVER_TIME) {
        return fault->bytes * (double)i / load->experiment->hz;
    }
    const double *x = load->x[counter_of(fault->driver)];
    double entries = i >= t->lag ? x[i - t->lag] : 0;
    size_t ttl = (size_t)(fault->bound * (double)load->n);
    if (fault->kind == FAULT_LRU) {
        entries = fmin(entries, fault->bound * x[load->n - 1]);
    }
    double constant = fault->bound * x[load->n - 1];
    if (fault->kind == FAULT_FADES) {
        entries = -constant * expm1(-entries / constant);
    }
    if (fault->kind == FAULT_SLOWS) {
        entries = constant * log1p(entries / constant);
    }
    if (fault->kind == FAULT_TTL && i >= t->lag + ttl) {
        entries -= x[i - t->lag - ttl];
    }
    return fault->bytes * entries;
}

static double swept(const struct fault *fault, const struct load *load, size_t i, double period)
{
    if (fault->kind != FAULT_SAWTOOTH) {
        return 0;
    }
    size_t begin = (size_t)(floor((double)i / period) * period);
    return fault->bytes * (load->x[0][i] - load->x[0][begin]);
}

static struct temper draw_temper(struct rng *r, const struct load *load)
{
    const struct experiment *e = load->experiment;
    const struct temper_class *c = &classes[e->noise];
    double warm_s =
        c->warm_share > 0 ? c->warm_share * e->seconds : c->warm_least_s * uniform(r, 1, 2);
    return (struct temper){.sigma = c->sigma * exp(uniform(r, 0, log(c->sigma_ratio))),
                           .phi = pow(c->phi, 1 / e->hz),
                           .walk = c->walk / sqrt(e->hz),
                           .level = uniform(r, 4 * MB, 100 * MB),
                           .transient = c->held_least * exp(uniform(r, 0, log(c->held_ratio))),
                           .kept_share = c->kept_share < 0 ? uniform(r, 0, 0.5) : c->kept_share,
                           .warm = c->warm * uniform(r, 1, c->warm_ratio),
                           .warm_tau_s = warm_s,
                           .open_bytes = c->open_bytes,
                           .step_at = (double)load->n * uniform(r, 0.2, 0.9),
                           .period = uniform(r, 1.5, 5) * e->dwell_s * e->hz,
                           .lag = (size_t)rng_below(r, e->hz > 1 ? 3 : 4)};
}

/* The server's memory at every row, without the rounding to pages. */
static void draw_memory(struct rng *r, const struct server *server, const struct load *load,
                        double *y, double *open)
{
    const struct experiment *e = load->experiment;
    struct temper t = draw_temper(r, load);
    double u = t.sigma * rng_normal(r);
    double walk = 0;
    double high_water = 0;
    for (size_t i = 0; i < load->n; i++) {
        double brief = 0;
        double connections = load->x[1][i] - (i > 0 ? load->x[1][i - 1] : 0);
        open[i] = t.open_bytes > 0 ? 50 + 2 * connections * e->hz : 50;
        for (size_t f = 0; f < N_COUNTED; f++) {
            brief += t.transient * held[f] * load->rate[f][i];
        }
        brief += t.open_bytes * open[i];
        high_water = fmax(high_water, brief);
        u = t.phi * u + sqrt(1 - t.phi * t.phi) * t.sigma * rng_normal(r);
        walk += t.walk * rng_normal(r);
        y[i] = t.level + u + walk + (1 - t.kept_share) * brief + t.kept_share * high_water +
               t.warm * (1 - exp(-(double)i / (e->hz * t.warm_tau_s)));
        for (size_t k = 0; k < SERVER_FAULTS; k++) {
            y[i] +=
                kept(&server->fault[k], load, i, &t) + swept(&server->fault[k], load, i, t.period);
        }
    }
}

/* A metric that is refreshed now and then only. */
static void hold_readings(struct rng *r, const struct load *load, double *y)
{
    double rows = load->experiment->refresh_s * load->experiment->hz;
    for (size_t i = 0; i < load->n && rows > 0;) {
        size_t n = (size_t)fmax(1, round(uniform(r, 0.5, 1.5) * rows));
        double refreshed = y[i];
        for (size_t end = i + n; i < end && i < load->n; i++) {
            y[i] = refreshed;
        }
    }
}

static void put_readings(const struct load *load, const double *y, const double *open,
                         struct series *series)
{
    const struct experiment *e = load->experiment;
    series_init(series);
    for (size_t f = 0; f < N_COUNTED; f++) {
        series->has[counted[f]] = load->x[f][load->n - 1] > 0;
    }
    for (size_t i = 0; i < load->n; i++) {
        double x[DRIVER_COUNT] = {0};
        size_t row = i + load->dwell_rows - load->warmup_rows % load->dwell_rows;
        if (e->floors && (row + 1) % load->dwell_rows != 0) {
            continue;
        }
        for (size_t f = 0; f < N_COUNTED; f++) {
            x[counted[f]] = load->x[f][i];
        }
        series_add(series, (double)(i + 1) / e->hz, round(y[i] / PAGE) * PAGE, x, open[i], 0);
    }
}

void server_run(const struct server *server, const struct experiment *experiment, unsigned seed,
                struct series *ret_series)
{
    struct rng r;
    struct load load = {.experiment = experiment,
                        .n = (size_t)(experiment->seconds * experiment->hz),
                        .warmup_rows = (size_t)(experiment->warmup_s * experiment->hz),
                        .dwell_rows = (size_t)(experiment->dwell_s * experiment->hz)};
    CLEANUP_FREE double *y = xcalloc(load.n, sizeof *y);
    CLEANUP_FREE double *open = xcalloc(load.n, sizeof *open);
    rng_init(&r, seed, server->name, experiment->steady);
    for (size_t f = 0; f < N_COUNTED; f++) {
        load.x[f] = xcalloc(load.n, sizeof(double));
        load.rate[f] = xcalloc(load.n, sizeof(double));
    }
    draw_load(&r, &load);
    draw_memory(&r, server, &load, y, open);
    hold_readings(&r, &load, y);
    put_readings(&load, y, open, ret_series);
    for (size_t f = 0; f < N_COUNTED; f++) {
        free(load.x[f]);
        free(load.rate[f]);
    }
}
