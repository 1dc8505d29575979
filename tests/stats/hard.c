#include "shapes.h"

#include "base/mem.h"

#include <math.h>

static void add_late_cache(struct rng *r, struct trace *t, double full_at)
{
    add_ramp(t, log_uniform(r, 2 * MB, 200 * MB), full_at * trace_length(t));
    finish(r, t, any_noise(r));
}

static void full_at_65(struct rng *r, struct trace *t)
{
    add_late_cache(r, t, 0.65);
}

static void full_at_75(struct rng *r, struct trace *t)
{
    add_late_cache(r, t, 0.75);
}

static void full_at_85(struct rng *r, struct trace *t)
{
    add_late_cache(r, t, 0.85);
}

static void full_at_95(struct rng *r, struct trace *t)
{
    add_late_cache(r, t, 0.95);
}

static void never_full(struct rng *r, struct trace *t)
{
    add_late_cache(r, t, 1.3);
}

/* The rising limb of a day that is longer than the run. */
static void diurnal_limb(struct rng *r, struct trace *t)
{
    struct noise noise = any_noise(r);
    double period = trace_length(t) * uniform(r, 1.5, 6);
    double phase = uniform(r, -0.25, 0.1);
    double amplitude = noise.sigma * uniform(r, 3, 30);
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += amplitude * sin(2 * M_PI * ((double)i / period + phase));
    }
    finish(r, t, noise);
}

static void lazy_collector(struct rng *r, struct trace *t)
{
    add_ramp(t, log_uniform(r, 10 * MB, 400 * MB), trace_length(t));
    finish(r, t, low_noise(r));
}

static void one_collection(struct rng *r, struct trace *t)
{
    double amplitude = log_uniform(r, 10 * MB, 400 * MB);
    double at = trace_length(t) * uniform(r, 0.3, 0.7);
    for (size_t i = 0; i < t->n; i++) {
        double age = (double)i < at ? (double)i + trace_length(t) - at : (double)i - at;
        t->y[i] += amplitude * age / trace_length(t);
    }
    finish(r, t, low_noise(r));
}

static void slow_saturation(struct rng *r, struct trace *t)
{
    add_saturation(t, log_uniform(r, 2 * MB, 60 * MB), trace_length(t) * uniform(r, 0.25, 2));
    finish(r, t, any_noise(r));
}

static void square_root(struct rng *r, struct trace *t)
{
    double amplitude = log_uniform(r, 2 * MB, 60 * MB);
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += amplitude * sqrt((double)i / trace_length(t));
    }
    finish(r, t, any_noise(r));
}

static void pure_walk(struct rng *r, struct trace *t)
{
    add_walk(r, t, log_uniform(r, 256 * KB, 8 * MB) / sqrt(trace_length(t)));
    add_constant(t, base_level(r));
}

/* 1/f noise as the sum of AR(1) noises whose memories are a factor of three apart. */
static void flicker(struct rng *r, struct trace *t)
{
    double sigma = log_uniform(r, 64 * KB, 4 * MB) / 3;
    CLEANUP_FREE double *u = xmalloc(t->n * sizeof *u);
    for (double memory = 1; memory < 4 * trace_length(t); memory *= 3) {
        make_ar1(r, u, t->n, sigma, exp(-1 / memory));
        for (size_t i = 0; i < t->n; i++) {
            t->y[i] += u[i];
        }
    }
    add_constant(t, base_level(r));
}

/* Jumps between six plateaus. */
static void telegraph(struct rng *r, struct trace *t)
{
    double spread = log_uniform(r, 256 * KB, 8 * MB);
    double plateau[6];
    for (size_t p = 0; p < 6; p++) {
        plateau[p] = spread * rng_normal(r);
    }
    size_t on = between(r, 0, 6);
    for (size_t i = 0; i < t->n; i++) {
        on = rng_double(r) < 6 / trace_length(t) ? between(r, 0, 6) : on;
        t->y[i] += plateau[on];
    }
    struct noise noise = any_noise(r);
    noise.sigma = log_uniform(r, 32 * KB, 512 * KB);
    finish(r, t, noise);
}

/* Records of bursts with a heavy tail (Pareto 2.2). */
static void heavy_high_water(struct rng *r, struct trace *t)
{
    double sigma = log_uniform(r, 32 * KB, 512 * KB);
    CLEANUP_FREE double *v = xmalloc(t->n * sizeof *v);
    for (size_t i = 0; i < t->n; i++) {
        v[i] = sigma * (pow(1 - rng_double(r), -1 / 2.2) - 1);
    }
    add_records(t, v);
    add_constant(t, base_level(r));
    add_white(r, t, 0.1 * sigma);
}

static void three_caches(struct rng *r, struct trace *t)
{
    static const double full[4] = {0.1, 0.3, 0.5, 0.75};
    double amplitude = log_uniform(r, 2 * MB, 60 * MB);
    for (size_t c = 0; c < 3; c++) {
        add_ramp(t, amplitude * uniform(r, 0.3, 1),
                 trace_length(t) * uniform(r, full[c], full[c + 1]));
    }
    finish(r, t, any_noise(r));
}

const struct hard_family hard_families[N_HARD_FAMILIES] = {
    {"full_at_65", full_at_65, 0},         {"full_at_75", full_at_75, 0},
    {"full_at_85", full_at_85, 0},         {"one_collection", one_collection, 0},
    {"pure_walk", pure_walk, 0},           {"flicker", flicker, 0},
    {"telegraph", telegraph, 0},           {"heavy_high_water", heavy_high_water, 0},
    {"three_caches", three_caches, 0},     {"full_at_95", full_at_95, 1},
    {"never_full", never_full, 1},         {"diurnal_limb", diurnal_limb, 1},
    {"lazy_collector", lazy_collector, 1}, {"slow_saturation", slow_saturation, 1},
    {"square_root", square_root, 1},
};

void trace_hard(struct trace *trace, size_t family, unsigned seed)
{
    struct rng rng;
    rng_init(&rng, seed, hard_families[family].name, trace->n);
    trace_begin(trace);
    hard_families[family].make(&rng, trace);
    trace_round_to_pages(trace);
}
