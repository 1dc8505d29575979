#include "record/run.h"

#include "base/bug.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"
#include "record/hlog.h"
#include "record/phases.h"
#include "record/run_json.h"
#include "record/ticks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Room that is kept so that run.json can say what happened when the disk is full. */
#define RESERVE_BYTES (1 << 20)

struct run {
    char *dir;
    struct run_meta meta;
    int ticks_fd;
    int events_fd;
    int phases_fd; /* -1: there has been none */
    int search_fd; /* likewise */
    int memory_fd[RUN_SOURCES];
    struct hlog *hlog[LATENCY_COUNT];
    struct hist pending[LATENCY_COUNT]; /* since the last interval of the logs */
    uint64_t pending_start_ns;          /* these three since the start of the run */
    uint64_t pending_end_ns;
    uint64_t flush_ns;
    uint64_t flush_every_ns;
    struct sink *line;
    int refused; /* errno of the record that the disk refused; 0: none */
    uint64_t refused_ns;
};

static char *path_in(const char *dir, const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

static uint64_t since_start(const struct run *run, uint64_t t_ns)
{
    return t_ns > run->meta.start_ns ? t_ns - run->meta.start_ns : 0;
}

/* Adds the mistake for a file of the run that could not be made. */
static bool refuse_file(const char *path, struct diag *diag)
{
    if (errno == EEXIST) {
        diag_add(diag, (struct origin){path, 0}, "exists already; name another directory with -o");
    } else {
        diag_add(diag, (struct origin){path, 0}, "can't be written: %s", strerror(errno));
    }
    return false;
}

/* A new file to append records to; below 0 with errno. */
static int begin_records(const struct run *run, const char *name)
{
    CLEANUP_FREE char *path = path_in(run->dir, name);

    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
}

/* Opens one and sends what was gathered as its head. */
static bool open_records(struct run *run, const char *name, int *ret_fd, struct diag *diag)
{
    CLEANUP_FREE char *path = path_in(run->dir, name);

    *ret_fd = begin_records(run, name);
    if (*ret_fd < 0 || !sink_send(run->line, *ret_fd)) {
        return refuse_file(path, diag);
    }
    return true;
}

static bool open_ticks(struct run *run, struct diag *diag)
{
    ticks_header(run->line);
    return open_records(run, "ticks.csv", &run->ticks_fd, diag);
}

static bool open_events(struct run *run, struct diag *diag)
{
    sink_printf(run->line, "time_s,kind,text\n");
    return open_records(run, "events.csv", &run->events_fd, diag);
}

static const enum memory_metric memory_columns[] = {
    MEMORY_CHOSEN, MEMORY_COMMAND, MEMORY_ANON,    MEMORY_PRIVATE_DIRTY, MEMORY_PSS,
    MEMORY_RSS,    MEMORY_FDS,     MEMORY_THREADS, MEMORY_CPU_NS,        MEMORY_PROCESSES,
};

#define N_MEMORY_COLUMNS (sizeof memory_columns / sizeof *memory_columns)

/* The chosen one is there only where one was chosen. */
static size_t first_column(const struct run_meta *meta, int source)
{
    return meta->metric[source][0] != '\0' ? 0 : 1;
}

static const enum driver driver_columns[] = {
    DRIVER_REQUEST, DRIVER_CONNECTION, DRIVER_RESUMPTION, DRIVER_CLIENT_CERTIFICATE, DRIVER_API_KEY,
    DRIVER_JWT,     DRIVER_REFUSED,    DRIVER_ABORTED,    DRIVER_ROTATION,
};

#define N_DRIVER_COLUMNS (sizeof driver_columns / sizeof *driver_columns)

static void memory_header(struct sink *sink, const struct run_meta *meta, int source)
{
    sink_printf(sink, "# tlsoak.series/1\n# source ");
    sink_plain(sink, meta->source[source]);
    sink_printf(sink, "\n# server ");
    sink_plain(sink, meta->server);
    if (meta->runtime[source][0] != '\0') {
        sink_printf(sink, "\n# runtime %s", meta->runtime[source]);
    }
    if (meta->floors[source]) {
        sink_printf(sink, "\n# floors yes");
    }
    if (meta->metric[source][0] != '\0') {
        sink_printf(sink, "\n# metric %s", meta->metric[source]);
    }
    if (meta->limit_bytes[source] > 0) {
        sink_printf(sink, "\n# limit %.0f", meta->limit_bytes[source]);
    }
    sink_printf(sink, "\ntime_s");
    for (size_t i = first_column(meta, source); i < N_MEMORY_COLUMNS; i++) {
        sink_printf(sink, ",%s",
                    memory_columns[i] == MEMORY_CHOSEN ? meta->metric[source]
                                                       : metric_memory(memory_columns[i])->name);
    }
    sink_printf(sink, ",incarnation,open");
    for (size_t i = 0; i < N_DRIVER_COLUMNS; i++) {
        sink_printf(sink, ",%s", driver_info(driver_columns[i])->column);
    }
    sink_write(sink, "\n", 1);
}

static bool open_memory(struct run *run, struct diag *diag)
{
    for (int i = 0; i < run->meta.n_sources; i++) {
        const char *source = run->meta.source[i];
        if (strchr(source, '/') != NULL) {
            diag_add(diag, (struct origin){run->dir, 0},
                     "the memory source \"%s\" can't name a file: leave the slash out", source);
            return false;
        }
        CLEANUP_FREE char *name =
            i == 0 ? xstrdup("memory.csv") : xasprintf("memory.%s.csv", source);
        memory_header(run->line, &run->meta, i);
        if (!open_records(run, name, &run->memory_fd[i], diag)) {
            return false;
        }
    }
    return true;
}

static bool open_logs(struct run *run, struct diag *diag)
{
    for (int i = 0; i < LATENCY_COUNT; i++) {
        CLEANUP_FREE char *path =
            xasprintf("%s/latency.%s.hlog", run->dir, metric_latency((enum latency)i)->name);
        run->hlog[i] = hlog_create(path, run->meta.start_wall_s);
        if (run->hlog[i] == NULL) {
            return refuse_file(path, diag);
        }
    }
    return true;
}

static bool make_reserve(const struct run *run, struct diag *diag)
{
    CLEANUP_FREE char *path = path_in(run->dir, ".reserve");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0) {
        return refuse_file(path, diag);
    }
    int error = posix_fallocate(fd, 0, RESERVE_BYTES);
    (void)close(fd);
    if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
        (void)unlink(path);
        errno = error;
        return refuse_file(path, diag);
    }
    return true; /* a file system that can't reserve is none that we refuse */
}

static void drop_reserve(const struct run *run)
{
    CLEANUP_FREE char *path = path_in(run->dir, ".reserve");

    (void)unlink(path);
}

static bool write_profile(const struct run *run, const char *text, struct diag *diag)
{
    CLEANUP_FREE char *path = path_in(run->dir, "profile.ini");

    return file_write(path, text, strlen(text), 0644) || refuse_file(path, diag);
}

static bool write_json(struct run *run, const struct run_meta *meta, const struct interval *total)
{
    CLEANUP_FREE char *path = path_in(run->dir, "run.json");

    run_json_write(run->line, meta, total);
    return sink_replace_file(run->line, path);
}

static bool write_first_json(struct run *run, struct diag *diag)
{
    struct run_meta meta = run->meta;

    meta.finished = false;
    meta.interrupted = false;
    meta.invalid[0] = '\0';
    if (!write_json(run, &meta, NULL)) {
        CLEANUP_FREE char *path = path_in(run->dir, "run.json");
        return refuse_file(path, diag);
    }
    return true;
}

static bool make_dir(const char *dir, struct diag *diag)
{
    CLEANUP_FREE char *json = path_in(dir, "run.json");

    if (!file_make_dir(dir)) {
        diag_add(diag, (struct origin){dir, 0}, "can't be made a directory: %s", strerror(errno));
        return false;
    }
    if (access(json, F_OK) == 0) {
        diag_add(diag, (struct origin){dir, 0}, "already holds a run; name another with -o");
        return false;
    }
    return true;
}

static struct run *run_new(const char *dir, const struct run_meta *meta)
{
    struct run *run = xcalloc(1, sizeof *run);

    BUG_ON(meta->n_sources < 0 || meta->n_sources > RUN_SOURCES);
    run->dir = xstrdup(dir);
    run->meta = *meta;
    run->line = sink_new();
    run->flush_every_ns = hlog_period_ns(meta->duration_ns);
    run->flush_ns = run->flush_every_ns;
    run->ticks_fd = -1;
    run->events_fd = -1;
    run->phases_fd = -1;
    run->search_fd = -1;
    for (int i = 0; i < RUN_SOURCES; i++) {
        run->memory_fd[i] = -1;
    }
    for (int i = 0; i < LATENCY_COUNT; i++) {
        hist_init(&run->pending[i]);
    }
    return run;
}

struct run *run_create(const char *dir, const struct run_meta *meta, const char *profile_text,
                       struct diag *diag)
{
    if (!make_dir(dir, diag)) {
        return NULL;
    }
    struct run *run = run_new(dir, meta);

    /* run.json last: a directory with one is a run, and whole. */
    if (!open_ticks(run, diag) || !open_events(run, diag) || !open_memory(run, diag) ||
        !open_logs(run, diag) || !write_profile(run, profile_text, diag) ||
        !make_reserve(run, diag) || !write_first_json(run, diag)) {
        run_free(run);
        return NULL;
    }
    return run;
}

void run_start(struct run *run, uint64_t start_ns)
{
    run->meta.start_ns = start_ns;
}

/* After the first record that the disk refuses nothing more is appended: a record with a gap
 * before it would look like a server that stood still. */
static bool refused(struct run *run, uint64_t time_ns)
{
    run->refused = errno != 0 ? errno : EIO;
    run->refused_ns = time_ns;
    return false;
}

static bool flush_logs(struct run *run)
{
    for (int i = 0; i < LATENCY_COUNT; i++) {
        if (!hlog_append(run->hlog[i], run->pending_start_ns, run->pending_end_ns,
                         &run->pending[i])) {
            return refused(run, run->pending_end_ns);
        }
        hist_clear(&run->pending[i]);
    }
    run->pending_start_ns = run->pending_end_ns;
    return true;
}

bool run_tick(struct run *run, const struct interval *tick, const struct interval *cumulative)
{
    uint64_t end_ns = since_start(run, tick->end_ns);

    if (run->refused != 0) {
        return true;
    }
    for (int i = 0; i < LATENCY_COUNT; i++) {
        hist_add(&run->pending[i], &tick->latency[i]);
    }
    run->pending_end_ns = end_ns;
    ticks_row(run->line, end_ns, tick, cumulative);
    if (!sink_send(run->line, run->ticks_fd)) {
        return refused(run, end_ns);
    }
    /* Half a tick early counts as in time, or a timer that is a little fast would double a line. */
    if (end_ns + run->meta.tick_ns / 2 < run->flush_ns) {
        return true;
    }
    while (run->flush_ns <= end_ns + run->meta.tick_ns / 2) {
        run->flush_ns += run->flush_every_ns;
    }
    return flush_logs(run);
}

static void put_time(struct sink *sink, uint64_t time_ns)
{
    uint64_t time_ms = time_ns / NS_PER_MS;

    sink_printf(sink, "%" PRIu64 ".%03" PRIu64, time_ms / 1000, time_ms % 1000);
}

static void memory_row(const struct run *run, uint64_t time_ns, const struct reading *reading,
                       const struct interval *cumulative)
{
    struct sink *sink = run->line;

    put_time(sink, time_ns);
    for (size_t i = first_column(&run->meta, reading->source); i < N_MEMORY_COLUMNS; i++) {
        int64_t value = reading->value[memory_columns[i]];
        if (!reading->ok || value < 0) {
            sink_printf(sink, ",");
        } else if (memory_columns[i] == MEMORY_CPU_NS) {
            sink_printf(sink, ",%.3f", (double)value / (double)NS_PER_S);
        } else {
            sink_printf(sink, ",%" PRId64, value);
        }
    }
    /* A reading that failed does not know which server it was. */
    if (reading->ok) {
        sink_printf(sink, ",%" PRIu64, reading->incarnation);
    } else {
        sink_printf(sink, ",");
    }
    sink_printf(sink, ",%" PRIu64, cumulative->gauge[GAUGE_OPEN]);
    for (size_t i = 0; i < N_DRIVER_COLUMNS; i++) {
        sink_printf(sink, ",%" PRIu64, interval_driver(cumulative, driver_columns[i]));
    }
    sink_write(sink, "\n", 1);
}

bool run_reading(struct run *run, const struct reading *reading, const struct interval *cumulative)
{
    uint64_t time_ns = since_start(run, reading->t_ns);

    BUG_ON(reading->source < 0 || reading->source >= run->meta.n_sources);
    if (run->refused != 0) {
        return true;
    }
    memory_row(run, time_ns, reading, cumulative);
    if (!sink_send(run->line, run->memory_fd[reading->source])) {
        return refused(run, time_ns);
    }
    return true;
}

bool run_event(struct run *run, uint64_t at_ns, const char *kind, const char *text)
{
    uint64_t time_ns = since_start(run, at_ns);

    if (run->refused != 0) {
        return true;
    }
    put_time(run->line, time_ns);
    struct sink *plain = sink_new();
    sink_plain(plain, text);
    sink_printf(run->line, ",%s,", kind);
    sink_csv(run->line, sink_text(plain, NULL));
    sink_write(run->line, "\n", 1);
    sink_free(plain);
    if (!sink_send(run->line, run->events_fd)) {
        return refused(run, time_ns);
    }
    return true;
}

bool run_phase(struct run *run, uint64_t at_ns, uint64_t number, const char *name, bool idle)
{
    uint64_t time_ns = since_start(run, at_ns);

    if (run->refused != 0) {
        return true;
    }
    if (run->phases_fd < 0) {
        run->phases_fd = begin_records(run, "phases.csv");
        sink_printf(run->line, PHASES_HEADER);
    }
    put_time(run->line, time_ns);
    sink_printf(run->line, ",%" PRIu64 ",%s,%s\n", number, name != NULL ? name : "",
                name == NULL ? "end"
                : idle       ? "idle"
                             : "load");
    if (run->phases_fd < 0 || !sink_send(run->line, run->phases_fd)) {
        return refused(run, time_ns);
    }
    return true;
}

bool run_step(struct run *run, size_t number, const struct run_step *step,
              const struct limit *limits)
{
    uint64_t time_ns = (uint64_t)(step->start_s * (double)NS_PER_S);

    if (run->refused != 0) {
        return true;
    }
    if (run->search_fd < 0) {
        run->search_fd = begin_records(run, "search.csv");
        search_header(run->line, limits, step->n_limits);
    }
    search_row(run->line, number, step);
    if (run->search_fd < 0 || !sink_send(run->line, run->search_fd)) {
        return refused(run, time_ns);
    }
    return true;
}

/* The caller may have said why the run is invalid; the disk is named only when it has not. */
static void tell_refusal(const struct run *run, struct run_meta *meta)
{
    if (run->refused != 0 && meta->invalid[0] == '\0') {
        (void)snprintf(meta->invalid, sizeof meta->invalid,
                       "the disk refused a record after %.1f s (%s): nothing later was stored",
                       (double)run->refused_ns / (double)NS_PER_S, strerror(run->refused));
    }
}

bool run_finish(struct run *run, const struct run_meta *meta, const struct interval *cumulative)
{
    struct run_meta end = *meta;

    drop_reserve(run);
    if (run->refused == 0) {
        (void)flush_logs(run);
    }
    end.start_ns = run->meta.start_ns;
    end.finished = true;
    tell_refusal(run, &end);
    return write_json(run, &end, cumulative);
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

void run_free(struct run *run)
{
    if (run == NULL) {
        return;
    }
    drop_reserve(run);
    close_fd(run->ticks_fd);
    close_fd(run->events_fd);
    close_fd(run->phases_fd);
    close_fd(run->search_fd);
    for (int i = 0; i < RUN_SOURCES; i++) {
        close_fd(run->memory_fd[i]);
    }
    for (int i = 0; i < LATENCY_COUNT; i++) {
        hlog_close(run->hlog[i]);
    }
    sink_free(run->line);
    free(run->dir);
    free(run);
}
