/* An errand: a short command of the user's that tells a number, or makes the server collect its
 * garbage.  It is run without a shell, reads nothing, and has a deadline; whatever it leaves behind
 * in its process group is killed when it ends or when its time is up. */
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

/* A command line with {pid} filled in, in words (see spawn_words), for one free(); NULL with one
 * sentence in `why`: a quote not closed, {pid} without a process (pid 0). */
char **errand_words(const char *command, int64_t pid, char *why, size_t size)
    __attribute__((warn_unused_result));
/* Runs the words to their end.  True with the first line of its output when it ended with 0 in
 * time; else false with one sentence in `why`, which has the first line of its errors. */
bool errand_run(char **words, const struct patience *patience, char ret_line[ERRAND_LINE_MAX],
                char *why, size_t size) __attribute__((warn_unused_result));

#endif
