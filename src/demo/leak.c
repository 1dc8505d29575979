#include "demo/leak.h"

#include "base/log.h"
#include "base/mem.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define SEGMENT_BYTES    (4u << 20)
#define SPARE_FDS        256
#define THREAD_STACK_MIN (64u << 10)

/* A mapping of its own, filled from its start. */
struct segment {
    struct segment *next;
    size_t used;
    char *bytes;
};

struct leak {
    const struct serve_options *options;
    struct ledger ledger;
    uint64_t kept_bytes[DRIVER_COUNT]; /* of the ledger's */
    double credit_bytes[DRIVER_COUNT];
    double elapsed_s;
    struct segment *segments; /* the newest first */
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
    while (leak->segments != NULL) {
        struct segment *segment = leak->segments;
        leak->segments = segment->next;
        (void)munmap(segment->bytes, SEGMENT_BYTES);
        free(segment);
    }
    for (size_t i = 0; i < leak->n_fds; i++) {
        close(leak->fds[i]);
    }
    free(leak->fds);
    free(leak);
}

static struct segment *segment_new(struct segment *next)
{
    char *bytes =
        mmap(NULL, SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (bytes == MAP_FAILED) {
        return NULL;
    }
    /* Huge pages would let memory grow in steps of 2 MiB. */
    (void)madvise(bytes, SEGMENT_BYTES, MADV_NOHUGEPAGE);
    struct segment *segment = xcalloc(1, sizeof *segment);
    *segment = (struct segment){.next = next, .bytes = bytes};
    return segment;
}

/* Holds at most `bytes` more, in memory that is written to: untouched pages would be promised and
 * not grown.  Returns how many; 0 when the system gives no more. */
static size_t hold(struct leak *leak, size_t bytes)
{
    struct segment *segment = leak->segments;

    if (segment == NULL || segment->used == SEGMENT_BYTES) {
        segment = segment_new(leak->segments);
        if (segment == NULL) {
            return 0;
        }
        leak->segments = segment;
    }
    size_t left = SEGMENT_BYTES - segment->used;
    size_t n = bytes < left ? bytes : left;
    memset(segment->bytes + segment->used, 0xa5, n);
    segment->used += n;
    return n;
}

static void leak_spend(struct leak *leak, enum driver driver, double events)
{
    double *credit = &leak->credit_bytes[driver];
    if (leak->elapsed_s < leak->options->late_s) {
        return;
    }
    *credit += leak->options->leak[driver] * events;
    leak->ledger.entries += *credit >= 1;
    while (*credit >= 1) {
        size_t held = hold(leak, *credit < SEGMENT_BYTES ? (size_t)*credit : SEGMENT_BYTES);
        if (held == 0) {
            return;
        }
        *credit -= (double)held;
        leak->ledger.bytes += held;
        leak->kept_bytes[driver] += held;
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

uint64_t leak_kept_bytes(const struct leak *leak, enum driver driver)
{
    return leak->kept_bytes[driver];
}
