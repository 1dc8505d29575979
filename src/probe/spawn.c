#include "probe/spawn.h"

#include "base/core.h"
#include "base/mem.h"
#include "base/mono.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_NS (2 * NS_PER_S)
#define POLL_NS  (5 * NS_PER_MS)

/* Cuts `text` into words in place, whose pointers end with NULL; false when a quote is not
 * closed. */
static bool cut(char *text, char **words)
{
    static const char space[] = " \t\r\n";
    char *from = text, *to = text;

    for (;;) {
        char quote = '\0';
        from += strspn(from, space);
        *words = *from != '\0' ? to : NULL;
        if (*words == NULL) {
            return true;
        }
        words++;
        for (; *from != '\0' && (quote != '\0' || strchr(space, *from) == NULL); from++) {
            if (quote == '\0' && (*from == '\'' || *from == '"')) {
                quote = *from;
            } else if (*from == quote) {
                quote = '\0';
            } else {
                *to++ = *from;
            }
        }
        if (quote != '\0') {
            return false;
        }
        from += *from != '\0';
        *to++ = '\0';
    }
}

char **spawn_words(const char *command, char *why, size_t size)
{
    size_t len = strlen(command), most = len / 2 + 2;
    /* a word that is not followed by white space needs room for its end */
    char **words = xmalloc(most * sizeof *words + len + 2);
    char *text = (char *)(words + most);

    (void)snprintf(text, len + 2, "%s ", command);
    if (!cut(text, words)) {
        (void)snprintf(why, size, "a quote of the command is not closed");
    } else if (words[0] == NULL) {
        (void)snprintf(why, size, "the command is empty");
    } else {
        return words;
    }
    free(words);
    return NULL;
}

/* In the child: only calls that are safe after fork. */
static _Noreturn void become(char **words, pid_t parent, int report)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    core_allow();
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 1; i < NSIG; i++) {
        (void)signal(i, SIG_DFL);
    }
    if (getppid() == parent && null >= 0 && dup2(null, 0) == 0 && dup2(2, 1) == 1) {
        (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
        (void)execvp(words[0], words);
    }
    int error = errno;
    if (write(report, &error, sizeof error) < 0) {
        _exit(126);
    }
    _exit(127);
}

static int64_t start_words(char **words, char *why, size_t size)
{
    int report[2], error = 0;
    pid_t parent = getpid();

    if (pipe2(report, O_CLOEXEC) != 0) {
        (void)snprintf(why, size, "%s could not be started: %s", words[0], strerror(errno));
        return 0;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(words, parent, report[1]);
    }
    error = errno;
    (void)close(report[1]);
    /* ends at once when the command was executed: the pipe closes with it */
    bool failed = pid < 0 || read(report[0], &error, sizeof error) > 0;
    (void)close(report[0]);
    if (failed) {
        if (pid > 0) {
            (void)waitpid(pid, NULL, 0);
        }
        (void)snprintf(why, size, "%s could not be started: %s", words[0], strerror(error));
        return 0;
    }
    return pid;
}

int64_t spawn_start(const char *command, char *why, size_t size)
{
    CLEANUP_FREE char **words = spawn_words(command, why, size);

    return words != NULL ? start_words(words, why, size) : 0;
}

bool spawn_ended(int64_t pid, char *how, size_t size)
{
    int status;
    pid_t got = waitpid((pid_t)pid, &status, WNOHANG);

    if (got == 0) {
        return false;
    }
    if (got > 0 && WIFEXITED(status)) {
        (void)snprintf(how, size, "exit code %d", WEXITSTATUS(status));
    } else if (got > 0 && WIFSIGNALED(status)) {
        (void)snprintf(how, size, "signal %d", WTERMSIG(status));
    }
    return true;
}

void spawn_end(int64_t pid)
{
    struct timespec pause = {.tv_nsec = (long)POLL_NS};
    uint64_t until = mono_now_ns() + GRACE_NS;
    char how[32];
    bool ended = false;

    (void)kill((pid_t)-pid, SIGTERM);
    while (mono_now_ns() < until) {
        ended = ended || spawn_ended(pid, how, sizeof how);
        if (ended && kill((pid_t)-pid, 0) != 0) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    (void)kill((pid_t)-pid, SIGKILL);
    while (!ended && waitpid((pid_t)pid, NULL, 0) < 0 && errno == EINTR) {
    }
}
