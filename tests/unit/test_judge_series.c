#include "judge/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void store_halves_when_full(void **state)
{
    static struct series s;
    double x[DRIVER_COUNT] = {0};
    (void)state;
    series_init(&s);
    for (size_t i = 0; i < 5 * SERIES_BUCKETS; i++) {
        x[DRIVER_REQUEST] = (double)(10 * i);
        series_add(&s, (double)i, i == 4000 ? 1 : 1000 + (double)i, x, 7, 0);
    }
    assert_int_equal(s.width, 8);
    assert_int_equal(s.n, 5 * SERIES_BUCKETS / 8);
    assert_int_equal(s.n_readings, 5 * SERIES_BUCKETS);
    for (size_t i = 0; i < s.n; i++) {
        double last = (double)(8 * i + 7);
        assert_int_equal(s.count[i], 8);
        assert_true(s.t[i] == last);
        assert_true(s.x[DRIVER_REQUEST][i] == 10 * last);
        assert_true(s.open[i] == 7);
        if (i != 500) {
            assert_float_equal(s.y[i], 1000 + last - 3.5, 1e-6);
            assert_true(s.y_min[i] == 1000 + last - 7);
        }
    }
    assert_true(s.y_min[500] == 1);
}

static void store_keeps_incarnations_apart(void **state)
{
    static struct series s;
    double x[DRIVER_COUNT] = {0};
    (void)state;
    series_init(&s);
    for (size_t i = 0; i < 3 * SERIES_BUCKETS; i++) {
        series_add(&s, (double)i, i < 1001 ? 100 : 900, x, 0, i >= 1001);
    }
    for (size_t i = 0; i < s.n; i++) {
        assert_true(s.y[i] == (s.part[i] == 0 ? 100 : 900));
    }
}

/* A server that restarts at every reading must not make the store overflow or loop. */
static void store_survives_restarts_without_end(void **state)
{
    static struct series s;
    double x[DRIVER_COUNT] = {0};
    (void)state;
    series_init(&s);
    for (int i = 0; i < 3 * SERIES_BUCKETS; i++) {
        series_add(&s, i, 100, x, 0, i);
    }
    assert_in_range(s.n, 1, SERIES_BUCKETS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_halves_when_full),
        cmocka_unit_test(store_keeps_incarnations_apart),
        cmocka_unit_test(store_survives_restarts_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
