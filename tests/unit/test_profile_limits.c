/* [limit] and [search]: what they come to, what is a mistake and where, and that the effective
 * profile says the same again. */
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "profile/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HEAD   "[target]\nurl = https://127.0.0.1:8443/\n[pace]\n"
#define OPEN   HEAD "mode = open\n" /* lines 1 to 4 */
#define LIMIT  "[limit]\nlatency.response.p99.max = 25ms\n"
#define SEARCH "[search]\nto = 2k/s\n"

static struct plan *load(const char *text, const char *const *sets, size_t n_sets)
{
    struct diag *diag = diag_new();
    struct plan *plan = profile_load_text("limits.ini", text, sets, n_sets, diag);
    if (plan == NULL) {
        fail_msg("%s", diag_text(diag, 0));
    }
    diag_free(diag);
    return plan;
}

/* The first of so many mistakes. */
static void refuses(const char *text, size_t n, const char *mistake)
{
    struct diag *diag = diag_new();
    assert_null(profile_load_text("limits.ini", text, NULL, 0, diag));
    if (diag_count(diag) != n || !str_has_prefix(diag_text(diag, 0), mistake)) {
        diag_print(diag, stderr);
        fail_msg("not %zu of %s", n, mistake);
    }
    diag_free(diag);
}

static char *effective(const struct plan *plan)
{
    struct sink *sink = sink_new();
    profile_print(plan, false, sink);
    char *text = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return text;
}

static void assert_same_again(const struct plan *plan)
{
    CLEANUP_FREE char *text = effective(plan);
    struct plan *again = load(text, NULL, 0);
    CLEANUP_FREE char *twice = effective(again);
    assert_string_equal(twice, text);
    plan_free(again);
}

static void limits_come_to_a_list(void **state)
{
    static const char *const sets[] = {"limit.latency.response.p99.9.max=50ms",
                                       "limit.latency.connect.mean.max=1ms"};
    struct plan *plan = load(HEAD "[limit]\nlatency.response.p99.9.max = 25ms\n"
                                  "errors.ratio.max = 0.1%\nrate.reached.min = 24k/m\n"
                                  "latency.handshake_full.max.max = 1s\n",
                             sets, 2);
    const struct plan_limit *limits = &plan->limit;

    (void)state;
    assert_int_equal(limits->n, 5);
    assert_string_equal(limits->list[0].rule, "latency.response.p99.9.max = 50ms");
    assert_true(limits->list[0].bound == 50e6 && limits->list[0].quantile == 0.999);
    assert_string_equal(limits->list[1].key, "latency.handshake_full.max.max");
    assert_string_equal(limits->list[2].rule, "latency.connect.mean.max = 1ms");
    assert_string_equal(limits->list[3].rule, "errors.ratio.max = 0.1%");
    assert_true(limits->list[3].bound == 0.001);
    assert_string_equal(limits->list[4].rule, "rate.reached.min = 400/s");
    assert_true(limits->list[4].bound == 400 && !limits->list[4].handshakes);
    CLEANUP_FREE char *text = effective(plan);
    assert_non_null(strstr(text, "[limit]\nlatency.response.p99.9.max = 50ms\n"
                                 "latency.handshake_full.max.max = 1s\n"
                                 "latency.connect.mean.max = 1ms\nerrors.ratio.max = 0.001\n"
                                 "rate.reached.min = 400/s\n"));
    assert_same_again(plan);
    plan_free(plan);
    plan = load(HEAD "mode = handshake\nrate = 9/s\n[limit]\nrate.reached.min = 8/s\n", NULL, 0);
    assert_true(plan->limit.list[0].handshakes);
    plan_free(plan);
}

/* A zero is a limit too; an empty value takes one back. */
static void none_and_no_more(void **state)
{
    static const char *const sets[] = {"limit.latency.response.p99.max="};
    struct plan *plan = load(HEAD LIMIT "errors.ratio.max = 0\n", sets, 1);

    (void)state;
    assert_int_equal(plan->limit.n, 1);
    assert_true(plan->limit.list[0].metric == LIMIT_ERRORS && plan->limit.list[0].bound == 0);
    assert_same_again(plan);
    plan_free(plan);
    plan = load(HEAD, NULL, 0);
    assert_int_equal(plan->limit.n, 0);
    plan_free(plan);
}

static void limits_that_are_none(void **state)
{
    (void)state;
    refuses(HEAD "[limit]\nlatency.respons.p99.max = 25ms\n", 1,
            "limits.ini:5: unknown limit latency.respons.p99.max; there are "
            "latency.SERIES.STAT.max (SERIES: response, service, connect, handshake_full, "
            "handshake_resumed, first_byte; STAT: p50, p99, p99.9 and the like, mean, max), "
            "errors.ratio.max, rate.reached.min, leak.DRIVER.max (DRIVER: time, request, "
            "connection, resumption, client_certificate, api_key, jwt, refused, aborted, "
            "rotation), memory.growth.max and memory.NAME.growth.max");
    refuses(HEAD "[limit]\nlatency.response.p99.min = 25ms\n", 1, "limits.ini:5: unknown limit");
    refuses(HEAD "[limit]\nmemory.growth.min = 1KiB/h\n", 1,
            "limits.ini:5: unknown limit memory.growth.min; there are ");
    refuses(HEAD "[limit]\nleak.token.max = 1KiB\n", 1, "limits.ini:5: unknown limit leak.token");
    refuses(HEAD "[limit]\nmemory.growth.max = 1KiB\n", 1,
            "limits.ini:5: limit.memory.growth.max: \"1KiB\" is not a growth (write 1MiB/h, ");
    refuses(HEAD "[limit]\nleak.jwt.max = 64B for 10s\n", 1,
            "limits.ini:5: limit.leak.jwt.max: \"64B for 10s\" is not a size");
    refuses(HEAD "[limit]\nmemory.web.growth.max = 1KiB/m\n", 1,
            "limits.ini:5: limit.memory.web.growth.max: there is no [memory web]");
    refuses(HEAD "[limit]\nlatency.response.p99.max = 25\n", 1,
            "limits.ini:5: limit.latency.response.p99.max: \"25\" is not a duration");
    refuses(HEAD "[limit]\nlatency.response.p99.max = 0\n", 1,
            "limits.ini:5: limit.latency.response.p99.max: \"0\" is out of range");
    refuses(HEAD "[limit]\nerrors.ratio.max = 2\n", 1,
            "limits.ini:5: limit.errors.ratio.max: \"2\" is not a ratio");
    refuses(HEAD LIMIT "latency.response.p99.max = 5ms\n", 1,
            "limits.ini:6: duplicate key limit.latency.response.p99.max");
}

static const struct limit *first_limit(const struct plan *plan, const char *rule)
{
    assert_string_equal(plan->limit.list[0].rule, rule);
    return &plan->limit.list[0];
}

static void a_limit_may_have_windows_and_end_the_run(void **state)
{
    static const struct {
        const char *text, *rule;
        uint64_t window_s, after_s;
        bool aborts;
    } limits[] = {
        {"25ms", "25ms", 0, 0, false},
        {"25ms for 10s", "25ms for 10s", 10, 0, false},
        {"25ms abort", "25ms abort", 0, 0, true},
        {"25ms  for 1m abort", "25ms for 1m abort", 60, 0, true},
        {"25ms for 10s abort after 30s", "25ms for 10s abort after 30s", 10, 30, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        CLEANUP_FREE char *text =
            xasprintf(HEAD "[limit]\nlatency.response.p99.max = %s\n", limits[i].text);
        CLEANUP_FREE char *rule = xasprintf("latency.response.p99.max = %s", limits[i].rule);
        struct plan *plan = load(text, NULL, 0);
        const struct limit *limit = first_limit(plan, rule);
        assert_true(limit->bound == 25e6 && limit->window_ns == limits[i].window_s * NS_PER_S);
        assert_true(limit->aborts == limits[i].aborts);
        assert_true(limit->after_ns == limits[i].after_s * NS_PER_S);
        assert_same_again(plan);
        plan_free(plan);
    }
    struct plan *plan = load(HEAD "[limit]\nerrors.ratio.max = 0.5% for 1m\n"
                                  "rate.reached.min = 6k/m for 10s abort\n",
                             NULL, 0);
    (void)first_limit(plan, "errors.ratio.max = 0.5% for 1m");
    assert_string_equal(plan->limit.list[1].rule, "rate.reached.min = 100/s for 10s abort");
    assert_same_again(plan);
    plan_free(plan);
}

static void windows_and_ends_that_cannot_be(void **state)
{
    static const char *const wrong[] = {"for 10s",
                                        "25ms for",
                                        "25ms for 0s",
                                        "25ms after 3s",
                                        "25ms abort after",
                                        "25ms abort for 10s",
                                        "25ms end",
                                        "25ms for 10",
                                        "for",
                                        "25ms for 10s abort after 30s x"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CLEANUP_FREE char *text =
            xasprintf(HEAD "[limit]\nlatency.response.p99.max = %s\n", wrong[i]);
        CLEANUP_FREE char *mistake =
            xasprintf("limits.ini:5: limit.latency.response.p99.max: \"%s\" is not a duration "
                      "(write 25ms, 25ms for 10s, 25ms for 10s abort after 30s)",
                      wrong[i]);
        refuses(text, 1, mistake);
    }
    refuses(HEAD "[limit]\nlatency.response.p99.max = 25ms for 1500ms\n", 1,
            "limits.ini:5: limit.latency.response.p99.max: in a run of 10m this is measured in "
            "parts of 1 s, and \"for\" takes a multiple of that, not 1.50 s");
    refuses("[run]\nduration = 2h\n" HEAD "[limit]\nlatency.response.p99.max = 25ms for 5s\n", 1,
            "limits.ini:7: limit.latency.response.p99.max: in a run of 2h this is measured in "
            "parts of 10 s,");
    refuses("[run]\nduration = 2h\n" HEAD "[limit]\nlatency.response.p99.max = 25ms for 2h\n", 1,
            "limits.ini:7: limit.latency.response.p99.max: windows of 2h are longer than 1h 40m,");
    refuses("[run]\nduration = 5s\n" HEAD "[limit]\nerrors.ratio.max = 1% for 10s\n", 1,
            "limits.ini:7: limit.errors.ratio.max: a run of 5 s has no window of 10 s");
    refuses("[run]\nduration = 5s\n" HEAD "[limit]\nerrors.ratio.max = 1% abort after 10s\n", 1,
            "limits.ini:7: limit.errors.ratio.max: nothing comes after 10 s of a run of 5 s");
    refuses(HEAD "[phase a]\nduration = 9s\n[phase b]\nduration = 9s\nidle = yes\n"
                 "[limit]\nrate.reached.min = 9/s for 3s abort\n",
            1,
            "limits.ini:10: limit.rate.reached.min: it would end the run in a phase without load");
    refuses(OPEN "[limit]\nlatency.response.p99.max = 25ms for 5s\n" SEARCH, 1,
            "limits.ini:6: limit.latency.response.p99.max: \"for\" and \"abort\" are of no use "
            "with [search]");
    refuses(OPEN LIMIT "leak.jwt.max = 1B\n" SEARCH, 1,
            "limits.ini:7: limit.leak.jwt.max: of no use with [search], which judges no memory");
}

/* Windows are those of the whole run, as long as its phases are together. */
static void phases_have_room_for_windows(void **state)
{
    struct plan *plan = load(HEAD "[phase a]\nduration = 40s\n[phase b]\nduration = 40s\n"
                                  "[limit]\nrate.reached.min = 9/s for 1m\n",
                             NULL, 0);

    (void)state;
    (void)first_limit(plan, "rate.reached.min = 9/s for 1m");
    plan_free(plan);
}

/* In whatever order they are written, a stored run has them in the same. */
static void limits_on_memory(void **state)
{
    struct plan *plan = load(HEAD "[memory web]\npid = 1\n[limit]\nmemory.growth.max = 1MiB/h\n"
                                  "leak.jwt.max = 0.5B\nmemory.web.growth.max = 1MiB/d\n"
                                  "latency.response.p99.max = 25ms\nleak.time.max = 1KiB\n",
                             NULL, 0);
    const struct limit *list = plan->limit.list;

    (void)state;
    (void)first_limit(plan, "latency.response.p99.max = 25ms");
    assert_int_equal(plan->limit.n, 5);
    assert_true(list[1].metric == LIMIT_LEAK && list[1].driver == DRIVER_JWT);
    assert_true(list[1].bound == 0.5);
    assert_string_equal(list[1].rule, "leak.jwt.max = 0.5B");
    assert_string_equal(list[2].rule, "leak.time.max = 1KiB");
    assert_true(list[3].metric == LIMIT_GROWTH && list[3].source[0] == '\0');
    assert_true(list[3].bound == 1048576.0 / 3600);
    assert_string_equal(list[3].rule, "memory.growth.max = 1MiB/h");
    assert_string_equal(list[4].source, "web");
    assert_string_equal(list[4].rule, "memory.web.growth.max = 1MiB/d");
    assert_same_again(plan);
    CLEANUP_FREE char *text = effective(plan);
    struct plan *stored = load(text, NULL, 0);
    for (size_t i = 0; i < plan->limit.n; i++) {
        assert_string_equal(stored->limit.list[i].rule, list[i].rule);
    }
    plan_free(stored);
    plan_free(plan);
}

static void a_search_has_what_it_needs(void **state)
{
    struct plan *plan = load(OPEN LIMIT SEARCH, NULL, 0);
    const struct plan_search *search = &plan->search;
    struct plan_peak peak = plan_peak(plan);

    (void)state;
    assert_true(search->from_per_s == 20 && search->to_per_s == 2000 && search->precision == 0.05);
    assert_true(search->step_ns == 10 * NS_PER_S && search->rest_ns == 2 * NS_PER_S);
    assert_true(peak.rate_per_s == 2000 && peak.exchanges_per_s == 2000);
    assert_true(plan->run.duration_ns == PLAN_SEARCH_STEPS * 14 * NS_PER_S);
    /* without a limit on errors a step has one */
    assert_int_equal(plan->limit.n, 2);
    assert_string_equal(plan->limit.list[1].rule, "errors.ratio.max = 1%");
    assert_same_again(plan);
    CLEANUP_FREE char *text = effective(plan);
    assert_null(strstr(text, "\nrate ="));
    assert_null(strstr(text, "errors.ratio.max"));
    plan_free(plan);
    plan = load(OPEN LIMIT "errors.ratio.max = 3%\n" SEARCH "from = 50/s\n", NULL, 0);
    assert_true(plan->limit.n == 2 && plan->limit.list[1].bound == 0.03);
    assert_true(plan->search.from_per_s == 50);
    plan_free(plan);
    plan = load(HEAD LIMIT, NULL, 0);
    assert_true(plan->search.to_per_s == 0);
    assert_same_again(plan);
    plan_free(plan);
}

static void searches_that_cannot_be(void **state)
{
    (void)state;
    refuses(OPEN SEARCH, 1, "limits.ini:6: [search]: it needs a limit that the load can break");
    refuses(OPEN LIMIT "rate.reached.min = 9/s\n" SEARCH, 1,
            "limits.ini:7: limit.rate.reached.min: of no use with [search]");
    refuses(HEAD LIMIT SEARCH, 1,
            "limits.ini:7: [search]: a search varies the rate, and pace.mode = closed");
    refuses(HEAD "mode = hold\n" LIMIT SEARCH, 1,
            "limits.ini:8: [search]: a search varies the rate, and pace.mode = hold");
    refuses(OPEN "rate = 9/s\n" LIMIT SEARCH, 1,
            "limits.ini:5: pace.rate: of no use with [search]");
    refuses(OPEN LIMIT SEARCH "[phase a]\nduration = 9s\n", 1,
            "limits.ini:8: [search]: a search has phases of its own (leave [phase a] out)");
    refuses(OPEN LIMIT SEARCH "[attribution]\nmode = crossover\n", 1,
            "limits.ini:8: [search]: attribution.mode varies the load as well");
    refuses(OPEN LIMIT SEARCH "from = 3k/s\n", 1, "limits.ini:9: search.from: more than search.to");
    refuses(OPEN "rate = 9/s\n" LIMIT "[search]\nfrom = 5/s\nstep = 3s\n", 2,
            "limits.ini:9: search.from: of no use without search.to");
    refuses("[run]\nduration = 5s\n" OPEN LIMIT SEARCH, 1,
            "limits.ini:2: run.duration: 5 s has no room for a step of the search");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_come_to_a_list),
        cmocka_unit_test(none_and_no_more),
        cmocka_unit_test(limits_that_are_none),
        cmocka_unit_test(a_search_has_what_it_needs),
        cmocka_unit_test(searches_that_cannot_be),
        cmocka_unit_test(a_limit_may_have_windows_and_end_the_run),
        cmocka_unit_test(windows_and_ends_that_cannot_be),
        cmocka_unit_test(phases_have_room_for_windows),
        cmocka_unit_test(limits_on_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
