/* Shapes: what the memory of invented servers is put together from.  Each adds to a trace; what is
 * random comes from the generator that is handed in. */
#ifndef STATS_SHAPES_H
#define STATS_SHAPES_H

#include "families.h"

#define KB   1024.0
#define MB   (1024.0 * KB)
#define PAGE 4096.0

double uniform(struct rng *r, double low, double high);
double log_uniform(struct rng *r, double low, double high);
/* A whole number in [low, above). */
size_t between(struct rng *r, size_t low, size_t above);
double base_level(struct rng *r);
/* Noise of a random server: 32 KB to 4 MB, short or long memory, spikes in a third. */
struct noise any_noise(struct rng *r);
struct noise low_noise(struct rng *r);
void add_constant(struct trace *t, double level);
void add_white(struct rng *r, struct trace *t, double sigma);
void make_ar1(struct rng *r, double *to, size_t n, double sigma, double phi);
void add_noise(struct rng *r, struct trace *t, struct noise noise, double scale);
/* The tail of most families: a base level and noise. */
void finish(struct rng *r, struct trace *t, struct noise noise);
void add_step(struct trace *t, double at, double size);
void add_saturation(struct trace *t, double amplitude, double tau);
void add_ramp(struct trace *t, double amplitude, double until);
void add_line(struct trace *t, double per_s);
void add_sine(struct rng *r, struct trace *t, double amplitude, double period);
void add_walk(struct rng *r, struct trace *t, double step);
/* Saw-teeth of about this period: collections. */
void add_saw(struct rng *r, struct trace *t, double period, double amplitude);
void add_cauchy(struct rng *r, struct trace *t, double sigma);
/* The running maximum of v. */
void add_records(struct trace *t, double *v);
/* Readings, as seconds. */
double trace_length(const struct trace *t);

#endif
