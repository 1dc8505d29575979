#include "probe/errand.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "probe/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A hook, and what the sources of memory run at one time. */
enum { MAX_RUNNING = 32 };

/* One of its outputs: the beginning is kept, the rest is read and forgotten. */
struct output {
    int fds[2]; /* our end, its end; -1: closed */
    char text[ERRAND_LINE_MAX];
    size_t len;
};

struct child {
    char **words, **environment;
    struct errand_log *log; /* NULL: none */
    bool secret;
    pid_t pid;
    _Atomic(pid_t) *running; /* its place among those that run; NULL: none was left */
    int pidfd;
    struct output outputs[2]; /* its standard output and its errors */
};

/* The process groups of all that run now; 0: a free place. */
static _Atomic(pid_t) groups[MAX_RUNNING];

static _Atomic(pid_t) *note_running(pid_t pid)
{
    for (size_t i = 0; i < MAX_RUNNING; i++) {
        pid_t none = 0;
        if (atomic_compare_exchange_strong(&groups[i], &none, pid)) {
            return &groups[i];
        }
    }
    return NULL;
}

void errand_kill_all(void)
{
    for (size_t i = 0; i < MAX_RUNNING; i++) {
        pid_t pid = atomic_load(&groups[i]);
        if (pid > 0) {
            (void)kill(-pid, SIGKILL);
        }
    }
}

bool patience_wait(const struct patience *patience)
{
    for (;;) {
        struct pollfd stop = {.fd = patience->stop_fd, .events = POLLIN};
        uint64_t now_ns = mono_now_ns();
        uint64_t left_ns = patience->until_ns > now_ns ? patience->until_ns - now_ns : 0;
        struct timespec left = {.tv_sec = (time_t)(left_ns / NS_PER_S),
                                .tv_nsec = (long)(left_ns % NS_PER_S)};
        if (ppoll(&stop, 1, &left, NULL) > 0) {
            return false;
        }
        if (mono_now_ns() >= patience->until_ns) {
            return true;
        }
    }
}

char *errand_fill(const char *text, const char *mark, const char *value)
{
    char *filled = xstrdup("");

    for (const char *at; (at = strstr(text, mark)) != NULL; text = at + strlen(mark)) {
        char *longer = xasprintf("%s%.*s%s", filled, (int)(at - text), text, value);
        free(filled);
        filled = longer;
    }
    char *whole = xasprintf("%s%s", filled, text);
    free(filled);
    return whole;
}

char **errand_words(const char *command, int64_t pid, char *why, size_t size)
{
    char number[24];

    if (pid == 0 && strstr(command, "{pid}") != NULL) {
        (void)snprintf(why, size, "{pid} is in it, but no process is known");
        return NULL;
    }
    (void)snprintf(number, sizeof number, "%lld", (long long)pid);
    CLEANUP_FREE char *text = errand_fill(command, "{pid}", number);
    return spawn_words(text, why, size);
}

static void close_end(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static bool open_outputs(struct child *child)
{
    bool ok = true;

    for (int i = 0; i < 2; i++) {
        struct output *output = &child->outputs[i];
        *output = (struct output){.fds = {-1, -1}};
        ok = ok && pipe2(output->fds, O_CLOEXEC) == 0 &&
             fcntl(output->fds[0], F_SETFL, O_NONBLOCK) == 0;
    }
    return ok;
}

static void close_outputs(struct child *child)
{
    for (int i = 0; i < 2; i++) {
        close_end(&child->outputs[i].fds[0]);
        close_end(&child->outputs[i].fds[1]);
    }
}

/* posix_spawn, unlike fork, does not copy the page tables of a load generator while its threads
 * wait.  Returns an errno. */
static int spawn(struct child *child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    BUG_ON(posix_spawnattr_init(&attributes) != 0);
    BUG_ON(posix_spawn_file_actions_init(&actions) != 0);
    BUG_ON(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                                     POSIX_SPAWN_SETSIGMASK) != 0);
    BUG_ON(posix_spawnattr_setsigdefault(&attributes, &all) != 0);
    BUG_ON(posix_spawnattr_setsigmask(&attributes, &none) != 0);
    int error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    for (int i = 0; i < 2 && error == 0; i++) {
        error = posix_spawn_file_actions_adddup2(&actions, child->outputs[i].fds[1], 1 + i);
    }
    if (error == 0) {
        error = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    }
    if (error == 0) {
        error = posix_spawnp(&child->pid, child->words[0], &actions, &attributes, child->words,
                             child->environment);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return error;
}

/* A log that can't be written to takes no more. */
static void keep(struct errand_log *log, const char *bytes, size_t n)
{
    if (log != NULL && log->room > 0) {
        size_t kept = n < log->room ? n : log->room;
        log->room = write(log->fd, bytes, kept) == (ssize_t)kept ? log->room - kept : 0;
    }
}

/* False when there is no more to read for the moment. */
static bool read_some(struct output *output, struct errand_log *log)
{
    char bytes[4096];
    size_t room = sizeof output->text - 1 - output->len;
    ssize_t n = output->fds[0] >= 0 ? read(output->fds[0], bytes, sizeof bytes) : -1;

    if (n == 0) {
        close_end(&output->fds[0]);
    }
    if (n <= 0) {
        return false;
    }
    size_t kept = (size_t)n < room ? (size_t)n : room;
    memcpy(output->text + output->len, bytes, kept);
    output->len += kept;
    keep(log, bytes, (size_t)n);
    return true;
}

static int poll_timeout_ms(uint64_t until_ns)
{
    uint64_t now = mono_now_ns();
    uint64_t left_ms = now < until_ns ? (until_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;

    return left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
}

/* Reads until the command has ended; false when it had no time left. */
static bool attend(struct child *child, const struct patience *patience)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = child->pidfd, .events = POLLIN},
            {.fd = patience->stop_fd, .events = POLLIN},
            {.fd = child->outputs[0].fds[0], .events = POLLIN},
            {.fd = child->outputs[1].fds[0], .events = POLLIN},
        };
        int n = poll(fds, sizeof fds / sizeof *fds, poll_timeout_ms(patience->until_ns));
        if ((n < 0 && errno != EINTR) || n == 0 || (n > 0 && fds[1].revents != 0)) {
            return false;
        }
        (void)read_some(&child->outputs[0], child->log);
        (void)read_some(&child->outputs[1], child->log);
        if (n > 0 && fds[0].revents != 0) {
            return true;
        }
        if (mono_now_ns() >= patience->until_ns) {
            return false;
        }
    }
}

/* Ends what is left of its group, and drains what it has written. */
static int reap(struct child *child)
{
    int status = 0;

    (void)kill(-child->pid, SIGKILL);
    if (child->running != NULL) {
        /* before its number may be another's */
        atomic_store(child->running, 0);
    }
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    for (int i = 0; i < 2; i++) {
        struct output *output = &child->outputs[i];
        /* what has left the group may go on writing for ever */
        while ((output->len < sizeof output->text - 1 ||
                (child->log != NULL && child->log->room > 0)) &&
               read_some(output, child->log)) {
        }
        output->text[strcspn(output->text, "\r\n")] = '\0';
    }
    return status;
}

static void tell_end(const char *name, int status, const char *errors, char *why, size_t size)
{
    const char *colon = errors[0] != '\0' ? ": " : "";

    if (WIFSIGNALED(status)) {
        (void)snprintf(why, size, "%s ended with signal %d%s%s", name, WTERMSIG(status), colon,
                       errors);
    } else {
        (void)snprintf(why, size, "%s ended with exit code %d%s%s", name, WEXITSTATUS(status),
                       colon, errors);
    }
}

static bool run(struct child *child, const struct patience *patience, char *why, size_t size)
{
    const char *name = child->secret ? "the command" : child->words[0];
    bool ended = false;
    int status = 0;
    int error = open_outputs(child) ? spawn(child) : errno;

    close_end(&child->outputs[0].fds[1]);
    close_end(&child->outputs[1].fds[1]);
    if (error == 0) {
        child->running = note_running(child->pid);
        child->pidfd = pidfd_open(child->pid, 0);
        ended = child->pidfd >= 0 && attend(child, patience);
        status = reap(child);
        close_end(&child->pidfd);
    }
    close_outputs(child);
    if (error != 0) {
        (void)snprintf(why, size, "%s could not be started: %s", name, strerror(error));
    } else if (!ended) {
        (void)snprintf(why, size, "%s %s", name,
                       mono_now_ns() < patience->until_ns ? "was ended with the run"
                                                          : "did not end before the deadline");
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        tell_end(name, status, child->secret ? "" : child->outputs[1].text, why, size);
    } else {
        return true;
    }
    return false;
}

bool errand_run(char **words, bool secret, const struct patience *patience,
                char ret_line[ERRAND_LINE_MAX], char *why, size_t size)
{
    struct child child = {.words = words, .environment = environ, .secret = secret, .pidfd = -1};

    if (!run(&child, patience, why, size)) {
        return false;
    }
    memcpy(ret_line, child.outputs[0].text, ERRAND_LINE_MAX);
    return true;
}

bool errand_run_logged(char **words, char **environment, const struct patience *patience,
                       struct errand_log *log, char *why, size_t size)
{
    struct child child = {
        .words = words, .environment = environment, .log = log, .secret = log == NULL, .pidfd = -1};

    return run(&child, patience, why, size);
}
