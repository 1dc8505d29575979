#include "study.h"

#include "base/mono.h"
#include "base/rng.h"
#include "judge/verdict.h"
#include "judge/numeric.h"
#include "shapes.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define COST_RUNS 101

static void make_series(struct series *series, size_t readings)
{
    struct rng rng;
    double x[DRIVER_COUNT] = {0};
    double u = 0;
    rng_init(&rng, 5, "cost", readings);
    series_init(series);
    series->has[DRIVER_REQUEST] = series->has[DRIVER_CONNECTION] = true;
    snprintf(series->metric, sizeof series->metric, "anon_bytes");
    for (size_t i = 0; i < readings; i++) {
        u = 0.9 * u + 200 * KB * rng_normal(&rng);
        x[DRIVER_REQUEST] += 500;
        x[DRIVER_CONNECTION] += 50;
        series_add(series, (double)i, 200 * MB + u, x, 100, 0);
    }
}

double study_cost_ms(size_t readings)
{
    static struct series series;
    static struct memory_finding finding;
    struct judge_options options = judge_options_none();
    double ms[COST_RUNS];
    make_series(&series, readings);
    for (size_t i = 0; i < COST_RUNS; i++) {
        uint64_t start = mono_thread_cpu_ns();
        judge_series(&series, &options, &finding);
        ms[i] = (double)(mono_thread_cpu_ns() - start) * 1e-6;
    }
    return numeric_median(ms, COST_RUNS);
}

static void add(struct tally *to, const struct tally *t)
{
    to->n += t->n;
    to->leak += t->leak;
    to->bounded += t->bounded;
    to->stable += t->stable;
    to->baseline_n += t->baseline_n;
    for (size_t b = 0; b < N_BASELINES; b++) {
        to->alarm[b] += t->alarm[b];
    }
}

static struct tally sum(const struct tally *tallies, size_t n)
{
    struct tally all = {0};
    for (size_t i = 0; i < n; i++) {
        add(&all, &tallies[i]);
    }
    return all;
}

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : NAN;
}

static void print_alarms(FILE *to, const char *name, const struct tally *t)
{
    fprintf(to, "| %s | %.0f of %.0f | %.0f | %.0f |", name, t->leak, t->n,
            percent(t->stable + t->bounded, t->n),
            percent(t->n - t->leak - t->stable - t->bounded, t->n));
    for (size_t b = 0; b < N_BASELINES; b++) {
        if (t->baseline_n > 0) {
            fprintf(to, " %.0f |", percent(t->alarm[b], t->baseline_n));
        } else {
            fprintf(to, " - |");
        }
    }
    fprintf(to, "\n");
}

static void print_innocents(FILE *to, const struct study *s)
{
    char name[64];
    struct tally all = {0};
    fprintf(to, "## What does not leak\n\n"
                "Called a leak (count); proven within the budget and undecided (%%); alarms of the "
                "baselines (%%).\n\n"
                "| family | leak | passed | undecided | Mann-Kendall | OLS t | Hamed-Rao |\n"
                "| --- | --- | --- | --- | --- | --- | --- |\n");
    for (size_t l = 0; l < N_LENGTHS; l++) {
        struct tally t = sum(s->clean[l], N_CLEAN_FAMILIES);
        add(&all, &t);
        snprintf(name, sizeof name, "all 22 clean, %zu s", study_lengths[l].n);
        print_alarms(to, name, &t);
    }
    print_alarms(to, "**all 22 clean, all lengths**", &all);
    for (size_t f = 0; f < N_CLEAN_FAMILIES; f++) {
        snprintf(name, sizeof name, "%s, 300 s", clean_families[f].name);
        print_alarms(to, name, &s->clean[1][f]);
    }
    fprintf(to,
            "\nWith no alarm in N traces the rate is below 3 / N with 95 %% confidence, for this "
            "mixture of families only.\n\n"
            "Harder innocents, all lengths; those marked * can't be told from a leak within the "
            "run by their memory alone.\n\n"
            "| family | leak | passed %% | undecided %% |\n| --- | --- | --- | --- |\n");
    for (size_t f = 0; f < N_HARD_FAMILIES; f++) {
        struct tally t = {0};
        for (size_t l = 0; l < N_LENGTHS; l++) {
            add(&t, &s->hard[l][f]);
        }
        fprintf(to, "| %s%s | %.0f of %.0f | %.0f | %.0f |\n", hard_families[f].name,
                hard_families[f].unknowable ? " \\*" : "", t.leak, t.n,
                percent(t.stable + t.bounded, t.n),
                percent(t.n - t.leak - t.stable - t.bounded, t.n));
    }
}

static void print_passes(FILE *to, const struct study *s)
{
    fprintf(to, "\n## Leaks that pass\n\nAll 14 leak families in three noises; called stable or "
                "bounded (%%).\n\n| growth |");
    for (size_t l = 0; l < N_LENGTHS; l++) {
        fprintf(to, " %zu s |", study_lengths[l].n);
    }
    fprintf(to, " most in |\n| --- | --- | --- | --- | --- |\n");
    for (size_t m = 0; m < N_MULTIPLES; m++) {
        size_t worst = 0;
        double most = -1;
        fprintf(to, "| %.2f x budget |", study_multiples[m]);
        for (size_t l = 0; l < N_LENGTHS; l++) {
            struct tally t = sum(s->allowed[l][m], N_LEAK_FAMILIES);
            fprintf(to, " %.2f |", percent(t.stable + t.bounded, t.n));
        }
        for (size_t f = 0; f < N_LEAK_FAMILIES; f++) {
            double passed = 0;
            for (size_t l = 0; l < N_LENGTHS; l++) {
                passed += s->allowed[l][m][f].stable + s->allowed[l][m][f].bounded;
            }
            worst = passed > most ? f : worst;
            most = fmax(most, passed);
        }
        fprintf(to, " %s (%.0f of %.0f) |\n", leak_families[worst].name, most,
                s->allowed[0][m][worst].n * N_LENGTHS);
    }
}

static void print_power(FILE *to, const struct study *s)
{
    fprintf(to, "\n## Smallest leak found\n\n"
                "Linear growth that is found in 80 %% of runs, KB/s: without a budget, and with "
                "that of the length. Beside it the median that such runs report as the smallest "
                "visible leak, its ratio to the truth, and how many intervals hold the truth. The "
                "baselines find less at the false alarms above.\n\n"
                "| run | noise | judge | with budget | reported | ratio | intervals right | "
                "Mann-Kendall | OLS t | Hamed-Rao |\n"
                "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (size_t l = 0; l < N_LENGTHS; l++) {
        for (size_t n = 0; n < N_NOISES; n++) {
            fprintf(to, "| %zu s | %s | %.3g | %.3g | %.3g | %.2f | %.0f of %.0f |",
                    study_lengths[l].n, study_noises[n].name, s->smallest[l][n] / KB,
                    s->smallest_allowed[l][n] / KB, s->visible[l][n] / KB,
                    s->visible[l][n] / s->smallest[l][n], s->covered[l][n], s->asked[l][n]);
            for (size_t b = 0; b < N_BASELINES; b++) {
                if (s->smallest_baseline[l][n][b] > 0) {
                    fprintf(to, " %.2g |", s->smallest_baseline[l][n][b] / KB);
                } else {
                    fprintf(to, " - |");
                }
            }
            fprintf(to, "\n");
        }
    }
}

static void print_shapes(FILE *to, const struct study *s)
{
    fprintf(to, "\n## By the shape of the leak\n\nFound (%%), typical noise.\n\n| family |");
    for (size_t k = 0; k < N_LENGTHS * N_SHAPES; k++) {
        const struct study_length *l = &study_lengths[k / N_SHAPES];
        fprintf(to, " %zu s, %.0f KB/s |", l->n, l->shape[k % N_SHAPES] / KB);
    }
    fprintf(to, "\n| --- |");
    for (size_t k = 0; k < N_LENGTHS * N_SHAPES; k++) {
        fprintf(to, " --- |");
    }
    for (size_t f = 0; f < N_LEAK_FAMILIES; f++) {
        fprintf(to, "\n| %s |", leak_families[f].name);
        for (size_t k = 0; k < N_LENGTHS * N_SHAPES; k++) {
            const struct tally *t = &s->shape[k / N_SHAPES][k % N_SHAPES][f];
            fprintf(to, " %.0f |", percent(t->leak, t->n));
        }
    }
    fprintf(to, "\n");
}

void study_print(FILE *to, const struct study *study, const struct study_options *options,
                 double seconds)
{
    char date[32];
    time_t now = (time_t)mono_wall_s();
    struct tm utc;
    strftime(date, sizeof date, "%Y-%m-%d", gmtime_r(&now, &utc));
    fprintf(to,
            "# The judge's error rates\n\n"
            "Measured %s by `./dev bench judge` in %.0f s: seeds from %u on, %u of each clean "
            "family and length, %u of each leak, %u for the baselines (%u at 3600 s). One reading "
            "a second; time constants scale with the length. Budgets: 8 KB/s at 60 and 300 s, "
            "2 KB/s at 3600 s. Noise is AR(1): quiet 64 KB and 0.8, typical 512 KB and 0.9, noisy "
            "2 MB and 0.95. The baselines get the same 20 %% warm-up cut.\n\n",
            date, seconds, options->first, options->seeds, options->power_seeds,
            options->baseline_seeds, options->baseline_seeds / 3);
    print_innocents(to, study);
    print_passes(to, study);
    print_power(to, study);
    print_shapes(to, study);
    fprintf(to, "\n## Cost\n\nOne verdict on a plain series (no designed load), CPU: ");
    static const size_t readings[] = {60, 300, 3600, 30 * 86400};
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        fprintf(to, "%s%.2f ms for %zu readings", i > 0 ? ", " : "", study_cost_ms(readings[i]),
                readings[i]);
    }
    fprintf(to, ".\n");
}
