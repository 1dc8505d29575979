/* Fuzzing without a compiler's help, for `./dev test`:
 *   fuzz_NAME FILE...                               each file once; "-" is standard input
 *   fuzz_NAME --rounds N [--from K] [--seed S] FILE...   N mutations of the files, from the K-th on
 * A round depends on the seed and its number alone, so that the one that failed runs again by
 * --from K --rounds 1. */
#include "engine.h"
#include "fuzz.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SEEDS 128
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
static const char *file_now;
static size_t n_taken; /* inputs that were of the format */

static void tell_input(void)
{
    if (mutating) {
        fprintf(stderr, "\nagain by: --seed %llu --from %llu --rounds 1\n",
                (unsigned long long)seed, (unsigned long long)round_now);
    } else if (file_now != NULL) {
        fprintf(stderr, "\nthe input: %s\n", file_now);
    }
}

void engine_failed(const char *what)
{
    fprintf(stderr, "fuzz_%s: %s\n", fuzz_target.name, what);
    tell_input();
    exit(1);
}

/* Exactly as long as the input, so that a byte behind it is seen. */
static void run(const struct input *input)
{
    char *copy = xmalloc(input->len + 1);
    memcpy(copy, input->bytes, input->len);
    copy[input->len] = '\0';
    n_taken += fuzz_target.run(copy, input->len);
    free(copy);
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

static void mutate(struct rng *rng, struct input *input)
{
    static size_t n_words;
    while (fuzz_target.words[n_words] != NULL) {
        n_words++;
    }
    size_t at = rng_below(rng, input->len + 1);
    size_t rest = input->len - at;
    size_t some = rest > 0 ? rng_below(rng, rest < 40 ? rest : 40) + 1 : 0;
    const char *word = fuzz_target.words[rng_below(rng, n_words)];
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
    fuzz_require(text != NULL && str_to_u64(text, &value), "an option wants a number");
    return value;
}

int main(int argc, char **argv)
{
    static struct input seeds[MAX_SEEDS];
    static const char *names[MAX_SEEDS];
    size_t n = 0;
    uint64_t rounds = 0;
    uint64_t from = 0;
    log_quiet(true);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(tell_input);
    }
    for (int i = 1; i < argc; i++) {
        if (str_equal(argv[i], "--rounds")) {
            rounds = number(argv[++i]);
        } else if (str_equal(argv[i], "--from")) {
            from = number(argv[++i]);
        } else if (str_equal(argv[i], "--seed")) {
            seed = number(argv[++i]);
        } else {
            fuzz_require(n < MAX_SEEDS, "more than 128 files");
            const char *path = str_equal(argv[i], "-") ? "/dev/stdin" : argv[i];
            seeds[n].bytes = file_read(path, MAX_INPUT, &seeds[n].len);
            fuzz_require(seeds[n].bytes != NULL, argv[i]);
            names[n++] = path;
        }
    }
    fuzz_require(n > 0, "name files to read");
    if (fuzz_target.start != NULL) {
        fuzz_target.start();
    }
    for (size_t i = 0; i < n; i++) {
        file_now = names[i];
        run(&seeds[i]);
    }
    mutating = true;
    for (round_now = from; round_now < from + rounds; round_now++) {
        run_round(seeds, n);
    }
    mutating = false;
    file_now = NULL;
    fuzz_require(n_taken > 0, "no input was of the format: nothing was tested");
    for (size_t i = 0; i < n; i++) {
        free(seeds[i].bytes);
    }
    printf("%zu files, %llu rounds, %zu were of the format: nothing broke\n", n,
           (unsigned long long)rounds, n_taken);
    return 0;
}
