/* What two runs did, held to each other: what was not given is no difference. */
#include "cmd/loads.h"

#include "base/mem.h"
#include "base/str.h"
#include "profile/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define LEAST "[target]\nurl = https://127.0.0.1:8443/\nverify = no\n"

static struct plan *plan_of(const char *text)
{
    struct diag *diag = diag_new();
    struct plan *plan = profile_load_text("test.ini", text, NULL, 0, diag);

    if (plan == NULL) {
        diag_print(diag, stderr);
        fail_msg("not loaded");
    }
    diag_free(diag);
    return plan;
}

static char *load_of(const char *text)
{
    struct plan *plan = plan_of(text);
    char *load = loads_text(plan, NULL);

    plan_free(plan);
    return load;
}

/* What is told of two loads; the caller frees it. */
static char *told_of(const char *base, const char *new)
{
    struct sink *sink = sink_new();
    bool differ = loads_differ(base, new, sink);
    char *told = xstrdup(sink_text(sink, NULL));

    assert_true(differ == (told[0] != '\0'));
    sink_free(sink);
    return told;
}

static void assert_told(const char *base, const char *new, const char *expected)
{
    CLEANUP_FREE char *told = told_of(base, new);

    assert_string_equal(told, expected);
}

static void what_was_not_given_is_not_in_it(void **state)
{
    CLEANUP_FREE char *bare = load_of(LEAST);
    CLEANUP_FREE char *given = load_of(LEAST "[run]\nthreads = 3\nduration = 60s\n");
    (void)state;
    assert_null(strstr(bare, "run."));
    assert_non_null(strstr(bare, "target.url = https://127.0.0.1:8443/\n"));
    assert_non_null(strstr(given, "run.duration = 1m\n"));
    assert_non_null(strstr(given, "run.threads = 3\n"));
    assert_told(bare, given, "run.duration: 1m in the new run, not in the baseline\n");
}

/* As when the machine has other cores, or the version other keys. */
static void a_stored_run_knows_what_it_was_given(void **state)
{
    char dir[] = "/tmp/tlsoak-loads-XXXXXX";
    struct plan *plan = plan_of(LEAST "[run]\nduration = 60s\n[request second]\n");
    struct sink *sink = sink_new();
    (void)state;
    assert_non_null(mkdtemp(dir));
    CLEANUP_FREE char *path = xasprintf("%s/profile.ini", dir);
    CLEANUP_FREE char *fresh = loads_text(plan, NULL);
    plan->run.threads += 5;
    profile_print(plan, true, sink);
    assert_non_null(strstr(sink_text(sink, NULL), "; default\n"));
    assert_true(sink_replace_file(sink, path));
    struct diag *diag = diag_new();
    struct plan *stored = profile_load_stored(path, diag);
    assert_non_null(stored);
    CLEANUP_FREE char *load = loads_text(stored, dir);
    assert_string_equal(load, fresh);
    assert_non_null(strstr(load, "\nrequest.second\n"));
    (void)unlink(path);
    (void)rmdir(dir);
    plan_free(plan);
    plan_free(stored);
    diag_free(diag);
    sink_free(sink);
}

static void a_key_of_one_side_means_its_default(void **state)
{
    (void)state;
    assert_told("", "run.drain = 2000ms\n", "");
    assert_told("run.drain = \"2s\"\n", "", "");
    assert_told("", "run.drain = 3s\n", "run.drain: 3s in the new run, not in the baseline\n");
    assert_told("run.threads = 8\n", "", "");
    assert_told("run.threads = 8\n", "run.threads = 2\n",
                "run.threads: 8 in the baseline, 2 in the new run\n");
    assert_told("", "run.unheard = 1\n", "run.unheard: 1 in the new run, not in the baseline\n");
    assert_told("phase.up.duration = 5s\n", "",
                "phase.up.duration: 5s in the baseline, not in the new run\n");
}

static void sections_are_told_of(void **state)
{
    (void)state;
    assert_told("cert\ncert.b\n", "cert\n", "cert.b: in the baseline, not in the new run\n");
    assert_told("cert.bb.count = 5\n", "cert.b\ncert.bb.count = 5\n",
                "cert.b: in the new run, not in the baseline\n");
    /* of a version that told of every default */
    assert_told("cert.source = mint\ncert.count = 100\n", "cert\n", "");
    /* a whole section is no default */
    assert_told("identity.b.weight = 1\n", "identity\n",
                "identity.b.weight: 1 in the baseline, not in the new run\n"
                "identity: in the new run, not in the baseline\n");
    assert_told("phase.a.duration = 5s\nphase.b.duration = 5s\n",
                "phase.b.duration = 5s\nphase.a.duration = 5s\n",
                "the sections are in another order\n");
    assert_told("phase.a.duration = 5s\nphase.a.rate = 1/s\ncert.b\n",
                "cert.b\nphase.a.rate = 1/s\nphase.a.duration = 5s\n", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_given_is_not_in_it),
        cmocka_unit_test(a_stored_run_knows_what_it_was_given),
        cmocka_unit_test(a_key_of_one_side_means_its_default),
        cmocka_unit_test(sections_are_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
