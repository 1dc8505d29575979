#include "probe/sampler.h"

#include "base/bug.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "probe/cgroup.h"
#include "probe/procfs.h"
#include "probe/watch.h"
#include "probe/spawn.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define N_READINGS       4096
#define N_MESSAGES       32
#define MESSAGE_EVERY_NS (60 * NS_PER_S) /* of a source whose readings fail now and then */
#define EXEC_WAIT_NS     (15 * NS_PER_S)
#define EXEC_POLL_NS     (20 * NS_PER_MS)
#define SHORT_RUN_NS     (300 * NS_PER_S)
/* Detail holds the server's mm lock for about 1 ms in 300 MB. */
#define DETAIL_EVERY_NS       (10 * NS_PER_S)
#define DETAIL_EVERY_SHORT_NS (5 * NS_PER_S)

/* A thread of its own for each source: one that waits for a collection delays no other. */
struct post {
    struct sampler *sampler;
    struct watch *watch;
    pthread_t thread;
    bool failing;
    uint64_t next_message_ns;
    int64_t pid; /* of the last reading */
};

struct sampler {
    struct place place;
    struct watch *watches;
    struct post *posts;
    size_t n_watches;
    bool running;
    int stop_fd;           /* an eventfd, readable from the end on */
    pthread_mutex_t mutex; /* of all below */
    struct sampler_message messages[N_MESSAGES];
    size_t n_messages;
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

/* The memory of a server that is elsewhere, or that may not be seen, can be told all the same. */
static bool stands_alone(const struct plan_memory *memory)
{
    bool names_process = memory->pid != 0 || memory->pid_file != NULL || memory->process != NULL ||
                         memory->port != 0 || memory->exec != NULL;

    return memory->path != NULL || (memory->source != MEMORY_SOURCE_PROCESS &&
                                    memory->source != MEMORY_SOURCE_CGROUP && !names_process);
}

static void describe_alone(struct watch *watch)
{
    const struct plan_memory *memory = watch->memory;

    if (memory->source == MEMORY_SOURCE_COMMAND) {
        (void)snprintf(watch->text, sizeof watch->text, "the server of the command of %s",
                       memory->name);
    } else {
        (void)snprintf(watch->text, sizeof watch->text, "%s %.100s",
                       memory->path != NULL ? "the control group" : "the server of",
                       memory->path != NULL ? memory->path : memory->scrape_target.host_header);
    }
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
        struct watch *watch = &sampler->watches[i];
        if (watch->pid == 0) {
            n_proven++; /* the profile's word for it */
            continue;
        }
        proofs[i] = watch_prove(watch, watch->pid);
        watch->proven = proofs[i].pid != 0 && sampler->place.n_addrs > 0;
        n_proven += proofs[i].pid != 0;
    }
    for (size_t i = 0; i < sampler->n_watches; i++) {
        if (proofs[i].pid != 0 || sampler->watches[i].pid == 0) {
            continue;
        }
        if (n_proven == 0) {
            add_mistake(&sampler->watches[i], &proofs[i], ret_refused, diag);
        } else {
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
        struct watch *watch = &sampler->watches[i];
        struct located located = open_watch(watch);
        if (located.pid == 0 && stands_alone(watch->memory)) {
            describe_alone(watch);
        } else if (located.pid == 0) {
            add_mistake(watch, &located, ret_refused, diag);
            ok = false;
        }
    }
    return ok;
}

static void check_command(const struct plan *plan, const struct watch *watch, char *const *field,
                          struct diag *diag)
{
    char why[LOCATE_TEXT];
    CLEANUP_FREE char **words =
        *field != NULL ? errand_words(*field, watch->pid, why, sizeof why) : NULL;
    struct origin origin = plan_origin(plan, field);

    if (*field != NULL && words == NULL) {
        diag_add(diag, origin.line != 0 ? origin : watch->memory->origin, "memory.%s: %s",
                 field == &watch->memory->command ? "command" : "settle", why);
    }
}

/* A group that tlsoak itself is in would show its memory, too. */
static bool is_own_group(const struct watch *watch, struct located *ret_located)
{
    const struct cgroup *cgroup = teller_cgroup(watch->teller);

    if (cgroup == NULL || !cgroup_holds(watch->place->root, cgroup, getpid())) {
        return false;
    }
    ret_located->refused = true;
    (void)snprintf(ret_located->why, sizeof ret_located->why,
                   "tlsoak itself is in the control group %.200s: run the server in a container or "
                   "a unit of its own, or read its process (source = process)",
                   cgroup->path);
    return true;
}

/* The first question, whose answer must be one.  What exec has just started may not be ready yet.
 */
static void try_teller(struct watch *watch, bool *ret_refused, struct diag *diag)
{
    const struct timespec pause = {.tv_nsec = (long)EXEC_POLL_NS};
    uint64_t until = mono_now_ns() + (watch->spawned != 0 ? EXEC_WAIT_NS : 0);
    struct located located = {.pid = 0};

    for (bool again = true; again;) {
        struct patience patience = {.until_ns = mono_now_ns() + watch->memory->deadline_ns,
                                    .stop_fd = watch->stop_fd};
        char why[sizeof located.why / 2] = "";
        struct told told = teller_ask(watch->teller, watch->pid, &patience, why, sizeof why);
        (void)str_copy(watch->runtime, sizeof watch->runtime,
                       told.runtime != NULL ? told.runtime : "");
        watch_learn(watch, &told);
        if (told.bytes >= 0 && !is_own_group(watch, &located)) {
            return;
        }
        if (told.bytes < 0) {
            (void)snprintf(located.why, sizeof located.why, "%s: %s", watch_teller(watch), why);
        }
        again = told.bytes < 0 && mono_now_ns() < until;
        if (again) {
            (void)nanosleep(&pause, NULL);
        }
    }
    add_mistake(watch, &located, ret_refused, diag);
}

static void open_teller(struct watch *watch, const struct plan *plan, bool *ret_refused,
                        struct diag *diag)
{
    if (watch->memory->source == MEMORY_SOURCE_PROCESS) {
        return;
    }
    watch->teller = teller_new(plan, watch->memory, watch->place->root, diag);
    /* a command has a cost, and what fails now and then is no mistake */
    if (watch->teller != NULL && watch->memory->source != MEMORY_SOURCE_COMMAND) {
        try_teller(watch, ret_refused, diag);
    }
}

/* Commands and endpoints that can't work are mistakes, not readings that fail. */
static bool prepare_watches(struct sampler *sampler, const struct plan *plan, bool *ret_refused,
                            struct diag *diag)
{
    size_t n_before = diag_count(diag);

    for (size_t i = 0; i < sampler->n_watches; i++) {
        struct watch *watch = &sampler->watches[i];
        if (watch->memory->source == MEMORY_SOURCE_COMMAND) {
            check_command(plan, watch, &watch->memory->command, diag);
        }
        if (watch->memory->settle_by == SETTLE_COMMAND) {
            check_command(plan, watch, &watch->memory->settle, diag);
        }
        if (watch->memory->settle_by != SETTLE_NOT && watch->memory->settle_by != SETTLE_ITSELF) {
            watch->settle = settle_new(plan, watch->memory, diag);
        }
        open_teller(watch, plan, ret_refused, diag);
    }
    return diag_count(diag) == n_before;
}

struct sampler *sampler_new(const struct plan *plan, const struct addr *addrs, size_t n_addrs,
                            bool *ret_refused, struct diag *diag)
{
    struct sampler *sampler = xcalloc(1, sizeof *sampler);
    bool short_run = plan->run.duration_ns < SHORT_RUN_NS;

    BUG_ON(pthread_mutex_init(&sampler->mutex, NULL) != 0);
    sampler->stop_fd = eventfd(0, EFD_CLOEXEC);
    BUG_ON(sampler->stop_fd < 0);
    locate_init(&sampler->place, "/proc", plan->target.dial_port, addrs, n_addrs);
    sampler->n_watches = plan->n_memories;
    sampler->watches = xcalloc(plan->n_memories + 1, sizeof *sampler->watches);
    sampler->posts = xcalloc(plan->n_memories + 1, sizeof *sampler->posts);
    for (size_t i = 0; i < plan->n_memories; i++) {
        sampler->watches[i] = (struct watch){
            .place = &sampler->place,
            .memory = &plan->memories[i],
            .index = (int)i,
            .stop_fd = sampler->stop_fd,
            .detail_every_ns = short_run ? DETAIL_EVERY_SHORT_NS : DETAIL_EVERY_NS,
        };
        sampler->posts[i] = (struct post){.sampler = sampler, .watch = &sampler->watches[i]};
    }
    if (!open_watches(sampler, ret_refused, diag) ||
        !prepare_watches(sampler, plan, ret_refused, diag) ||
        !prove_watches(sampler, ret_refused, diag)) {
        sampler_free(sampler);
        return NULL;
    }
    for (size_t i = 0; i < sampler->n_watches; i++) {
        sampler->posts[i].pid = sampler->watches[i].pid;
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

/* The mutex is held. */
static void put_killed(struct post *post, uint64_t now_ns)
{
    struct sampler *sampler = post->sampler;

    if (post->watch->n_killed > 0 && sampler->n_messages < N_MESSAGES) {
        struct sampler_message *message = &sampler->messages[sampler->n_messages++];
        message->at_ns = now_ns;
        (void)snprintf(message->text, sizeof message->text,
                       "memory %s: out of memory: the kernel has killed %llu of its processes",
                       post->watch->memory->name, (unsigned long long)post->watch->n_killed);
    }
}

/* The mutex is held.  The first failure, and once a minute that of a source that comes and goes;
 * one that lasts is told when its minute has come. */
static void put_message(struct post *post, uint64_t now_ns)
{
    struct sampler *sampler = post->sampler;
    const struct watch *watch = post->watch;
    bool failed = watch->why[0] != '\0';
    bool told = (failed && !post->failing && now_ns >= post->next_message_ns);

    post->failing = failed && (told || post->failing);
    if (told && sampler->n_messages < N_MESSAGES) {
        struct sampler_message *message = &sampler->messages[sampler->n_messages++];
        message->at_ns = now_ns;
        (void)snprintf(message->text, sizeof message->text, "memory %s was not read: %s",
                       watch->memory->name != NULL ? watch->memory->name : "source", watch->why);
        post->next_message_ns = now_ns + MESSAGE_EVERY_NS;
    }
}

/* Waits for an absolute time, so that slow readings never shift the later ones; false when the run
 * is over. */
static bool wait_until(const struct sampler *sampler, uint64_t t_ns)
{
    struct patience patience = {.until_ns = t_ns, .stop_fd = sampler->stop_fd};

    return patience_wait(&patience);
}

static void *post_main(void *argument)
{
    struct post *post = argument;
    struct sampler *sampler = post->sampler;
    bool first_loss = false;

    while (wait_until(sampler, watch_begin_ns(post->watch))) {
        struct reading reading;
        watch_read(post->watch, &reading);
        watch_schedule(post->watch, mono_now_ns());
        if (first_loss) {
            log_warn("readings of the server's memory were not taken in time and are lost");
            first_loss = false;
        }
        (void)pthread_mutex_lock(&sampler->mutex);
        put(sampler, &reading, &first_loss);
        put_killed(post, reading.t_ns);
        put_message(post, reading.t_ns);
        post->pid = post->watch->lost_at_ns == 0 ? post->watch->pid : 0;
        (void)pthread_mutex_unlock(&sampler->mutex);
    }
    return NULL;
}

void sampler_start(struct sampler *sampler, uint64_t dwells_from_ns, uint64_t dwell_ns)
{
    sigset_t all, before;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 0; i < sampler->n_watches; i++) {
        struct post *post = &sampler->posts[i];
        post->watch->dwells_from_ns = dwell_ns > 0 ? dwells_from_ns : 0;
        post->watch->dwell_ns = dwell_ns;
        BUG_ON(pthread_create(&post->thread, NULL, post_main, post) != 0);
    }
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

bool sampler_message(struct sampler *sampler, struct sampler_message *ret_message)
{
    (void)pthread_mutex_lock(&sampler->mutex);
    bool any = sampler->n_messages > 0;
    if (any) {
        *ret_message = sampler->messages[0];
        sampler->n_messages--;
        memmove(sampler->messages, sampler->messages + 1,
                sampler->n_messages * sizeof *sampler->messages);
    }
    (void)pthread_mutex_unlock(&sampler->mutex);
    return any;
}

const char *sampler_describe(const struct sampler *sampler, size_t i)
{
    return i < sampler->n_watches ? sampler->watches[i].text : "?";
}

int64_t sampler_pid(struct sampler *sampler, size_t i)
{
    (void)pthread_mutex_lock(&sampler->mutex);
    int64_t pid = i < sampler->n_watches ? sampler->posts[i].pid : 0;
    (void)pthread_mutex_unlock(&sampler->mutex);
    return pid;
}

const char *sampler_runtime(const struct sampler *sampler, size_t i)
{
    const struct watch *watch = &sampler->watches[i];

    return watch->runtime[0] != '\0' ? watch->runtime
           : watch->pid != 0         ? procfs_runtime(watch->place->root, watch->pid)
                                     : "";
}

double sampler_limit(const struct sampler *sampler, size_t i)
{
    const struct watch *watch = &sampler->watches[i];
    double own = watch->memory->limit_bytes;

    return own > 0 || watch->teller == NULL ? own : teller_limit(watch->teller);
}

void sampler_free(struct sampler *sampler)
{
    uint64_t one = 1;

    if (sampler == NULL) {
        return;
    }
    BUG_ON(write(sampler->stop_fd, &one, sizeof one) != (ssize_t)sizeof one);
    for (size_t i = 0; sampler->running && i < sampler->n_watches; i++) {
        (void)pthread_join(sampler->posts[i].thread, NULL);
    }
    for (size_t i = 0; i < sampler->n_watches; i++) {
        if (sampler->watches[i].spawned != 0) {
            spawn_end(sampler->watches[i].spawned);
        }
        settle_free(sampler->watches[i].settle);
        teller_free(sampler->watches[i].teller);
    }
    (void)close(sampler->stop_fd);
    (void)pthread_mutex_destroy(&sampler->mutex);
    free(sampler->watches);
    free(sampler->posts);
    free(sampler);
}
