/* Every type both ways: text to value, value to the text that gives the same value again. */
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "profile/options.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

union field {
    unsigned char bytes[sizeof(struct rotate)];
    double number;
    uint64_t whole;
    int64_t pid;
    bool truth;
    struct rotate rotate;
};

static const char *const words[] = {"first", "second", "third", NULL};

static char *printed(enum type type, const void *field)
{
    struct sink *sink = sink_new();

    type_info(type)->print(field, words, sink);
    char *text = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return text;
}

struct sample {
    enum type type;
    const char *text, *canonical; /* canonical NULL: refused */
};

static const struct sample samples[] = {
    {TYPE_BOOL, "yes", "yes"},
    {TYPE_BOOL, "no", "no"},
    {TYPE_BOOL, "true", NULL},
    {TYPE_COUNT, "0", "0"},
    {TYPE_COUNT, "10k", "10000"},
    {TYPE_COUNT, "2M", "2000000"},
    {TYPE_COUNT, "18446744073709551615", "18446744073709551615"},
    {TYPE_COUNT, "18446744073709551615k", NULL},
    {TYPE_COUNT, "18446744073709551616", NULL},
    {TYPE_COUNT, "-1", NULL},
    {TYPE_COUNT, "1.5", NULL},
    {TYPE_COUNT, "", NULL},
    {TYPE_PORT, "8443", "8443"},
    {TYPE_PORT, "8443k", NULL},
    {TYPE_PID, "1", "1"},
    {TYPE_PID, "9223372036854775808", NULL},
    {TYPE_STATUS, "2xx", "2xx"},
    {TYPE_STATUS, "204", "204"},
    {TYPE_STATUS, "99", NULL},
    {TYPE_STATUS, "600", NULL},
    {TYPE_DURATION, "0", "0"},
    {TYPE_DURATION, "250ms", "250ms"},
    {TYPE_DURATION, "90s", "90s"},
    {TYPE_DURATION, "120s", "2m"},
    {TYPE_DURATION, "1d", "24h"},
    {TYPE_DURATION, "1.5us", "1500ns"},
    {TYPE_DURATION, "10", NULL},
    {TYPE_DURATION, "s", NULL},
    {TYPE_BYTES, "0", "0B"},
    {TYPE_BYTES, "2KiB", "2KiB"},
    {TYPE_BYTES, "1.5MiB", "1536KiB"},
    {TYPE_BYTES, "10kB", "10000B"},
    {TYPE_BYTES, "0.1KiB", "102.4B"},
    {TYPE_BYTES, "4 KB", NULL},
    {TYPE_RATE, "200/s", "200/s"},
    {TYPE_RATE, "12k/m", "200/s"},
    {TYPE_RATE, "200", NULL},
    {TYPE_RATIO, "25%", "0.25"},
    {TYPE_RATIO, "0", "0"},
    {TYPE_RATIO, "1.1", NULL},
    {TYPE_NUMBER, "2.5", "2.5"},
    {TYPE_NUMBER, "x", NULL},
    {TYPE_WORD, "second", "second"},
    {TYPE_WORD, "fourth", NULL},
    {TYPE_ROTATE, "connection", "connection"},
    {TYPE_ROTATE, "never", "never"},
    {TYPE_ROTATE, "request", "request"},
    {TYPE_ROTATE, "1 use", "request"},
    {TYPE_ROTATE, "50 uses", "50 uses"},
    {TYPE_ROTATE, "30s", "30s"},
    {TYPE_ROTATE, "0 uses", NULL},
    {TYPE_ROTATE, "0s", NULL},
    {TYPE_ROTATE, "50", NULL},
    {TYPE_BUDGET, "none", "none"},
    {TYPE_BUDGET, "0", "0B"},
    {TYPE_BUDGET, "64B", "64B"},
    {TYPE_BOUND, "none", "none"},
    {TYPE_BOUND, "20480", "20480"},
    {TYPE_BOUND, "0", NULL},
    {TYPE_BOUND, "0.5", NULL},
};

static void every_type_prints_what_it_parses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const struct sample *s = &samples[i];
        union field field, again, untouched;
        memset(&field, 0xab, sizeof field);
        memset(&again, 0xab, sizeof again);
        untouched = field;
        bool ok = type_info(s->type)->parse(s->text, words, &field);
        if (s->canonical == NULL) {
            if (ok || memcmp(&field, &untouched, sizeof field) != 0) {
                fail_msg("type %d takes \"%s\"", (int)s->type, s->text);
            }
            continue;
        }
        if (!ok) {
            fail_msg("type %d refuses \"%s\"", (int)s->type, s->text);
        }
        CLEANUP_FREE char *text = printed(s->type, &field);
        assert_string_equal(text, s->canonical);
        assert_true(type_info(s->type)->parse(text, words, &again));
        CLEANUP_FREE char *text_again = printed(s->type, &again);
        assert_string_equal(text_again, text);
    }
}

static void assert_exact(enum type type, double value)
{
    double again = -1;
    CLEANUP_FREE char *text = printed(type, &value);

    if (!type_info(type)->parse(text, NULL, &again) || again != value) {
        fail_msg("type %d: %.17g is printed as %s, read as %.17g", (int)type, value, text, again);
    }
}

static void numbers_survive_exactly(void **state)
{
    struct rng rng;

    (void)state;
    rng_init(&rng, 1, "types", 0);
    for (int i = 0; i < 2000; i++) {
        double d = rng_double(&rng);
        uint64_t ns = rng_below(&rng, 1000000) * (i % 2 == 0 ? 1 : 1000000), again = 0;
        assert_exact(TYPE_RATIO, d);
        assert_exact(TYPE_RATE, d * 1e5);
        assert_exact(TYPE_RATE, (double)i / 60);
        assert_exact(TYPE_BYTES, (double)(i * 37));
        assert_exact(TYPE_BUDGET, d * 4096);
        assert_exact(TYPE_NUMBER, ldexp(d, -i % 1074));
        assert_exact(TYPE_RATIO, ldexp(d, -i % 1074));
        CLEANUP_FREE char *text = printed(TYPE_DURATION, &ns);
        assert_true(type_info(TYPE_DURATION)->parse(text, NULL, &again));
        assert_int_equal(again, ns);
    }
}

static void every_row_of_the_table_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; option_at(i) != NULL; i++) {
        const struct option *option = option_at(i);
        const struct type_info *type = type_info(option->type);
        const char *suffix;
        size_t help_len = strlen(option->help);
        union field field;
        assert_true(help_len > 0 && option->help[help_len - 1] == '.');
        assert_true((option->type == TYPE_WORD) == (option->words != NULL));
        if (option->suffix == NULL) {
            assert_ptr_equal(option_find(option->section, option->key, &suffix), option);
        }
        if (option->initial != NULL && type->parse != NULL) {
            assert_true(type->parse(option->initial, option->words, &field));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_prints_what_it_parses),
        cmocka_unit_test(numbers_survive_exactly),
        cmocka_unit_test(every_row_of_the_table_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
