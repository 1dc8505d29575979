/* The study of attribution: writes Markdown tables to standard output.
 *     judge_study_attribution [SEEDS [FIRST-SEED]]     seeds per scenario, 40 when not given
 * Runs on other seeds than the tests. */
#include "trials.h"

#include "base/mono.h"
#include "base/str.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEDS      40
#define FIRST_SEED 500000
#define COST_RUNS  50

static const char *const noises[NOISE_COUNT] = {"still", "calm", "quiet", "typical", "forced"};

static double percent(double of, double all)
{
    return all > 0 ? 100 * of / all : NAN;
}

/* The rule of three, or two standard errors: what the true share is hardly above, in percent. */
static double at_most(double of, double all)
{
    double p = of / all;
    return 100 * fmin(1, of > 0 ? p + 2 * sqrt(p * (1 - p) / all) + 1 / all : 3 / all);
}

static void row(const struct scenarios *scenarios, struct experiment e, unsigned seed, unsigned n)
{
    struct score s = trial_all(scenarios, &e, seed, n);
    printf("| %s | %s | %.0f s | %u | %.1f | %.2f (%.2f) | %.1f | %.1f | %.1f | ", scenarios->name,
           noises[e.noise], e.seconds, s.runs, percent(s.exact, s.runs),
           percent(s.innocent_blamed, s.runs), at_most(s.innocent_blamed, s.runs),
           percent(s.leaks, s.runs), percent(s.passes, s.runs),
           percent(s.intervals - s.missed, s.intervals));
    if (s.errors > 0) {
        printf("%.1f |\n", 100 * s.error / s.errors);
    } else {
        printf("- |\n");
    }
    fflush(stdout);
}

static void rows_of_crossover(unsigned seed, unsigned n)
{
    for (enum server_noise noise = NOISE_STILL; noise <= NOISE_TYPICAL; noise++) {
        row(&scenarios_crossover, experiment_crossover(noise), seed, n);
    }
    for (enum server_noise noise = NOISE_STILL; noise <= NOISE_CALM; noise++) {
        row(&scenarios_innocent, experiment_crossover(noise), seed, n);
    }
}

static void rows_of_modulation(unsigned seed, unsigned n)
{
    static const double seconds[] = {300, 600, 1800};
    for (enum server_noise noise = NOISE_STILL; noise <= NOISE_TYPICAL; noise++) {
        for (size_t i = 0; i < 3; i++) {
            if (noise >= NOISE_QUIET || seconds[i] < 1800) {
                row(&scenarios_leaks, experiment_modulation(noise, seconds[i]), seed, n);
            }
        }
    }
    for (enum server_noise noise = NOISE_QUIET; noise <= NOISE_TYPICAL; noise++) {
        for (size_t i = 0; i < 3; i++) {
            row(&scenarios_traps, experiment_modulation(noise, seconds[i]), seed, n);
            row(&scenarios_late, experiment_modulation(noise, seconds[i]), seed, n);
        }
    }
}

static void rows_of_others(unsigned seed, unsigned n)
{
    struct experiment e = experiment_modulation(NOISE_QUIET, 300);
    e.n_extra = 3;
    e.extra[0] = DRIVER_ABORTED;
    e.extra[1] = DRIVER_REFUSED;
    e.extra[2] = DRIVER_ROTATION;
    row(&scenarios_extra, e, seed, n);
    e.extra[2] = DRIVER_RESUMPTION;
    row(&scenarios_extra, e, seed, n);
    e = experiment_modulation(NOISE_FORCED, 300);
    e.dwell_s = 5;
    e.floors = true;
    row(&scenarios_leaks, e, seed, n);
    e = experiment_modulation(NOISE_FORCED, 600);
    e.refresh_s = 20;
    row(&scenarios_leaks, e, seed, n);
}

static void early_stop(unsigned seed, unsigned n)
{
    static const struct server servers[] = {
        {"nothing", {{FAULT_NONE, DRIVER_TIME, 0, 0}}},
        {"2 KiB a connection", {{FAULT_KEEPS, DRIVER_CONNECTION, 2048, 0}}},
        {"200 B a request", {{FAULT_KEEPS, DRIVER_REQUEST, 200, 0}}},
        {"3 KiB a certificate", {{FAULT_KEEPS, DRIVER_CLIENT_CERTIFICATE, 3072, 0}}},
        {"1 KiB a certificate", {{FAULT_KEEPS, DRIVER_CLIENT_CERTIFICATE, 1024, 0}}},
    };
    printf(
        "\n| early stop on new certificates, 1800 s; the server keeps | noise | runs | called, %% "
        "| mean seconds |\n|---|---|---|---|---|\n");
    for (enum server_noise noise = NOISE_QUIET; noise <= NOISE_TYPICAL; noise++) {
        for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
            unsigned called = 0;
            double seconds = 0;
            for (unsigned k = 0; k < n; k++) {
                double at = trial_pairs(&servers[i], noise, 1800, seed + k);
                called += at > 0;
                seconds += at;
            }
            printf("| %s | %s | %u | %.2f | %.0f |\n", servers[i].name, noises[noise], n,
                   percent(called, n), called > 0 ? seconds / called : 0);
        }
    }
}

/* The least of many, since other work on the machine only adds. */
static void cost(unsigned seed)
{
    static struct series series;
    static struct memory_finding finding;
    struct experiment e = experiment_modulation(NOISE_TYPICAL, 3600);
    struct judge_options options = judge_options_none();
    uint64_t least = UINT64_MAX;
    options.designed = true;
    options.warmup_s = e.warmup_s;
    options.dwell_s = e.dwell_s;
    server_run(&scenarios_leaks.server[scenarios_leaks.n - 1], &e, seed, &series);
    for (int i = 0; i < COST_RUNS; i++) {
        uint64_t begin = mono_now_ns();
        judge_series(&series, &options, &finding);
        uint64_t took = mono_now_ns() - begin;
        least = took < least ? took : least;
    }
    printf("\nA designed series of 3,600 readings with three leaks is judged in %.1f ms.\n",
           (double)least / 1e6);
}

int main(int argc, char **argv)
{
    uint64_t n = SEEDS;
    uint64_t seed = FIRST_SEED;
    if ((argc > 1 && !str_to_u64(argv[1], &n)) || (argc > 2 && !str_to_u64(argv[2], &seed)) ||
        n == 0 || n > 1000000 || seed > 1000000000) {
        fprintf(stderr, "usage: judge_study_attribution [SEEDS [FIRST-SEED]]\n");
        return 2;
    }
    printf("## Attribution\n\n%" PRIu64 " seeds a scenario from %" PRIu64
           " on.  Exact: blamed are just the drivers that leak.\n\n"
           "| servers | noise | run | runs | exact, %% | innocent blamed, %% (at most) | called a "
           "leak, %% | passed, %% | 95 %% intervals that hold, %% | mean error of bytes an event, "
           "%% |\n|---|---|---|---|---|---|---|---|---|---|\n",
           n, seed);
    rows_of_crossover((unsigned)seed, (unsigned)n);
    rows_of_modulation((unsigned)seed, (unsigned)n);
    rows_of_others((unsigned)seed, (unsigned)n);
    early_stop((unsigned)seed, (unsigned)n);
    cost((unsigned)seed);
    return 0;
}
