#include "record/run.h"

#include "base/mem.h"
#include "record/events.h"
#include "record/phases.h"
#include "record/hlog.h"
#include "record/run_json.h"
#include "record/ticks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool find_run(const char *dir, struct diag *diag)
{
    CLEANUP_FREE char *json = xasprintf("%s/run.json", dir);
    struct origin origin = {dir, 0};
    struct stat st;

    if (stat(dir, &st) != 0) {
        diag_add(diag, origin, "can't be read: %s", strerror(errno));
        return false;
    }
    if (!S_ISDIR(st.st_mode)) {
        diag_add(diag, origin, "not a directory, so no run of tlsoak");
        return false;
    }
    if (access(json, F_OK) != 0) {
        diag_add(diag, origin, "holds no run of tlsoak (it has no run.json)");
        return false;
    }
    return true;
}

static bool load_latencies(struct stored_run *stored, struct diag *diag)
{
    for (int i = 0; i < LATENCY_COUNT; i++) {
        CLEANUP_FREE char *path =
            xasprintf("%s/latency.%s.hlog", stored->dir, metric_latency((enum latency)i)->name);
        if (!hlog_load(path, NULL, &stored->total->latency[i], &stored->torn_lines, diag)) {
            return false;
        }
    }
    return true;
}

/* True when the file ends inside a line. */
static bool is_torn(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char last = '\n';
    off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;

    if (end > 0 && pread(fd, &last, 1, end - 1) != 1) {
        last = '\n';
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return last != '\n';
}

/* The readings themselves are the judge's to read; here only where they are, and whether whole. */
static bool find_memory(struct stored_run *stored, struct diag *diag)
{
    for (int i = 0; i < stored->meta.n_sources; i++) {
        char *path = i == 0 ? xasprintf("%s/memory.csv", stored->dir)
                            : xasprintf("%s/memory.%s.csv", stored->dir, stored->meta.source[i]);
        struct stat st;
        bool there = stat(path, &st) == 0 && S_ISREG(st.st_mode);
        if (!there) {
            diag_add(diag, (struct origin){path, 0}, "is missing from the run");
        } else {
            stored->torn_lines += is_torn(path);
        }
        if (i == 0) {
            stored->memory_csv = path;
        } else {
            free(path);
        }
        if (!there) {
            return false;
        }
    }
    return true;
}

/* A killed run has no totals in run.json: those of the last tick stand for them. */
static bool load_ticks(struct stored_run *stored, struct diag *diag)
{
    CLEANUP_FREE char *path = xasprintf("%s/ticks.csv", stored->dir);
    struct ticks_end end;

    if (!ticks_load(path, NULL, stored->total, &end, diag)) {
        return false;
    }
    stored->n_ticks = end.n;
    stored->elapsed_ns = end.time_ns;
    stored->torn_lines += end.torn;
    return true;
}

static bool load_events(struct stored_run *stored, struct diag *diag)
{
    CLEANUP_FREE char *path = xasprintf("%s/events.csv", stored->dir);

    return events_load(path, stored, diag);
}

static bool load_phases(struct stored_run *stored, struct diag *diag)
{
    CLEANUP_FREE char *path = xasprintf("%s/phases.csv", stored->dir);

    return phases_load(path, stored, diag);
}

static bool load_steps(struct stored_run *stored, struct diag *diag)
{
    CLEANUP_FREE char *path = xasprintf("%s/search.csv", stored->dir);

    stored->steps = xcalloc(SEARCH_STEPS_MAX, sizeof *stored->steps);
    return search_load(path, stored->steps, &stored->n_steps, &stored->torn_lines, diag);
}

struct stored_run *run_load(const char *dir, struct diag *diag)
{
    if (!find_run(dir, diag)) {
        return NULL;
    }
    struct stored_run *stored = xcalloc(1, sizeof *stored);
    CLEANUP_FREE char *json = xasprintf("%s/run.json", dir);

    stored->dir = xstrdup(dir);
    stored->total = interval_new();
    /* In this order: the totals of a finished run overrule its ticks and refine its latencies. */
    if (!run_json_load_meta(json, &stored->meta, diag) || !load_ticks(stored, diag) ||
        !load_latencies(stored, diag) || !find_memory(stored, diag) || !load_events(stored, diag) ||
        (stored->meta.finished && !run_json_load_totals(json, stored, diag))) {
        run_unload(stored);
        return NULL;
    }
    stored->total->end_ns = stored->elapsed_ns;
    if (!load_phases(stored, diag) || !load_steps(stored, diag)) {
        run_unload(stored);
        return NULL;
    }
    return stored;
}

void run_unload(struct stored_run *stored)
{
    if (stored == NULL) {
        return;
    }
    interval_free(stored->total);
    free(stored->memory_csv);
    free(stored->events);
    free(stored->phases);
    free(stored->steps);
    free(stored->dir);
    free(stored);
}

uint64_t run_load_ns(const struct stored_run *stored)
{
    uint64_t planned_ns = stored->meta.duration_ns;
    uint64_t known_ns = stored->meta.load_ns > 0 ? stored->meta.load_ns : stored->elapsed_ns;

    /* that the end was seen a little late made the plan's no longer */
    return known_ns < planned_ns ? known_ns : planned_ns;
}
