/* The study of attribution and of the early stop: writes Markdown tables to standard output.
 *     judge_study_attribution [--seeds N] [--first SEED]
 * Runs on other seeds than the tests. */
#include "trials.h"

#include "base/mono.h"
#include "base/str.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SEEDS      40
#define FIRST_SEED 500000
#define COST_RUNS  50
#define SWITCHES   5 /* that every design has */

static const enum driver further[] = {DRIVER_REFUSED, DRIVER_ABORTED, DRIVER_ROTATION};

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

static void print_share(double of, double all)
{
    if (all > 0) {
        printf("%.1f | ", percent(of, all));
    } else {
        printf("- | ");
    }
}

static void row(const struct scenarios *scenarios, struct experiment e, unsigned seed, unsigned n)
{
    struct score s = trial_all(scenarios, &e, seed, n);
    printf("| %s | %zu%s | %s | %.0f s | %u | %.1f | %.2f (%.2f) | %.1f | %.1f | ", scenarios->name,
           SWITCHES + e.n_extra, e.resumes ? ", resuming" : "", noises[e.noise], e.seconds, s.runs,
           percent(s.exact, s.runs), percent(s.innocent_blamed, s.runs),
           at_most(s.innocent_blamed, s.runs), percent(s.leaks, s.runs), percent(s.passes, s.runs));
    print_share(s.intervals - s.missed, s.intervals);
    print_share(s.error, s.errors);
    printf("\n");
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

static struct experiment with_switches(struct experiment e, size_t n_extra)
{
    e.n_extra = n_extra;
    for (size_t k = 0; k < n_extra; k++) {
        e.extra[k] = further[k];
    }
    return e;
}

/* Six, seven and eight switches; with the last and resumed handshakes all ten drivers move. */
static void rows_of_switches(unsigned seed, unsigned n)
{
    static const double seconds[] = {300, 600, 1800};
    for (enum server_noise noise = NOISE_QUIET; noise <= NOISE_TYPICAL; noise++) {
        for (size_t i = 0; i < 3; i++) {
            for (size_t n_extra = 1; n_extra <= 3; n_extra++) {
                struct experiment e =
                    with_switches(experiment_modulation(noise, seconds[i]), n_extra);
                row(&scenarios_leaks, e, seed, n);
                row(&scenarios_extra, e, seed, n);
            }
        }
    }
    struct experiment e = with_switches(experiment_modulation(NOISE_QUIET, 600), 3);
    e.resumes = true;
    row(&scenarios_extra, e, seed, n);
}

static void rows_of_fading(unsigned seed, unsigned n)
{
    for (enum server_noise noise = NOISE_STILL; noise <= NOISE_CALM; noise++) {
        row(&scenarios_fading, experiment_crossover(noise), seed, n);
    }
    for (enum server_noise noise = NOISE_QUIET; noise <= NOISE_TYPICAL; noise++) {
        row(&scenarios_fading, experiment_modulation(noise, 300), seed, n);
        row(&scenarios_fading, experiment_modulation(noise, 1800), seed, n);
    }
    row(&scenarios_fading, experiment_collected(300), seed, n);
}

static void rows_of_others(unsigned seed, unsigned n)
{
    row(&scenarios_leaks, experiment_collected(300), seed, n);
    struct experiment e = experiment_modulation(NOISE_FORCED, 600);
    e.refresh_s = 20;
    row(&scenarios_leaks, e, seed, n);
}

/* Of connections and of certificates, growth per event that slows down as a logarithm does. */
static void slowing(unsigned seed, unsigned n)
{
    static const double half_in[] = {0.1, 0.2, 0.3, 0.5, 1, 2};
    enum { PACES = sizeof half_in / sizeof *half_in };
    printf(
        "\n### Growth that slows down\n\nPer connection or certificate, ever less, to so much of "
        "what the first took: called a leak, %%.  None of them was called stable or bounded "
        "where no second number says so.\n\n| noise | run |");
    for (size_t k = 0; k < PACES; k++) {
        printf(" to %.0f %% |", 100 / (1 + 1 / half_in[k]));
    }
    printf("\n|---|---|---|---|---|---|---|---|\n");
    for (enum server_noise noise = NOISE_STILL; noise < NOISE_COUNT; noise++) {
        struct experiment e = experiment_short(noise);
        printf("| %s | %.0f s |", noises[noise], e.seconds);
        for (size_t k = 0; k < PACES; k++) {
            struct score score = {0};
            struct server servers[] = {
                {"slows", {{FAULT_SLOWS, DRIVER_CONNECTION, 3400, half_in[k]}}},
                {"slows", {{FAULT_SLOWS, DRIVER_CLIENT_CERTIFICATE, 3072, half_in[k]}}}};
            trial_server(&servers[0], &e, seed, n, &score);
            trial_server(&servers[1], &e, seed, n, &score);
            printf(" %.0f", percent(score.leaks, score.runs));
            if (score.passes > 0) {
                printf(" (passed %.0f)", percent(score.passes, score.runs));
            }
            printf(" |");
        }
        printf("\n");
        fflush(stdout);
    }
}

/* Over all budgets, how many pass that keep so many times theirs. */
static void budget_row(struct experiment e, unsigned seed, unsigned n)
{
    static const double times[] = {0, 1.25, 2, 4};
    printf("| %s%s | ", noises[e.noise], e.floors ? ", one reading a dwell" : "");
    for (size_t k = 0; k < sizeof times / sizeof *times; k++) {
        struct score score = {0};
        for (size_t i = 0; i < TRIAL_BUDGETS; i++) {
            struct experiment budgeted = trial_budgeted(e, i);
            struct server server = trial_times_budget(i, times[k]);
            trial_server(&server, &budgeted, seed, n, &score);
        }
        printf("%.1f of %u%s", percent(score.passes, score.runs), score.runs,
               k + 1 < sizeof times / sizeof *times ? " | " : " |\n");
    }
    fflush(stdout);
}

static void budgets(unsigned seed, unsigned n)
{
    printf("\n### Passes under a design\n\nOf 320 s, with each of %d budgets that are a quarter of "
           "what some leaky server keeps an event: called stable or bounded, %%, while the server "
           "keeps so many times the budget.\n\n"
           "| noise | nothing | 1.25 times | 2 times | 4 times |\n|---|---|---|---|---|\n",
           TRIAL_BUDGETS);
    for (enum server_noise noise = NOISE_STILL; noise <= NOISE_TYPICAL; noise++) {
        budget_row(experiment_modulation(noise, 320), seed, n);
    }
    budget_row(experiment_collected(320), seed, n);
}

static void cache_row(struct experiment e, unsigned seed, unsigned n)
{
    printf("| %s%s |", noises[e.noise], e.floors ? ", one reading a dwell" : "");
    for (int k = 0; k < 4; k++) {
        struct score score = trial_caches(&e, k % 2 ? 0.2 : 0.06, k < 2 ? 0 : 0.5, seed, n);
        printf(" %.1f of %u |", percent(score.passes, score.runs), score.runs);
    }
    printf("\n");
    fflush(stdout);
}

static void caches(unsigned seed, unsigned n)
{
    printf("\n### Caches whose entries expire\n\nOf 320 s, with a budget of a quarter of an entry: "
           "called stable or bounded, %%, where all of an entry is given back when it expires, and "
           "where half of it stays for ever.\n\n"
           "| noise | after 19 s | after 64 s | half after 19 s | half after 64 s |\n"
           "|---|---|---|---|---|\n");
    for (enum server_noise noise = NOISE_STILL; noise <= NOISE_TYPICAL; noise++) {
        cache_row(experiment_modulation(noise, 320), seed, n);
    }
    cache_row(experiment_collected(320), seed, n);
}

static void early_row(const struct server *server, struct experiment e, unsigned seed, unsigned n)
{
    struct early early = trial_early(server, &e, seed, n);
    printf("| %s | %s%s | %u | %.2f | ", server->name, noises[e.noise],
           e.floors ? ", one reading a dwell" : "", early.runs, percent(early.called, early.runs));
    if (early.called > 0) {
        printf("%.0f | %.0f |\n", early.seconds / early.called,
               percent(early.covered, early.called));
    } else {
        printf("- | - |\n");
    }
    fflush(stdout);
}

static void early_stop(unsigned seed, unsigned n)
{
    enum { N = 9 };
    static const struct server servers[N] = {
        {"nothing", {{FAULT_NONE, DRIVER_TIME, 0, 0}}},
        {"40 KiB a second", {{FAULT_KEEPS, DRIVER_TIME, 40960, 0}}},
        {"2 KiB a connection", {{FAULT_KEEPS, DRIVER_CONNECTION, 2048, 0}}},
        {"200 B a request", {{FAULT_KEEPS, DRIVER_REQUEST, 200, 0}}},
        {"3 KiB a certificate, of 30 % of them",
         {{FAULT_LRU, DRIVER_CLIENT_CERTIFICATE, 3072, 0.3}}},
        {"3 KiB a certificate, for 90 s", {{FAULT_TTL, DRIVER_CLIENT_CERTIFICATE, 3072, 0.05}}},
        {"3 KiB a certificate", {{FAULT_KEEPS, DRIVER_CLIENT_CERTIFICATE, 3072, 0}}},
        {"1 KiB a certificate", {{FAULT_KEEPS, DRIVER_CLIENT_CERTIFICATE, 1024, 0}}},
        {"3 KiB a certificate", {{FAULT_KEEPS, DRIVER_CLIENT_CERTIFICATE, 3072, 0}}},
    };
    printf("\n### Early stop\n\nOf 1800 s in pairs of dwells of 10 s with new and with old client "
           "certificates, asked at the end of each; the bound and the time to live are declared. "
           "Chance calls 0.1 %% at most.\n\n"
           "| the server keeps | noise | runs | called, %% | mean seconds | 95 %% intervals that "
           "hold, %% |\n|---|---|---|---|---|---|\n");
    for (enum server_noise noise = NOISE_STILL; noise <= NOISE_TYPICAL; noise++) {
        for (size_t i = 0; i + 1 < N; i++) {
            early_row(&servers[i], experiment_modulation(noise, 1800), seed, n);
        }
    }
    struct experiment e = experiment_modulation(NOISE_FORCED, 1800);
    e.floors = true;
    early_row(&servers[0], e, seed, n);
    early_row(&servers[N - 1], e, seed, n);
}

/* The least of many, since other work on the machine only adds. */
static void cost(unsigned seed)
{
    static struct series series;
    static struct memory_finding finding;
    for (size_t n_extra = 0; n_extra <= 3; n_extra += 3) {
        struct experiment e = with_switches(experiment_modulation(NOISE_TYPICAL, 3600), n_extra);
        uint64_t least = UINT64_MAX;
        e.resumes = n_extra > 0;
        struct judge_options options = trial_options(&e);
        server_run(&scenarios_leaks.server[scenarios_leaks.n - 1], &e, seed, &series);
        for (int i = 0; i < COST_RUNS; i++) {
            uint64_t begin = mono_thread_cpu_ns();
            judge_series(&series, &options, &finding);
            uint64_t took = mono_thread_cpu_ns() - begin;
            least = took < least ? took : least;
        }
        printf("\nA designed series of 3,600 readings, %zu drivers and three leaks is judged in "
               "%.1f ms.\n",
               finding.n_drivers, (double)least / 1e6);
    }
}

static void print_head(uint64_t n, uint64_t seed)
{
    char date[32];
    time_t now = (time_t)mono_wall_s();
    struct tm utc;
    strftime(date, sizeof date, "%Y-%m-%d", gmtime_r(&now, &utc));
    printf("\n## Attribution\n\nMeasured %s: %" PRIu64 " seeds a scenario from %" PRIu64
           " on.  Exact: blamed are just the drivers that leak.  Eight switches are a full "
           "factorial of five and three products; drivers that no switch moves do not occur. "
           "Resumed handshakes make up, with the new certificates, the full ones, so that no "
           "design of these switches tells the three apart: there the judge names none of "
           "them.  Of a fading store the growth per event sinks to 4 to 17 %% of what it began "
           "with.\n\n"
           "| servers | switches | noise | run | runs | exact, %% | innocent blamed, %% (at most) "
           "| called a leak, %% | passed, %% | 95 %% intervals that hold, %% | mean error of bytes "
           "an event, %% |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
           date, n, seed);
}

int main(int argc, char **argv)
{
    uint64_t n = SEEDS;
    uint64_t seed = FIRST_SEED;
    bool right = argc % 2 == 1;
    for (int i = 1; i + 1 < argc && right; i += 2) {
        right = (str_equal(argv[i], "--seeds") && str_to_u64(argv[i + 1], &n)) ||
                (str_equal(argv[i], "--first") && str_to_u64(argv[i + 1], &seed));
    }
    if (!right || n == 0 || n > 1000000 || seed > 1000000000) {
        fprintf(stderr, "usage: judge_study_attribution [--seeds N] [--first SEED]\n");
        return 2;
    }
    print_head(n, seed);
    rows_of_crossover((unsigned)seed, (unsigned)n);
    rows_of_modulation((unsigned)seed, (unsigned)n);
    rows_of_switches((unsigned)seed, (unsigned)n);
    rows_of_fading((unsigned)seed, (unsigned)n);
    rows_of_others((unsigned)seed, (unsigned)n);
    slowing((unsigned)seed, (unsigned)n);
    budgets((unsigned)seed, (unsigned)n);
    caches((unsigned)seed, (unsigned)n);
    early_stop((unsigned)seed, (unsigned)n);
    cost((unsigned)seed);
    return 0;
}
