/* The percentile table: its rows are those of the histogram, in the format that others read. */
#include "base/mem.h"
#include "base/rng.h"
#include "record/hgrm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct hist *hist_of(int n)
{
    struct hist *hist = xmalloc(sizeof *hist);
    struct rng rng;

    rng_init(&rng, 7, "hgrm", 0);
    hist_init(hist);
    for (int i = 0; i < n; i++) {
        hist_record(hist, 50000 + rng_below(&rng, 1000000) * (i % 100 == 0 ? 90 : 1));
    }
    return hist;
}

/* Quantiles of the Java class's iterator with five ticks a halving: 0, 0.1, ... 0.5, 0.55, ... */
static void test_the_quantiles_are_the_reference_ones(void **state)
{
    static const double expected[] = {0,    0.1, 0.2,  0.3, 0.4,  0.5,
                                      0.55, 0.6, 0.65, 0.7, 0.75, 0.775};
    (void)state;
    struct hist *hist = hist_of(10000);
    struct sink *sink = sink_new();
    size_t i = 0;

    hgrm_write(sink, hist);
    CLEANUP_FREE char *text = xstrdup(sink_text(sink, NULL));
    char *rest = text;
    assert_non_null(strstr(strsep(&rest, "\n"), "1/(1-Percentile)"));
    assert_string_equal(strsep(&rest, "\n"), "");
    for (char *line;
         i < sizeof expected / sizeof expected[0] && (line = strsep(&rest, "\n")) != NULL; i++) {
        char *end;
        double value = strtod(line, &end), quantile = strtod(end, &end);
        assert_true(fabs(quantile - expected[i]) < 1e-9);
        assert_true(fabs(value * 1e6 - (double)hist_quantile(hist, quantile)) < 1000);
    }
    assert_int_equal(i, sizeof expected / sizeof expected[0]);
    sink_free(sink);
    free(hist);
}

static void test_counts_rise_to_all(void **state)
{
    (void)state;
    struct hist *hist = hist_of(100000);
    struct sink *sink = sink_new();
    double last_value = 0, last_quantile = -1, last_count = 0;

    hgrm_write(sink, hist);
    const char *p = strstr(sink_text(sink, NULL), "\n\n") + 2;
    while (*p != '#') {
        char *end;
        double value = strtod(p, &end), quantile = strtod(end, &end), count = strtod(end, &end);
        assert_true(value >= last_value && quantile > last_quantile && count >= last_count);
        assert_true(count >= quantile * 100000);
        if (quantile < 1) {
            assert_true(fabs(strtod(end, &end) * (1 - quantile) - 1) < 0.01);
        }
        assert_int_equal(*end, '\n');
        last_value = value, last_quantile = quantile, last_count = count;
        p = end + 1;
    }
    assert_true(last_quantile == 1 && last_count == 100000);
    assert_true(fabs(last_value * 1e6 - (double)hist->max_ns) < 1000);
    assert_non_null(strstr(p, "Total count    =       100000]"));
    sink_free(sink);
    free(hist);
}

static void test_few_values(void **state)
{
    (void)state;
    struct hist *hist = hist_of(1);
    struct sink *sink = sink_new();

    hgrm_write(sink, hist);
    assert_non_null(strstr(sink_text(sink, NULL), " 1.000000000000          1\n"));
    hist_clear(hist);
    hgrm_write(sink, hist);
    assert_non_null(strstr(sink_text(sink, NULL), "Total count    =            0]"));
    sink_free(sink);
    free(hist);
}

/* More than a double tells apart: the distance to all of them is never a halving. */
static void test_very_many_values(void **state)
{
    (void)state;
    struct hist *hist = hist_of(2);
    struct sink *sink = sink_new();

    hist->n += 1ULL << 62;
    hist->slots[hist->first] += 1ULL << 62;
    hgrm_write(sink, hist);
    assert_non_null(strstr(sink_text(sink, NULL), " 1.000000000000 4611686018427387906\n"));
    sink_free(sink);
    free(hist);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_quantiles_are_the_reference_ones),
        cmocka_unit_test(test_counts_rise_to_all),
        cmocka_unit_test(test_few_values),
        cmocka_unit_test(test_very_many_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
