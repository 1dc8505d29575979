/* Each kind of mistake, with the exact file, line and words.  A profile of tests/data/profiles says
 * at its end what is wrong with it: ";= LINE: TEXT", in the order of the lines. */
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "profile/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#define DIR TEST_DATA "/profiles"

/* All mistakes, one a line, sorted; the plan must not come. */
static char *mistakes_of(const char *path, const char *const *sets, size_t n_sets)
{
    struct diag *diag = diag_new();
    struct plan *plan = profile_load(path, sets, n_sets, diag);
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    assert_non_null(to);
    diag_print(diag, to);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(plan == NULL, diag_count(diag) > 0);
    plan_free(plan);
    diag_free(diag);
    return text;
}

/* The text with each `from` replaced. */
static char *replaced(const char *text, const char *from, const char *to)
{
    struct sink *sink = sink_new();
    const char *hit;

    for (; (hit = strstr(text, from)) != NULL; text = hit + strlen(from)) {
        sink_write(sink, text, (size_t)(hit - text));
        sink_printf(sink, "%s", to);
    }
    sink_printf(sink, "%s", text);
    char *copy = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return copy;
}

/* What the profile says of itself, in the form of mistakes_of. */
static char *expected_of(const char *path)
{
    CLEANUP_FREE char *text = file_read(path, 1 << 20, NULL);
    CLEANUP_FREE char *real = realpath(DIR, NULL);
    struct sink *sink = sink_new();
    char *rest = text;

    assert_non_null(text);
    while (rest != NULL) {
        const char *line = strsep(&rest, "\n");
        if (!str_has_prefix(line, ";= ")) {
            continue;
        }
        if (str_has_prefix(line, ";= 0: ")) {
            sink_printf(sink, "%s: %s\n", path, line + 6);
        } else {
            sink_printf(sink, "%s:%s\n", path, line + 3);
        }
    }
    CLEANUP_FREE char *base = xasprintf("%s/", real);
    char *expected = replaced(sink_text(sink, NULL), "DIR/", base);
    sink_free(sink);
    return expected;
}

static void check_file(const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", DIR, name);
    CLEANUP_FREE char *expected = expected_of(path);
    CLEANUP_FREE char *found = mistakes_of(path, NULL, 0);

    assert_string_equal(found, expected);
}

static void each_type_says_what_to_write(void **state)
{
    (void)state;
    check_file("types.ini");
}

static void each_line_is_placed(void **state)
{
    (void)state;
    check_file("lines.ini");
}

static void missing_values_are_named(void **state)
{
    (void)state;
    check_file("missing.ini");
}

static void contradictions_are_named(void **state)
{
    (void)state;
    assert_int_equal(setenv("TLSOAK_TEST_SECRET", "canary", 1), 0);
    check_file("across.ini");
}

static void identities_that_do_not_fit_are_named(void **state)
{
    (void)state;
    assert_int_equal(setenv("TLSOAK_TEST_SECRET", "canary", 1), 0);
    check_file("identities.ini");
}

static void values_without_a_say_are_named(void **state)
{
    CLEANUP_FREE char *found = NULL;

    (void)state;
    assert_int_equal(setenv("TLSOAK_TEST_SECRET", "canary", 1), 0);
    check_file("certs.ini");
    check_file("tokens.ini");
    found = mistakes_of(DIR "/tokens.ini", NULL, 0);
    assert_null(strstr(found, "canary"));
}

static void refusals_that_no_server_could_give_are_named(void **state)
{
    (void)state;
    assert_int_equal(setenv("TLSOAK_TEST_SECRET", "canary", 1), 0);
    check_file("refuse.ini");
}

static void readings_that_cannot_be_taken_are_named(void **state)
{
    (void)state;
    check_file("memory.ini");
    check_file("metric.ini");
}

static void misuses_that_make_no_sense_are_named(void **state)
{
    (void)state;
    check_file("misuse.ini");
}

static void hooks_that_cannot_work_are_named(void **state)
{
    (void)state;
    check_file("hook.ini");
    check_file("early.ini");
}

/* Each factor needs what it switches. */
static void factors_without_a_switch_are_named(void **state)
{
    static const struct {
        const char *factor, *needs;
    } table[] = {
        {"time", "time goes on by itself"},
        {"resumption", "resumption is not switched between dwells"},
        {"client_certificate", "client_certificate needs a [cert] section"},
        {"api_key", "api_key needs an [apikey] section"},
        {"jwt", "jwt needs a [jwt] section"},
        {"refused", "refused needs a [refuse] section"},
        {"aborted", "aborted needs a [misuse] section"},
        {"rotation", "rotation needs a command (write rotate = "},
        {"request", NULL},
        {"connection", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        CLEANUP_FREE char *factor = xasprintf("attribution.factor=%s", table[i].factor);
        const char *const sets[] = {"attribution.mode=pairs", factor};
        CLEANUP_FREE char *found = mistakes_of(DIR "/plain.ini", sets, 2);
        CLEANUP_FREE char *expected = xasprintf("--set: attribution.factor: %s",
                                                table[i].needs != NULL ? table[i].needs : "");
        if (table[i].needs == NULL) {
            assert_string_equal(found, "");
        } else if (!str_has_prefix(found, expected)) {
            fail_msg("%s is not %s", found, expected);
        }
    }
}

static void phases_that_cannot_be_are_named(void **state)
{
    (void)state;
    check_file("phases.ini");
}

static void plain_http_is_refused(void **state)
{
    (void)state;
    check_file("urls.ini");
}

static void http_and_raw_bytes_do_not_mix(void **state)
{
    (void)state;
    assert_int_equal(setenv("TLSOAK_TEST_SECRET", "canary", 1), 0);
    check_file("raw.ini");
    check_file("raw-https.ini");
}

static void secrets_are_refused_and_not_repeated(void **state)
{
    CLEANUP_FREE char *found = NULL;

    (void)state;
    assert_int_equal(setenv("TLSOAK_TEST_SECRET", "canary", 1), 0);
    assert_int_equal(unsetenv("TLSOAK_TEST_UNSET"), 0);
    check_file("secrets.ini");
    found = mistakes_of(DIR "/secrets.ini", NULL, 0);
    assert_null(strstr(found, "canary"));
}

static void a_circle_of_extends_is_a_mistake(void **state)
{
    CLEANUP_FREE char *found = mistakes_of(DIR "/cycle-a.ini", NULL, 0);

    (void)state;
    assert_string_equal(found, DIR "/cycle-b.ini:3: run.extends: " DIR
                                   "/cycle-a.ini extends itself in the end\n");
}

static void an_absent_profile_is_a_mistake(void **state)
{
    CLEANUP_FREE char *found = mistakes_of(DIR "/absent.ini", NULL, 0);
    CLEANUP_FREE char *folder = mistakes_of(DIR, NULL, 0);

    (void)state;
    assert_string_equal(found,
                        DIR "/absent.ini: profile: cannot read it: No such file or directory\n");
    assert_string_equal(folder, DIR ": profile: cannot read it: Is a directory\n");
}

/* The mistakes of a profile with these bytes; its name is taken off their front. */
static char *mistakes_of_bytes(const char *bytes, size_t len)
{
    char path[] = "/tmp/tlsoak-profile-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    assert_true(file_write(path, bytes, len, 0600));
    CLEANUP_FREE char *found = mistakes_of(path, NULL, 0);
    assert_int_equal(unlink(path), 0);
    return replaced(found, path, "P");
}

static char *mistakes_of_text(const char *text)
{
    return mistakes_of_bytes(text, strlen(text));
}

static void a_long_line_is_swallowed_whole(void **state)
{
    CLEANUP_FREE char *tail = xcalloc(1, 1000);
    CLEANUP_FREE char *fits = xcalloc(1, 400);

    (void)state;
    memset(tail, 'x', 900);
    CLEANUP_FREE char *text = xasprintf("[run]\nduration = 10s\n[target]\nurl = https://a.test/\n"
                                        "[judge]\nexpect_ttl = %s\nwarmup = oops\n",
                                        tail);
    CLEANUP_FREE char *found = mistakes_of_text(text);
    assert_string_equal(found,
                        "P:6: line longer than 197 bytes; put the value in a file and write @FILE\n"
                        "P:7: judge.warmup: \"oops\" is not a ratio (write 25%, 0.25)\n");
    /* the longest line that is taken, and one byte more */
    memset(fits, 'y', 197 - strlen("url = https://a.test/"));
    CLEANUP_FREE char *at_limit =
        xasprintf("[run]\nduration = 10s\n[target]\nurl = https://a.test/%s\n", fits);
    CLEANUP_FREE char *none = mistakes_of_text(at_limit);
    assert_string_equal(none, "");
    CLEANUP_FREE char *over =
        xasprintf("[run]\nduration = 10s\n[target]\nurl = https://a.test/%sy\n", fits);
    CLEANUP_FREE char *one = mistakes_of_text(over);
    assert_non_null(strstr(one, "P:4: line longer than 197 bytes"));
}

static void marks_of_other_systems_do_no_harm(void **state)
{
    (void)state;
    CLEANUP_FREE char *found =
        mistakes_of_text("\xEF\xBB\xBF[run]\r\nduration = 10s\r\n[target]\r\n"
                         "url = https://a.test/\r\nverify = off\r\n");
    assert_string_equal(found, "P:5: target.verify: \"off\" is none of always, cached, no\n");
    CLEANUP_FREE char *bytes =
        mistakes_of_bytes("[run]\nduration = 1\0s\n[target]\nurl = https://a.test/\n", 49);
    assert_non_null(strstr(bytes, "P:2: a control character; a profile is text\n"));
    CLEANUP_FREE char *escape = mistakes_of_text("[run]\nduration = \x1b[31m\n");
    assert_non_null(strstr(escape, "P:2: a control character; a profile is text\n"));
}

static long peak_kb(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static void a_hostile_file_takes_little_memory(void **state)
{
    size_t len = 10u << 20;
    CLEANUP_FREE char *bytes = xmalloc(len);
    long before;

    (void)state;
    memset(bytes, 'a', len);
    before = peak_kb();
    CLEANUP_FREE char *endless = mistakes_of_bytes(bytes, len);
    assert_non_null(strstr(endless, "is no profile: longer than 1048576 bytes"));
    assert_true(peak_kb() - before < 32 * 1024);
    /* just below the limit: nothing but mistakes, in three ways */
    len = (1u << 20) - 1;
    memset(bytes, 'a', len);
    CLEANUP_FREE char *one_line = mistakes_of_bytes(bytes, len);
    assert_non_null(strstr(one_line, "P:1: line longer than 197 bytes"));
    memset(bytes, '=', len);
    for (size_t i = 1; i < len; i += 2) {
        bytes[i] = '\n';
    }
    CLEANUP_FREE char *rubbish = mistakes_of_bytes(bytes, len);
    assert_non_null(strstr(rubbish, "P:101: too many mistakes; the rest is not looked at\n"));
    assert_null(strstr(rubbish, "P:102:"));
    struct sink *sink = sink_new();
    for (int i = 0; i < 60000; i++) {
        sink_printf(sink, "[request r%d]\n", i);
    }
    CLEANUP_FREE char *sections = mistakes_of_text(sink_text(sink, NULL));
    sink_free(sink);
    assert_non_null(strstr(sections, "more than 256 sections"));
}

static void sets_name_their_mistakes(void **state)
{
    const char *const sets[] = {
        "pace.rate",           "pase.rate=5/s",          "pace.ratee=5/s",      "pace.rate=5",
        "memory.serve.pid=4",  "apikey.secret=canary",   "run.extends=x.ini",   "request.path=/x",
        "target.host=a\nb: c", "request.list.path=nope", "judge.budget.jwts=1",
    };
    CLEANUP_FREE char *found = mistakes_of(DIR "/sets.ini", sets, sizeof sets / sizeof sets[0]);

    (void)state;
    assert_string_equal(
        found,
        "--set: \"pace.rate\" is not SECTION.KEY=VALUE\n"
        "--set: unknown section [pase]; did you mean [pace]?\n"
        "--set: unknown key pace.ratee; did you mean pace.rate?\n"
        "--set: the profile has no [memory serve]; did you mean [memory server]?\n"
        "--set: run.extends: stands in a profile only\n"
        "--set: request.path: which [request]? Write request.list.path\n"
        "--set: target.host: no line of a profile can hold this value; put it in a file and write "
        "@FILE\n"
        "--set: unknown driver in judge.budget.jwts; did you mean judge.budget.jwt?\n"
        "--set: pace.rate: \"5\" is not a rate (write 200/s, 12k/m)\n"
        "--set: apikey.secret: everyone on this machine can read a command line, so a secret does "
        "not belong there; write @FILE or ${VARIABLE}\n"
        "--set: request.path: \"nope\" is not a path (begins with /; spaces are written as %20)\n");
}

/* Of the same secrets, written in the three ways; none of them shows in a mistake. */
static void a_command_line_holds_no_secret(void **state)
{
    static const char *const keys[] = {"apikey.secret", "jwt.key", "cert.password",
                                       "jwt.client_secret", "request.list.header.Cookie"};

    (void)state;
    assert_int_equal(setenv("TLSOAK_TEST_SECRET", "canary", 1), 0);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        CLEANUP_FREE char *plain = xasprintf("%s=canary", keys[i]);
        CLEANUP_FREE char *file = xasprintf("%s=@" DIR "/secret.txt", keys[i]);
        CLEANUP_FREE char *variable = xasprintf("%s=${TLSOAK_TEST_SECRET}", keys[i]);
        CLEANUP_FREE char *refused = mistakes_of(DIR "/sets.ini", (const char *const[]){plain}, 1);
        CLEANUP_FREE char *from_file = mistakes_of(DIR "/sets.ini", (const char *const[]){file}, 1);
        CLEANUP_FREE char *from_variable =
            mistakes_of(DIR "/sets.ini", (const char *const[]){variable}, 1);
        assert_non_null(strstr(refused, "everyone on this machine can read a command line"));
        assert_null(strstr(refused, "canary"));
        assert_null(strstr(from_file, "command line"));
        assert_null(strstr(from_variable, "command line"));
    }
}

static void sections_are_counted(void **state)
{
    struct sink *sink = sink_new();

    (void)state;
    sink_printf(sink, "[target]\nurl = https://a.test/\n[apikey]\n");
    for (int i = 1; i <= 17; i++) {
        sink_printf(sink, "[refuse r%d]\napikey = none\n", i);
    }
    CLEANUP_FREE char *found = mistakes_of_text(sink_text(sink, NULL));
    sink_free(sink);
    assert_string_equal(found, "P:36: [refuse r17]: at most 16 [refuse] sections\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_says_what_to_write),
        cmocka_unit_test(each_line_is_placed),
        cmocka_unit_test(missing_values_are_named),
        cmocka_unit_test(contradictions_are_named),
        cmocka_unit_test(identities_that_do_not_fit_are_named),
        cmocka_unit_test(values_without_a_say_are_named),
        cmocka_unit_test(refusals_that_no_server_could_give_are_named),
        cmocka_unit_test(readings_that_cannot_be_taken_are_named),
        cmocka_unit_test(misuses_that_make_no_sense_are_named),
        cmocka_unit_test(hooks_that_cannot_work_are_named),
        cmocka_unit_test(factors_without_a_switch_are_named),
        cmocka_unit_test(phases_that_cannot_be_are_named),
        cmocka_unit_test(plain_http_is_refused),
        cmocka_unit_test(http_and_raw_bytes_do_not_mix),
        cmocka_unit_test(secrets_are_refused_and_not_repeated),
        cmocka_unit_test(a_circle_of_extends_is_a_mistake),
        cmocka_unit_test(an_absent_profile_is_a_mistake),
        cmocka_unit_test(a_long_line_is_swallowed_whole),
        cmocka_unit_test(marks_of_other_systems_do_no_harm),
        cmocka_unit_test(a_hostile_file_takes_little_memory),
        cmocka_unit_test(sets_name_their_mistakes),
        cmocka_unit_test(a_command_line_holds_no_secret),
        cmocka_unit_test(sections_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
