#include "resample.h"

#include "base/mem.h"
#include "base/str.h"
#include "record/hlog.h"
#include "record/metrics.h"
#include "record/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct resample *resample_new(void)
{
    return xcalloc(1, sizeof(struct resample));
}

void resample_free(struct resample *run)
{
    for (size_t i = 0; run != NULL && i < RESAMPLE_SECONDS; i++) {
        for (int s = 0; s < RESAMPLE_SERIES; s++) {
            free(run->second[i][s].ns);
        }
    }
    free(run);
}

static void add_at(struct resample *run, size_t second, int series, uint64_t ns)
{
    struct resample_values *values = &run->second[second][series];

    ARRAY_RESERVE(values->ns, values->n, values->capacity);
    values->ns[values->n++] = ns;
}

void resample_add(struct resample *run, int series, uint64_t ns)
{
    add_at(run, run->n - 1, series, ns);
}

struct loading {
    struct resample *run;
    int series;
};

static void take_interval(double from_s, double to_s, const struct hist *hist, void *context)
{
    struct loading *loading = context;
    size_t second = (size_t)((from_s + to_s) / 2);

    if (second >= RESAMPLE_SECONDS) {
        return;
    }
    loading->run->n = second + 1 > loading->run->n ? second + 1 : loading->run->n;
    for (uint32_t slot = hist->first; slot <= hist->last && hist->n > 0; slot++) {
        uint64_t width, low = hist_slot_low(slot, &width);
        for (uint64_t i = 0; i < hist->slots[slot]; i++) {
            add_at(loading->run, second, loading->series, low + width / 2);
        }
    }
}

struct resample *resample_load(const char *dir, struct diag *diag)
{
    struct resample *run = resample_new();
    struct hist *hist = xmalloc(sizeof *hist);
    bool ok = true;
    int torn = 0;

    hist_init(hist);
    for (int s = 0; s < RESAMPLE_SERIES && ok; s++) {
        CLEANUP_FREE char *path =
            xasprintf("%s/latency.%s.hlog", dir, metric_latency((enum latency)s)->name);
        struct loading loading = {run, s};
        struct hlog_listener listener = {take_interval, &loading};
        ok = hlog_load(path, &listener, hist, &torn, diag);
    }
    free(hist);
    struct stored_run *stored = ok ? run_load(dir, diag) : NULL;
    if (stored != NULL) {
        run->drift = baseline_drift(&stored->meta.generator);
    }
    ok = stored != NULL;
    run_unload(stored);
    if (!ok) {
        resample_free(run);
        return NULL;
    }
    return run;
}

/* Which seconds of the source the run is made of. */
static void draw_order(const struct resample *from, size_t n, size_t block, struct rng *rng,
                       size_t *order)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        if (block == 0) {
            at = i;
        } else if (i % block == 0) {
            at = rng_below(rng, from->n - block + 1);
        } else {
            at++;
        }
        order[i] = at;
    }
}

/* One second as a histogram. */
static void fill_hist(struct hist *hist, const struct resample_values *values, double scale)
{
    hist_clear(hist);
    for (size_t i = 0; i < values->n; i++) {
        hist_record(hist, (uint64_t)((double)values->ns[i] * scale));
    }
}

static void draw_series(const struct resample *from, const size_t *order, size_t n, int series,
                        double scale, double drift, struct hist *one, struct hist *all,
                        struct baseline_run *run)
{
    static const double quantiles[] = {0.50, 0.90, 0.99};
    static const char *const names[] = {"p50", "p90", "p99"};
    struct sections_cut cuts[3];
    uint64_t n_total = 0;

    for (size_t i = 0; i < n; i++) {
        n_total += from->second[order[i]][series].n;
    }
    for (int q = 0; q < 3; q++) {
        sections_cut_begin(&cuts[q], quantiles[q], n_total);
    }
    hist_clear(all);
    for (size_t i = 0; i < n; i++) {
        fill_hist(one, &from->second[order[i]][series], scale);
        hist_add(all, one);
        for (int q = 0; q < 3; q++) {
            sections_cut_add(&cuts[q], one);
        }
    }
    for (int q = 0; q < 3; q++) {
        struct baseline_sample *sample = &run->sample[run->n++];
        *sample = (struct baseline_sample){.kind = BASELINE_LATENCY, .n = (double)n_total};
        (void)snprintf(sample->name, sizeof sample->name, "latency.%s.%s",
                       metric_latency((enum latency)series)->name, names[q]);
        sample->value = (double)hist_quantile(all, quantiles[q]);
        sample->sections = sections_cut_end(&cuts[q]);
        sample->drift = drift;
    }
}

struct baseline_run *resample_draw(const struct resample *from, size_t n, size_t block,
                                   double scale, struct rng *rng)
{
    struct baseline_run *run = xcalloc(1, sizeof *run);
    struct hist *one = xmalloc(sizeof *one), *all = xmalloc(sizeof *all);
    size_t order[RESAMPLE_SECONDS];

    n = block == 0 && n > from->n ? from->n : n;
    draw_order(from, n, block, rng, order);
    hist_init(one);
    hist_init(all);
    run->seconds = (double)n;
    for (int s = 0; s < RESAMPLE_SERIES; s++) {
        draw_series(from, order, n, s, scale, block == 0 ? from->drift : 0, one, all, run);
    }
    free(one);
    free(all);
    return run;
}

struct baseline_run *resample_slowed(const struct baseline_run *run, double scale)
{
    struct baseline_run *slower = xmalloc(sizeof *slower);

    *slower = *run;
    for (size_t i = 0; i < slower->n; i++) {
        slower->sample[i].value *= scale;
        for (size_t k = 0; k < slower->sample[i].sections.n; k++) {
            slower->sample[i].sections.value[k] += log(scale);
        }
    }
    return slower;
}

enum compare_state resample_compare(struct baseline_run *const *bases, size_t n_bases,
                                    struct baseline_run *const *news, size_t n_news)
{
    struct comparison *c = compare_runs(bases, n_bases, news, n_news, NULL, 0);
    enum compare_state state = c->state;

    free(c);
    return state;
}
