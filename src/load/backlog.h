/* Due times that no connection was free for, oldest first: a ring that doubles up to a bound, so
 * that a server which stops answering costs skipped exchanges and never the client's memory. */
#ifndef LOAD_BACKLOG_H
#define LOAD_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backlog {
    uint64_t *due_ns; /* owns */
    size_t first, n, room, max;
};

/* Holds at most `max` > 0 due times. */
void backlog_init(struct backlog *backlog, size_t max);
void backlog_clear(struct backlog *backlog);
/* False when it is full: the exchange is skipped. */
bool backlog_push(struct backlog *backlog, uint64_t due_ns) __attribute__((warn_unused_result));
/* The oldest; not on an empty one. */
uint64_t backlog_first(const struct backlog *backlog);
void backlog_pop(struct backlog *backlog);

#endif
