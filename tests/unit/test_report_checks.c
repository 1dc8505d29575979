/* The list of checks, and what CI systems are told of it. */
#include "base/mem.h"
#include "base/str.h"
#include "report/annotations.h"
#include "report/checks.h"
#include "report/renderer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A leak per certificate, a limit that is held and one of which nothing was measured, a bad
 * identity that was let in and one that was refused. */
static struct verdict *story(void)
{
    struct verdict *verdict = xcalloc(1, sizeof *verdict);
    struct memory_finding *memory = &verdict->memory[verdict->n_memory++];

    (void)str_copy(memory->source, sizeof memory->source, "server");
    (void)str_copy(memory->metric, sizeof memory->metric, "anon_bytes");
    (void)str_copy(memory->reason, sizeof memory->reason, "it grew by 5 % & more <soon>");
    memory->class = MEMORY_LEAK;
    memory->drivers[memory->n_drivers++] =
        (struct driver_finding){.driver = DRIVER_CLIENT_CERTIFICATE,
                                .blamed = true,
                                .bytes_per_event = 2048,
                                .low = 1946,
                                .high = 2150};
    for (int i = 0; i < 2; i++) {
        struct limit limit;
        assert_true(limit_from_key("errors.ratio.max", &limit));
        limit.bound = 0.01;
        (void)snprintf(limit.rule, sizeof limit.rule, "errors.ratio.max = %d%%", i + 1);
        verdict->limits[verdict->n_limits++] = limits_find(&limit, i == 0 ? 0.001 : NAN);
    }
    for (int i = 0; i < 2; i++) {
        struct refusal_finding *refusal = &verdict->refusals[verdict->n_refusals++];
        refusal->tally.tried = 40;
        refusal->tally.n[REFUSAL_REFUSED] = i == 0 ? 40 : 37;
        refusal->tally.n[REFUSAL_LET_IN] = i == 0 ? 0 : 3;
        (void)snprintf(refusal->what.name, sizeof refusal->what.name, "bad-%d", i);
        (void)str_copy(refusal->what.presented, sizeof refusal->what.presented,
                       "an expired certificate");
    }
    verdict->generator_healthy = true;
    verdict->n_let_in = 3;
    verdict->kind = VERDICT_FAIL;
    (void)str_copy(verdict->reason, sizeof verdict->reason, "it leaks");
    return verdict;
}

static const struct check *named(const struct checks *checks, const char *part)
{
    for (size_t i = 0; i < checks->n; i++) {
        if (strstr(checks->list[i].name, part) != NULL) {
            return &checks->list[i];
        }
    }
    fail_msg("no check %s", part);
    return NULL;
}

static void each_thing_is_a_check(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();
    struct checks *checks = checks_new(verdict);

    (void)state;
    assert_int_equal(checks->n, 7);
    assert_int_equal(checks_count(checks, CHECK_FAILED), 2);
    assert_int_equal(checks_count(checks, CHECK_UNKNOWN), 1);
    assert_int_equal(checks_count(checks, CHECK_PASSED), 4);
    const struct check *memory = named(checks, "memory of server (anon_bytes)");
    assert_string_equal(memory->type, "leak");
    assert_string_equal(memory->text, "the server keeps 2.00 KiB per new client certificate (95 % "
                                      "1.90 KiB to 2.10 KiB); it grew by 5 % & more <soon>");
    assert_int_equal(named(checks, "errors.ratio.max = 2%")->state, CHECK_UNKNOWN);
    assert_int_equal(named(checks, "(refuse bad-0)")->state, CHECK_PASSED);
    assert_string_equal(named(checks, "(refuse bad-0)")->text, "refused 40 of 40 times");
    assert_int_equal(named(checks, "(refuse bad-1)")->state, CHECK_FAILED);
    assert_int_equal(named(checks, "trusted")->state, CHECK_PASSED);
    checks_free(checks);
}

static void a_run_that_cannot_be_used_is_an_error(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();

    (void)state;
    verdict->kind = VERDICT_INVALID;
    (void)str_copy(verdict->invalid, sizeof verdict->invalid, "the disk is full");
    verdict->generator_healthy = false;
    struct checks *checks = checks_new(verdict);
    assert_int_equal(checks_count(checks, CHECK_INVALID), 2);
    assert_string_equal(named(checks, "trusted")->text, "the disk is full");
    checks_free(checks);
    struct sink *sink = sink_new();
    renderer_find("junit")->write(sink, NULL, verdict);
    assert_non_null(strstr(sink_text(sink, NULL),
                           "tests=\"7\" failures=\"2\" errors=\"2\" skipped=\"1\" time=\"0.000\""));
    assert_non_null(
        strstr(sink_text(sink, NULL), "<error type=\"invalid\" message=\"the disk is full\"/>"));
    assert_non_null(strstr(sink_text(sink, NULL), "5 % &amp; more &lt;soon&gt;"));
    sink_free(sink);
}

/* It has no tallies: which kind was let in is not known. */
static void a_killed_run_that_let_one_in_fails_a_check(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();

    (void)state;
    verdict->n_memory = verdict->n_refusals = 0;
    verdict->interrupted = true;
    struct checks *checks = checks_new(verdict);
    assert_int_equal(named(checks, "bad identities are refused")->state, CHECK_FAILED);
    assert_int_equal(named(checks, "trusted")->state, CHECK_UNKNOWN);
    checks_free(checks);
}

/* As at the end of a search that the generator could not finish. */
static void a_generator_that_was_late_breaks_no_limit(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();

    (void)state;
    verdict->kind = VERDICT_INCONCLUSIVE;
    verdict->generator_healthy = false;
    verdict->limits[0] = limits_find(&verdict->limits[0].limit, 0.5);
    assert_int_equal(verdict->limits[0].state, LIMIT_BROKEN);
    struct checks *checks = checks_new(verdict);
    assert_int_equal(named(checks, "errors.ratio.max = 1%")->state, CHECK_UNKNOWN);
    assert_int_equal(named(checks, "generator")->state, CHECK_UNKNOWN);
    assert_int_equal(checks_count(checks, CHECK_INVALID), 0);
    checks_free(checks);
}

static void an_annotation_is_one_line(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();
    struct sink *sink = sink_new();

    (void)state;
    (void)str_copy(verdict->memory[0].source, sizeof verdict->memory[0].source, "a,b:c\n::d");
    verdict->memory[0].drivers[0].blamed = false;
    annotations_write(sink, verdict, "ci,1.ini");
    const char *text = sink_text(sink, NULL);
    assert_ptr_equal(text, strstr(text, "::error file=ci%2C1.ini,title=tlsoak%3A memory of "
                                        "a%2Cb%3Ac%0A%3A%3Ad (anon_bytes) does not grow with the "
                                        "load::it grew by 5 %25 & more <soon>\n"));
    size_t n = 0;
    for (const char *c = text; *c != '\0'; c++) {
        n += *c == '\n';
    }
    assert_int_equal(n, 3);
    sink_free(sink);
}

static void many_annotations_are_cut_short(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();
    struct sink *sink = sink_new();

    (void)state;
    verdict->memory[0].class = MEMORY_INCONCLUSIVE;
    for (; verdict->n_memory < 12; verdict->n_memory++) {
        verdict->memory[verdict->n_memory] = verdict->memory[0];
        (void)snprintf(verdict->memory[verdict->n_memory].source, 8, "s%zu", verdict->n_memory);
    }
    annotations_write(sink, verdict, NULL);
    const char *text = sink_text(sink, NULL);
    assert_ptr_equal(text, strstr(text, "::error title=tlsoak%3A an expired certificate is refused "
                                        "(refuse bad-1)::"));
    assert_non_null(
        strstr(sink_text(sink, NULL), "::warning title=tlsoak::and 6 more, in the report\n"));
    sink_free(sink);
}

static void markdown_means_nothing_of_its_own(void **state)
{
    CLEANUP_FREE struct verdict *verdict = story();
    struct sink *sink = sink_new();

    (void)state;
    (void)str_copy(verdict->memory[0].reason, sizeof verdict->memory[0].reason,
                   "<b>x</b> | `y` [z](http://e)\x1b[1m");
    renderer_find("markdown")->write(sink, NULL, verdict);
    const char *text = sink_text(sink, NULL);
    assert_non_null(strstr(text, "&#60;b&#62;x&#60;/b&#62; \\| \\`y\\` \\[z\\](http://e)"));
    assert_null(strstr(text, "\x1b"));
    sink_free(sink);
}

static void all_formats_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; renderer_at(i) != NULL; i++) {
        assert_non_null(strstr(RENDERER_NAMES, renderer_at(i)->name));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thing_is_a_check),
        cmocka_unit_test(a_run_that_cannot_be_used_is_an_error),
        cmocka_unit_test(a_killed_run_that_let_one_in_fails_a_check),
        cmocka_unit_test(a_generator_that_was_late_breaks_no_limit),
        cmocka_unit_test(an_annotation_is_one_line),
        cmocka_unit_test(many_annotations_are_cut_short),
        cmocka_unit_test(markdown_means_nothing_of_its_own),
        cmocka_unit_test(all_formats_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
