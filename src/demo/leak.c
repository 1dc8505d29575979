#include "demo/leak.h"

#include "base/log.h"
#include "base/mem.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Below the allocator's limit for mappings of their own, whose sizes are whole pages. */
#define CHUNK_MAX        (16u << 20)
#define SPARE_FDS        256
#define THREAD_STACK_MIN (64u << 10)

struct leak {
    const struct serve_options *options;
    struct ledger ledger;
    double credit_bytes[DRIVER_COUNT];
    double elapsed_s;
    void *blocks; /* each begins with the pointer to the next */
    int *fds;
    size_t n_fds, cap_fds;
    bool fds_ended, threads_ended;
};

struct leak *leak_new(const struct serve_options *options)
{
    struct leak *leak = xcalloc(1, sizeof *leak);
    leak->options = options;
    struct rlimit limit;
    if (options->fd_leak && getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > SPARE_FDS) {
        leak->cap_fds = limit.rlim_cur - SPARE_FDS;
        leak->fds = xcalloc(leak->cap_fds, sizeof *leak->fds);
    }
    return leak;
}

void leak_free(struct leak *leak)
{
    if (leak == NULL) {
        return;
    }
    while (leak->blocks != NULL) {
        void *block = leak->blocks;
        leak->blocks = *(void **)block;
        ledger_drop(&leak->ledger, block);
    }
    for (size_t i = 0; i < leak->n_fds; i++) {
        close(leak->fds[i]);
    }
    free(leak->fds);
    free(leak);
}

static void leak_spend(struct leak *leak, enum driver driver, double events)
{
    double *credit = &leak->credit_bytes[driver];
    if (leak->elapsed_s < leak->options->late_s) {
        return;
    }
    *credit += leak->options->leak[driver] * events;
    while (*credit >= LEDGER_CHUNK_MIN) {
        size_t chunk = *credit < CHUNK_MAX ? (size_t)*credit : CHUNK_MAX;
        chunk -= chunk % LEDGER_CHUNK_ALIGN;
        void **block = ledger_hold(&leak->ledger, chunk);
        *credit -= (double)ledger_cost(block);
        *block = leak->blocks;
        leak->blocks = block;
    }
}

void leak_tick(struct leak *leak, double elapsed_s)
{
    double before_s = leak->elapsed_s;
    if (before_s < leak->options->late_s) {
        before_s = leak->options->late_s;
    }
    leak->elapsed_s = elapsed_s;
    if (elapsed_s > before_s) {
        leak_spend(leak, DRIVER_TIME, elapsed_s - before_s);
    }
}

void leak_event(struct leak *leak, enum driver driver)
{
    leak_spend(leak, driver, 1);
}

static void *thread_sleep(void *unused)
{
    (void)unused;
    for (;;) {
        pause();
    }
    return NULL;
}

/* False when the system gives no more threads. */
static bool thread_start(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_attr_init(&attr) != 0) {
        return false;
    }
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, THREAD_STACK_MIN);
    /* The signals that end the server are the loop's, never a sleeper's. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, &attr, thread_sleep, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return started;
}

void leak_connection(struct leak *leak, int fd)
{
    if (leak->elapsed_s < leak->options->late_s) {
        return;
    }
    if (leak->options->fd_leak && !leak->fds_ended) {
        int copy = leak->n_fds < leak->cap_fds ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
        if (copy >= 0) {
            leak->fds[leak->n_fds++] = copy;
        } else {
            leak->fds_ended = true;
            log_warn("the leak of descriptors ends at %zu, near the limit of open files",
                     leak->n_fds);
        }
    }
    if (leak->options->thread_leak && !leak->threads_ended && !thread_start()) {
        leak->threads_ended = true;
        log_warn("the leak of threads ends: the system gives no more");
    }
}

const struct ledger *leak_ledger(const struct leak *leak)
{
    return &leak->ledger;
}
