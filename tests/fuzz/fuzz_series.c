/* Fuzzes the reading and judging of series.
 *   fuzz_series FILE...                               each file once; "-" is standard input
 *   fuzz_series --rounds N [--from K] [--seed S] FILE...   N mutations of the files, from the K-th on
 * A round depends on the seed and its number alone, so that the one that failed runs again by
 * --from K --rounds 1.  Besides crashes it looks for series that break their own promises. */
#include "judge/verdict.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_SEEDS 64
#define MAX_INPUT ((size_t)1 << 20)

/* Of the sanitizers, where the build has one. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct input {
    char *bytes; /* owns */
    size_t len;
};

static uint64_t seed = 1;
static uint64_t round_now;
static bool mutating;
static size_t n_read; /* inputs that gave series */

static void tell_round(void)
{
    if (mutating) {
        fprintf(stderr, "\nagain by: --seed %llu --from %llu --rounds 1\n",
                (unsigned long long)seed, (unsigned long long)round_now);
    }
}

static void require(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz_series: %s\n", what);
        tell_round();
        exit(1);
    }
}

static void check_series(const struct series *s)
{
    size_t readings = 0;
    require(s->n <= SERIES_BUCKETS, "more buckets than there is room for");
    require(strlen(s->metric) < sizeof s->metric && s->source[0] != '\0', "a series has no name");
    for (size_t i = 0; i < s->n; i++) {
        readings += s->count[i];
        require(isfinite(s->t[i]) && isfinite(s->open[i]), "a number is not finite");
        require(isfinite(s->y[i]) && s->y[i] > 0 && s->y_min[i] > 0, "memory is not positive");
        require(s->y_min[i] <= s->y[i] * (1 + 1e-9), "the lowest is above the mean");
        require(i == 0 || s->t[i] > s->t[i - 1], "time does not go on");
        require(i == 0 || s->part[i] >= s->part[i - 1], "incarnations go back");
        for (int d = DRIVER_TIME + 1; d < DRIVER_COUNT; d++) {
            require(isfinite(s->x[d][i]) && s->x[d][i] >= 0, "a counter is no count");
            require(i == 0 || s->part[i] > s->part[i - 1] || s->x[d][i] >= s->x[d][i - 1],
                    "a counter falls within one incarnation");
        }
    }
    require(readings == s->n_readings, "readings were lost");
}

static void judge(const struct series *s)
{
    struct judge_options options = judge_options_none();
    static struct memory_finding finding;
    options.designed = s->n_readings % 2 == 1;
    judge_series(s, &options, &finding);
    require(finding.reason[0] != '\0', "there is no reason");
    require(finding.class == MEMORY_INCONCLUSIVE || s->n_readings >= 40,
            "too few readings were judged");
}

static void run(const struct input *input)
{
    struct series *series = NULL;
    struct diag *diag = diag_new();
    int fd = memfd_create("series", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, input->bytes, input->len) == (ssize_t)input->len,
            "no room for the input");
    CLEANUP_FREE char *path = xasprintf("/proc/self/fd/%d", fd);
    size_t n = series_load(path, &series, NULL, NULL, diag);
    require((n == 0) == (diag_count(diag) > 0), "neither a series nor a mistake, or both");
    for (size_t i = 0; i < n; i++) {
        check_series(&series[i]);
        judge(&series[i]);
    }
    if (n > 0) {
        free(series);
        n_read++;
    }
    diag_free(diag);
    close(fd);
}

/* Replaces `cut` bytes at `at` by others. */
static void splice(struct input *input, size_t at, size_t cut, const char *with, size_t len)
{
    char *bytes = xmalloc(input->len - cut + len + 1);
    memcpy(bytes, input->bytes, at);
    memcpy(bytes + at, with, len);
    memcpy(bytes + at + len, input->bytes + at + cut, input->len - at - cut);
    free(input->bytes);
    input->bytes = bytes;
    input->len = input->len - cut + len;
}

/* Where the next line begins. */
static size_t next_line(const struct input *input, size_t at)
{
    const char *end = memchr(input->bytes + at, '\n', input->len - at);
    return end != NULL ? (size_t)(end - input->bytes) + 1 : input->len;
}

/* Whole lines from somewhere go elsewhere: most files stay readable, but no longer in order. */
static void move_lines(struct rng *rng, struct input *input)
{
    size_t from = next_line(input, rng_below(rng, input->len + 1));
    size_t to = next_line(input, from + rng_below(rng, input->len - from + 1));
    size_t at = next_line(input, rng_below(rng, input->len + 1));
    CLEANUP_FREE char *piece = xmalloc(to - from + 1);
    memcpy(piece, input->bytes + from, to - from);
    splice(input, at, 0, piece, to - from);
}

/* A digit becomes another: the numbers stay numbers. */
static void change_digit(struct rng *rng, struct input *input, size_t at)
{
    for (size_t i = at; i < input->len; i++) {
        if (input->bytes[i] >= '0' && input->bytes[i] <= '9') {
            input->bytes[i] = (char)('0' + rng_below(rng, 10));
            return;
        }
    }
}

static const char *const words[] = {",",
                                    "\n",
                                    "\r",
                                    "\r\n",
                                    "\"",
                                    "\"\"",
                                    "#",
                                    "-",
                                    "-1",
                                    "0",
                                    "1e308",
                                    "1e-308",
                                    "1e999",
                                    "nan",
                                    "inf",
                                    "NaN",
                                    "+Inf",
                                    "\xEF\xBB\xBF",
                                    "time_s",
                                    "anon_bytes",
                                    "rss_kb",
                                    "heap_floor_kb",
                                    "requests",
                                    "connections_total",
                                    "incarnation",
                                    "source",
                                    "open",
                                    "# runtime jvm\n",
                                    "# source x\n",
                                    "1763700000000",
                                    "99999999999",
                                    "9007199254740993",
                                    "000000000000001",
                                    "[",
                                    "]",
                                    "{",
                                    "}",
                                    "[1,\"2\"]",
                                    "null",
                                    "values",
                                    "metric",
                                    "__name__",
                                    "process_resident_memory_bytes",
                                    "process_start_time_seconds",
                                    "jvm_memory_used_bytes",
                                    ";",
                                    "\t",
                                    " "};

#define N_WORDS (sizeof words / sizeof *words)

static void mutate(struct rng *rng, struct input *input)
{
    size_t at = rng_below(rng, input->len + 1);
    size_t rest = input->len - at;
    size_t some = rest > 0 ? rng_below(rng, rest < 40 ? rest : 40) + 1 : 0;
    const char *word = words[rng_below(rng, N_WORDS)];
    char byte = (char)rng_below(rng, 256);
    switch (rng_below(rng, 12)) {
    case 0:
        splice(input, at, rest > 0, &byte, 1);
        break;
    case 1:
        splice(input, at, some, "", 0);
        break;
    case 2:
        splice(input, at, 0, word, strlen(word));
        break;
    case 3:
        splice(input, at, some, word, strlen(word));
        break;
    case 4:
        splice(input, at, rest, "", 0);
        break;
    case 5:
    case 6:
        move_lines(rng, input);
        break;
    default:
        change_digit(rng, input, at);
    }
}

static void run_round(const struct input *seeds, size_t n_seeds)
{
    struct rng rng;
    rng_init(&rng, seed, "fuzz", round_now);
    const struct input *from = &seeds[rng_below(&rng, n_seeds)];
    struct input input = {xmalloc(from->len + 1), from->len};
    memcpy(input.bytes, from->bytes, from->len);
    size_t n = 1 + rng_below(&rng, 6);
    for (size_t i = 0; i < n && input.len < MAX_INPUT; i++) {
        mutate(&rng, &input);
    }
    run(&input);
    free(input.bytes);
}

static uint64_t number(const char *text)
{
    uint64_t value = 0;
    require(text != NULL && str_to_u64(text, &value), "an option wants a number");
    return value;
}

int main(int argc, char **argv)
{
    struct input seeds[MAX_SEEDS];
    size_t n = 0;
    uint64_t rounds = 0;
    uint64_t from = 0;
    for (int i = 1; i < argc; i++) {
        if (str_equal(argv[i], "--rounds")) {
            rounds = number(argv[++i]);
        } else if (str_equal(argv[i], "--from")) {
            from = number(argv[++i]);
        } else if (str_equal(argv[i], "--seed")) {
            seed = number(argv[++i]);
        } else {
            require(n < MAX_SEEDS, "more than 64 files");
            const char *path = str_equal(argv[i], "-") ? "/dev/stdin" : argv[i];
            seeds[n].bytes = file_read(path, MAX_INPUT, &seeds[n].len);
            require(seeds[n].bytes != NULL, argv[i]);
            run(&seeds[n++]);
        }
    }
    require(n > 0, "name files to read");
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(tell_round);
    }
    mutating = true;
    for (round_now = from; round_now < from + rounds; round_now++) {
        run_round(seeds, n);
    }
    for (size_t i = 0; i < n; i++) {
        free(seeds[i].bytes);
    }
    printf("%zu files, %llu rounds, %zu gave series: nothing broke\n", n,
           (unsigned long long)rounds, n_read);
    return 0;
}
