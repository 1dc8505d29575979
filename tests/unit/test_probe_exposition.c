/* Pages of metrics: what is summed, what is passed over, and what is no reading. */
#include "probe/exposition.h"
#include "record/reading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The plan's strings are not const; nobody writes to them. */
static char *fixed(const char *text)
{
    return (char *)(uintptr_t)text;
}

/* What is wanted of a page: a metric, and one label where it is not NULL. */
static struct plan_memory wanted(const char *metric, const char *label, const char *value)
{
    struct plan_memory memory = {.metric = fixed(metric), .n_labels = label != NULL};

    memory.labels[0] = (struct plan_label){fixed(label), fixed(value)};
    return memory;
}

static struct exposition expect_bytes(const char *page, const struct plan_memory *memory,
                                      double bytes, size_t n)
{
    struct exposition found;
    char why[256] = "";

    if (!exposition_read(page, strlen(page), memory, &found, why, sizeof why)) {
        fail_msg("%s", why);
    }
    assert_true(found.bytes == bytes);
    assert_int_equal(found.n_samples, n);
    return found;
}

static void expect_none(const char *page, const struct plan_memory *memory, const char *expected)
{
    struct exposition found;
    char why[256] = "";

    assert_false(exposition_read(page, strlen(page), memory, &found, why, sizeof why));
    assert_string_equal(why, expected);
}

static const char go_page[] =
    "# HELP go_memstats_heap_inuse_bytes Number of \\n heap bytes that are in use.\n"
    "# TYPE go_memstats_heap_inuse_bytes gauge\n"
    "go_memstats_heap_inuse_bytes 2.7099136e+07\n"
    "go_memstats_heap_inuse_bytes_more 5\n"
    "# TYPE process_resident_memory_bytes gauge\r\n"
    "process_resident_memory_bytes 5.5816192e+07\r\n"
    "process_start_time_seconds 1.76370000125e+09\n";

static const char jvm_page[] =
    "#TYPE jvm_memory_used_bytes gauge\n"
    "jvm_memory_used_bytes{area=\"heap\",id=\"G1 Eden Space\",} 1000 1700000000000\n"
    " jvm_memory_used_bytes { id = \"G1 Old \\\"Gen\\\\\" , area=\"heap\" }\t2000\n"
    "jvm_memory_used_bytes{area=\"nonheap\",id=\"Code, {Cache}\"} NaN\n"
    "jvm_memory_used_bytes{area=\"heap\",id=\"line\\nbreak\"} 4000 # {trace=\"a b\"} 3 1.5\n"
    "go_goroutines 7\n"
    "this line is { nothing\n"
    "{} 4\n"
    "# EOF\n"
    "jvm_memory_used_bytes{area=\"heap\",id=\"late\"} 90000\n";

static void samples_are_read(void **state)
{
    struct plan_memory memory = wanted("go_memstats_heap_inuse_bytes", NULL, NULL);

    (void)state;
    struct exposition found = expect_bytes(go_page, &memory, 27099136, 1);
    assert_string_equal(found.runtime, "go");
    assert_int_equal(found.start_ms, 1763700001250);
    memory = wanted("process_resident_memory_bytes", NULL, NULL);
    (void)expect_bytes(go_page, &memory, 55816192, 1);
}

static void samples_that_match_are_summed(void **state)
{
    struct plan_memory memory = wanted("jvm_memory_used_bytes", "area", "heap");

    (void)state;
    assert_string_equal(expect_bytes(jvm_page, &memory, 7000, 3).runtime, "jvm");
    memory = wanted("jvm_memory_used_bytes", "id", "G1 Old \"Gen\\");
    (void)expect_bytes(jvm_page, &memory, 2000, 1);
    memory = wanted("jvm_memory_used_bytes", "id", "line\nbreak");
    (void)expect_bytes(jvm_page, &memory, 4000, 1);
    memory = wanted("jvm_memory_used_bytes", "area", "heap");
    memory.n_labels = 2;
    memory.labels[1] = (struct plan_label){fixed("pool"), fixed("")}; /* as good as not there */
    (void)expect_bytes(jvm_page, &memory, 7000, 3);
}

static void what_is_no_number_of_bytes_is_no_reading(void **state)
{
    struct plan_memory memory = wanted("jvm_memory_used_bytes", NULL, NULL);

    (void)state;
    expect_none(jvm_page, &memory, "jvm_memory_used_bytes is not a finite number");
    memory = wanted("m", NULL, NULL);
    expect_none("m +Inf\n", &memory, "m is not a finite number");
    expect_none("m -1\n", &memory, "m is negative");
    expect_none("m 1e999\n", &memory, "m has a line that is no sample");
    expect_none("m 0x10 \n", &memory, "m has a line that is no sample");
    expect_none("m \n", &memory, "m has a line that is no sample");
    expect_none("m{a=\"b} 1\n", &memory, "m has a line that is no sample");
    expect_none("m{a=\"b\" c=\"d\"} 1\n", &memory, "m has a line that is no sample");
    expect_none("m 1 yesterday\n", &memory, "m has a line that is no sample");
    expect_none("# TYPE m counter\nm 5\n", &memory,
                "m counts up for ever: it is not the memory in use");
    expect_none("# TYPE mm counter\n# TYPE m\nx 5\n", &memory, "m is not on the page");
    (void)expect_bytes("# TYPE m unknown\nm 5", &memory, 5, 1); /* the last line has no end */
}

static void what_is_absent_is_told(void **state)
{
    struct plan_memory memory = wanted("go_memstats_heap_inuse", NULL, NULL);

    (void)state;
    expect_none(go_page, &memory,
                "go_memstats_heap_inuse is not on the page; did you mean "
                "go_memstats_heap_inuse_bytes?");
    expect_none("<html><body>Log in</body></html>", &memory,
                "go_memstats_heap_inuse is not on the page");
    expect_none("", &memory, "go_memstats_heap_inuse is not on the page");
    memory = wanted("jvm_memory_used_bytes", "area", "stack");
    expect_none(jvm_page, &memory,
                "none of 4 samples of jvm_memory_used_bytes has the labels of match");
}

/* Cut anywhere, and with any byte changed, it is read without harm; the sanitizers watch. */
static void no_page_does_harm(void **state)
{
    struct plan_memory memory = wanted("jvm_memory_used_bytes", "area", "heap");
    size_t len = sizeof jvm_page - 1;
    struct exposition found;
    char why[256];

    (void)state;
    for (size_t n = 0; n <= len; n++) {
        char *page = malloc(n + 1);
        assert_non_null(page);
        memcpy(page, jvm_page, n);
        (void)!exposition_read(page, n, &memory, &found, why, sizeof why);
        for (int c = 0; n == len && c < 256; c += 17) {
            for (size_t i = 0; i < n; i++) {
                page[i] = (char)c;
                (void)!exposition_read(page, n, &memory, &found, why, sizeof why);
                page[i] = jvm_page[i];
            }
        }
        free(page);
    }
}

static void runtimes_are_recognised(void **state)
{
    (void)state;
    assert_null(reading_runtime(NULL, "python_gc_collections_total"));
    assert_string_equal(reading_runtime(NULL, "go_goroutines"), "go");
    assert_string_equal(reading_runtime("go", "nodejs_version_info"), "node");
    assert_string_equal(reading_runtime("jvm", "go_goroutines"), "jvm");
    assert_string_equal(reading_runtime(NULL, "dotnet_total_memory_bytes"), "dotnet");
    assert_string_equal(reading_runtime("go", "http_requests"), "go");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_read),
        cmocka_unit_test(samples_that_match_are_summed),
        cmocka_unit_test(what_is_no_number_of_bytes_is_no_reading),
        cmocka_unit_test(what_is_absent_is_told),
        cmocka_unit_test(no_page_does_harm),
        cmocka_unit_test(runtimes_are_recognised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
