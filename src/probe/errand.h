/* An errand: a short command of the user's that tells a number, makes the server collect its
 * garbage, or rotates something on it.  It is run without a shell, reads nothing, and has a
 * deadline; whatever it leaves behind in its process group is killed when it ends or when its time
 * is up. */
#ifndef PROBE_ERRAND_H
#define PROBE_ERRAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ERRAND_LINE_MAX 256

/* When a wait ends early. */
struct patience {
    uint64_t until_ns; /* monotonic */
    int stop_fd;       /* readable: give up at once; -1: none */
};

/* Where all that a command says is kept. */
struct errand_log {
    int fd;
    size_t room; /* bytes that it still takes; what is beyond is forgotten */
};

/* Waits for its time, however often the process is interrupted; false when told to give up. */
bool patience_wait(const struct patience *patience) __attribute__((warn_unused_result));
/* `text` with each `mark` replaced; the caller frees it. */
char *errand_fill(const char *text, const char *mark, const char *value)
    __attribute__((warn_unused_result));

/* A command line with {pid} filled in, in words (see spawn_words), for one free(); NULL with one
 * sentence in `why`: a quote not closed, {pid} without a process (pid 0). */
char **errand_words(const char *command, int64_t pid, char *why, size_t size)
    __attribute__((warn_unused_result));
/* Runs the words to their end.  True with the first line of its output when it ended with 0 in
 * time; else false with one sentence in `why`, which has the first line of its errors.  `secret`:
 * the words hold secrets, so `why` has neither them nor what the command says. */
bool errand_run(char **words, bool secret, const struct patience *patience,
                char ret_line[ERRAND_LINE_MAX], char *why, size_t size)
    __attribute__((warn_unused_result));
/* The same with this environment ("NAME=value", ends with NULL), its output and errors to `log`;
 * NULL: the words hold secrets, and what it says is forgotten. */
bool errand_run_logged(char **words, char **environment, const struct patience *patience,
                       struct errand_log *log, char *why, size_t size)
    __attribute__((warn_unused_result));
/* Kills all commands that run, with what they have started; for a signal handler that ends the
 * process. */
void errand_kill_all(void);

#endif
