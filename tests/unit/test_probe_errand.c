/* Short commands of the user's: what they print, how they fail, and that none outlives its time. */
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "probe/errand.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_NS (60 * NS_PER_S)

static char line[ERRAND_LINE_MAX], why[256];

static bool run(const char *command, uint64_t span_ns)
{
    struct patience patience = {.until_ns = mono_now_ns() + span_ns, .stop_fd = -1};
    CLEANUP_FREE char **words = errand_words(command, 4711, why, sizeof why);

    line[0] = why[0] = '\0';
    assert_non_null(words);
    return errand_run(words, false, &patience, line, why, sizeof why);
}

static void expect_line(const char *command, const char *expected)
{
    if (!run(command, LONG_NS)) {
        fail_msg("%s: %s", command, why);
    }
    assert_string_equal(line, expected);
}

static void expect_failure(const char *command, const char *expected)
{
    assert_false(run(command, LONG_NS));
    assert_string_equal(why, expected);
}

static void gives_the_first_line(void **state)
{
    (void)state;
    expect_line("echo 123 KiB", "123 KiB");
    expect_line("printf '12\\n34\\n'", "12");
    expect_line("printf 12", "12");
    expect_line("true", "");
    expect_line("echo '{pid}' of {pid}", "4711 of 4711");
    expect_line("sh -c 'echo \"$0\" | tr a b' banana", "bbnbnb");
    expect_line("cat", ""); /* reads nothing */
    /* far more than a pipe holds, and errors beside it */
    expect_line("sh -c 'echo first; seq 100000; seq 100000 >&2'", "first");
}

static void says_why_it_failed(void **state)
{
    (void)state;
    expect_failure("/no/such/program", "/no/such/program could not be started: No such file or "
                                       "directory");
    expect_failure("false", "false ended with exit code 1");
    expect_failure("sh -c 'echo 5; echo no such process >&2; exit 3'",
                   "sh ended with exit code 3: no such process");
    expect_failure("sh -c 'kill -9 $$'", "sh ended with signal 9");
}

static void quotes_no_secret(void **state)
{
    struct patience patience = {.until_ns = mono_now_ns() + LONG_NS, .stop_fd = -1};
    char script[] = "echo canary >&2; exit 3", canary[] = "canary";
    char *fails[] = {(char[]){"sh"}, (char[]){"-c"}, script, NULL}, *unknown[] = {canary, NULL};

    (void)state;
    assert_false(errand_run(fails, true, &patience, line, why, sizeof why));
    assert_string_equal(why, "the command ended with exit code 3");
    assert_false(errand_run(unknown, true, &patience, line, why, sizeof why));
    assert_string_equal(why, "the command could not be started: No such file or directory");
}

static void refuses_what_is_no_command(void **state)
{
    (void)state;
    assert_null(errand_words("echo 'open", 1, why, sizeof why));
    assert_string_equal(why, "a quote of the command is not closed");
    assert_null(errand_words("  ", 1, why, sizeof why));
    assert_string_equal(why, "the command is empty");
    assert_null(errand_words("jcmd {pid} GC.run", 0, why, sizeof why));
    assert_non_null(strstr(why, "no process is known"));
}

/* The pids that a command printed, all of them gone. */
static void expect_gone(const char *pids)
{
    for (const char *at = pids; *at != '\0'; at += strspn(at, " ")) {
        char *end;
        long pid = strtol(at, &end, 10);
        uint64_t until = mono_now_ns() + LONG_NS;
        assert_true(pid > 1);
        /* killed at once, but init may take its time to reap a grandchild */
        while (kill((pid_t)pid, 0) == 0) {
            CLEANUP_FREE char *path = xasprintf("/proc/%ld/stat", pid);
            char stat[256] = "";
            FILE *file = fopen(path, "r");
            if (file == NULL || fgets(stat, sizeof stat, file) == NULL ||
                strstr(stat, ") Z ") != NULL) {
                (void)(file != NULL && fclose(file));
                break;
            }
            (void)fclose(file);
            assert_true(mono_now_ns() < until);
        }
        at = end;
    }
}

static void leaves_nothing_behind(void **state)
{
    uint64_t begun = mono_now_ns();

    (void)state;
    /* a child that holds the output open does not hold up the answer, and ends with it */
    assert_true(run("sh -c 'sleep 1000 & echo $!'", LONG_NS));
    assert_true(mono_now_ns() - begun < LONG_NS);
    expect_gone(line);
}

static void is_killed_at_the_deadline(void **state)
{
    char path[] = "/tmp/tlsoak-errand-XXXXXX", text[64] = "";
    int fd = mkstemp(path);
    CLEANUP_FREE char *command =
        xasprintf("sh -c 'sleep 1000 & echo $$ $! > %s; trap \"\" TERM; wait'", path);

    (void)state;
    assert_true(fd >= 0);
    assert_false(run(command, 2 * NS_PER_S));
    assert_string_equal(why, "sh did not end before the deadline");
    assert_true(read(fd, text, sizeof text - 1) > 0);
    expect_gone(str_trim(text));
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
}

static void is_given_up_when_the_run_ends(void **state)
{
    struct patience patience = {.until_ns = mono_now_ns() + LONG_NS, .stop_fd = eventfd(1, 0)};
    CLEANUP_FREE char **words = errand_words("sleep 1000", 0, why, sizeof why);

    (void)state;
    assert_false(errand_run(words, false, &patience, line, why, sizeof why));
    assert_true(mono_now_ns() < patience.until_ns);
    (void)close(patience.stop_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_first_line),
        cmocka_unit_test(says_why_it_failed),
        cmocka_unit_test(quotes_no_secret),
        cmocka_unit_test(refuses_what_is_no_command),
        cmocka_unit_test(leaves_nothing_behind),
        cmocka_unit_test(is_killed_at_the_deadline),
        cmocka_unit_test(is_given_up_when_the_run_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
