/* What the reports say of the idle phases. */
#include "base/mem.h"
#include "base/json.h"
#include "base/sink.h"
#include "base/str.h"
#include "report/text.h"
#include "report/verdict_json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MIB (1024.0 * 1024)

static struct verdict *story(void)
{
    struct verdict *verdict = xcalloc(1, sizeof *verdict);
    struct memory_finding *f = &verdict->memory[0];
    verdict->n_memory = 1;
    verdict->generator_healthy = true;
    (void)str_copy(f->source, sizeof f->source, "server");
    (void)str_copy(f->metric, sizeof f->metric, "anon_bytes");
    f->needed_driver = -1;
    f->seconds_to_limit_low = f->seconds_to_limit_high = NAN;
    return verdict;
}

static void add_floors(struct floors_finding *floors)
{
    floors->n = 3;
    floors->floor[0] = (struct idle_floor){90, 120, 54 * MIB, 0.1 * MIB, true, 0};
    floors->floor[1] = (struct idle_floor){200, 220, 57 * MIB, HUGE_VAL, false, 0};
    floors->floor[2] = (struct idle_floor){330, 360, 58 * MIB, 0.1 * MIB, true, 0};
    floors->change = FLOORS_ROSE;
    floors->last = 2;
    floors->rise = 4 * MIB;
    floors->rise_low = 3.8 * MIB;
    floors->rise_high = 4.2 * MIB;
    floors->events[DRIVER_REQUEST] = 4096;
    (void)str_copy(floors->reason, sizeof floors->reason, "after the third load it settled higher");
}

static void the_text_lists_the_floors(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();
    struct sink *sink = sink_new();
    (void)state;
    text_write(sink, NULL, verdict);
    assert_null(strstr(sink_text(sink, NULL), "idle"));
    sink_free(sink);
    sink = sink_new();
    add_floors(&verdict->memory[0].floors);
    text_write(sink, NULL, verdict);
    const char *text = sink_text(sink, NULL);
    assert_non_null(strstr(text, "idle          after the third load it settled higher"));
    assert_non_null(strstr(text, "2m: 54.0 MiB +- 102 KiB\n"));
    assert_non_null(strstr(text, "3m 40s: 57.0 MiB, read too seldom\n"));
    sink_free(sink);
}

static void expect_floors(const struct verdict *verdict, const char *words)
{
    struct sink *sink = sink_new();
    char error[128];
    size_t len;
    verdict_json_line(sink, verdict);
    const char *text = sink_text(sink, &len);
    struct json *document = json_parse(text, len, error, sizeof error);
    assert_non_null(document);
    json_free(document);
    if (strstr(text, words) == NULL) {
        fail_msg("no %s in %s", words, text);
    }
    sink_free(sink);
}

static void the_json_holds_the_floors(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();
    (void)state;
    expect_floors(verdict, "\"floors\":null");
    add_floors(&verdict->memory[0].floors);
    expect_floors(verdict, "\"floors\":{\"change\":\"rose\",\"reason\":\"after the third");
    expect_floors(verdict, "\"drivers\":[{\"driver\":\"request\",\"bytes_per_event\":1024,"
                           "\"events\":4096}]");
    expect_floors(verdict, "\"uncertainty_bytes\":null,\"settled\":false}");
    verdict->memory[0].floors.change = FLOORS_NOT_COMPARED;
    expect_floors(verdict, "\"change\":null");
    expect_floors(verdict, "\"rise_bytes\":null");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_lists_the_floors),
        cmocka_unit_test(the_json_holds_the_floors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
