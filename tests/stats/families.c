#include "families.h"

#include "base/mem.h"
#include "shapes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct trace trace_new(size_t n)
{
    return (struct trace){.n = n, .y = xcalloc(n, sizeof(double)), .part = xcalloc(n, sizeof(int))};
}

void trace_free(struct trace *trace)
{
    free(trace->y);
    free(trace->part);
}

void trace_begin(struct trace *trace)
{
    memset(trace->y, 0, trace->n * sizeof *trace->y);
    memset(trace->part, 0, trace->n * sizeof *trace->part);
}

void trace_round_to_pages(struct trace *trace)
{
    for (size_t i = 0; i < trace->n; i++) {
        trace->y[i] = fmax(0, round(trace->y[i] / PAGE)) * PAGE;
    }
}

static void flat_white(struct rng *r, struct trace *t)
{
    add_constant(t, base_level(r));
    add_white(r, t, log_uniform(r, 32 * KB, 4 * MB));
}

static void flat_ar(struct rng *r, struct trace *t)
{
    finish(r, t, any_noise(r));
}

static void flat_ties(struct rng *r, struct trace *t)
{
    double level = base_level(r);
    for (size_t i = 0; i < t->n; i++) {
        if (rng_double(r) < 0.04) {
            level += (rng_double(r) < 0.5 ? -PAGE : PAGE) * (double)between(r, 1, 30);
        }
        t->y[i] += level;
    }
}

static void flat_outliers(struct rng *r, struct trace *t)
{
    struct noise noise = any_noise(r);
    finish(r, t, noise);
    add_cauchy(r, t, noise.sigma);
}

static void warm_exponential(struct rng *r, struct trace *t)
{
    add_saturation(t, log_uniform(r, MB, 100 * MB),
                   trace_length(t) * uniform(r, 1 / 60.0, 1 / 8.0));
    finish(r, t, any_noise(r));
}

static void warm_two_constants(struct rng *r, struct trace *t)
{
    double a = log_uniform(r, MB, 60 * MB);
    add_saturation(t, a, trace_length(t) * uniform(r, 1 / 100.0, 1 / 30.0));
    add_saturation(t, a * uniform(r, 0.2, 1), trace_length(t) * uniform(r, 1 / 12.0, 1 / 6.0));
    finish(r, t, any_noise(r));
}

static void thread_steps(struct rng *r, struct trace *t)
{
    size_t n = between(r, 4, 40);
    double size = log_uniform(r, 64 * KB, 2 * MB);
    for (size_t i = 0; i < n; i++) {
        add_step(t, uniform(r, 0, 0.4 * trace_length(t)), size);
    }
    finish(r, t, any_noise(r));
}

static void arenas(struct rng *r, struct trace *t)
{
    size_t n = between(r, 4, 64);
    double tau = trace_length(t) * uniform(r, 1 / 20.0, 1 / 6.0);
    double size = log_uniform(r, 128 * KB, 4 * MB);
    for (size_t i = 0; i < n; i++) {
        add_step(t, tau * rng_exponential(r), size);
    }
    finish(r, t, any_noise(r));
}

static void high_water(struct rng *r, struct trace *t)
{
    struct noise noise = any_noise(r);
    CLEANUP_FREE double *v = xmalloc(t->n * sizeof *v);
    make_ar1(r, v, t->n, 3 * noise.sigma, fmin(noise.phi, 0.95));
    add_records(t, v);
    add_constant(t, base_level(r));
    add_white(r, t, 0.1 * noise.sigma);
}

static void bounded_cache(struct rng *r, struct trace *t)
{
    double until = trace_length(t) * uniform(r, 0.1, 0.6);
    add_ramp(t, log_uniform(r, 2 * MB, 200 * MB), until);
    finish(r, t, any_noise(r));
}

static void ttl_cache(struct rng *r, struct trace *t)
{
    double ttl = trace_length(t) * uniform(r, 0.1, 0.5);
    double rate = log_uniform(r, 5, 500);
    double size = log_uniform(r, 300, 6000);
    double spread = 0; /* of the number alive, as a slow walk around rate x ttl */
    for (size_t i = 0; i < t->n; i++) {
        double alive = rate * fmin((double)i, ttl);
        spread =
            spread * (1 - 1 / ttl) + sqrt(2 * rate) * rng_normal(r) * (i < (size_t)ttl ? .7 : 1);
        t->y[i] += size * fmax(0, alive + spread);
    }
    finish(r, t, any_noise(r));
}

static void finite_keys(struct rng *r, struct trace *t)
{
    double keys = (double)between(r, 100, 20000);
    double size = log_uniform(r, 300, 6000);
    add_saturation(t, keys * size, trace_length(t) * uniform(r, 1 / 30.0, 1 / 6.0));
    finish(r, t, any_noise(r));
}

static void gc_fast(struct rng *r, struct trace *t)
{
    double period = uniform(r, 2, fmax(3, trace_length(t) / 16));
    add_saw(r, t, period, log_uniform(r, 2 * MB, 100 * MB));
    finish(r, t, low_noise(r));
}

static void gc_slow(struct rng *r, struct trace *t)
{
    double period = trace_length(t) * uniform(r, 1 / 12.0, 1 / 4.0);
    add_saw(r, t, period, log_uniform(r, 2 * MB, 200 * MB));
    finish(r, t, low_noise(r));
}

static void gc_generational(struct rng *r, struct trace *t)
{
    double minor = uniform(r, 2, fmax(3, trace_length(t) / 40));
    double major = trace_length(t) * uniform(r, 1 / 10.0, 1 / 4.0);
    double amplitude = log_uniform(r, 2 * MB, 50 * MB);
    add_saw(r, t, minor, amplitude);
    add_saw(r, t, major, amplitude * uniform(r, 0.3, 2));
    add_constant(t, base_level(r));
    add_white(r, t, 50 * KB);
}

static void one_step(struct rng *r, struct trace *t)
{
    add_step(t, trace_length(t) * uniform(r, 0.05, 0.95), log_uniform(r, MB, 64 * MB));
    if (rng_double(r) < 0.4) {
        add_step(t, trace_length(t) * uniform(r, 0.05, 0.95), log_uniform(r, MB, 64 * MB));
    }
    finish(r, t, any_noise(r));
}

static void random_walk(struct rng *r, struct trace *t)
{
    struct noise noise = any_noise(r);
    add_walk(r, t, noise.sigma * uniform(r, 1, 6) / sqrt(trace_length(t)));
    add_constant(t, base_level(r));
    add_noise(r, t, noise, 0.3);
}

static void sinusoid(struct rng *r, struct trace *t)
{
    struct noise noise = any_noise(r);
    double period = trace_length(t) * uniform(r, 1 / 8.0, 0.85);
    add_sine(r, t, noise.sigma * uniform(r, 1, 10), period);
    finish(r, t, noise);
}

static void decay(struct rng *r, struct trace *t)
{
    double amplitude = log_uniform(r, MB, 60 * MB);
    add_saturation(t, -amplitude, trace_length(t) * uniform(r, 1 / 20.0, 1));
    add_constant(t, amplitude);
    finish(r, t, any_noise(r));
}

static void log_growth(struct rng *r, struct trace *t)
{
    double tau = trace_length(t) * uniform(r, 1 / 200.0, 1 / 20.0);
    double amplitude = log_uniform(r, MB, 30 * MB);
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += amplitude * log1p((double)i / tau);
    }
    finish(r, t, any_noise(r));
}

static void connection_ramp(struct rng *r, struct trace *t)
{
    double amplitude = log_uniform(r, 2 * MB, 100 * MB);
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] +=
            amplitude * fmin(1, (double)i / (0.3 * trace_length(t))) * (1 + 0.01 * rng_normal(r));
    }
    finish(r, t, any_noise(r));
}

static void restart_clean(struct rng *r, struct trace *t)
{
    size_t at = (size_t)(trace_length(t) * uniform(r, 0.3, 0.7));
    double amplitude = log_uniform(r, 5 * MB, 60 * MB);
    for (size_t i = 0; i < t->n; i++) {
        double age = (double)(i < at ? i : i - at);
        t->y[i] += amplitude * (1 - exp(-age / (trace_length(t) / 40)));
        t->part[i] = i >= at;
    }
    finish(r, t, any_noise(r));
}

static void leak_linear(struct rng *r, struct trace *t, double b, struct noise noise)
{
    add_line(t, b);
    finish(r, t, noise);
}

static void leak_warm(struct rng *r, struct trace *t, double b, struct noise noise)
{
    double amplitude = uniform(r, 0.3, 2) * b * trace_length(t);
    add_saturation(t, amplitude, trace_length(t) * uniform(r, 1 / 60.0, 1 / 8.0));
    leak_linear(r, t, b, noise);
}

static void leak_gc(struct rng *r, struct trace *t, double b, struct noise noise)
{
    double period = uniform(r, 2, fmax(3, trace_length(t) / 16));
    add_saw(r, t, period, noise.sigma * uniform(r, 4, 40));
    leak_linear(r, t, b, noise);
}

static void leak_gc_slow(struct rng *r, struct trace *t, double b, struct noise noise)
{
    double period = trace_length(t) * uniform(r, 1 / 16.0, 1 / 10.0);
    add_saw(r, t, period, noise.sigma * uniform(r, 4, 20));
    leak_linear(r, t, b, noise);
}

static void leak_chunks(struct rng *r, struct trace *t, double b, struct noise noise)
{
    double chunk = b * trace_length(t) / (double)between(r, 12, 60);
    double first = uniform(r, 0, chunk);
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += floor((b * (double)i + first) / chunk) * chunk;
    }
    finish(r, t, noise);
}

static void leak_bursts(struct rng *r, struct trace *t, double b, struct noise noise)
{
    double period = trace_length(t) * uniform(r, 1 / 24.0, 1 / 12.0);
    for (size_t i = 0; i < t->n; i++) {
        double whole = floor((double)i / period);
        double phase = (double)i / period - whole;
        t->y[i] += b * period * (whole + fmin(1, phase / 0.2));
    }
    finish(r, t, noise);
}

static void leak_high_water(struct rng *r, struct trace *t, double b, struct noise noise)
{
    CLEANUP_FREE double *v = xmalloc(t->n * sizeof *v);
    make_ar1(r, v, t->n, noise.sigma, fmin(noise.phi, 0.95));
    for (size_t i = 0; i < t->n; i++) {
        v[i] += b * (double)i;
    }
    add_records(t, v);
    add_constant(t, base_level(r));
    add_white(r, t, 0.1 * noise.sigma);
}

static void leak_outliers(struct rng *r, struct trace *t, double b, struct noise noise)
{
    leak_linear(r, t, b, noise);
    add_cauchy(r, t, noise.sigma);
}

static void leak_accelerating(struct rng *r, struct trace *t, double b, struct noise noise)
{
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += b * (double)i * (0.4 + 0.6 * (double)i / trace_length(t));
    }
    finish(r, t, noise);
}

static void leak_walk(struct rng *r, struct trace *t, double b, struct noise noise)
{
    add_line(t, b);
    add_walk(r, t, 2 * noise.sigma / sqrt(trace_length(t)));
    add_constant(t, base_level(r));
    add_noise(r, t, noise, 0.3);
}

static void leak_sine(struct rng *r, struct trace *t, double b, struct noise noise)
{
    add_sine(r, t, 2 * noise.sigma, trace_length(t) * uniform(r, 1 / 8.0, 0.4));
    leak_linear(r, t, b, noise);
}

static void leak_killed(struct rng *r, struct trace *t, double b, struct noise noise)
{
    size_t at = (size_t)(trace_length(t) * uniform(r, 0.5, 0.75));
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += b * (double)(i < at ? i : i - at);
        t->part[i] = i >= at;
    }
    finish(r, t, noise);
}

static void add_doubling(struct rng *r, struct trace *t, double b)
{
    double first = trace_length(t) / exp2(uniform(r, 4, 9));
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += b * first * exp2(ceil(log2(fmax((double)i + 1, first) / first)));
    }
}

static void leak_doubling_mixed(struct rng *r, struct trace *t, double b, struct noise noise)
{
    add_doubling(r, t, 0.3 * b);
    leak_linear(r, t, 0.7 * b, noise);
}

static void leak_doubling(struct rng *r, struct trace *t, double b, struct noise noise)
{
    add_doubling(r, t, b);
    finish(r, t, noise);
}

const struct clean_family clean_families[N_CLEAN_FAMILIES] = {
    {"flat_white", flat_white},
    {"flat_ar", flat_ar},
    {"flat_ties", flat_ties},
    {"flat_outliers", flat_outliers},
    {"warm_exponential", warm_exponential},
    {"warm_two_constants", warm_two_constants},
    {"thread_steps", thread_steps},
    {"arenas", arenas},
    {"high_water", high_water},
    {"bounded_cache", bounded_cache},
    {"ttl_cache", ttl_cache},
    {"finite_keys", finite_keys},
    {"gc_fast", gc_fast},
    {"gc_slow", gc_slow},
    {"gc_generational", gc_generational},
    {"one_step", one_step},
    {"random_walk", random_walk},
    {"sinusoid", sinusoid},
    {"decay", decay},
    {"log_growth", log_growth},
    {"connection_ramp", connection_ramp},
    {"restart_clean", restart_clean},
};

const struct leak_family leak_families[N_LEAK_FAMILIES] = {
    {"linear", leak_linear},
    {"warm", leak_warm},
    {"gc", leak_gc},
    {"gc_slow", leak_gc_slow},
    {"chunks", leak_chunks},
    {"bursts", leak_bursts},
    {"high_water", leak_high_water},
    {"outliers", leak_outliers},
    {"accelerating", leak_accelerating},
    {"walk", leak_walk},
    {"sine", leak_sine},
    {"killed", leak_killed},
    {"doubling_mixed", leak_doubling_mixed},
    {"doubling", leak_doubling},
};

void trace_clean(struct trace *trace, size_t family, unsigned seed)
{
    struct rng rng;
    rng_init(&rng, seed, clean_families[family].name, trace->n);
    trace_begin(trace);
    clean_families[family].make(&rng, trace);
    trace_round_to_pages(trace);
}

void trace_leak(struct trace *trace, size_t family, double bytes_per_s, struct noise noise,
                unsigned seed)
{
    struct rng rng;
    rng_init(&rng, seed, leak_families[family].name, trace->n);
    trace_begin(trace);
    leak_families[family].make(&rng, trace, bytes_per_s, noise);
    trace_round_to_pages(trace);
}
