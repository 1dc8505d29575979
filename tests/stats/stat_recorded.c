/* Recorded memory of real servers under load (tests/data/traces, labels.csv): nothing clean is
 * called a leak, no leak passes, and most leaks of native servers are found. */
#include "judge/verdict.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MAX_LABELS 65536

static void judge_trace(const char *name, struct memory_finding *finding)
{
    struct series *series = NULL;
    struct judge_options options = judge_options_none();
    struct diag *diag = diag_new();
    CLEANUP_FREE char *path = xasprintf("%s/traces/%s", TEST_DATA, name);
    size_t n = series_load(path, &series, NULL, NULL, diag);
    diag_print(diag, stderr);
    assert_int_equal(diag_count(diag), 0);
    assert_in_range(n, 3, 3);
    assert_string_equal(series[0].metric, "anon_kb");
    judge_series(&series[0], &options, finding);
    print_message("%s: %s: %s\n", name, memory_class_name(finding->class), finding->reason);
    free(series);
    diag_free(diag);
}

static void judges_recorded_servers(void **state)
{
    static struct memory_finding finding;
    unsigned judged = 0, native_leaks = 0, found = 0;
    char *rest = NULL;
    size_t len;
    (void)state;
    CLEANUP_FREE char *labels = file_read(TEST_DATA "/traces/labels.csv", MAX_LABELS, &len);
    assert_non_null(labels);
    for (char *line = strtok_r(labels, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *comma = strchr(line, ',');
        assert_non_null(comma);
        *comma = '\0';
        if (str_equal(line, "file")) {
            continue;
        }
        bool leaks = str_has_prefix(line, "leak-");
        bool jvm = strstr(line, "-ring-") != NULL;
        judge_trace(line, &finding);
        judged++;
        if (leaks) {
            assert_int_not_equal(finding.class, MEMORY_STABLE);
            assert_int_not_equal(finding.class, MEMORY_BOUNDED);
        } else {
            assert_int_not_equal(finding.class, MEMORY_LEAK);
        }
        if (jvm) {
            assert_int_equal(finding.class, MEMORY_INCONCLUSIVE);
            assert_string_equal(finding.reason_code, "few_gc");
        }
        native_leaks += leaks && !jvm;
        found += finding.class == MEMORY_LEAK;
    }
    assert_int_equal(judged, 22);
    assert_int_equal(native_leaks, 8);
    assert_in_range(found, 6, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(judges_recorded_servers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
