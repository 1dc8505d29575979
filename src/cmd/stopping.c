#include "cmd/stopping.h"

#include "probe/errand.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile int stop_requested;
static int stop_fd = -1; /* an eventfd, readable when a stop was requested */

static void on_signal(int number)
{
    const uint64_t one = 1;
    int error = errno;

    if (stop_requested >= 1) {
        /* The second signal ends at once; every record is on disk already. */
        errand_kill_all();
        _exit(128 + number);
    }
    stop_requested = 1;
    if (write(stop_fd, &one, sizeof one) < 0) {
        errno = error; /* nobody to tell: what waits has a deadline */
    }
}

void stopping_begin(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    stop_requested = 0;
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

const volatile int *stopping_flag(void)
{
    return &stop_requested;
}

int stopping_fd(void)
{
    return stop_fd;
}

int stopping_next_fd(void)
{
    return stop_requested ? -1 : stop_fd;
}
