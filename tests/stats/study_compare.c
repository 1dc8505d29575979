/* How often `compare` is wrong on real runs of one server, and what it finds when their latencies
 * are made longer: compare_study RUN... prints tables in Markdown. */
#include "resample.h"

#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define RUNS_MAX    64
#define DRAWN_PAIRS 400
#define GROUP_PAIRS 400
#define BLOCK_S     10
#define GROUP       5
#define SCALES      (sizeof scales / sizeof scales[0])

static const double scales[] = {1, 1.05, 1.1, 1.2};

struct counts {
    unsigned n, state[COMPARE_STATES];
};

static void print_row(const char *what, double scale, const struct counts *counts)
{
    double each = 100.0 / counts->n;

    (void)printf("| %s | %g %% | %u | %.1f | %.1f | %.1f |\n", what, 100 * (scale - 1), counts->n,
                 each * counts->state[COMPARE_WORSE], each * counts->state[COMPARE_UNCLEAR],
                 each * (counts->state[COMPARE_SAME] + counts->state[COMPARE_BETTER]));
}

static void count(struct counts *counts, struct baseline_run *const *bases,
                  struct baseline_run *const *news, size_t n, double scale)
{
    struct baseline_run *slower[GROUP];

    for (size_t i = 0; i < n; i++) {
        slower[i] = resample_slowed(news[i], scale);
    }
    counts->state[resample_compare(bases, n, slower, n)]++;
    counts->n++;
    for (size_t i = 0; i < n; i++) {
        baseline_free(slower[i]);
    }
}

/* Both runs are drawn from the seconds of one: nothing but its own noise is between them. */
static void study_drawn(struct resample *const *runs, size_t n_runs, size_t seconds)
{
    char what[64];
    struct counts counts[SCALES] = {{.n = 0}};

    for (unsigned pair = 0; pair < DRAWN_PAIRS; pair++) {
        const struct resample *from = runs[pair % n_runs];
        struct rng rng;
        rng_init(&rng, 85000, "drawn", pair);
        struct baseline_run *base = resample_draw(from, seconds, BLOCK_S, 1, &rng);
        struct baseline_run *new = resample_draw(from, seconds, BLOCK_S, 1, &rng);
        for (size_t i = 0; i < SCALES; i++) {
            count(&counts[i], &base, &new, 1, scales[i]);
        }
        baseline_free(base);
        baseline_free(new);
    }
    (void)snprintf(what, sizeof what, "drawn from one run, %zu s each", seconds);
    for (size_t i = 0; i < SCALES; i++) {
        print_row(what, scales[i], &counts[i]);
    }
}

static void study_real(struct baseline_run *const *runs, size_t n_runs, double scale)
{
    struct counts counts = {.n = 0};

    for (size_t i = 0; i < n_runs; i++) {
        for (size_t j = 0; j < n_runs; j++) {
            if (i != j) {
                count(&counts, &runs[i], &runs[j], 1, scale);
            }
        }
    }
    print_row("two real runs", scale, &counts);
}

static void study_groups(struct baseline_run *const *runs, size_t n_runs, double scale)
{
    struct counts counts = {.n = 0};
    struct baseline_run *order[RUNS_MAX];

    for (unsigned pair = 0; pair < GROUP_PAIRS && n_runs >= 2 * GROUP; pair++) {
        struct rng rng;
        rng_init(&rng, 86000, "groups", pair);
        for (size_t i = 0; i < n_runs; i++) {
            order[i] = runs[i];
        }
        rng_shuffle(&rng, order, n_runs, sizeof order[0]);
        count(&counts, order, order + GROUP, GROUP, scale);
    }
    if (counts.n > 0) {
        print_row("five real runs and five others", scale, &counts);
    }
}

static void study(struct resample *const *runs, size_t n_runs)
{
    struct baseline_run *measured[RUNS_MAX];

    (void)printf(
        "| runs compared | slower by | pairs | worse %% | can't tell %% | same or better %% "
        "|\n| --- | --- | --- | --- | --- | --- |\n");
    study_drawn(runs, n_runs, 60);
    study_drawn(runs, n_runs, 300);
    for (size_t i = 0; i < n_runs; i++) {
        measured[i] = resample_draw(runs[i], runs[i]->n, 0, 1, NULL);
    }
    for (size_t i = 0; i < SCALES; i++) {
        study_real(measured, n_runs, scales[i]);
    }
    for (size_t i = 0; i < SCALES; i++) {
        study_groups(measured, n_runs, scales[i]);
    }
    for (size_t i = 0; i < n_runs; i++) {
        baseline_free(measured[i]);
    }
}

int main(int argc, char **argv)
{
    struct resample *runs[RUNS_MAX];
    struct diag *diag = diag_new();
    size_t n = 0;

    for (int i = 1; i < argc && n < RUNS_MAX; i++) {
        struct resample *run = resample_load(argv[i], diag);
        if (run != NULL && run->n >= BLOCK_S) {
            runs[n++] = run;
        } else {
            resample_free(run);
        }
    }
    diag_print(diag, stderr);
    int code = diag_count(diag) > 0 || n == 0;
    if (code == 0) {
        study(runs, n);
    }
    diag_free(diag);
    while (n > 0) {
        resample_free(runs[--n]);
    }
    return code;
}
