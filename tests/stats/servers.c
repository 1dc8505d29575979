#include "servers.h"

#include "base/mem.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

#define HZ          5
#define DWELL_ROWS  10
#define N_DWELLS    32
#define WARMUP_ROWS ((size_t)(SERVER_WARMUP_S * HZ))
#define RATE_HIGH   600.0
#define RATE_LOW    60.0
#define RECONNECTS  0.25
#define N_FACTORS   5
#define PAGE        4096.0
#define KB          1024.0
#define MB          (1024.0 * KB)

static const enum driver factors[N_FACTORS] = {
    DRIVER_REQUEST, DRIVER_CONNECTION, DRIVER_CLIENT_CERTIFICATE, DRIVER_API_KEY, DRIVER_JWT};
/* Bytes held for a second per event a second, at scale 1. */
static const double held[N_FACTORS] = {1500, 9000, 1000, 300, 900};

/* Cumulative events by row, and what the server holds for a while. */
struct load {
    size_t n;
    double *x[N_FACTORS];
    double *rate[N_FACTORS]; /* a second, over the last second */
};

static double uniform(struct rng *r, double low, double high)
{
    return low + (high - low) * rng_double(r);
}

static double events(struct rng *r, double mean)
{
    return fmax(0, round(mean + sqrt(mean) * rng_normal(r)));
}

static void rates_of(unsigned switches, double rates[N_FACTORS])
{
    double requests = switches & 1 ? RATE_HIGH : RATE_LOW;
    double connections = switches & 2 ? RECONNECTS * requests : 0;
    rates[0] = requests;
    rates[1] = connections;
    rates[2] = switches & 4 ? connections : 0;
    rates[3] = switches & 8 ? requests : 0;
    rates[4] = switches & 16 ? requests : 0;
}

static void draw_load(struct rng *r, struct load *load, bool steady)
{
    unsigned cells[N_DWELLS];
    double at[N_FACTORS] = {0};
    for (unsigned i = 0; i < N_DWELLS; i++) {
        cells[i] = i;
    }
    for (size_t i = 0; i < load->n; i++) {
        double rates[N_FACTORS];
        size_t dwell = i < WARMUP_ROWS ? 0 : (i - WARMUP_ROWS) / DWELL_ROWS;
        if (i >= WARMUP_ROWS && dwell % N_DWELLS == 0 && (i - WARMUP_ROWS) % DWELL_ROWS == 0) {
            rng_shuffle(r, cells, N_DWELLS, sizeof *cells);
        }
        rates_of(steady || i < WARMUP_ROWS ? 31 : cells[dwell % N_DWELLS], rates);
        for (size_t f = 0; f < N_FACTORS; f++) {
            /* Certificates come with connections, keys and tokens with requests: no more of
             * them. */
            double n = f == 2 && rates[2] > 0  ? load->x[1][i] - (i > 0 ? load->x[1][i - 1] : 0)
                       : f > 2 && rates[f] > 0 ? load->x[0][i] - (i > 0 ? load->x[0][i - 1] : 0)
                                               : events(r, rates[f] / HZ);
            at[f] += n;
            load->x[f][i] = at[f];
            load->rate[f][i] = at[f] - (i >= HZ ? load->x[f][i - HZ] : 0);
        }
    }
}

static size_t factor_of(enum driver driver)
{
    size_t f = 0;
    while (factors[f] != driver) {
        f++;
    }
    return f;
}

/* Bytes that the fault keeps at row i; the server books an event up to half a second late. */
static double kept(const struct server *s, const struct load *load, size_t i, size_t lag,
                   double step_at)
{
    if (s->fault == FAULT_NONE || s->fault == FAULT_SAWTOOTH) {
        return 0;
    }
    if (s->fault == FAULT_STEP) {
        return (double)i >= step_at ? s->bytes : 0;
    }
    const double *x = load->x[factor_of(s->driver)];
    double entries = i >= lag ? x[i - lag] : 0;
    if (s->fault == FAULT_LRU) {
        entries = fmin(entries, s->bound * x[load->n - 1]);
    }
    size_t ttl = (size_t)(s->bound * (double)load->n);
    if (s->fault == FAULT_TTL && i >= lag + ttl) {
        entries -= x[i - lag - ttl];
    }
    return s->bytes * entries;
}

static double swept(const struct server *s, const struct load *load, size_t i, double period)
{
    if (s->fault != FAULT_SAWTOOTH) {
        return 0;
    }
    size_t begin = (size_t)(floor((double)i / period) * period);
    return s->bytes * (load->x[0][i] - load->x[0][begin]);
}

struct temper {
    double sigma, u, level, transient, kept_share, warm, warm_tau, step_at, period;
    size_t lag;
};

static struct temper draw_temper(struct rng *r, size_t n, double least_noise)
{
    return (struct temper){.sigma = least_noise * exp(uniform(r, 0, log(4))),
                           .level = uniform(r, 4 * MB, 100 * MB),
                           .transient = 0.03 * exp(uniform(r, 0, log(10))),
                           .kept_share = uniform(r, 0, 0.5),
                           .warm = uniform(r, MB, 5 * MB),
                           .warm_tau = uniform(r, 1, 2) * HZ,
                           .step_at = (double)n * uniform(r, 0.2, 0.9),
                           .period = uniform(r, 3, 10) * HZ,
                           .lag = (size_t)rng_below(r, 3)};
}

void server_run(const struct server *server, unsigned seed, double least_noise, bool steady,
                struct series *ret_series)
{
    struct rng r;
    struct load load = {.n = WARMUP_ROWS + (size_t)N_DWELLS * DWELL_ROWS};
    double high_water = 0;
    rng_init(&r, seed, server->name, steady);
    for (size_t f = 0; f < N_FACTORS; f++) {
        load.x[f] = xcalloc(load.n, sizeof(double));
        load.rate[f] = xcalloc(load.n, sizeof(double));
    }
    draw_load(&r, &load, steady);
    struct temper t = draw_temper(&r, load.n, least_noise);
    series_init(ret_series);
    for (size_t i = 0; i < load.n; i++) {
        double x[DRIVER_COUNT] = {0};
        double brief = 0;
        for (size_t f = 0; f < N_FACTORS; f++) {
            ret_series->has[factors[f]] = true;
            x[factors[f]] = load.x[f][i];
            brief += t.transient * held[f] * load.rate[f][i];
        }
        high_water = fmax(high_water, brief);
        t.u = 0.8 * t.u + 0.6 * t.sigma * rng_normal(&r);
        double y = t.level + t.u + (1 - t.kept_share) * brief + t.kept_share * high_water +
                   t.warm * (1 - exp(-(double)i / t.warm_tau)) +
                   kept(server, &load, i, t.lag, t.step_at) + swept(server, &load, i, t.period);
        series_add(ret_series, (double)(i + 1) / HZ, round(y / PAGE) * PAGE, x, 50, 0);
    }
    for (size_t f = 0; f < N_FACTORS; f++) {
        free(load.x[f]);
        free(load.rate[f]);
    }
}
