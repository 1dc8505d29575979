/* What the reports say of limits and of a search. */
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "report/text.h"
#include "report/verdict_json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void add(struct verdict *verdict, const char *key, double bound, const char *rule,
                double measured)
{
    struct limit limit;
    assert_true(limit_from_key(key, &limit));
    limit.bound = bound;
    (void)str_copy(limit.rule, sizeof limit.rule, rule);
    verdict->limits[verdict->n_limits++] = limits_find(&limit, measured);
}

static struct verdict *story(void)
{
    struct verdict *verdict = xcalloc(1, sizeof *verdict);
    add(verdict, "latency.response.p99.max", 25e6, "latency.response.p99.max = 25ms", 31e6);
    add(verdict, "errors.ratio.max", 0.01, "errors.ratio.max = 1%", 0);
    add(verdict, "latency.connect.mean.max", 25e6, "latency.connect.mean.max = 25ms", NAN);
    return verdict;
}

static void the_text_has_a_line_a_limit(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();
    struct sink *sink = sink_new();

    (void)state;
    text_limits(sink, verdict);
    assert_string_equal(sink_text(sink, NULL),
                        "\nLimits\n"
                        "  \u2717 latency.response.p99.max = 25ms              31 ms\n"
                        "  \u2713 errors.ratio.max = 1%                        0 %\n"
                        "  ? latency.connect.mean.max = 25ms              "
                        "nothing of it to measure\n");
    sink_free(sink);
    sink = sink_new();
    verdict->n_limits = 0;
    text_limits(sink, verdict);
    assert_string_equal(sink_text(sink, NULL), "");
    sink_free(sink);
}

/* One that is broken in a window, and two on memory: held, and not known. */
static struct verdict *second_story(void)
{
    struct verdict *verdict = xcalloc(1, sizeof *verdict);
    add(verdict, "latency.response.p99.max", 25e6, "latency.response.p99.max = 25ms for 10s", 31e6);
    verdict->limits[0].from_s = 130;
    verdict->limits[0].to_s = 140;
    add(verdict, "leak.jwt.max", 64, "leak.jwt.max = 64B", 2);
    verdict->limits[1].low = -1;
    verdict->limits[1].high = 9;
    add(verdict, "memory.growth.max", 100, "memory.growth.max = 100B/s", 50);
    struct limit_finding *unknown = &verdict->limits[2];
    unknown->state = LIMIT_UNKNOWN;
    unknown->high = 200;
    unknown->needed_seconds = 80;
    (void)str_copy(unknown->why, sizeof unknown->why, "it varies; needs 80 s more");
    return verdict;
}

static void windows_and_memory_have_their_words(void **state)
{
    CLEANUP_FREE struct verdict *verdict = second_story();
    struct sink *sink = sink_new();
    char text[1024];

    (void)state;
    text_limits(sink, verdict);
    assert_string_equal(sink_text(sink, NULL),
                        "\nLimits\n"
                        "  \u2717 latency.response.p99.max = 25ms for 10s      "
                        "31 ms from 2:10 to 2:20\n"
                        "  \u2713 leak.jwt.max = 64B                           "
                        "2.0 B, 9.0 B at the most\n"
                        "  ? memory.growth.max = 100B/s                   "
                        "176 KiB/h, 703 KiB/h at the most\n"
                        "      it varies; needs 80 s more\n");
    sink_free(sink);
    limits_sentence(&verdict->limits[2], text, sizeof text);
    assert_string_equal(text, "limit memory.growth.max = 100B/s can't be judged: 176 KiB/h, "
                              "703 KiB/h at the most; it varies; needs 80 s more");
}

static void the_json_says_when_and_what_is_needed(void **state)
{
    CLEANUP_FREE struct verdict *verdict = second_story();
    struct sink *sink = sink_new();
    char error[160];
    size_t len;

    (void)state;
    verdict->limits[0].ended = true;
    verdict_json_write(sink, NULL, verdict);
    const char *text = sink_text(sink, &len);
    struct json *json = json_parse(text, len, error, sizeof error);
    const struct json *limits = json_get(json, "limits");
    const struct json *window = json_get(json_at(limits, 0), "window");
    assert_true(json_get_number(window, "from_s", 0) == 130);
    assert_true(json_get_number(window, "to_s", 0) == 140);
    assert_true(json_get_bool(json_at(limits, 0), "ended_run", false));
    assert_string_equal(json_get_string(json_at(limits, 1), "metric", ""), "leak.jwt_bytes");
    assert_true(json_get_number(json_at(limits, 1), "high", 0) == 9);
    const struct json *needed = json_get(json_at(limits, 2), "needed");
    assert_true(json_get_number(needed, "seconds", 0) == 80);
    json_free(json);
    sink_free(sink);
}

static void the_text_has_a_line_a_step(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();
    struct run_step steps[] = {
        {.asked_per_s = 800, .reached_per_s = 799.96, .n_limits = 3, .measured = {3100, 0, NAN}},
        {.asked_per_s = 1600,
         .reached_per_s = 1580.4,
         .result = STEP_BROKEN,
         .n_limits = 3,
         .measured = {31000, 0.025, NAN}},
    };
    struct stored_run run = {.steps = steps, .n_steps = 2, .meta.n_sources = 1};
    struct sink *sink = sink_new();

    (void)state;
    text_search(sink, &run, verdict);
    assert_string_equal(sink_text(sink, NULL), "");
    verdict->search.answer = (struct run_search){SEARCH_FOUND, 800, 1600};
    text_search(sink, &run, verdict);
    assert_string_equal(sink_text(sink, NULL),
                        "\nSearch\n"
                        "  step      asked    reached  response.p99  errors.ratio\n"
                        "     1      800/s      800/s        3.1 ms           0 %  held\n"
                        "     2    1,600/s    1,580/s         31 ms         2.5 %  broken\n"
                        "  memory was sampled and is in memory.csv; it is not judged, since the "
                        "load of a\n  search never stays as it is\n");
    sink_free(sink);
}

static void the_json_has_them_too(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();
    struct sink *sink = sink_new();
    char error[160];
    size_t len;

    (void)state;
    verdict->search.answer = (struct run_search){SEARCH_FOUND, 800, 1600};
    verdict_json_write(sink, NULL, verdict);
    const char *text = sink_text(sink, &len);
    struct json *json = json_parse(text, len, error, sizeof error);
    assert_non_null(json);
    const struct json *limits = json_get(json, "limits"), *search = json_get(json, "search");
    assert_int_equal(json_size(limits), 3);
    const struct json *first = json_at(limits, 0);
    assert_string_equal(json_get_string(first, "rule", ""), "latency.response.p99.max = 25ms");
    assert_string_equal(json_get_string(first, "state", ""), "broken");
    assert_string_equal(json_get_string(first, "metric", ""), "latency.response.p99_us");
    assert_true(json_get_number(first, "bound", 0) == 25000);
    assert_true(json_get_number(first, "measured", 0) == 31000);
    assert_string_equal(json_get_string(json_at(limits, 1), "state", ""), "held");
    assert_string_equal(json_get_string(json_at(limits, 2), "state", ""), "unknown");
    assert_true(json_get_number(json_at(limits, 2), "measured", -1) == -1);
    assert_string_equal(json_get_string(search, "end", ""), "found");
    assert_true(json_get_number(search, "held_per_s", 0) == 800);
    json_free(json);
    sink_free(sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_has_a_line_a_limit),
        cmocka_unit_test(the_text_has_a_line_a_step),
        cmocka_unit_test(windows_and_memory_have_their_words),
        cmocka_unit_test(the_json_says_when_and_what_is_needed),
        cmocka_unit_test(the_json_has_them_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
