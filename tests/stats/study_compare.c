/* How often `compare` is wrong on real runs of one server, and what it finds when their latencies
 * are made longer: compare_study RUN... prints tables in Markdown. */
#include "resample.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

#define RUNS_MAX 64
#define PAIRS    1000
#define BLOCK_S  10
#define GROUP    5

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

/* Both runs are drawn from the seconds of one: nothing but its own noise is between them. */
static struct counts count_drawn(struct resample *const *runs, size_t n_runs, double scale)
{
    struct counts counts = {.n = 0};

    for (unsigned pair = 0; pair < PAIRS; pair++) {
        const struct resample *from = runs[pair % n_runs];
        struct rng rng;
        rng_init(&rng, 85000, "drawn", pair);
        struct baseline_run *base = resample_draw(from, from->n, BLOCK_S, 1, &rng);
        struct baseline_run *new = resample_draw(from, from->n, BLOCK_S, scale, &rng);
        counts.state[resample_compare(&base, 1, &new, 1)]++;
        counts.n++;
        baseline_free(base);
        baseline_free(new);
    }
    return counts;
}

/* Runs as they were measured, those of `longer` with longer latencies. */
struct measured {
    struct baseline_run *as_is[RUNS_MAX], *longer[RUNS_MAX];
    size_t n;
};

static void measure(struct resample *const *runs, size_t n_runs, double scale,
                    struct measured *ret_measured)
{
    ret_measured->n = n_runs;
    for (size_t i = 0; i < n_runs; i++) {
        ret_measured->as_is[i] = resample_draw(runs[i], runs[i]->n, 0, 1, NULL);
        ret_measured->longer[i] = resample_draw(runs[i], runs[i]->n, 0, scale, NULL);
    }
}

static void forget(struct measured *m)
{
    for (size_t i = 0; i < m->n; i++) {
        baseline_free(m->as_is[i]);
        baseline_free(m->longer[i]);
    }
}

static struct counts count_real(const struct measured *m)
{
    struct counts counts = {.n = 0};

    for (size_t i = 0; i < m->n; i++) {
        for (size_t j = 0; j < m->n; j++) {
            if (i != j) {
                counts.state[resample_compare(&m->as_is[i], 1, &m->longer[j], 1)]++;
                counts.n++;
            }
        }
    }
    return counts;
}

static struct counts count_groups(const struct measured *m)
{
    struct counts counts = {.n = 0};
    size_t order[RUNS_MAX];

    for (unsigned pair = 0; pair < PAIRS && m->n >= 2 * GROUP; pair++) {
        struct baseline_run *bases[GROUP], *news[GROUP];
        struct rng rng;
        rng_init(&rng, 86000, "groups", pair);
        for (size_t i = 0; i < m->n; i++) {
            order[i] = i;
        }
        rng_shuffle(&rng, order, m->n, sizeof order[0]);
        for (size_t i = 0; i < GROUP; i++) {
            bases[i] = m->as_is[order[i]];
            news[i] = m->longer[order[GROUP + i]];
        }
        counts.state[resample_compare(bases, GROUP, news, GROUP)]++;
        counts.n++;
    }
    return counts;
}

static void study(struct resample *const *runs, size_t n_runs)
{
    struct counts counts;

    (void)printf(
        "| runs compared | slower by | pairs | worse %% | can't tell %% | same or better %% "
        "|\n| --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
        counts = count_drawn(runs, n_runs, scales[i]);
        print_row("drawn from the seconds of one run", scales[i], &counts);
    }
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
        struct measured measured;
        measure(runs, n_runs, scales[i], &measured);
        counts = count_real(&measured);
        print_row("two real runs", scales[i], &counts);
        counts = count_groups(&measured);
        if (counts.n > 0) {
            print_row("five real runs and five others", scales[i], &counts);
        }
        forget(&measured);
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
