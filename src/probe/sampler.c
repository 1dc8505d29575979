#include "probe/sampler.h"

#include "base/bug.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "probe/procfs.h"
#include "probe/watch.h"
#include "probe/spawn.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N_READINGS   4096
#define EXEC_WAIT_NS (15 * NS_PER_S)
#define EXEC_POLL_NS (20 * NS_PER_MS)
#define SHORT_RUN_NS (300 * NS_PER_S)
/* Detail holds the server's mm lock for about 1 ms in 300 MB. */
#define DETAIL_EVERY_NS       (10 * NS_PER_S)
#define DETAIL_EVERY_SHORT_NS (5 * NS_PER_S)

struct sampler {
    struct place place;
    struct watch *watches;
    size_t n_watches;
    bool running;
    pthread_t thread;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t wake;   /* on CLOCK_MONOTONIC */
    bool stop;
    bool overflowed;
    size_t first, n; /* ring */
    struct reading readings[N_READINGS];
};

/* Waits until the tree of `watch` listens at the target; false with why it will not. */
static bool wait_for_listener(struct watch *watch, char *why, size_t size)
{
    struct timespec pause = {.tv_nsec = (long)EXEC_POLL_NS};
    uint64_t until = mono_now_ns() + EXEC_WAIT_NS;
    char how[32] = "unknown";

    while (watch->place->n_addrs > 0) {
        if (spawn_ended(watch->spawned, how, sizeof how)) {
            watch->spawned = 0;
            (void)snprintf(why, size, "the command ended (%s) before it listened on port %u", how,
                           (unsigned)watch->place->port);
            return false;
        }
        if (locate_listener(watch->place) != 0 &&
            locate_prove(watch->place, watch->spawned).pid != 0) {
            return true;
        }
        if (mono_now_ns() > until) {
            (void)snprintf(why, size,
                           "the command does not listen on port %u after %u s (it must stay in the "
                           "foreground)",
                           (unsigned)watch->place->port, (unsigned)(EXEC_WAIT_NS / NS_PER_S));
            return false;
        }
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

static struct located start_command(struct watch *watch)
{
    struct located located = {0};
    int64_t other = locate_listener(watch->place);
    char text[128];

    if (other != 0) {
        locate_describe(watch->place->root, other, text, sizeof text);
        located.refused = true;
        (void)snprintf(located.why, sizeof located.why,
                       "%s listens on port %u already, so the command was not started", text,
                       (unsigned)watch->place->port);
        return located;
    }
    watch->spawned = spawn_start(watch->memory->exec, located.why, sizeof located.why);
    if (watch->spawned != 0 && wait_for_listener(watch, located.why, sizeof located.why)) {
        located.pid = watch->spawned;
    }
    return located;
}

/* Finds the process of one source and takes a first reading. */
static struct located open_watch(struct watch *watch)
{
    struct located located = watch->memory->exec != NULL ? start_command(watch)
                                                         : locate_find(watch->place, watch->memory);

    if (located.pid == 0) {
        return located;
    }
    locate_describe(watch->place->root, located.pid, watch->text, sizeof watch->text);
    if (!watch_adopt(watch, located.pid)) {
        located.pid = 0;
        located.refused = true;
        (void)snprintf(located.why, sizeof located.why, "the memory of %s can't be read",
                       watch->text);
    }
    return located;
}

static void add_mistake(const struct watch *watch, const struct located *located, bool *ret_refused,
                        struct diag *diag)
{
    *ret_refused = *ret_refused || located->refused;
    diag_add(diag, watch->memory->origin, "memory %s: %s",
             watch->memory->name != NULL ? watch->memory->name : "source", located->why);
}

/* At least one source must be the server under load; the others may be what stands behind it. */
static bool prove_watches(struct sampler *sampler, bool *ret_refused, struct diag *diag)
{
    CLEANUP_FREE struct located *proofs = xcalloc(sampler->n_watches + 1, sizeof *proofs);
    size_t n_proven = 0;

    for (size_t i = 0; i < sampler->n_watches; i++) {
        proofs[i] = locate_prove(&sampler->place, sampler->watches[i].pid);
        sampler->watches[i].proven = proofs[i].pid != 0 && sampler->place.n_addrs > 0;
        n_proven += proofs[i].pid != 0;
    }
    for (size_t i = 0; i < sampler->n_watches; i++) {
        if (proofs[i].pid == 0 && n_proven == 0) {
            add_mistake(&sampler->watches[i], &proofs[i], ret_refused, diag);
        } else if (proofs[i].pid == 0) {
            log_note("memory %s: %s; it is sampled as what stands behind the target",
                     sampler->watches[i].memory->name, proofs[i].why);
        }
    }
    return n_proven > 0 || sampler->n_watches == 0;
}

static bool open_watches(struct sampler *sampler, bool *ret_refused, struct diag *diag)
{
    bool ok = true;

    for (size_t i = 0; i < sampler->n_watches; i++) {
        struct located located = open_watch(&sampler->watches[i]);
        if (located.pid == 0) {
            add_mistake(&sampler->watches[i], &located, ret_refused, diag);
            ok = false;
        }
    }
    return ok && prove_watches(sampler, ret_refused, diag);
}

static void init_lock(struct sampler *sampler)
{
    pthread_condattr_t attributes;

    BUG_ON(pthread_mutex_init(&sampler->mutex, NULL) != 0);
    BUG_ON(pthread_condattr_init(&attributes) != 0);
    BUG_ON(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0);
    BUG_ON(pthread_cond_init(&sampler->wake, &attributes) != 0);
    (void)pthread_condattr_destroy(&attributes);
}

struct sampler *sampler_new(const struct plan *plan, const struct addr *addrs, size_t n_addrs,
                            bool *ret_refused, struct diag *diag)
{
    struct sampler *sampler = xcalloc(1, sizeof *sampler);
    bool short_run = plan->run.duration_ns < SHORT_RUN_NS;

    init_lock(sampler);
    locate_init(&sampler->place, "/proc", plan->target.dial_port, addrs, n_addrs);
    sampler->n_watches = plan->n_memories;
    sampler->watches = xcalloc(plan->n_memories + 1, sizeof *sampler->watches);
    for (size_t i = 0; i < plan->n_memories; i++) {
        sampler->watches[i] = (struct watch){
            .place = &sampler->place,
            .memory = &plan->memories[i],
            .index = (int)i,
            .detail_every_ns = short_run ? DETAIL_EVERY_SHORT_NS : DETAIL_EVERY_NS,
        };
    }
    if (!open_watches(sampler, ret_refused, diag)) {
        sampler_free(sampler);
        return NULL;
    }
    return sampler;
}

/* The mutex is held.  A full ring (main has not taken for minutes) loses its oldest reading. */
static void put(struct sampler *sampler, const struct reading *reading, bool *ret_first_loss)
{
    if (sampler->n == N_READINGS) {
        *ret_first_loss = !sampler->overflowed;
        sampler->overflowed = true;
        sampler->first = (sampler->first + 1) % N_READINGS;
        sampler->n--;
    }
    sampler->readings[(sampler->first + sampler->n++) % N_READINGS] = *reading;
}

static struct watch *next_watch(struct sampler *sampler)
{
    struct watch *next = &sampler->watches[0];

    for (size_t i = 1; i < sampler->n_watches; i++) {
        if (sampler->watches[i].next_ns < next->next_ns) {
            next = &sampler->watches[i];
        }
    }
    return next;
}

/* Waits for an absolute time, so that slow readings never shift the later ones.  The mutex is
 * held. */
static void wait_until(struct sampler *sampler, uint64_t t_ns)
{
    struct timespec at = {.tv_sec = (time_t)(t_ns / NS_PER_S), .tv_nsec = (long)(t_ns % NS_PER_S)};

    while (!sampler->stop && mono_now_ns() < t_ns) {
        if (pthread_cond_timedwait(&sampler->wake, &sampler->mutex, &at) == ETIMEDOUT) {
            break;
        }
    }
}

static void *sampler_main(void *argument)
{
    struct sampler *sampler = argument;
    bool first_loss = false;

    (void)pthread_mutex_lock(&sampler->mutex);
    for (;;) {
        struct watch *watch = next_watch(sampler);
        struct reading reading;
        wait_until(sampler, watch->next_ns);
        if (sampler->stop) {
            break;
        }
        (void)pthread_mutex_unlock(&sampler->mutex);
        watch_read(watch, &reading);
        watch_schedule(watch, mono_now_ns());
        if (first_loss) {
            log_warn("readings of the server's memory were not taken in time and are lost");
            first_loss = false;
        }
        (void)pthread_mutex_lock(&sampler->mutex);
        put(sampler, &reading, &first_loss);
    }
    (void)pthread_mutex_unlock(&sampler->mutex);
    return NULL;
}

void sampler_start(struct sampler *sampler)
{
    sigset_t all, before;

    if (sampler->n_watches == 0) {
        return;
    }
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    BUG_ON(pthread_create(&sampler->thread, NULL, sampler_main, sampler) != 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    sampler->running = true;
}

size_t sampler_take(struct sampler *sampler, struct reading *ret_readings, size_t max)
{
    size_t n = 0;

    (void)pthread_mutex_lock(&sampler->mutex);
    while (n < max && sampler->n > 0) {
        ret_readings[n++] = sampler->readings[sampler->first];
        sampler->first = (sampler->first + 1) % N_READINGS;
        sampler->n--;
    }
    (void)pthread_mutex_unlock(&sampler->mutex);
    return n;
}

const char *sampler_describe(const struct sampler *sampler, size_t i)
{
    return i < sampler->n_watches ? sampler->watches[i].text : "?";
}

const char *sampler_runtime(const struct sampler *sampler, size_t i)
{
    return procfs_runtime(sampler->watches[i].place->root, sampler->watches[i].pid);
}

void sampler_free(struct sampler *sampler)
{
    if (sampler == NULL) {
        return;
    }
    if (sampler->running) {
        (void)pthread_mutex_lock(&sampler->mutex);
        sampler->stop = true;
        (void)pthread_cond_signal(&sampler->wake);
        (void)pthread_mutex_unlock(&sampler->mutex);
        (void)pthread_join(sampler->thread, NULL);
    }
    for (size_t i = 0; i < sampler->n_watches; i++) {
        if (sampler->watches[i].spawned != 0) {
            spawn_end(sampler->watches[i].spawned);
        }
    }
    (void)pthread_cond_destroy(&sampler->wake);
    (void)pthread_mutex_destroy(&sampler->mutex);
    free(sampler->watches);
    free(sampler);
}
