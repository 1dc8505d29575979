/* Readings right after a collection, and those that a command tells: never a number that was not
 * read, or that was read of a server that had not settled. */
#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "net/responder.h"
#include "probe/sampler.h"
#include "probe/watch.h"
#include "profile/profile.h"
#include "profile/store.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS (20 * NS_PER_S)

/* The plan's strings are not const; nobody writes to them. */
static char *fixed(const char *text)
{
    return (char *)(uintptr_t)text;
}

struct setting {
    struct plan plan;
    struct plan_memory memory;
    struct diag *diag;
    bool refused;
    struct sampler *sampler;
    char dir[32];
};

/* This process itself is sampled, every 5 ms; the target is elsewhere. */
static int set_up(void **state)
{
    struct setting *s = xcalloc(1, sizeof *s);

    s->plan.run.duration_ns = 60 * NS_PER_S;
    s->plan.memories = &s->memory;
    s->plan.n_memories = 1;
    s->memory = (struct plan_memory){.name = fixed("heap"),
                                     .origin = {"test.ini", 7},
                                     .pid = getpid(),
                                     .every_ns = 5 * NS_PER_MS,
                                     .deadline_ns = PATIENCE_NS};
    s->diag = diag_new();
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/tlsoak-floor-XXXXXX");
    *state = s;
    return mkdtemp(s->dir) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct setting *s = *state;
    CLEANUP_FREE char *path = xasprintf("%s/value", s->dir);

    sampler_free(s->sampler);
    diag_free(s->diag);
    (void)unlink(path);
    (void)rmdir(s->dir);
    free(s);
    return 0;
}

static void start(struct setting *s)
{
    struct addr elsewhere = {0};

    s->sampler = sampler_new(&s->plan, &elsewhere, 0, &s->refused, s->diag);
    if (s->sampler == NULL) {
        fail_msg("%s", diag_text(s->diag, 0));
    }
    sampler_start(s->sampler, 0, 0);
}

static struct reading next_reading(struct setting *s)
{
    uint64_t until = mono_now_ns() + PATIENCE_NS;
    struct timespec moment = {.tv_nsec = (long)NS_PER_MS};
    struct reading reading;

    while (sampler_take(s->sampler, &reading, 1) == 0) {
        assert_true(mono_now_ns() < until);
        (void)nanosleep(&moment, NULL);
    }
    return reading;
}

static void by_command(struct setting *s, const char *command)
{
    s->memory.source = MEMORY_SOURCE_COMMAND;
    s->memory.command = fixed(command);
}

static void settled_by(struct setting *s, const char *settle)
{
    s->memory.settle = fixed(settle);
    s->memory.settle_by = SETTLE_COMMAND;
}

static void expect_message(struct setting *s, const char *expected)
{
    struct sampler_message message;

    assert_true(sampler_message(s->sampler, &message));
    assert_string_equal(message.text, expected);
}

static void a_command_tells_the_memory(void **state)
{
    struct setting *s = *state;
    struct sampler_message message;

    by_command(s, "echo 1.5 MiB");
    start(s);
    struct reading reading = next_reading(s);
    assert_true(reading.ok);
    assert_int_equal(reading.value[MEMORY_COMMAND], 3 << 19);
    assert_true(reading.value[MEMORY_RSS] > 0); /* of the process, which is known */
    assert_int_not_equal(reading.incarnation, 0);
    assert_false(sampler_message(s->sampler, &message));
}

static void a_process_has_no_such_value(void **state)
{
    struct setting *s = *state;

    start(s);
    assert_int_equal(next_reading(s).value[MEMORY_COMMAND], -1);
}

static void a_command_alone_is_enough(void **state)
{
    struct setting *s = *state;

    s->memory.pid = 0;
    by_command(s, "echo 4096");
    start(s);
    struct reading reading = next_reading(s);
    assert_true(reading.ok && !reading.lost);
    assert_int_equal(reading.value[MEMORY_COMMAND], 4096);
    assert_int_equal(reading.value[MEMORY_RSS], -1);
    assert_string_equal(sampler_runtime(s->sampler, 0), "");
}

/* What fails is a gap in what the command tells, never a zero, and what else is known stays. */
static void a_failed_command_is_a_gap(void **state)
{
    static const char *const commands[][2] = {
        {"sh -c 'echo 5; exit 1'", "memory heap was not read: command: sh ended with exit code 1"},
        {"echo", "memory heap was not read: command: echo printed \"\", which is not a number of "
                 "bytes"},
        {"echo -5", "memory heap was not read: command: echo printed \"-5\", which is not a number "
                    "of bytes"},
        {"echo 5 bananas", "memory heap was not read: command: echo printed \"5 bananas\", which "
                           "is not a number of bytes"},
    };

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct setting *s = *state;
        by_command(s, commands[i][0]);
        start(s);
        struct reading reading = next_reading(s);
        assert_true(reading.ok);
        assert_int_equal(reading.value[MEMORY_COMMAND], -1);
        assert_true(reading.value[MEMORY_RSS] > 0);
        expect_message(s, commands[i][1]);
        sampler_free(s->sampler);
        s->sampler = NULL;
    }
    struct setting *s = *state;
    s->memory.pid = 0;
    by_command(s, "false");
    start(s);
    struct reading reading = next_reading(s);
    assert_false(reading.ok || reading.lost);
    assert_int_equal(reading.value[MEMORY_COMMAND], -1);
}

static void a_late_command_is_a_gap(void **state)
{
    struct setting *s = *state;

    s->memory.deadline_ns = 50 * NS_PER_MS;
    s->memory.pid = 0;
    by_command(s, "sleep 1000");
    start(s);
    assert_false(next_reading(s).ok);
    expect_message(s, "memory heap was not read: command: sleep did not end before the deadline");
}

/* A command that collects and counts: when it fails, nothing was collected. */
static void a_command_may_settle_by_itself(void **state)
{
    struct setting *s = *state;

    s->memory.settle = fixed("command");
    s->memory.settle_by = SETTLE_ITSELF;
    by_command(s, "echo 4096");
    start(s);
    struct reading reading = next_reading(s);
    assert_true(reading.ok);
    assert_int_equal(reading.value[MEMORY_COMMAND], 4096);
    assert_true(reading.value[MEMORY_PSS] > 0);
    assert_true(next_reading(s).value[MEMORY_PSS] > 0);
    sampler_free(s->sampler);
    by_command(s, "false");
    start(s);
    reading = next_reading(s);
    assert_false(reading.ok);
    assert_int_equal(reading.value[MEMORY_RSS], -1);
}

/* Each collection halves what the next reading finds: none is taken before it. */
static void each_reading_comes_right_after_settling(void **state)
{
    struct setting *s = *state;
    CLEANUP_FREE char *path = xasprintf("%s/value", s->dir);
    CLEANUP_FREE char *settle = xasprintf("sh -c 'read n < %s; echo $((n / 2)) > %s'", path, path);
    CLEANUP_FREE char *command = xasprintf("cat %s", path);

    assert_true(file_write(path, "65536\n", 6, 0600));
    settled_by(s, settle);
    by_command(s, command);
    start(s);
    for (int64_t expected = 32768; expected > 1; expected /= 2) {
        struct reading reading = next_reading(s);
        assert_true(reading.ok);
        assert_int_equal(reading.value[MEMORY_COMMAND], expected);
        assert_true(reading.value[MEMORY_PSS] > 0); /* rare enough for all details */
    }
}

static void a_failed_settling_is_a_gap_in_all(void **state)
{
    struct setting *s = *state;
    struct sampler_message message;

    by_command(s, "echo 4096");
    settled_by(s, "sh -c 'echo no such process {pid} >&2; exit 2'");
    start(s);
    struct reading reading = next_reading(s);
    assert_false(reading.ok || reading.lost);
    for (int i = 0; i < MEMORY_METRIC_COUNT; i++) {
        assert_int_equal(reading.value[i], -1);
    }
    CLEANUP_FREE char *expected =
        xasprintf("memory heap was not read: settle: sh ended with exit code 2: no such process %d",
                  getpid());
    expect_message(s, expected);
    (void)next_reading(s);
    (void)next_reading(s);
    assert_false(sampler_message(s->sampler, &message)); /* said once */
}

static void a_late_settling_is_a_gap(void **state)
{
    struct setting *s = *state;

    s->memory.deadline_ns = 50 * NS_PER_MS;
    settled_by(s, "sleep 1000");
    start(s);
    struct reading reading = next_reading(s);
    assert_false(reading.ok);
    assert_int_equal(reading.value[MEMORY_RSS], -1);
}

/* One that waits for its collection does not hold up the end of the run. */
static void the_end_waits_for_no_command(void **state)
{
    struct setting *s = *state;

    s->memory.deadline_ns = 1000 * NS_PER_S;
    settled_by(s, "sleep 1000");
    start(s);
    uint64_t begun = mono_now_ns();
    sampler_free(s->sampler);
    s->sampler = NULL;
    assert_true(mono_now_ns() - begun < PATIENCE_NS);
}

static _Atomic(uint64_t) ahead_ns;

static uint64_t clock_ahead(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec + atomic_load(&ahead_ns);
}

/* The readings so far are done with, and so many more failed. */
static void await_failures(struct setting *s, int n)
{
    while (n > 0) {
        n -= !next_reading(s).ok;
    }
}

/* A blip a moment before hides no failure that lasts, though it is told a minute later. */
static void a_failure_that_lasts_is_told(void **state)
{
    struct setting *s = *state;
    CLEANUP_FREE char *path = xasprintf("%s/value", s->dir);
    CLEANUP_FREE char *settle = xasprintf("test -e %s", path);
    const char *expected = "memory heap was not read: settle: test ended with exit code 1";
    uint64_t until = mono_now_ns() + PATIENCE_NS;
    struct sampler_message message;

    s->memory.deadline_ns = 1000 * NS_PER_S; /* not passed by a command on its way at the leap */
    settled_by(s, settle);
    mono_replace(clock_ahead);
    start(s);
    await_failures(s, 1);
    expect_message(s, expected);
    assert_true(file_write(path, "", 0, 0600));
    while (!next_reading(s).ok) {
    }
    assert_int_equal(unlink(path), 0);
    await_failures(s, 3);
    assert_false(sampler_message(s->sampler, &message));
    atomic_store(&ahead_ns, 61 * NS_PER_S);
    while (!sampler_message(s->sampler, &message)) {
        assert_true(mono_now_ns() < until + 61 * NS_PER_S);
        await_failures(s, 1);
    }
    assert_string_equal(message.text, expected);
    sampler_free(s->sampler);
    s->sampler = NULL;
    mono_replace(NULL);
}

static uint64_t stopped_ns;

static uint64_t stopped_clock(void)
{
    return stopped_ns;
}

/* Who comes and goes leaves gaps; who told nothing five times in ten seconds is lost. */
static void who_tells_no_more_is_lost(void **state)
{
    static const struct {
        const char *command;
        unsigned after_s;
        bool lost;
    } readings[] = {{"false", 1, false}, {"false", 9, false},     {"false", 9, false},
                    {"false", 9, false}, {"echo 4096", 9, false}, {"false", 1, false},
                    {"false", 1, false}, {"false", 1, false},     {"false", 1, false},
                    {"false", 1, false}, {"false", 4, false},     {"false", 2, true},
                    {"false", 1, true},  {"echo 4096", 1, false}, {"false", 1, false}};
    struct setting *s = *state;
    struct place place;

    locate_init(&place, "/proc", 1, NULL, 0);
    s->plan.store = store_new();
    by_command(s, "");
    struct watch watch = {.place = &place, .memory = &s->memory, .stop_fd = -1};
    watch.teller = teller_new(&s->plan, &s->memory, "/proc", s->diag);
    assert_non_null(watch.teller);
    stopped_ns = mono_now_ns();
    mono_replace(stopped_clock);
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        struct reading reading;
        stopped_ns += readings[i].after_s * NS_PER_S;
        s->memory.command = fixed(readings[i].command);
        watch_read(&watch, &reading);
        assert_int_equal(reading.ok, strcmp(readings[i].command, "false") != 0);
        assert_int_equal(reading.value[MEMORY_COMMAND], reading.ok ? 4096 : -1);
        assert_int_equal(reading.lost, readings[i].lost);
    }
    mono_replace(NULL);
    teller_free(watch.teller);
    store_free(s->plan.store);
    s->plan.store = NULL;
}

static int show_page(const char *path, const char *accept, struct sink *body, const char **ret_type,
                     void *context)
{
    _Atomic(int) *start_s = context;

    (void)path;
    (void)accept;
    if (atomic_load(start_s) == 0) {
        return 503;
    }
    sink_printf(body, "heap_bytes 4096\nprocess_start_time_seconds %d\n", atomic_load(start_s));
    *ret_type = "text/plain";
    return 200;
}

/* Of a server whose proxy is the process that is known: a restart behind the proxy is seen, and
 * a page that fails is none. */
static void a_page_knows_its_server(void **state)
{
    static const struct {
        int start_s;
        bool another;
    } pages[] = {{1000000, false}, {1000000, false}, {0, false}, {1000000, false}, {2000000, true},
                 {2000000, false}, {0, false},       {0, false}, {3000000, true}};
    struct setting *s = *state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    _Atomic(int) start_s = 0;
    struct place place;
    uint64_t before = 0;

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    struct responder *responder = responder_start(listener, show_page, &start_s);
    assert_non_null(responder);
    CLEANUP_FREE char *text =
        xasprintf("[run]\nduration = 10s\n[target]\nurl = https://127.0.0.1:1/\n[memory]\n"
                  "source = prometheus\nurl = http://127.0.0.1:%u/metrics\nmetric = heap_bytes\n"
                  "pid = %d\n",
                  ntohs(at.sin_port), getpid());
    struct plan *plan = profile_load_text("test.ini", text, NULL, 0, s->diag);
    assert_non_null(plan);
    locate_init(&place, "/proc", 1, NULL, 0);
    struct watch watch = {.place = &place, .memory = plan->memories, .stop_fd = -1};
    assert_true(watch_adopt(&watch, getpid()));
    watch.teller = teller_new(plan, plan->memories, "/proc", s->diag);
    assert_non_null(watch.teller);
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        struct reading reading;
        atomic_store(&start_s, pages[i].start_s);
        watch_read(&watch, &reading);
        assert_true(reading.ok);
        assert_int_equal(reading.value[MEMORY_CHOSEN], pages[i].start_s != 0 ? 4096 : -1);
        assert_int_equal(reading.incarnation != before && i > 0, pages[i].another);
        before = reading.incarnation;
    }
    teller_free(watch.teller);
    plan_free(plan);
    responder_stop(responder);
}

/* The process is there, but no floor has been read of it for too long. */
static void who_settles_no_more_is_lost(void **state)
{
    static const struct {
        const char *settle;
        unsigned after_s;
        bool lost;
    } readings[] = {{"true", 1, false},  {"false", 1, false}, {"false", 4, false},
                    {"false", 4, false}, {"true", 4, false},  {"false", 1, false},
                    {"false", 4, false}, {"false", 4, false}, {"false", 1, false},
                    {"false", 4, true},  {"true", 1, false}};
    struct setting *s = *state;
    struct place place;

    locate_init(&place, "/proc", 1, NULL, 0);
    s->plan.store = store_new();
    settled_by(s, "");
    struct watch watch = {.place = &place, .memory = &s->memory, .stop_fd = -1};
    assert_true(watch_adopt(&watch, getpid()));
    watch.settle = settle_new(&s->plan, &s->memory, s->diag);
    assert_non_null(watch.settle);
    stopped_ns = mono_now_ns();
    mono_replace(stopped_clock);
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        struct reading reading;
        stopped_ns += readings[i].after_s * NS_PER_S;
        s->memory.settle = fixed(readings[i].settle);
        watch_read(&watch, &reading);
        assert_int_equal(reading.ok, strcmp(readings[i].settle, "true") == 0);
        assert_int_equal(reading.lost, readings[i].lost);
    }
    mono_replace(NULL);
    settle_free(watch.settle);
    store_free(s->plan.store);
    s->plan.store = NULL;
}

static void expect_mistake(struct setting *s, const char *expected)
{
    struct addr elsewhere = {0};

    assert_null(sampler_new(&s->plan, &elsewhere, 0, &s->refused, s->diag));
    assert_false(s->refused);
    assert_int_equal(diag_count(s->diag), 1);
    assert_string_equal(diag_text(s->diag, 0), expected);
    diag_free(s->diag);
    s->diag = diag_new();
}

static void what_cannot_run_is_a_mistake(void **state)
{
    struct setting *s = *state;

    by_command(s, "sh -c 'open");
    expect_mistake(s, "test.ini:7: memory.command: a quote of the command is not closed");
    s->memory.pid = 0;
    by_command(s, "cat /proc/{pid}/statm");
    expect_mistake(s, "test.ini:7: memory.command: {pid} is in it, but no process is known");
    by_command(s, "echo 1");
    settled_by(s, "jcmd {pid} GC.run");
    expect_mistake(s, "test.ini:7: memory.settle: {pid} is in it, but no process is known");
}

/* Before the dwells as `every` says, and then at the end of each; settling begins as much earlier
 * as it takes. */
static void floors_keep_to_the_dwells(void **state)
{
    struct plan_memory memory = {.every_ns = 400, .settle_by = SETTLE_ITSELF};
    struct watch watch = {.memory = &memory, .dwells_from_ns = 2000, .dwell_ns = 1000};

    (void)state;
    watch_schedule(&watch, 1000);
    assert_int_equal(watch.next_ns, 1400);
    watch_schedule(&watch, 1500);
    assert_int_equal(watch.next_ns, 1800);
    watch_schedule(&watch, 1801);
    assert_int_equal(watch.next_ns, 2000); /* the last before the dwells comes at their beginning */
    watch_schedule(&watch, 2050);
    assert_int_equal(watch.next_ns, 3000);
    assert_int_equal(watch_begin_ns(&watch), 3000);
    watch.lead_ns = 200;
    assert_int_equal(watch_begin_ns(&watch), 2800);
    watch_schedule(&watch, 2970); /* it was ready before the boundary: this dwell has its floor */
    assert_int_equal(watch.next_ns, 4000);
    watch_schedule(&watch, 4850); /* too late to settle in time for the next */
    assert_int_equal(watch.next_ns, 6000);
}

#define WITH_SETTING(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SETTING(a_command_tells_the_memory),
        WITH_SETTING(a_process_has_no_such_value),
        WITH_SETTING(a_command_alone_is_enough),
        WITH_SETTING(a_failed_command_is_a_gap),
        WITH_SETTING(a_late_command_is_a_gap),
        WITH_SETTING(a_command_may_settle_by_itself),
        WITH_SETTING(each_reading_comes_right_after_settling),
        WITH_SETTING(a_failed_settling_is_a_gap_in_all),
        WITH_SETTING(a_late_settling_is_a_gap),
        WITH_SETTING(the_end_waits_for_no_command),
        WITH_SETTING(a_failure_that_lasts_is_told),
        WITH_SETTING(a_page_knows_its_server),
        WITH_SETTING(who_tells_no_more_is_lost),
        WITH_SETTING(who_settles_no_more_is_lost),
        WITH_SETTING(what_cannot_run_is_a_mistake),
        cmocka_unit_test(floors_keep_to_the_dwells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
