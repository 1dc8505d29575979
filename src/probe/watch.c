#include "probe/watch.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "probe/cgroup.h"
#include "probe/procfs.h"

#include <stdio.h>
#include <string.h>

#define SEARCH_EVERY_NS     NS_PER_S
#define LOST_AFTER_NS       (10 * NS_PER_S)
#define LOST_AFTER_READINGS 5
#define PERIOD_DEFAULT_NS   NS_PER_S
#define DEADLINE_DEFAULT_NS (10 * NS_PER_S) /* of settling and telling */
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

struct located watch_prove(const struct watch *watch, int64_t pid)
{
    const struct cgroup *cgroup = watch->teller != NULL ? teller_cgroup(watch->teller) : NULL;
    int64_t listener = cgroup != NULL ? locate_listener(watch->place) : 0;

    if (listener != 0 && cgroup_holds(watch->place->root, cgroup, listener)) {
        return (struct located){.pid = pid};
    }
    return locate_prove(watch->place, pid);
}

static bool may_return(const struct watch *watch)
{
    return watch->memory->pid == 0 && watch->spawned == 0;
}

static bool find_successor(struct watch *watch)
{
    struct located located = locate_find(watch->place, watch->memory);

    if (located.pid != 0 && watch->proven) {
        located = watch_prove(watch, located.pid);
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

const char *watch_teller(const struct watch *watch)
{
    static const char *const names[] = {[MEMORY_SOURCE_COMMAND] = "command",
                                        [MEMORY_SOURCE_CGROUP] = "cgroup",
                                        [MEMORY_SOURCE_PROMETHEUS] = "prometheus"};

    return names[watch->memory->source];
}

static struct told ask(struct watch *watch, const struct patience *patience)
{
    char why[WATCH_WHY - 16] = "";
    struct told told = teller_ask(watch->teller, watch->pid, patience, why, sizeof why);

    if (told.bytes < 0) {
        (void)snprintf(watch->why, sizeof watch->why, "%s: %s", watch_teller(watch), why);
    }
    watch->n_killed = told.n_killed;
    return told;
}

/* A teller, or settling, that comes and goes leaves gaps; one that stays away is lost. */
static void count_untold(struct watch *watch, bool told, struct reading *reading)
{
    if (told) {
        watch->n_untold = 0;
        return;
    }
    if (watch->n_untold++ == 0) {
        watch->untold_at_ns = reading->t_ns;
    }
    if (watch->n_untold >= LOST_AFTER_READINGS &&
        reading->t_ns - watch->untold_at_ns >= LOST_AFTER_NS) {
        reading->lost = true;
    }
}

void watch_learn(struct watch *watch, const struct told *told)
{
    if (watch->memory->source == MEMORY_SOURCE_PROMETHEUS && told->incarnation != 0) {
        watch->page_incarnation = told->incarnation;
    }
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

/* Settles and asks; false when what comes next is worth nothing. */
static bool prepare(struct watch *watch, struct told *ret_told)
{
    uint64_t begun_ns = mono_now_ns();
    uint64_t deadline_ns =
        watch->memory->deadline_ns != 0 ? watch->memory->deadline_ns : DEADLINE_DEFAULT_NS;
    struct patience patience = {.until_ns = begun_ns + deadline_ns, .stop_fd = watch->stop_fd};

    *ret_told = (struct told){.bytes = -1};
    watch->why[0] = '\0';
    watch->n_killed = 0;
    if (!settle(watch, &patience)) {
        return false;
    }
    if (watch->teller != NULL) {
        *ret_told = ask(watch, &patience);
    }
    if (watch->teller == NULL || ret_told->bytes >= 0) {
        learn_lead(watch, mono_now_ns() - begun_ns);
    }
    return watch->memory->settle_by != SETTLE_ITSELF || ret_told->bytes >= 0;
}

void watch_read(struct watch *watch, struct reading *ret_reading)
{
    uint64_t incarnation = watch->incarnation;
    struct reading reading = {.source = watch->index};
    struct told told;
    bool settled = prepare(watch, &told);

    reading.t_ns = mono_now_ns();
    set_unknown(&reading);
    if (watch->pid != 0) {
        read_process(watch, &reading);
    } else {
        reading.ok = told.bytes >= 0;
    }
    /* what was settled, or asked, was another process */
    if (watch->incarnation != incarnation && (gives_floors(watch) || watch->teller != NULL)) {
        settled = false;
    }
    if (watch->pid == 0 && told.bytes >= 0) {
        reading.incarnation = watch->incarnation = told.incarnation;
    }
    if (watch->teller != NULL) {
        bool commanded = watch->memory->source == MEMORY_SOURCE_COMMAND;
        reading.value[commanded ? MEMORY_COMMAND : MEMORY_CHOSEN] = told.bytes;
        watch_learn(watch, &told);
        count_untold(watch, told.bytes >= 0, &reading);
    } else if (gives_floors(watch)) {
        count_untold(watch, settled, &reading);
    }
    if (!reading.ok || !settled) {
        set_unknown(&reading);
        reading.incarnation = watch->incarnation;
    } else {
        watch->lost_at_ns = 0;
    }
    if (watch->page_incarnation != 0) {
        reading.incarnation = watch->page_incarnation;
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
