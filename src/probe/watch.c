#include "probe/watch.h"

#include "base/log.h"
#include "base/mono.h"
#include "probe/procfs.h"

#define SEARCH_EVERY_NS   NS_PER_S
#define LOST_AFTER_NS     (10 * NS_PER_S)
#define PERIOD_DEFAULT_NS NS_PER_S

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

void watch_read(struct watch *watch, struct reading *ret_reading)
{
    uint64_t now = mono_now_ns();
    bool detail = now >= watch->next_detail_ns;
    struct reading reading = {.t_ns = now, .source = watch->index};

    if (detail) {
        watch->next_detail_ns = now + watch->detail_every_ns;
    }
    read_now(watch, detail, &reading);
    judge_time(watch, detail, mono_now_ns() - now, &reading);
    if (reading.lost) {
        search(watch, detail, &reading);
    }
    if (!reading.ok) {
        set_unknown(&reading);
        reading.incarnation = watch->incarnation;
    } else {
        watch->lost_at_ns = 0;
    }
    *ret_reading = reading;
}

void watch_schedule(struct watch *watch, uint64_t now_ns)
{
    uint64_t every = watch->memory->every_ns != 0 ? watch->memory->every_ns : PERIOD_DEFAULT_NS;

    if (watch->next_ns == 0) {
        watch->next_ns = now_ns;
    }
    while (watch->next_ns <= now_ns) {
        watch->next_ns += every;
    }
}
