#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "probe/procfs.h"
#include "probe/sampler.h"
#include "probe/watch.h"
#include "probe/spawn.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS (20 * NS_PER_S)

static char self[4096]; /* path of this program, which is also the server that `exec` starts */

static int listen_on(uint16_t *port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&sa, sizeof sa) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &len) != 0) {
        return -1;
    }
    *port = ntohs(sa.sin_port);
    return fd;
}

/* A child that listens on *port (0: any) when asked to, and is called `name`; it has begun when this returns. */
static pid_t start_child(bool listens, uint16_t *port, const char *name)
{
    int ready[2];

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)prctl(PR_SET_NAME, name);
        if ((listens && listen_on(port) < 0) || write(ready[1], port, sizeof *port) < 0) {
            _exit(1);
        }
        for (;;) {
            (void)pause();
        }
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], port, sizeof *port), sizeof *port);
    (void)close(ready[0]);
    return pid;
}

static void end_child(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static struct addr address(const char *text, uint16_t port)
{
    struct addr addr = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *sa = (struct sockaddr_in *)&addr.sa;

    sa->sin_family = AF_INET;
    sa->sin_port = htons(port);
    assert_int_equal(inet_pton(AF_INET, text, &sa->sin_addr), 1);
    return addr;
}

/* The plan's strings are not const; nobody writes to them. */
static char *fixed(const char *text)
{
    return (char *)(uintptr_t)text;
}

struct setting {
    struct plan plan;
    struct plan_memory memories[2];
    struct addr addr;
    struct diag *diag;
    bool refused;
};

/* One source that names nothing, read every 5 ms; the target is on loopback. */
static void prepare(struct setting *setting, uint16_t port)
{
    *setting = (struct setting){.addr = address("127.0.0.1", port), .diag = diag_new()};
    setting->plan.run.duration_ns = 60 * NS_PER_S;
    setting->plan.target.dial_port = port;
    setting->plan.memories = setting->memories;
    setting->plan.n_memories = 1;
    for (int i = 0; i < 2; i++) {
        setting->memories[i] = (struct plan_memory){.name = fixed(i == 0 ? "server" : "backend"),
                                                    .every_ns = 5 * NS_PER_MS,
                                                    .origin = {"test.ini", 7 + i}};
    }
}

static struct sampler *sampler_of(struct setting *setting)
{
    return sampler_new(&setting->plan, &setting->addr, 1, &setting->refused, setting->diag);
}

static void expect_mistake(struct setting *setting, bool refused, const char *part)
{
    struct sampler *sampler = sampler_of(setting);

    assert_null(sampler);
    assert_int_equal(setting->refused, refused);
    assert_int_equal(diag_count(setting->diag), 1);
    assert_non_null(strstr(diag_text(setting->diag, 0), "test.ini:7: memory server: "));
    if (strstr(diag_text(setting->diag, 0), part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", diag_text(setting->diag, 0), part);
    }
    diag_free(setting->diag);
}

/* Takes readings until one is as wanted. */
static struct reading wait_for(struct sampler *sampler,
                               bool (*wanted)(const struct reading *, uint64_t), uint64_t argument)
{
    uint64_t until = mono_now_ns() + PATIENCE_NS;
    struct timespec moment = {.tv_nsec = (long)NS_PER_MS};
    struct reading reading;

    for (;;) {
        while (sampler_take(sampler, &reading, 1) == 1) {
            assert_true(reading.ok ? reading.value[MEMORY_RSS] > 0
                                   : reading.value[MEMORY_RSS] == -1);
            if (wanted(&reading, argument)) {
                return reading;
            }
        }
        assert_true(mono_now_ns() < until);
        (void)nanosleep(&moment, NULL);
    }
}

static bool is_ok(const struct reading *reading, uint64_t unused)
{
    (void)unused;
    return reading->ok;
}

static bool is_lost(const struct reading *reading, uint64_t unused)
{
    (void)unused;
    return reading->lost;
}

static bool is_gap(const struct reading *reading, uint64_t unused)
{
    (void)unused;
    return !reading->ok;
}

static bool is_of_another(const struct reading *reading, uint64_t incarnation)
{
    return reading->ok && reading->incarnation != incarnation;
}

static bool is_of_second_source(const struct reading *reading, uint64_t unused)
{
    (void)unused;
    return reading->ok && reading->source == 1;
}

static void samples_the_listener_of_the_target(void **state)
{
    uint16_t port = 0;
    struct setting setting;
    pid_t pid = start_child(true, &port, "listener");
    char text[64];

    (void)state;
    prepare(&setting, port);
    struct sampler *sampler = sampler_of(&setting);
    assert_non_null(sampler);
    (void)snprintf(text, sizeof text, "listener (pid %d)", pid);
    assert_string_equal(sampler_describe(sampler, 0), text);
    sampler_start(sampler, 0, 0);
    struct reading first = wait_for(sampler, is_ok, 0);
    struct reading second = wait_for(sampler, is_ok, 0);
    assert_true(first.value[MEMORY_PSS] > 0); /* the first has all details */
    assert_int_equal(second.value[MEMORY_PSS], -1);
    assert_true(second.t_ns > first.t_ns);
    assert_int_equal(first.incarnation, second.incarnation);
    sampler_free(sampler);
    end_child(pid);
    diag_free(setting.diag);
}

static void refuses_the_wrong_process(void **state)
{
    uint16_t port = 0, none = 0;
    struct setting setting;
    pid_t pid = start_child(true, &port, "listener");
    pid_t other = start_child(false, &none, "bystander");

    (void)state;
    prepare(&setting, port);
    setting.memories[0].pid = other;
    expect_mistake(&setting, true, "not bystander (pid ");

    prepare(&setting, port);
    setting.memories[0].process = fixed("bystander");
    expect_mistake(&setting, true, "listener (pid ");
    end_child(pid);

    prepare(&setting, port);
    setting.memories[0].pid = other;
    expect_mistake(&setting, true, "nobody listens on port");

    prepare(&setting, port);
    expect_mistake(&setting, false, "no process on this machine listens on 127.0.0.1:");

    prepare(&setting, port);
    setting.memories[0].pid = pid;
    expect_mistake(&setting, false, "is not running");
    end_child(other);
}

/* As nobody, with the listener of another user. */
static int be_refused(struct setting *setting, int64_t pid)
{
    if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0) {
        return 1;
    }
    setting->memories[0].pid = pid;
    struct sampler *sampler = sampler_of(setting);
    if (sampler != NULL || !setting->refused || diag_count(setting->diag) != 1) {
        return 2;
    }
    return strstr(diag_text(setting->diag, 0), "run tlsoak as the same user") != NULL ? 0 : 3;
}

static void says_what_permission_is_missing(void **state)
{
    uint16_t port = 0;
    struct setting setting;
    int status;

    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    pid_t pid = start_child(true, &port, "listener");
    prepare(&setting, port);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            _exit(be_refused(&setting, i == 0 ? 0 : pid));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    diag_free(setting.diag);
    end_child(pid);
}

static void takes_the_parent_of_the_listener(void **state)
{
    uint16_t port = 0;
    struct setting setting;
    pid_t pid = start_child(true, &port, "listener");

    (void)state;
    prepare(&setting, port);
    setting.memories[0].pid = getpid();
    struct sampler *sampler = sampler_of(&setting);
    assert_non_null(sampler);
    assert_non_null(strstr(sampler_describe(sampler, 0), " and 1 child)"));
    sampler_free(sampler);
    diag_free(setting.diag);
    end_child(pid);
}

static void what_stands_behind_the_server_may_be_sampled_too(void **state)
{
    uint16_t port = 0, none = 0;
    struct setting setting;
    pid_t pid = start_child(true, &port, "listener");
    pid_t other = start_child(false, &none, "backend");

    (void)state;
    prepare(&setting, port);
    setting.plan.n_memories = 2;
    setting.memories[1].pid = other;
    struct sampler *sampler = sampler_of(&setting);
    assert_non_null(sampler);
    sampler_start(sampler, 0, 0);
    (void)wait_for(sampler, is_of_second_source, 0);
    sampler_free(sampler);
    diag_free(setting.diag);
    end_child(pid);
    end_child(other);
}

static void a_remote_target_needs_a_named_process(void **state)
{
    struct setting setting;

    (void)state;
    prepare(&setting, 8443);
    setting.addr = address("192.0.2.1", 8443);
    expect_mistake(&setting, false, "must be named");

    prepare(&setting, 8443);
    setting.addr = address("192.0.2.1", 8443);
    setting.memories[0].pid = getpid();
    struct sampler *sampler = sampler_of(&setting);
    assert_non_null(sampler);
    sampler_free(sampler);
    diag_free(setting.diag);
}

static void names_and_pid_files_lead_to_one_process(void **state)
{
    uint16_t port = 0, none = 0;
    struct setting setting;
    char name[16], path[] = "/tmp/tlsoak-pid-XXXXXX", pids[16];

    (void)state;
    (void)snprintf(name, sizeof name, "tls-%d", getpid());
    pid_t pid = start_child(true, &port, name);
    prepare(&setting, port);
    setting.memories[0].process = name;
    struct sampler *sampler = sampler_of(&setting);
    assert_non_null(sampler);
    sampler_free(sampler);
    diag_free(setting.diag);

    pid_t twin = start_child(false, &none, name);
    prepare(&setting, port);
    setting.memories[0].process = name;
    (void)snprintf(pids, sizeof pids, "%d", twin);
    expect_mistake(&setting, false, pids);
    end_child(twin);
    prepare(&setting, port);
    setting.memories[0].process = fixed("no-such-name");
    expect_mistake(&setting, false, "no process is called \"no-such-name\"");

    assert_true(close(mkstemp(path)) == 0);
    int len = snprintf(pids, sizeof pids, "%d\n", pid);
    assert_true(file_write(path, pids, (size_t)len, 0600));
    prepare(&setting, port);
    setting.memories[0].pid_file = path;
    sampler = sampler_of(&setting);
    assert_non_null(sampler);
    sampler_free(sampler);
    diag_free(setting.diag);
    assert_true(file_write(path, "-5 junk", 7, 0600));
    prepare(&setting, port);
    setting.memories[0].pid_file = path;
    expect_mistake(&setting, false, "does not hold the number");
    assert_int_equal(unlink(path), 0);
    prepare(&setting, port);
    setting.memories[0].pid_file = path;
    expect_mistake(&setting, false, "No such file");
    end_child(pid);
}

static void sees_a_restart(void **state)
{
    uint16_t port = 0;
    struct setting setting;
    pid_t pid = start_child(true, &port, "listener");

    (void)state;
    prepare(&setting, port);
    struct sampler *sampler = sampler_of(&setting);
    assert_non_null(sampler);
    sampler_start(sampler, 0, 0);
    struct reading before = wait_for(sampler, is_ok, 0);
    end_child(pid);
    struct reading gap = wait_for(sampler, is_gap, 0);
    assert_false(gap.lost); /* it may come back */
    pid = start_child(true, &port, "listener");
    struct reading after = wait_for(sampler, is_of_another, before.incarnation);
    assert_true(after.t_ns > before.t_ns);
    sampler_free(sampler);
    diag_free(setting.diag);
    end_child(pid);
}

static void a_named_pid_is_lost_for_good(void **state)
{
    uint16_t port = 0;
    struct setting setting;
    pid_t pid = start_child(true, &port, "listener");

    (void)state;
    prepare(&setting, port);
    setting.memories[0].pid = pid;
    struct sampler *sampler = sampler_of(&setting);
    assert_non_null(sampler);
    sampler_start(sampler, 0, 0);
    (void)wait_for(sampler, is_ok, 0);
    end_child(pid);
    assert_false(wait_for(sampler, is_lost, 0).ok);
    sampler_free(sampler);
    diag_free(setting.diag);
}

static void a_reading_past_its_deadline_is_a_gap(void **state)
{
    uint16_t port = 0;
    struct setting setting;
    pid_t pid = start_child(true, &port, "listener");

    (void)state;
    prepare(&setting, port);
    setting.memories[0].deadline_ns = 1;
    struct sampler *sampler = sampler_of(&setting);
    assert_non_null(sampler);
    sampler_start(sampler, 0, 0);
    assert_false(wait_for(sampler, is_gap, 0).lost);
    sampler_free(sampler);
    diag_free(setting.diag);
    end_child(pid);
}

/* A port that nobody has just now. */
static uint16_t free_port(void)
{
    uint16_t port = 0;
    int fd = listen_on(&port);

    assert_true(fd >= 0);
    (void)close(fd);
    return port;
}

static void starts_and_ends_a_server(void **state)
{
    uint16_t port = free_port();
    struct setting setting;
    CLEANUP_FREE char *command = xasprintf("'%s'  \"listen\" %u", self, port);
    CLEANUP_FREE char *shell = xasprintf("sh -c '\"%s\" listen %u; true'", self, port);

    (void)state;
    for (int i = 0; i < 2; i++) {
        prepare(&setting, port);
        setting.memories[0].exec = i == 0 ? command : shell;
        struct sampler *sampler = sampler_of(&setting);
        if (sampler == NULL) {
            fail_msg("%s", diag_text(setting.diag, 0));
        }
        assert_int_not_equal(procfs_listener("/proc", port, NULL).pid, 0);
        sampler_start(sampler, 0, 0);
        (void)wait_for(sampler, is_ok, 0);
        sampler_free(sampler);
        diag_free(setting.diag);
        assert_int_equal(procfs_listener("/proc", port, NULL).pid, 0);
    }
}

static void says_why_a_server_did_not_start(void **state)
{
    uint16_t port = free_port();
    struct setting setting;
    CLEANUP_FREE char *fails = xasprintf("%s fail", self);

    (void)state;
    prepare(&setting, port);
    setting.memories[0].exec = fixed("/no/such/program --flag");
    expect_mistake(&setting, false, "/no/such/program could not be started: No such file");
    prepare(&setting, port);
    setting.memories[0].exec = fixed("sh -c 'open");
    expect_mistake(&setting, false, "quote");
    prepare(&setting, port);
    setting.memories[0].exec = fixed("  ");
    expect_mistake(&setting, false, "empty");
    prepare(&setting, port);
    setting.memories[0].exec = fails;
    expect_mistake(&setting, false, "ended (exit code 3) before it listened");

    pid_t pid = start_child(true, &port, "orphan");
    prepare(&setting, port);
    setting.memories[0].exec = fails;
    expect_mistake(&setting, true, "orphan (pid ");
    end_child(pid);
}

static void deadlines_are_absolute(void **state)
{
    struct plan_memory memory = {.every_ns = 100};
    struct watch watch = {.memory = &memory};

    (void)state;
    watch_schedule(&watch, 1000);
    assert_int_equal(watch.next_ns, 1100);
    watch_schedule(&watch, 1130); /* late: the grid stays */
    assert_int_equal(watch.next_ns, 1200);
    watch_schedule(&watch, 1575); /* missed some: not made up for */
    assert_int_equal(watch.next_ns, 1600);
}

static void works_without_a_source(void **state)
{
    struct setting setting;
    struct reading reading;

    (void)state;
    prepare(&setting, 8443);
    setting.plan.n_memories = 0;
    struct sampler *sampler = sampler_of(&setting);
    assert_non_null(sampler);
    sampler_start(sampler, 0, 0);
    assert_int_equal(sampler_take(sampler, &reading, 1), 0);
    sampler_free(sampler);
    diag_free(setting.diag);
}

static int be_the_server(const char *what, const char *text)
{
    uint64_t port = 0;

    if (!str_equal(what, "listen") || !str_to_u64(text, &port)) {
        return 3;
    }
    uint16_t short_port = (uint16_t)port;
    if (listen_on(&short_port) < 0) {
        return 4;
    }
    for (;;) {
        (void)pause();
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_the_listener_of_the_target),
        cmocka_unit_test(refuses_the_wrong_process),
        cmocka_unit_test(says_what_permission_is_missing),
        cmocka_unit_test(takes_the_parent_of_the_listener),
        cmocka_unit_test(what_stands_behind_the_server_may_be_sampled_too),
        cmocka_unit_test(a_remote_target_needs_a_named_process),
        cmocka_unit_test(names_and_pid_files_lead_to_one_process),
        cmocka_unit_test(sees_a_restart),
        cmocka_unit_test(a_named_pid_is_lost_for_good),
        cmocka_unit_test(a_reading_past_its_deadline_is_a_gap),
        cmocka_unit_test(starts_and_ends_a_server),
        cmocka_unit_test(says_why_a_server_did_not_start),
        cmocka_unit_test(deadlines_are_absolute),
        cmocka_unit_test(works_without_a_source),
    };

    if (argc > 1) {
        return be_the_server(argv[1], argc > 2 ? argv[2] : "");
    }
    if (readlink("/proc/self/exe", self, sizeof self - 1) <= 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
