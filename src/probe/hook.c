#include "probe/hook.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "probe/errand.h"
#include "probe/sampler.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOG_BYTES (1u << 20)
#define NAP_NS    (100 * NS_PER_MS)

enum { N_EVENTS = 256 };

struct hook {
    const struct plan_hook *plan;
    bool secret[HOOK_ON_END + 1]; /* by command: it was written with references */
    struct sampler *sampler;
    char *dir;
    char **environment; /* owns, with its strings */
    struct errand_log log;
    uint64_t start_ns; /* of the times in the log */
    struct hook_times times;
    pthread_t thread;
    bool running;
    int stop_fd;          /* an eventfd, readable from the end on */
    pthread_mutex_t turn; /* of the command that runs, and of the log */
    pthread_t leak_thread;
    bool leak_begun, leak_over;
    int leak_stop_fd;
    struct hook_event leak_event;
    pthread_mutex_t mutex; /* of all below */
    bool busy;
    size_t first, n; /* ring */
    struct hook_event events[N_EVENTS];
};

static const char *command_text(const struct hook *hook, enum hook_command command)
{
    return command == HOOK_ROTATE     ? hook->plan->rotate
           : command == HOOK_ON_START ? hook->plan->on_start
           : command == HOOK_ON_LEAK  ? hook->plan->on_leak
                                      : hook->plan->on_end;
}

static const char *command_name(enum hook_command command)
{
    static const char *const names[] = {"rotate", "on_start", "on_leak", "on_end"};

    return names[command];
}

/* 0: unknown. */
static int64_t process_of(const struct hook *hook)
{
    return hook->sampler != NULL ? sampler_pid(hook->sampler, 0) : 0;
}

/* What a shell and common tools need to work; whatever else a command needs stands in it. */
static char **environment_new(void)
{
    static const char *const names[] = {"PATH",   "HOME", "USER",   "LOGNAME", "SHELL",
                                        "TMPDIR", "LANG", "LC_ALL", "TZ",      "TERM"};
    const size_t n_names = sizeof names / sizeof *names;
    char **environment = xcalloc(n_names + 1, sizeof *environment);
    size_t n = 0;

    for (size_t i = 0; i < n_names; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL) {
            environment[n++] = xasprintf("%s=%s", names[i], value);
        }
    }
    return environment;
}

/* A command that can never run is a mistake. */
static bool check_process(const struct hook *hook, const struct plan *plan, struct diag *diag)
{
    char *const *const fields[] = {&plan->hook.rotate, &plan->hook.on_start, &plan->hook.on_leak,
                                   &plan->hook.on_end};
    size_t before = diag_count(diag);

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (*fields[i] != NULL && strstr(*fields[i], "{pid}") != NULL && process_of(hook) == 0) {
            diag_add(diag, plan_origin(plan, fields[i]),
                     "hook.%s: {pid} is in it, but the first [memory] knows no process",
                     command_name((enum hook_command)i));
        }
    }
    return diag_count(diag) == before;
}

static bool log_open(struct hook *hook, struct diag *diag)
{
    CLEANUP_FREE char *path = xasprintf("%s/hook.log", hook->dir);

    if (hook->plan->rotate == NULL && hook->plan->on_start == NULL && hook->plan->on_leak == NULL &&
        hook->plan->on_end == NULL) {
        return true;
    }
    hook->log.fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    hook->log.room = LOG_BYTES;
    if (hook->log.fd < 0) {
        diag_add(diag, (struct origin){path, 0}, "can't be written: %s", strerror(errno));
    }
    return hook->log.fd >= 0;
}

struct hook *hook_new(const struct plan *plan, struct sampler *sampler, const char *dir,
                      struct diag *diag)
{
    struct hook *hook = xcalloc(1, sizeof *hook);

    BUG_ON(pthread_mutex_init(&hook->mutex, NULL) != 0);
    BUG_ON(pthread_mutex_init(&hook->turn, NULL) != 0);
    hook->stop_fd = eventfd(0, EFD_CLOEXEC);
    BUG_ON(hook->stop_fd < 0);
    hook->plan = &plan->hook;
    hook->secret[HOOK_ROTATE] = plan_is_reference(plan, &plan->hook.rotate);
    hook->secret[HOOK_ON_START] = plan_is_reference(plan, &plan->hook.on_start);
    hook->secret[HOOK_ON_LEAK] = plan_is_reference(plan, &plan->hook.on_leak);
    hook->secret[HOOK_ON_END] = plan_is_reference(plan, &plan->hook.on_end);
    hook->sampler = sampler;
    hook->dir = xstrdup(dir);
    hook->environment = environment_new();
    hook->start_ns = mono_now_ns();
    hook->log.fd = -1;
    if (!check_process(hook, plan, diag) || !log_open(hook, diag)) {
        hook_free(hook);
        return NULL;
    }
    return hook;
}

/* A line of ours among what the commands say; the command itself may hold secrets. */
static void log_line(struct hook *hook, uint64_t now_ns, enum hook_command command,
                     const char *what)
{
    double at_s = (double)(now_ns - hook->start_ns) / (double)NS_PER_S;
    CLEANUP_FREE char *line = xasprintf("# %.3f s: %s %s\n", at_s, command_name(command), what);
    size_t len = strlen(line);

    if (len > hook->log.room || write(hook->log.fd, line, len) != (ssize_t)len) {
        hook->log.room = 0;
        return;
    }
    hook->log.room -= len;
}

/* The command with its places filled in; NULL with one sentence. */
static char *fill(const struct hook *hook, const char *command, char *why, size_t size)
{
    int64_t pid = process_of(hook);
    char number[24];

    if (pid == 0 && strstr(command, "{pid}") != NULL) {
        (void)snprintf(why, size, "{pid} is in it, but no process is known");
        return NULL;
    }
    (void)snprintf(number, sizeof number, "%lld", (long long)pid);
    CLEANUP_FREE char *with_pid = errand_fill(command, "{pid}", number);
    return errand_fill(with_pid, "{run}", hook->dir);
}

static void perform(struct hook *hook, enum hook_command command, const struct patience *patience,
                    struct hook_event *ret_event)
{
    char why[sizeof ret_event->text - 32] = "";
    CLEANUP_FREE char *text = fill(hook, command_text(hook, command), why, sizeof why);
    bool secret = hook->secret[command];
    char *words[] = {(char[]){"sh"}, (char[]){"-c"}, text, NULL};

    log_line(hook, mono_now_ns(), command,
             secret ? "begins; what it says is not kept, since it has ${} or @ in it" : "begins");
    ret_event->ok = text != NULL && errand_run_logged(words, hook->environment, patience,
                                                      secret ? NULL : &hook->log, why, sizeof why);
    ret_event->at_ns = mono_now_ns();
    (void)snprintf(ret_event->text, sizeof ret_event->text, "hook.%s: %s", command_name(command),
                   why);
    log_line(hook, ret_event->at_ns, command, ret_event->ok ? "is done" : why);
}

static void end_leak(struct hook *hook)
{
    if (hook->leak_begun && !hook->leak_over) {
        (void)pthread_join(hook->leak_thread, NULL);
        hook->leak_over = true;
    }
}

/* In its turn, so that what two commands say does not mix. */
static void perform_now(struct hook *hook, enum hook_command command, int stop_fd,
                        struct hook_event *ret_event)
{
    (void)pthread_mutex_lock(&hook->turn);
    struct patience patience = {.until_ns = mono_now_ns() + hook->plan->deadline_ns,
                                .stop_fd = stop_fd};
    perform(hook, command, &patience, ret_event);
    (void)pthread_mutex_unlock(&hook->turn);
}

static void *leak_main(void *argument)
{
    struct hook *hook = argument;

    perform_now(hook, HOOK_ON_LEAK, hook->leak_stop_fd, &hook->leak_event);
    return NULL;
}

/* False: the system refused it. */
static bool begin_thread(struct hook *hook, void *(*thread_main)(void *argument),
                         pthread_t *ret_thread)
{
    sigset_t all, before;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool begun = pthread_create(ret_thread, NULL, thread_main, hook) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return begun;
}

void hook_begin_leak(struct hook *hook, int stop_fd)
{
    if (hook != NULL && hook->plan->on_leak != NULL && !hook->leak_begun) {
        hook->leak_stop_fd = stop_fd;
        hook->leak_begun = begin_thread(hook, leak_main, &hook->leak_thread);
    }
}

bool hook_perform(struct hook *hook, enum hook_command command, int stop_fd,
                  struct hook_event *ret_event)
{
    if (command_text(hook, command) == NULL) {
        return false;
    }
    if (command != HOOK_ON_LEAK) {
        perform_now(hook, command, stop_fd, ret_event);
        return true;
    }
    if (!hook->leak_begun) {
        hook->leak_stop_fd = stop_fd;
        (void)leak_main(hook);
        hook->leak_begun = hook->leak_over = true;
    }
    end_leak(hook);
    *ret_event = hook->leak_event;
    return true;
}

/* Whoever was not heard for so long that no room is left misses rotations, but none that is not
 * counted. */
static bool begin(struct hook *hook)
{
    (void)pthread_mutex_lock(&hook->mutex);
    hook->busy = hook->n < N_EVENTS;
    bool busy = hook->busy;
    (void)pthread_mutex_unlock(&hook->mutex);
    return busy;
}

static void rotate(struct hook *hook)
{
    const struct plan_hook *plan = hook->plan;
    uint64_t most_ns = plan->deadline_ns < plan->every_ns ? plan->deadline_ns : plan->every_ns;
    struct patience patience = {.until_ns = mono_now_ns() + most_ns, .stop_fd = hook->stop_fd};
    struct hook_event event;

    /* a dump of the heap is not to be disturbed, nor waited for */
    if (pthread_mutex_trylock(&hook->turn) != 0) {
        return;
    }
    if (!begin(hook)) {
        (void)pthread_mutex_unlock(&hook->turn);
        return;
    }
    perform(hook, HOOK_ROTATE, &patience, &event);
    (void)pthread_mutex_unlock(&hook->turn);
    (void)pthread_mutex_lock(&hook->mutex);
    hook->events[(hook->first + hook->n++) % N_EVENTS] = event;
    hook->busy = false;
    (void)pthread_mutex_unlock(&hook->mutex);
}

static uint64_t early_ns(const struct hook_times *times)
{
    return times->early_ns != NULL ? atomic_load(times->early_ns) : 0;
}

/* In naps, since the time may come earlier than it seemed; false at the end. */
static bool wait_due(const struct hook *hook, uint64_t due_ns)
{
    const struct hook_times *times = &hook->times;

    for (;;) {
        uint64_t now_ns = mono_now_ns(), at_ns = times->zero_ns + due_ns - early_ns(times);
        struct patience patience = {.stop_fd = hook->stop_fd};
        patience.until_ns = at_ns < now_ns + NAP_NS ? at_ns : now_ns + NAP_NS;
        if (!patience_wait(&patience)) {
            return false;
        }
        if (patience.until_ns == at_ns) {
            return true;
        }
    }
}

/* What fell due while a slow one was under way is left out. */
static void *hook_main(void *argument)
{
    struct hook *hook = argument;
    const struct hook_times *times = &hook->times;
    uint64_t from_ns = 0;

    for (;;) {
        uint64_t due_ns = times->due_ns(times->context, from_ns);
        if (due_ns == UINT64_MAX || !wait_due(hook, due_ns)) {
            return NULL;
        }
        rotate(hook);
        uint64_t now_ns = mono_now_ns() - times->zero_ns + early_ns(times);
        from_ns = now_ns > due_ns ? now_ns : due_ns + 1;
    }
}

void hook_start(struct hook *hook, const struct hook_times *times)
{
    if (hook == NULL || hook->plan->rotate == NULL) {
        return;
    }
    hook->times = *times;
    BUG_ON(!begin_thread(hook, hook_main, &hook->thread));
    hook->running = true;
}

bool hook_busy(struct hook *hook)
{
    if (hook == NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&hook->mutex);
    bool busy = hook->busy;
    (void)pthread_mutex_unlock(&hook->mutex);
    return busy;
}

bool hook_take(struct hook *hook, uint64_t until_ns, struct hook_event *ret_event)
{
    if (hook == NULL) {
        return false;
    }
    (void)pthread_mutex_lock(&hook->mutex);
    bool any = hook->n > 0 && hook->events[hook->first].at_ns <= until_ns;
    if (any) {
        *ret_event = hook->events[hook->first];
        hook->first = (hook->first + 1) % N_EVENTS;
        hook->n--;
    }
    (void)pthread_mutex_unlock(&hook->mutex);
    return any;
}

void hook_stop(struct hook *hook)
{
    uint64_t one = 1;

    if (hook != NULL && hook->running) {
        BUG_ON(write(hook->stop_fd, &one, sizeof one) != (ssize_t)sizeof one);
        (void)pthread_join(hook->thread, NULL);
        hook->running = false;
    }
}

void hook_free(struct hook *hook)
{
    if (hook == NULL) {
        return;
    }
    hook_stop(hook);
    end_leak(hook);
    for (char **variable = hook->environment; *variable != NULL; variable++) {
        free(*variable);
    }
    free(hook->environment);
    free(hook->dir);
    if (hook->log.fd >= 0) {
        (void)close(hook->log.fd);
    }
    (void)close(hook->stop_fd);
    (void)pthread_mutex_destroy(&hook->turn);
    (void)pthread_mutex_destroy(&hook->mutex);
    free(hook);
}
