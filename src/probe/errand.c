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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* One of its outputs: the beginning is kept, the rest is read and forgotten. */
struct output {
    int fds[2]; /* our end, its end; -1: closed */
    char text[ERRAND_LINE_MAX];
    size_t len;
};

struct child {
    pid_t pid;
    int pidfd;
    struct output outputs[2]; /* its standard output and its errors */
};

char **errand_words(const char *command, int64_t pid, char *why, size_t size)
{
    static const char mark[] = "{pid}";
    CLEANUP_FREE char *text = xstrdup(command);

    for (char *at; (at = strstr(text, mark)) != NULL;) {
        if (pid == 0) {
            (void)snprintf(why, size, "{pid} is in it, but no process is known");
            return NULL;
        }
        char *filled =
            xasprintf("%.*s%lld%s", (int)(at - text), text, (long long)pid, at + strlen(mark));
        free(text);
        text = filled;
    }
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
static int spawn(struct child *child, char **words)
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
        error = posix_spawnp(&child->pid, words[0], &actions, &attributes, words, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return error;
}

/* False when there is no more to read for the moment. */
static bool read_some(struct output *output)
{
    char rest[4096];
    size_t room = sizeof output->text - 1 - output->len;
    char *to = room > 0 ? output->text + output->len : rest;
    ssize_t n = output->fds[0] >= 0 ? read(output->fds[0], to, room > 0 ? room : sizeof rest) : -1;

    if (n == 0) {
        close_end(&output->fds[0]);
    }
    output->len += room > 0 && n > 0 ? (size_t)n : 0;
    return n > 0;
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
        (void)read_some(&child->outputs[0]);
        (void)read_some(&child->outputs[1]);
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
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    for (int i = 0; i < 2; i++) {
        struct output *output = &child->outputs[i];
        while (output->len < sizeof output->text - 1 && read_some(output)) {
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

bool errand_run(char **words, const struct patience *patience, char ret_line[ERRAND_LINE_MAX],
                char *why, size_t size)
{
    struct child child = {.pidfd = -1};
    bool ended = false;
    int status = 0;
    int error = open_outputs(&child) ? spawn(&child, words) : errno;

    close_end(&child.outputs[0].fds[1]);
    close_end(&child.outputs[1].fds[1]);
    if (error == 0) {
        child.pidfd = pidfd_open(child.pid, 0);
        ended = child.pidfd >= 0 && attend(&child, patience);
        status = reap(&child);
        close_end(&child.pidfd);
    }
    close_outputs(&child);
    if (error != 0) {
        (void)snprintf(why, size, "%s could not be started: %s", words[0], strerror(error));
    } else if (!ended) {
        (void)snprintf(why, size, "%s did not end before the deadline", words[0]);
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        tell_end(words[0], status, child.outputs[1].text, why, size);
    } else {
        memcpy(ret_line, child.outputs[0].text, ERRAND_LINE_MAX);
        return true;
    }
    return false;
}
