/* A server that tlsoak starts itself: in a process group of its own (a Ctrl-C at the terminal
 * does not reach it), reading nothing, its output on our stderr; it dies with us even when we
 * are killed. */
#ifndef PROBE_SPAWN_H
#define PROBE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Cuts a command line into words: white space parts them, '...' and "..." keep it, and nothing else
 * has a meaning (for pipes and variables write sh -c '...').  Ends with NULL; the caller frees the
 * whole by one free(); NULL with one sentence in `why`. */
char **spawn_words(const char *command, char *why, size_t size) __attribute__((warn_unused_result));
/* Starts a command line.  The pid, or 0 with one sentence in `why`. */
int64_t spawn_start(const char *command, char *why, size_t size)
    __attribute__((warn_unused_result));
/* True when it has ended by itself; says how in `how` ("exit code 1", "signal 11") the first
 * time. */
bool spawn_ended(int64_t pid, char *how, size_t size);
/* Ends its group: SIGTERM, then SIGKILL after 2 s; waits until it is gone. */
void spawn_end(int64_t pid);

#endif
