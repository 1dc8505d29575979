#include "probe/watch.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "probe/procfs.h"

#include <stdio.h>
#include <string.h>

#define SEARCH_EVERY_NS     NS_PER_S
#define LOST_AFTER_NS       (10 * NS_PER_S)
#define PERIOD_DEFAULT_NS   NS_PER_S
#define DEADLINE_DEFAULT_NS (10 * NS_PER_S) /* of settling and commands */
#define LEAD_SPARE_NS       (20 * NS_PER_MS)

bool watch_adopt(struct watch *watch, int64_t pid)
{
    struct reading reading = {0};

    procfs_read(watch->place->root, pid, false, &reading);
    if (!reading.ok) {
        return false;
    }
    watch->pid = pid;
    watch->incarnation = reading.incarnation;
    return true;
}

static bool may_return(const struct watch *watch)
{
    return watch->memory->pid == 0 && watch->spawned == 0;
}

static bool find_successor(struct watch *watch)
{
    struct located located = locate_find(watch->place, watch->memory);

    if (located.pid != 0 && watch->proven) {
        located = locate_prove(watch->place, located.pid);
    }
    return located.pid != 0 && watch_adopt(watch, located.pid);
}

static void read_now(struct watch *watch, bool detail, struct reading *reading)
{
    procfs_read(watch->place->root, watch->pid, detail, reading);
    if (reading->ok && reading->incarnation != watch->incarnation) {
        /* the kernel gave its pid to another process */
        reading->ok = false;
        reading->lost = true;
    }
}

static void set_unknown(struct reading *reading)
{
    reading->ok = false;
    for (int i = 0; i < MEMORY_METRIC_COUNT; i++) {
        reading->value[i] = -1;
    }
}

static void search(struct watch *watch, bool detail, struct reading *reading)
{
    uint64_t now = reading->t_ns;

    if (watch->lost_at_ns == 0) {
        watch->lost_at_ns = now;
        watch->next_search_ns = now;
    }
    if (may_return(watch) && now >= watch->next_search_ns) {
        watch->next_search_ns = now + SEARCH_EVERY_NS;
        if (find_successor(watch)) {
            reading->t_ns = mono_now_ns();
            read_now(watch, detail, reading);
        }
    }
    reading->lost =
        reading->lost && (!may_return(watch) || now - watch->lost_at_ns >= LOST_AFTER_NS);
}

static void judge_time(struct watch *watch, bool detail, uint64_t took_ns, struct reading *reading)
{
    if (watch->memory->deadline_ns == 0 || took_ns <= watch->memory->deadline_ns) {
        return;
    }
    /* the values are of some moment in a span that is too long to be booked at one */
    set_unknown(reading);
    if (detail) {
        watch->next_detail_ns = UINT64_MAX;
        log_warn("reading the pages of %s took %.0f ms, longer than the deadline: its PSS and "
                 "private memory are not read any more",
                 watch->text, (double)took_ns / (double)NS_PER_MS);
    }
}

static bool gives_floors(const struct watch *watch)
{
    return watch->memory->settle_by != SETTLE_NOT;
}

/* Settling and asking took this long, with something to spare. */
static void learn_lead(struct watch *watch, uint64_t took_ns)
{
    if (gives_floors(watch)) {
        watch->lead_ns = took_ns + took_ns / 4 + LEAD_SPARE_NS;
    }
}

/* False with `why` when what comes next would not be a floor. */
static bool settle(struct watch *watch, const struct patience *patience)
{
    char why[WATCH_WHY - 16] = "";

    if (watch->settle == NULL) {
        return true;
    }
    if (!settle_perform(watch->settle, watch->pid, patience, why, sizeof why)) {
        (void)snprintf(watch->why, sizeof watch->why, "settle: %s", why);
        return false;
    }
    return true;
}

/* The bytes that the command prints; -1 with `why`. */
static int64_t ask_command(struct watch *watch, const struct patience *patience)
{
    char why[WATCH_WHY - 16] = "", line[ERRAND_LINE_MAX];
    CLEANUP_FREE char **words = errand_words(watch->memory->command, watch->pid, why, sizeof why);
    double bytes = -1;

    if (words != NULL &&
        errand_run(words, watch->secret_command, patience, line, why, sizeof why) &&
        !(unit_parse_bytes(str_trim(line), &bytes) && bytes < (double)(INT64_MAX / 2))) {
        (void)snprintf(why, sizeof why, "%s printed \"%.40s\", which is not a number of bytes",
                       watch->secret_command ? "the command" : words[0],
                       watch->secret_command ? "(not shown)" : line);
        bytes = -1;
    }
    if (bytes < 0) {
        (void)snprintf(watch->why, sizeof watch->why, "command: %s", why);
    }
    return (int64_t)bytes;
}

/* What the kernel says of the process. */
static void read_process(struct watch *watch, struct reading *reading)
{
    uint64_t now = reading->t_ns;
    bool detail = now >= watch->next_detail_ns ||
                  (gives_floors(watch) && watch->next_detail_ns != UINT64_MAX);

    if (detail) {
        watch->next_detail_ns = now + watch->detail_every_ns;
    }
    read_now(watch, detail, reading);
    judge_time(watch, detail, mono_now_ns() - now, reading);
    if (reading->lost) {
        search(watch, detail, reading);
    }
}

void watch_read(struct watch *watch, struct reading *ret_reading)
{
    uint64_t begun_ns = mono_now_ns(), incarnation = watch->incarnation;
    uint64_t deadline_ns =
        watch->memory->deadline_ns != 0 ? watch->memory->deadline_ns : DEADLINE_DEFAULT_NS;
    struct patience patience = {.until_ns = begun_ns + deadline_ns, .stop_fd = watch->stop_fd};
    bool commanded = watch->memory->source == MEMORY_SOURCE_COMMAND;
    int64_t told = -1;
    struct reading reading = {.source = watch->index};

    watch->why[0] = '\0';
    bool settled = settle(watch, &patience);
    if (settled && commanded) {
        told = ask_command(watch, &patience);
    }
    reading.t_ns = mono_now_ns();
    if (settled && (told >= 0 || !commanded)) {
        learn_lead(watch, reading.t_ns - begun_ns);
    }
    set_unknown(&reading);
    if (watch->pid != 0) {
        read_process(watch, &reading);
    } else {
        reading.ok = told >= 0;
    }
    if (watch->memory->settle_by == SETTLE_ITSELF && told < 0) {
        settled = false;
    }
    /* what was settled, or asked, was another process */
    if (watch->incarnation != incarnation && (gives_floors(watch) || commanded)) {
        settled = false;
    }
    reading.value[MEMORY_COMMAND] = told;
    if (!reading.ok || !settled) {
        set_unknown(&reading);
        reading.incarnation = watch->incarnation;
    } else {
        watch->lost_at_ns = 0;
    }
    *ret_reading = reading;
}

static uint64_t period(const struct watch *watch)
{
    uint64_t every = watch->memory->every_ns != 0 ? watch->memory->every_ns : PERIOD_DEFAULT_NS;

    if (!gives_floors(watch) || watch->dwells_from_ns == 0) {
        return every;
    }
    if (watch->next_ns >= watch->dwells_from_ns) {
        return watch->dwell_ns;
    }
    return every < watch->dwells_from_ns - watch->next_ns ? every
                                                          : watch->dwells_from_ns - watch->next_ns;
}

void watch_schedule(struct watch *watch, uint64_t now_ns)
{
    if (watch->next_ns == 0) {
        watch->next_ns = now_ns;
    }
    do {
        watch->next_ns += period(watch);
    } while (watch->next_ns <= now_ns + watch->lead_ns);
}

uint64_t watch_begin_ns(const struct watch *watch)
{
    return watch->next_ns > watch->lead_ns ? watch->next_ns - watch->lead_ns : 0;
}
