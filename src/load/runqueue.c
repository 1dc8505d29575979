#include "load/runqueue.h"

#include "base/str.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int runqueue_open(void)
{
    return open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

void runqueue_close(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* "ran_ns waited_ns n_slices" */
uint64_t runqueue_wait_ns(int fd)
{
    char text[96], *rest = text;
    ssize_t len = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;
    uint64_t wait_ns = 0;
    if (len <= 0) {
        return 0;
    }
    text[len] = '\0';
    (void)strsep(&rest, " ");
    const char *field = strsep(&rest, " ");
    return field != NULL && str_to_u64(field, &wait_ns) ? wait_ns : 0;
}
