/* One process as /proc/PID/stat tells of it, and the trees that processes form.  Text of the kernel
 * (or of a made-up tree) is never trusted: what can't be parsed is a process that isn't there. */
#ifndef PROBE_PROCESS_H
#define PROBE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process {
    int64_t pid;
    int64_t parent;
    uint64_t start;     /* clock ticks since boot: tells a process from a later one with its pid */
    uint64_t cpu_ticks; /* user and system, with the children that it has waited for */
    int64_t threads;
    bool zombie;
};

/* False when there is no such process. */
bool process_stat(const char *root, int64_t pid, struct process *ret_process)
    __attribute__((warn_unused_result));
/* All processes in the order of the directory; returns how many, the caller frees. */
size_t process_all(const char *root, struct process **ret_processes)
    __attribute__((warn_unused_result));
/* `pid` and its living descendants, `pid` first; 0 when it is gone or a zombie.  The caller
 * frees. */
size_t process_tree(const char *root, int64_t pid, struct process **ret_processes)
    __attribute__((warn_unused_result));
/* The text of root/PID/FILE, at most 1 MiB; NULL with errno.  The caller frees. */
char *process_file(const char *root, int64_t pid, const char *file)
    __attribute__((warn_unused_result));
/* Reads a decimal number after white space; NULL when there is none, else what follows it. */
const char *process_number(const char *s, uint64_t *ret_value);
/* Base name of the executable; false when it may not be seen. */
bool process_exe(const char *root, int64_t pid, char *text, size_t size)
    __attribute__((warn_unused_result));

#endif
