/* The file of pace.replay: what it may say, and each mistake with its file and line. */
#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "profile/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[] = "/tmp/tlsoak-replay-XXXXXX";
static struct diag *diag;

static struct plan *load(const char *times, const char *more)
{
    CLEANUP_FREE char *path = xasprintf("%s/times.txt", dir);
    CLEANUP_FREE char *text =
        xasprintf("[target]\nurl = https://127.0.0.1/\n[pace]\nmode = open\narrivals = replay\n"
                  "replay = %s\n%s\n[run]\nduration = 60s\n",
                  path, more);
    assert_true(file_write(path, times, strlen(times), 0600));
    return profile_load_text("test.ini", text, NULL, 0, diag);
}

static void expect(const char *times, const char *more, const char *mistake)
{
    struct plan *plan = load(times, more);
    CLEANUP_FREE char *whole = xasprintf("%s/%s", dir, mistake);
    assert_null(plan);
    assert_int_equal(diag_count(diag), 1);
    assert_string_equal(diag_text(diag, 0), mistake[0] == '!' ? mistake + 1 : whole);
}

static void times_and_intervals(void **state)
{
    (void)state;
    static const uint64_t expected_ms[] = {0, 250, 250, 1000, 1500, 1500, 1750};
    struct plan *plan =
        load("# a recorded minute\n0\n  0.25 # twice\n0.25\r\n1\n\n+0.5\n+0\n1.75", "");
    assert_non_null(plan);
    assert_int_equal(plan->pace.n_replay, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(plan->pace.replay_ns[i], expected_ms[i] * NS_PER_MS);
    }
    assert_true(plan->pace.rate_per_s == 4);
    /* A profile of a stored run is read long after the file is gone. */
    CLEANUP_FREE char *path = xasprintf("%s/profile.ini", dir);
    struct sink *sink = sink_new();
    profile_print(plan, false, sink);
    assert_null(strstr(sink_text(sink, NULL), "\nrate "));
    assert_true(file_write(path, sink_text(sink, NULL), strlen(sink_text(sink, NULL)), 0600));
    sink_free(sink);
    CLEANUP_FREE char *times = xasprintf("%s/times.txt", dir);
    assert_int_equal(unlink(times), 0);
    struct plan *stored = profile_load_stored(path, diag);
    assert_non_null(stored);
    plan_free(stored);
    plan_free(plan);
}

static void it_may_begin_again(void **state)
{
    (void)state;
    struct plan *plan = load("0.5\n2\n", "replay_every = 4s");
    assert_non_null(plan);
    assert_true(plan->pace.rate_per_s == 0.5);
    plan_free(plan);
}

static double peak_of(const char *times, const char *more)
{
    struct plan *plan = load(times, more);
    assert_non_null(plan);
    double peak = plan_peak(plan).rate_per_s;
    plan_free(plan);
    return peak;
}

/* What a server has to bear is no average. */
static void the_peak_is_of_the_busiest_second(void **state)
{
    (void)state;
    assert_true(peak_of("0\n0\n0\n1000\n", "") == 3);
    assert_true(peak_of("0\n5\n5.2\n5.999\n6\n6.1\n", "") == 4);
    assert_true(peak_of("0\n0.5\n1\n1.5\n", "") == 2);
    /* The end and the next beginning in one second; many rounds in one second. */
    assert_true(peak_of("0\n0.1\n3.8\n", "replay_every = 4s") == 3);
    assert_true(peak_of("0\n0.1\n", "replay_every = 200ms") == 10);
    struct plan *plan = load("0\n", "");
    assert_non_null(plan);
    assert_true(plan->pace.rate_per_s == 1 && plan_peak(plan).rate_per_s == 1);
    plan_free(plan);
}

static void too_many_a_second(void **state)
{
    (void)state;
    expect(
        "0\n0\n0\n", "replay_every = 200ns",
        "!test.ini:7: pace.replay_every: the 3 times of its file so often are 1.5e+07/s, more than "
        "1e+07/s");
}

static void unsorted(void **state)
{
    (void)state;
    expect("1\n2\n1.5\n", "",
           "times.txt:3: 1.5 comes before 2, the time before it: sort them, or write intervals as "
           "+1.5");
}

static void no_time(void **state)
{
    (void)state;
    expect(
        "1\nsoon\n", "",
        "times.txt:2: \"soon\" is not a time (write seconds: 1.25, or +0.5 after the line before)");
}

static void no_time_either(void **state)
{
    (void)state;
    expect(
        "# x\n\n-1\n", "",
        "times.txt:3: \"-1\" is not a time (write seconds: 1.25, or +0.5 after the line before)");
}

static void two_signs(void **state)
{
    (void)state;
    expect(
        "++1\n", "",
        "times.txt:1: \"++1\" is not a time (write seconds: 1.25, or +0.5 after the line before)");
}

static void beyond_a_year(void **state)
{
    (void)state;
    expect("1e9\n", "", "times.txt:1: \"1e9\" is more than a year after the start");
}

static void nothing_at_all(void **state)
{
    (void)state;
    expect("# nothing\n", "", "times.txt: holds no times");
}

static void many_mistakes(void **state)
{
    (void)state;
    struct plan *plan = load("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n", "");
    assert_null(plan);
    assert_int_equal(diag_count(diag), 11);
    assert_non_null(strstr(diag_text(diag, 10), "times.txt:11: too many mistakes"));
}

static void too_short_a_period(void **state)
{
    (void)state;
    expect("1\n5\n", "replay_every = 4s",
           "!test.ini:7: pace.replay_every: 4 s, but the last time of its file is 5 s");
}

static void a_rate_as_well(void **state)
{
    (void)state;
    expect("1\n", "rate = 5/s", "!test.ini:7: pace.rate: of no use with pace.arrivals = replay");
}

static void an_experiment(void **state)
{
    (void)state;
    struct plan *plan = load("1\n", "[attribution]\nmode = crossover");
    assert_null(plan);
    assert_non_null(strstr(diag_text(diag, 0), "test.ini:5: pace.arrivals: the experiment of "
                                               "attribution.mode varies the rate"));
}

static int set_up(void **state)
{
    (void)state;
    diag = diag_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    diag_free(diag);
    return 0;
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    CLEANUP_FREE char *times = xasprintf("%s/times.txt", dir);
    CLEANUP_FREE char *profile = xasprintf("%s/profile.ini", dir);
    (void)unlink(times);
    (void)unlink(profile);
    return rmdir(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(times_and_intervals),
        TEST(it_may_begin_again),
        TEST(the_peak_is_of_the_busiest_second),
        TEST(too_many_a_second),
        TEST(unsorted),
        TEST(no_time),
        TEST(no_time_either),
        TEST(two_signs),
        TEST(beyond_a_year),
        TEST(nothing_at_all),
        TEST(many_mistakes),
        TEST(too_short_a_period),
        TEST(a_rate_as_well),
        TEST(an_experiment),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
