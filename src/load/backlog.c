#include "load/backlog.h"

#include "base/bug.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void backlog_init(struct backlog *backlog, size_t max)
{
    BUG_ON(max == 0);
    *backlog = (struct backlog){.max = max};
}

void backlog_clear(struct backlog *backlog)
{
    free(backlog->due_ns);
    *backlog = (struct backlog){.max = backlog->max};
}

static void grow(struct backlog *backlog)
{
    size_t room = backlog->room == 0 ? 64 : backlog->room * 2;
    room = room < backlog->max ? room : backlog->max;
    uint64_t *due_ns = xcalloc(room, sizeof *due_ns);
    size_t tail = backlog->room - backlog->first;
    if (backlog->n > 0) {
        memcpy(due_ns, backlog->due_ns + backlog->first, tail * sizeof *due_ns);
        memcpy(due_ns + tail, backlog->due_ns, backlog->first * sizeof *due_ns);
    }
    free(backlog->due_ns);
    backlog->due_ns = due_ns;
    backlog->first = 0;
    backlog->room = room;
}

bool backlog_push(struct backlog *backlog, uint64_t due_ns)
{
    if (backlog->n == backlog->max) {
        return false;
    }
    if (backlog->n == backlog->room) {
        grow(backlog);
    }
    backlog->due_ns[(backlog->first + backlog->n) % backlog->room] = due_ns;
    backlog->n++;
    return true;
}

uint64_t backlog_first(const struct backlog *backlog)
{
    BUG_ON(backlog->n == 0);
    return backlog->due_ns[backlog->first];
}

void backlog_pop(struct backlog *backlog)
{
    BUG_ON(backlog->n == 0);
    backlog->first = (backlog->first + 1) % backlog->room;
    backlog->n--;
}
