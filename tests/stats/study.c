/* The study of the judge's error rates over seeded families: false alarms, wrong passes, the
 * smallest leak found, and the baselines beside it.  Built by ./dev bench judge. */
#include "study.h"

#include "baselines.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "judge/growth.h"
#include "judge/numeric.h"
#include "shapes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BISECTIONS 11

const struct study_length study_lengths[N_LENGTHS] = {
    {60, 8 * KB, {256 * KB, 512 * KB, 1024 * KB}},
    {300, 8 * KB, {64 * KB, 128 * KB, 256 * KB}},
    {3600, 2 * KB, {4 * KB, 8 * KB, 16 * KB}},
};
const struct study_noise study_noises[N_NOISES] = {
    {"quiet", {.sigma = 64 * KB, .phi = 0.8}},
    {"typical", {.sigma = 512 * KB, .phi = 0.9}},
    {"noisy", {.sigma = 2048 * KB, .phi = 0.95}},
};
const double study_multiples[N_MULTIPLES] = {1.25, 2, 4};
const char *const study_baselines[N_BASELINES] = {"Mann-Kendall", "OLS t", "Hamed-Rao"};

/* One process's share. */
struct share {
    const struct study_options *options;
    struct study *study;
    unsigned job;
    size_t length;
    struct trace trace;
    double *seconds;
};

static struct growth judge(const struct share *share, double budget)
{
    struct growth growth;
    const struct trace *t = &share->trace;
    struct growth_options options = growth_options(budget);
    struct growth_input input = {
        .y = t->y, .y_min = t->y, .x = share->seconds, .part = t->part, .n = t->n};
    growth_judge(&input, &options, &growth);
    return growth;
}

static bool baseline(const struct trace *t, size_t which)
{
    static bool (*const tests[N_BASELINES])(const double *, size_t) = {
        baseline_mann_kendall, baseline_ols, baseline_hamed_rao};
    size_t warm = t->n / 5;
    return tests[which](t->y + warm, t->n - warm);
}

static void count(const struct share *share, double budget, bool with_baselines, struct tally *to)
{
    struct growth g = judge(share, budget);
    to->n++;
    to->leak += g.class == MEMORY_LEAK;
    to->bounded += g.class == MEMORY_BOUNDED;
    to->stable += g.class == MEMORY_STABLE;
    to->baseline_n += with_baselines;
    for (size_t b = 0; b < N_BASELINES && with_baselines; b++) {
        to->alarm[b] += baseline(&share->trace, b);
    }
}

static void study_innocents(struct share *s)
{
    double budget = study_lengths[s->length].budget;
    /* Hamed and Rao's correction takes n squared. */
    unsigned n_baseline = s->options->baseline_seeds / (s->trace.n > 1000 ? 3 : 1);
    for (unsigned k = s->job; k < s->options->seeds; k += s->options->jobs) {
        for (size_t f = 0; f < N_CLEAN_FAMILIES; f++) {
            trace_clean(&s->trace, f, s->options->first + k);
            count(s, budget, k < n_baseline, &s->study->clean[s->length][f]);
        }
        for (size_t f = 0; f < N_HARD_FAMILIES; f++) {
            trace_hard(&s->trace, f, s->options->first + k);
            count(s, budget, false, &s->study->hard[s->length][f]);
        }
    }
}

static void study_leaks(struct share *s)
{
    const struct study_length *length = &study_lengths[s->length];
    for (unsigned k = s->job; k < s->options->power_seeds; k += s->options->jobs) {
        for (size_t f = 0; f < N_LEAK_FAMILIES; f++) {
            for (size_t m = 0; m < N_MULTIPLES * N_NOISES; m++) {
                double leak = length->budget * study_multiples[m / N_NOISES];
                trace_leak(&s->trace, f, leak, study_noises[m % N_NOISES].noise,
                           s->options->first + k);
                count(s, length->budget, false, &s->study->allowed[s->length][m / N_NOISES][f]);
            }
            for (size_t m = 0; m < N_SHAPES; m++) {
                trace_leak(&s->trace, f, length->shape[m], study_noises[1].noise,
                           s->options->first + k);
                count(s, length->budget, false, &s->study->shape[s->length][m][f]);
            }
        }
    }
}

/* How often a linear leak of so many bytes a second is found: by the judge, or by a baseline. */
static double found(struct share *s, size_t noise, double leak, double budget, int by)
{
    unsigned n = s->options->power_seeds / (by >= 0 ? 4 : 1);
    unsigned hits = 0;
    for (unsigned k = 0; k < n; k++) {
        trace_leak(&s->trace, 0, leak, study_noises[noise].noise, s->options->first + k);
        hits += by >= 0 ? baseline(&s->trace, (size_t)by) : judge(s, budget).class == MEMORY_LEAK;
    }
    return (double)hits / n;
}

/* The leak that is found in 80 % of runs. */
static double smallest(struct share *s, size_t noise, double budget, int by)
{
    double low = log(4.0);
    double high = log(64e6);
    for (int i = 0; i < BISECTIONS + 4; i++) {
        double middle = (low + high) / 2;
        *(found(s, noise, exp(middle), budget, by) >= 0.8 ? &high : &low) = middle;
    }
    return exp(high);
}

/* What runs with that leak report as the smallest visible one, and whether their intervals hold
 * the truth. */
static void ask_the_verdicts(struct share *s, size_t noise)
{
    struct study *to = s->study;
    double leak = to->smallest[s->length][noise];
    unsigned n = s->options->power_seeds;
    CLEANUP_FREE double *visible = xmalloc(n * sizeof *visible);
    for (unsigned k = 0; k < n; k++) {
        trace_leak(&s->trace, 0, leak, study_noises[noise].noise, s->options->first + 50000 + k);
        struct growth g = judge(s, 0);
        visible[k] = g.smallest_visible;
        to->covered[s->length][noise] += g.low <= leak && leak <= g.high;
        to->asked[s->length][noise]++;
    }
    to->visible[s->length][noise] = numeric_median(visible, n);
}

static void study_power(struct share *s)
{
    for (size_t noise = 0; noise < N_NOISES; noise++) {
        if ((s->length * N_NOISES + noise) % s->options->jobs != s->job) {
            continue;
        }
        struct study *to = s->study;
        to->smallest[s->length][noise] = smallest(s, noise, 0, -1);
        to->smallest_allowed[s->length][noise] =
            smallest(s, noise, study_lengths[s->length].budget, -1);
        ask_the_verdicts(s, noise);
        for (int b = 0; b < N_BASELINES && s->options->baseline_seeds > 0; b++) {
            if (s->trace.n < 1000 || b < 2) {
                to->smallest_baseline[s->length][noise][b] = smallest(s, noise, 0, b);
            }
        }
    }
}

static void run_share(const struct study_options *options, unsigned job, struct study *study)
{
    for (size_t l = 0; l < N_LENGTHS; l++) {
        struct share share = {.options = options, .study = study, .job = job, .length = l};
        share.trace = trace_new(study_lengths[l].n);
        share.seconds = xcalloc(share.trace.n, sizeof *share.seconds);
        for (size_t i = 0; i < share.trace.n; i++) {
            share.seconds[i] = (double)i;
        }
        study_innocents(&share);
        study_leaks(&share);
        study_power(&share);
        free(share.seconds);
        trace_free(&share.trace);
    }
}

/* Each process fills a study of its own; they are added up. */
static int run_jobs(const struct study_options *options, struct study *total)
{
    size_t size = options->jobs * sizeof(struct study);
    struct study *parts =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int failed = parts == MAP_FAILED;
    for (unsigned job = 0; job < options->jobs && !failed; job++) {
        pid_t child = fork();
        if (child == 0) {
            run_share(options, job, &parts[job]);
            _exit(0);
        }
        failed |= child < 0;
    }
    for (int status; wait(&status) > 0;) {
        failed |= status != 0;
    }
    if (failed) {
        return 1;
    }
    double *sum = (double *)total;
    for (size_t i = 0; i < options->jobs * sizeof *total / sizeof(double); i++) {
        sum[i % (sizeof *total / sizeof(double))] += ((double *)parts)[i];
    }
    munmap(parts, size);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: judge_study [--seeds N] [--power-seeds N] [--baseline-seeds N] "
                    "[--first SEED] [--jobs N] [--out FILE]\n");
    return 2;
}

static int read_options(int argc, char **argv, struct study_options *options)
{
    for (int i = 1; i < argc; i += 2) {
        const struct {
            const char *name;
            unsigned *to;
        } numbers[] = {{"--seeds", &options->seeds},
                       {"--power-seeds", &options->power_seeds},
                       {"--baseline-seeds", &options->baseline_seeds},
                       {"--first", &options->first},
                       {"--jobs", &options->jobs}};
        bool known = str_equal(argv[i], "--out");
        if (i + 1 >= argc) {
            return usage();
        }
        options->out = known ? argv[i + 1] : options->out;
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
            uint64_t value;
            if (str_equal(argv[i], numbers[k].name) && str_to_u64(argv[i + 1], &value)) {
                *numbers[k].to = (unsigned)value;
                known = true;
            }
        }
        if (!known) {
            return usage();
        }
    }
    return options->jobs > 0 && options->seeds > 0 && options->power_seeds >= 20 ? 0 : usage();
}

int main(int argc, char **argv)
{
    static struct study study;
    struct study_options options = {
        .first = 1200000, .seeds = 1000, .baseline_seeds = 150, .power_seeds = 200};
    options.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    int wrong = read_options(argc, argv, &options);
    if (wrong != 0) {
        return wrong;
    }
    uint64_t start = mono_now_ns();
    if (run_jobs(&options, &study) != 0) {
        fprintf(stderr, "judge_study: a process failed\n");
        return 1;
    }
    double seconds = (double)(mono_now_ns() - start) * 1e-9;
    study_print(stdout, &study, &options, seconds);
    FILE *out = options.out != NULL ? fopen(options.out, "w") : NULL;
    if (out != NULL) {
        study_print(out, &study, &options, seconds);
        fclose(out);
    }
    return options.out != NULL && out == NULL;
}
