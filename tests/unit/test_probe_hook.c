/* The hook: what its commands get, when they run, how they fail, and that none outlives the run. */
#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "probe/hook.h"
#include "profile/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_NS (60 * NS_PER_S)

static char dir[] = "/tmp/tlsoak-hook-XXXXXX";

static struct plan plan_of(char *rotate, char *on_start)
{
    return (struct plan){
        .hook = {
            .rotate = rotate, .on_start = on_start, .every_ns = LONG_NS, .deadline_ns = LONG_NS}};
}

static struct hook *open_hook(const struct plan *plan)
{
    struct diag *diag = diag_new();
    struct hook *hook = hook_new(plan, NULL, dir, diag);

    assert_non_null(hook);
    diag_free(diag);
    return hook;
}

static char *read_log(void)
{
    CLEANUP_FREE char *path = xasprintf("%s/hook.log", dir);
    char *text = file_read(path, 8 << 20, NULL);

    assert_non_null(text);
    (void)unlink(path);
    return text;
}

/* Runs one command to its end; its event is in *ret_event, what it said in the result. */
static char *perform(char *command, int stop_fd, uint64_t deadline_ns, struct hook_event *ret_event)
{
    struct plan plan = plan_of(NULL, command);

    plan.hook.deadline_ns = deadline_ns;
    struct hook *hook = open_hook(&plan);
    assert_true(hook_perform(hook, HOOK_ON_START, stop_fd, ret_event));
    struct hook_event none;
    assert_false(hook_perform(hook, HOOK_ON_END, -1, &none));
    hook_free(hook);
    return read_log();
}

static void gets_a_shell_the_run_and_no_secrets(void **state)
{
    struct hook_event event;
    char command[] = "echo \"in {run}\" | tr a-z A-Z; echo oops >&2; env; test -n \"$PATH\"";

    (void)state;
    assert_int_equal(setenv("TLSOAK_TEST_SECRET", "canary", 1), 0);
    CLEANUP_FREE char *log = perform(command, -1, LONG_NS, &event);
    assert_true(event.ok);
    assert_non_null(strstr(log, "IN /TMP/TLSOAK-HOOK-"));
    assert_non_null(strstr(log, "oops\n"));
    assert_non_null(strstr(log, "PATH="));
    assert_null(strstr(log, "canary"));
    assert_non_null(strstr(log, ": on_start begins\n"));
    assert_non_null(strstr(log, ": on_start is done\n"));
}

static void says_how_it_failed(void **state)
{
    struct hook_event event;
    char fails[] = "echo no store >&2; exit 7", lasts[] = "sleep 1000";

    (void)state;
    free(perform(fails, -1, LONG_NS, &event));
    assert_false(event.ok);
    assert_string_equal(event.text, "hook.on_start: sh ended with exit code 7: no store");
    free(perform(lasts, -1, 50 * NS_PER_MS, &event));
    assert_string_equal(event.text, "hook.on_start: sh did not end before the deadline");
    int stop_fd = eventfd(1, 0);
    free(perform(lasts, stop_fd, LONG_NS, &event));
    assert_string_equal(event.text, "hook.on_start: sh was ended with the run");
    (void)close(stop_fd);
}

static void needs_the_process_that_it_names(void **state)
{
    char asks[] = "kill {pid}";
    struct plan plan = plan_of(asks, asks);
    struct diag *diag = diag_new();

    (void)state;
    plan.store = store_new();
    assert_null(hook_new(&plan, NULL, dir, diag));
    assert_int_equal(diag_count(diag), 2);
    assert_non_null(
        strstr(diag_text(diag, 0), "hook.rotate: {pid} is in it, but the first [memory] knows"));
    diag_free(diag);
    store_free(plan.store);
}

static void keeps_a_bounded_log(void **state)
{
    struct hook_event event;
    char command[] = "head -c 5000000 /dev/zero | tr '\\0' x";

    (void)state;
    CLEANUP_FREE char *log = perform(command, -1, LONG_NS, &event);
    assert_true(event.ok);
    assert_int_equal(strlen(log), 1 << 20);
}

/* Due at once, and then as soon as the last has ended, four times in all. */
struct timetable {
    uint64_t n_asked;
};

static uint64_t four_times(const void *context, uint64_t t_ns)
{
    struct timetable *table = *(struct timetable *const *)context;

    return table->n_asked++ < 4 ? t_ns : UINT64_MAX;
}

static bool take(struct hook *hook, uint64_t until_ns, struct hook_event *ret_event)
{
    struct timespec nap = {.tv_nsec = NS_PER_MS};
    uint64_t end_ns = mono_now_ns() + LONG_NS;

    while (!hook_take(hook, until_ns, ret_event)) {
        if (mono_now_ns() > end_ns) {
            return false;
        }
        (void)nanosleep(&nap, NULL);
    }
    return true;
}

static void rotates_when_it_is_due(void **state)
{
    struct timetable table = {0}, *context = &table;
    /* Each second one fails. */
    char command[] = "if [ -e '{run}/odd' ]; then rm '{run}/odd'; exit 3; fi; touch '{run}/odd'";
    struct plan plan = plan_of(command, NULL);
    struct hook *hook = open_hook(&plan);
    uint64_t zero_ns = mono_now_ns(), last_ns = zero_ns;

    (void)state;
    hook_start(hook,
               &(struct hook_times){.zero_ns = zero_ns, .due_ns = four_times, .context = &context});
    for (int i = 0; i < 4; i++) {
        struct hook_event event;
        assert_true(take(hook, UINT64_MAX, &event));
        assert_int_equal(event.ok, i % 2 == 0);
        assert_true(event.at_ns >= last_ns);
        last_ns = event.at_ns;
        /* What ended later than asked for stays. */
        struct hook_event later;
        assert_false(hook_take(hook, event.at_ns, &later));
    }
    hook_stop(hook);
    assert_false(hook_busy(hook));
    hook_free(hook);
    free(read_log());
}

static uint64_t once_in_an_hour(const void *context, uint64_t t_ns)
{
    (void)context;
    return t_ns <= 60 * LONG_NS ? 60 * LONG_NS : UINT64_MAX;
}

/* A wait that is under way hears that its end comes earlier. */
static void it_may_be_due_earlier(void **state)
{
    _Atomic(uint64_t) early_ns = 0;
    char command[] = "true";
    struct plan plan = plan_of(command, NULL);
    struct hook *hook = open_hook(&plan);
    struct hook_event event;

    (void)state;
    hook_start(hook, &(struct hook_times){.zero_ns = mono_now_ns(),
                                          .due_ns = once_in_an_hour,
                                          .early_ns = &early_ns});
    assert_false(hook_take(hook, UINT64_MAX, &event));
    atomic_store(&early_ns, 60 * LONG_NS);
    assert_true(take(hook, UINT64_MAX, &event));
    assert_true(event.ok);
    hook_stop(hook);
    assert_false(hook_take(hook, UINT64_MAX, &event));
    hook_free(hook);
    free(read_log());
}

/* Neither what the references stood for, nor what quotes it. */
static void tells_no_secrets(void **state)
{
    char command[] = "echo said canary; nosuch-canary-command";
    struct plan plan = plan_of(NULL, command);
    struct hook_event event;

    (void)state;
    plan.store = store_new();
    store_note(plan.store, &plan.hook.on_start, (struct origin){"test.ini", 1}, "${SECRET}");
    struct hook *hook = open_hook(&plan);
    assert_true(hook_perform(hook, HOOK_ON_START, -1, &event));
    assert_false(event.ok);
    assert_string_equal(event.text, "hook.on_start: the command ended with exit code 127");
    hook_free(hook);
    store_free(plan.store);
    CLEANUP_FREE char *log = read_log();
    assert_null(strstr(log, "canary"));
    assert_non_null(strstr(log, "what it says is not kept"));
}

static void a_rotation_ends_with_the_run(void **state)
{
    struct timetable table = {.n_asked = 3}, *context = &table;
    char command[] = "touch '{run}/begun'; sleep 1000";
    struct plan plan = plan_of(command, NULL);
    struct hook *hook = open_hook(&plan);
    CLEANUP_FREE char *begun = xasprintf("%s/begun", dir);
    struct timespec nap = {.tv_nsec = NS_PER_MS};
    struct hook_event event;

    (void)state;
    hook_start(hook, &(struct hook_times){
                         .zero_ns = mono_now_ns(), .due_ns = four_times, .context = &context});
    while (access(begun, F_OK) != 0) {
        (void)nanosleep(&nap, NULL);
    }
    assert_true(hook_busy(hook));
    hook_stop(hook);
    assert_false(hook_busy(hook));
    assert_true(hook_take(hook, UINT64_MAX, &event));
    assert_false(event.ok);
    assert_string_equal(event.text, "hook.rotate: sh was ended with the run");
    hook_free(hook);
    free(read_log());
    (void)unlink(begun);
}

/* Due at once, again and again. */
static uint64_t always(const void *context, uint64_t t_ns)
{
    struct timespec nap = {.tv_nsec = NS_PER_MS};

    atomic_fetch_add(*(_Atomic(unsigned) *const *)context, 1);
    (void)nanosleep(&nap, NULL);
    return t_ns;
}

static void put(const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);

    assert_true(file_write(path, "", 0, 0600));
}

static bool is_there(const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);

    return access(path, F_OK) == 0;
}

/* A leak is looked at once, beside the load, and no rotation comes in between. */
static void a_leak_is_looked_at_undisturbed(void **state)
{
    char rotate[] = "echo turned", on_leak[] = "cd {run}; touch begun; until [ -e go ]; do sleep "
                                               "0.01; done; rm begun go; echo seen; exit 3";
    _Atomic(unsigned) n_asked = 0, *context = &n_asked;
    struct plan plan = plan_of(rotate, NULL);
    struct timespec nap = {.tv_nsec = NS_PER_MS};
    struct hook_event event;

    (void)state;
    plan.hook.on_leak = on_leak;
    struct hook *hook = open_hook(&plan);
    hook_begin_leak(hook, -1);
    while (!is_there("begun")) {
        (void)nanosleep(&nap, NULL);
    }
    hook_begin_leak(hook, -1); /* once is enough */
    hook_start(hook, &(struct hook_times){
                         .zero_ns = mono_now_ns(), .due_ns = always, .context = &context});
    while (atomic_load(&n_asked) < 10) {
        (void)nanosleep(&nap, NULL);
    }
    hook_stop(hook);
    assert_false(hook_take(hook, UINT64_MAX, &event));
    put("go");
    assert_true(hook_perform(hook, HOOK_ON_LEAK, -1, &event));
    assert_string_equal(event.text, "hook.on_leak: sh ended with exit code 3");
    hook_free(hook);
    CLEANUP_FREE char *log = read_log();
    assert_null(strstr(log, "turned"));
    assert_non_null(strstr(log, "seen\n"));
    assert_null(strstr(strstr(log, "on_leak begins") + 1, "on_leak begins"));
}

/* Who ends the run ends it. */
/* A system that refuses a thread in the middle of the load ends nothing: it is looked at after. */
static void a_leak_is_looked_at_without_a_thread_too(void **state)
{
    char on_leak[] = "echo looked";
    struct plan plan = plan_of(NULL, NULL);
    struct hook_event event;
    pthread_attr_t usual, huge;

    (void)state;
    plan.hook.on_leak = on_leak;
    struct hook *hook = open_hook(&plan);
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_attr_init(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 47), 0); /* more than there is */
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    hook_begin_leak(hook, -1);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    CLEANUP_FREE char *path = xasprintf("%s/hook.log", dir);
    CLEANUP_FREE char *before = file_read(path, 8 << 20, NULL);
    assert_null(strstr(before, "on_leak begins"));
    assert_true(hook_perform(hook, HOOK_ON_LEAK, -1, &event));
    assert_true(event.ok);
    hook_free(hook);
    CLEANUP_FREE char *log = read_log();
    assert_non_null(strstr(log, "looked\n"));
    (void)pthread_attr_destroy(&huge);
    (void)pthread_attr_destroy(&usual);
}

static void a_leak_is_looked_at_no_longer_than_the_run(void **state)
{
    char on_leak[] = "sleep 1000";
    struct plan plan = plan_of(NULL, NULL);
    struct hook_event event;
    int stop_fd = eventfd(1, 0);

    (void)state;
    plan.hook.on_leak = on_leak;
    struct hook *hook = open_hook(&plan);
    hook_begin_leak(hook, stop_fd);
    assert_true(hook_perform(hook, HOOK_ON_LEAK, -1, &event));
    assert_string_equal(event.text, "hook.on_leak: sh was ended with the run");
    hook_free(hook);
    (void)close(stop_fd);
    free(read_log());
}

static void a_plan_without_is_quiet(void **state)
{
    struct plan plan = plan_of(NULL, NULL);
    struct hook *hook = open_hook(&plan);
    struct hook_event event;

    (void)state;
    assert_false(hook_perform(hook, HOOK_ON_START, -1, &event));
    hook_begin_leak(hook, -1);
    hook_begin_leak(NULL, -1);
    assert_false(hook_perform(hook, HOOK_ON_LEAK, -1, &event));
    hook_start(hook, &(struct hook_times){.zero_ns = 0});
    hook_start(NULL, &(struct hook_times){.zero_ns = 0});
    assert_false(hook_busy(hook));
    assert_false(hook_take(hook, UINT64_MAX, &event));
    assert_false(hook_take(NULL, UINT64_MAX, &event));
    hook_free(hook);
    CLEANUP_FREE char *path = xasprintf("%s/hook.log", dir);
    assert_int_not_equal(access(path, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gets_a_shell_the_run_and_no_secrets),
        cmocka_unit_test(says_how_it_failed),
        cmocka_unit_test(needs_the_process_that_it_names),
        cmocka_unit_test(keeps_a_bounded_log),
        cmocka_unit_test(rotates_when_it_is_due),
        cmocka_unit_test(it_may_be_due_earlier),
        cmocka_unit_test(tells_no_secrets),
        cmocka_unit_test(a_rotation_ends_with_the_run),
        cmocka_unit_test(a_leak_is_looked_at_undisturbed),
        cmocka_unit_test(a_leak_is_looked_at_without_a_thread_too),
        cmocka_unit_test(a_leak_is_looked_at_no_longer_than_the_run),
        cmocka_unit_test(a_plan_without_is_quiet),
    };
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(dir);
    return failed;
}
