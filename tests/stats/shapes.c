#include "shapes.h"

#include "base/mem.h"

#include <math.h>

double uniform(struct rng *r, double low, double high)
{
    return low + (high - low) * rng_double(r);
}

double log_uniform(struct rng *r, double low, double high)
{
    return exp(uniform(r, log(low), log(high)));
}

size_t between(struct rng *r, size_t low, size_t above)
{
    return low + (size_t)rng_below(r, above - low);
}

double base_level(struct rng *r)
{
    return log_uniform(r, 20 * MB, 600 * MB);
}

struct noise any_noise(struct rng *r)
{
    return (struct noise){.sigma = log_uniform(r, 32 * KB, 4 * MB),
                          .phi = uniform(r, 0.3, 0.97),
                          .spikes = rng_double(r) < 0.3};
}

struct noise low_noise(struct rng *r)
{
    struct noise n = any_noise(r);
    n.sigma = log_uniform(r, 32 * KB, 1 * MB);
    return n;
}

void add_constant(struct trace *t, double level)
{
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += level;
    }
}

void add_white(struct rng *r, struct trace *t, double sigma)
{
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += sigma * rng_normal(r);
    }
}

void make_ar1(struct rng *r, double *to, size_t n, double sigma, double phi)
{
    double u = sigma * rng_normal(r);
    for (size_t i = 0; i < n; i++) {
        u = phi * u + sigma * sqrt(1 - phi * phi) * rng_normal(r);
        to[i] = u;
    }
}

void add_noise(struct rng *r, struct trace *t, struct noise noise, double scale)
{
    CLEANUP_FREE double *u = xmalloc(t->n * sizeof *u);
    make_ar1(r, u, t->n, noise.sigma, noise.phi);
    for (size_t i = 0; i < t->n; i++) {
        double v = u[i] + 0.2 * noise.sigma * rng_normal(r);
        if (noise.spikes && rng_double(r) < 0.01) {
            v += noise.sigma * log_uniform(r, 2, 30);
        }
        t->y[i] += scale * v;
    }
}

void finish(struct rng *r, struct trace *t, struct noise noise)
{
    add_constant(t, base_level(r));
    add_noise(r, t, noise, 1);
}

void add_step(struct trace *t, double at, double size)
{
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += (double)i >= at ? size : 0;
    }
}

void add_saturation(struct trace *t, double amplitude, double tau)
{
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += amplitude * (1 - exp(-(double)i / tau));
    }
}

void add_ramp(struct trace *t, double amplitude, double until)
{
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += amplitude * fmin(1, (double)i / until);
    }
}

void add_line(struct trace *t, double per_s)
{
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += per_s * (double)i;
    }
}

void add_sine(struct rng *r, struct trace *t, double amplitude, double period)
{
    double phase = uniform(r, 0, 2 * M_PI);
    for (size_t i = 0; i < t->n; i++) {
        t->y[i] += amplitude * sin(2 * M_PI * (double)i / period + phase);
    }
}

void add_walk(struct rng *r, struct trace *t, double step)
{
    double at = 0;
    for (size_t i = 0; i < t->n; i++) {
        at += step * rng_normal(r);
        t->y[i] += at;
    }
}

void add_saw(struct rng *r, struct trace *t, double period, double amplitude)
{
    double begin = -uniform(r, 0, period);
    while (begin < (double)t->n) {
        double length = fmax(1.5, period * (1 + 0.15 * rng_normal(r)));
        for (double i = fmax(0, ceil(begin)); i < fmin((double)t->n, ceil(begin + length)); i++) {
            t->y[(size_t)i] += (i - begin) / length * amplitude;
        }
        begin += length;
    }
}

void add_cauchy(struct rng *r, struct trace *t, double sigma)
{
    for (size_t i = 0; i < t->n; i++) {
        if (rng_double(r) < 0.05) {
            t->y[i] += sigma * fmin(200, fabs(tan(M_PI * (rng_double(r) - 0.5))));
        }
    }
}

void add_records(struct trace *t, double *v)
{
    double highest = -HUGE_VAL;
    for (size_t i = 0; i < t->n; i++) {
        highest = fmax(highest, v[i]);
        t->y[i] += highest;
    }
}

double trace_length(const struct trace *t)
{
    return (double)t->n;
}
