#include "base/diag.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/percent.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/unit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void percent_encoded(void **state)
{
    (void)state;
    CLEANUP_FREE char *text = percent_encode("aZ09-._~ a+b/c=d&e%\xc3\xa9");
    CLEANUP_FREE char *nothing = percent_encode("");
    assert_string_equal(text, "aZ09-._~%20a%2Bb%2Fc%3Dd%26e%25%C3%A9");
    assert_string_equal(nothing, "");
}

static void numbers_are_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {"",   "x",    "1x", " 1",
                                      "-1", "0x10", "1e", "18446744073709551616"};
    uint64_t value = 7;
    double real = 7;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(str_to_u64(bad[i], &value));
    }
    assert_int_equal(value, 7);
    assert_true(str_to_u64("18446744073709551615", &value));
    assert_true(value == UINT64_MAX);
    assert_false(str_to_double("nan", &real));
    assert_false(str_to_double("inf", &real));
    assert_false(str_to_double("1e999", &real));
    assert_false(str_to_double("0x1p3", &real));
    assert_true(str_to_double("-1.5e3", &real));
    assert_float_equal(real, -1500, 0);
}

static void the_nearest_word_is_a_likely_slip(void **state)
{
    (void)state;
    static const char *const words[] = {"rate", "arrivals", "connections", "connect_rate"};

    assert_string_equal(str_nearest("ratee", words, 4), "rate");
    assert_string_equal(str_nearest("arrvials", words, 4), "arrivals");
    assert_string_equal(str_nearest("conections", words, 4), "connections");
    assert_null(str_nearest("zebra", words, 4));
}

static void units_parse(void **state)
{
    (void)state;
    double x = 0;
    uint64_t ns = 0;

    assert_true(unit_parse_bytes("2KiB", &x) && x == 2048);
    assert_true(unit_parse_bytes("1.5MiB", &x) && x == 1572864);
    assert_true(unit_parse_bytes("300", &x) && x == 300);
    assert_true(unit_parse_bytes("10kB", &x) && x == 10000);
    assert_false(unit_parse_bytes("2KB ", &x) || unit_parse_bytes("-2B", &x) ||
                 unit_parse_bytes("", &x));
    assert_true(unit_parse_duration("250ms", &ns) && ns == 250000000);
    assert_true(unit_parse_duration("2h", &ns) && ns == 7200000000000ULL);
    assert_true(unit_parse_duration("0", &ns) && ns == 0);
    assert_false(unit_parse_duration("30", &ns) || unit_parse_duration("1w", &ns));
    assert_true(unit_parse_rate("12k/m", &x) && x == 200);
    assert_false(unit_parse_rate("10x", &x) || unit_parse_rate("10", &x));
    assert_true(unit_parse_ratio("0.5%", &x) && fabs(x - 0.005) < 1e-12);
    assert_true(unit_parse_ratio("1", &x) && x == 1);
    assert_false(unit_parse_ratio("101%", &x));
}

static void units_format(void **state)
{
    (void)state;
    char text[UNIT_TEXT];

    assert_string_equal(unit_bytes(text, 0), "0 B");
    assert_string_equal(unit_bytes(text, -0.2), "0 B");
    assert_string_equal(unit_bytes(text, -512), "-512 B");
    assert_string_equal(unit_bytes(text, 2048), "2.00 KiB");
    assert_string_equal(unit_bytes(text, 1048575), "1.00 MiB");
    assert_string_equal(unit_bytes(text, 13.4 * 1048576), "13.4 MiB");
    assert_string_equal(unit_bytes(text, NAN), "unknown");
    assert_string_equal(unit_duration(text, 85e3), "85 us");
    assert_string_equal(unit_duration(text, 2.44e6), "2.4 ms");
    assert_string_equal(unit_duration(text, 1.2e9), "1.20 s");
    assert_string_equal(unit_duration(text, 20e9), "20 s");
    assert_string_equal(unit_duration(text, 20.04e9), "20.0 s");
    assert_string_equal(unit_duration(text, 200e9), "3m 20s");
    assert_string_equal(unit_duration(text, 600e9), "10m");
    assert_string_equal(unit_duration(text, 7500e9), "2h 5m");
    assert_string_equal(unit_count(text, 950), "950");
    assert_string_equal(unit_count(text, 12345), "12.3 k");
    assert_string_equal(unit_grouped(text, 1234567), "1,234,567");
    assert_string_equal(unit_grouped(text, 12), "12");
}

static void mistakes_are_printed_in_order_of_place(void **state)
{
    (void)state;
    struct diag *diag = diag_new();
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    diag_add(diag, (struct origin){"b.ini", 2}, "second %d", 2);
    diag_add(diag, (struct origin){"a.ini", 9}, "last of a");
    diag_add(diag, (struct origin){"a.ini", 3}, "first of \"\033[31m\"");
    diag_print(diag, to);
    (void)fclose(to);
    assert_string_equal(text,
                        "a.ini:3: first of \"\\x1b[31m\"\na.ini:9: last of a\nb.ini:2: second 2\n");
    free(text);
    diag_free(diag);
}

static void streams_are_apart_and_repeat(void **state)
{
    (void)state;
    struct rng a, again, other, worker;

    rng_init(&a, 1, "pace", 0);
    rng_init(&again, 1, "pace", 0);
    rng_init(&other, 1, "pool", 0);
    rng_init(&worker, 1, "pace", 1);
    uint64_t first = rng_u64(&a);
    assert_true(first == rng_u64(&again));
    assert_true(first != rng_u64(&other) && first != rng_u64(&worker));
}

/* Means and shares within five standard errors of 100,000 draws. */
static void draws_have_their_moments(void **state)
{
    (void)state;
    enum { N = 100000 };
    struct rng rng;
    double exponential = 0, normal = 0, squares = 0;
    size_t low = 0;

    rng_init(&rng, 42, "moments", 0);
    for (int i = 0; i < N; i++) {
        double z = rng_normal(&rng);
        exponential += rng_exponential(&rng);
        normal += z;
        squares += z * z;
        low += rng_below(&rng, 3) == 0;
    }
    double error = 5 / sqrt(N);
    assert_true(fabs(exponential / N - 1) < error);
    assert_true(fabs(normal / N) < error);
    assert_true(fabs(squares / N - 1) < error * sqrt(2));
    assert_true(fabs((double)low / N - 1.0 / 3) < error * sqrt(2.0 / 9));
}

static void a_shuffle_keeps_every_item(void **state)
{
    (void)state;
    struct rng rng;
    int items[32], seen[32] = {0}, moved = 0;

    rng_init(&rng, 7, "shuffle", 0);
    for (int i = 0; i < 32; i++) {
        items[i] = i;
    }
    rng_shuffle(&rng, items, 32, sizeof items[0]);
    for (int i = 0; i < 32; i++) {
        seen[items[i]]++;
        moved += items[i] != i;
    }
    for (int i = 0; i < 32; i++) {
        assert_int_equal(seen[i], 1);
    }
    assert_true(moved > 20);
}

/* The test vectors of its authors. */
static void hashes_are_those_of_fnv_1a(void **state)
{
    (void)state;
    assert_true(hash_bytes("", 0) == 0xcbf29ce484222325u);
    assert_true(hash_bytes("a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(hash_bytes("foobar", 6) == 0x85944171f73967e8u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent_encoded),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(the_nearest_word_is_a_likely_slip),
        cmocka_unit_test(units_parse),
        cmocka_unit_test(units_format),
        cmocka_unit_test(mistakes_are_printed_in_order_of_place),
        cmocka_unit_test(streams_are_apart_and_repeat),
        cmocka_unit_test(draws_have_their_moments),
        cmocka_unit_test(a_shuffle_keeps_every_item),
        cmocka_unit_test(hashes_are_those_of_fnv_1a),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
