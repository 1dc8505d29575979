#include "cmd/history.h"

#include "base/bug.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"
#include "cmd/loads.h"
#include "record/limit.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_BYTES 1024

static void put_header(struct sink *sink)
{
    sink_printf(sink, "time_s,run,version,profile,target,verdict,exit_code,seconds,"
                      "rate_reached_per_s,errors_ratio");
    for (int i = 0; i < 2; i++) {
        const char *series = i == 0 ? "response" : "service";
        sink_printf(sink, ",%s_p50_us,%s_p99_us", series, series);
    }
    for (int d = 0; d < DRIVER_COUNT; d++) {
        sink_printf(sink, ",%s_bytes", driver_info((enum driver)d)->name);
    }
    sink_write(sink, "\n", 1);
}

static void put_number(struct sink *sink, double value)
{
    sink_write(sink, ",", 1);
    if (isfinite(value)) {
        sink_printf(sink, "%.8g", value);
    }
}

static void put_measured(struct sink *sink, const struct stored_run *stored, const char *key)
{
    struct limit limit;
    double seconds = (double)run_load_ns(stored) / (double)NS_PER_S, value = NAN;

    BUG_ON(!limit_from_key(key, &limit));
    limit.handshakes = stored->meta.dials_due;
    if (!limit_measure(&limit, stored->total, seconds, &value)) {
        value = NAN;
    }
    put_number(sink, limit_number(&limit, value));
}

/* Of the first source that tells; only what is told apart from the others. */
static double bytes_of(const struct verdict *verdict, enum driver driver)
{
    for (size_t i = 0; i < verdict->n_memory; i++) {
        const struct memory_finding *finding = &verdict->memory[i];
        for (size_t d = 0; d < finding->n_drivers; d++) {
            if (finding->drivers[d].driver == driver && finding->drivers[d].separable) {
                return finding->drivers[d].bytes_per_event;
            }
        }
    }
    return NAN;
}

static void put_text(struct sink *sink, const char *text)
{
    sink_write(sink, ",", 1);
    sink_csv(sink, text);
}

static void put_row(struct sink *sink, const struct plan *plan, const struct stored_run *stored,
                    const struct verdict *verdict)
{
    CLEANUP_FREE char *load = loads_text(plan, NULL);
    char hash[17];

    loads_hash(load, hash);
    sink_printf(sink, "%.3f", stored->meta.start_wall_s);
    put_text(sink, stored->meta.id);
    put_text(sink, stored->meta.version);
    put_text(sink, hash);
    put_text(sink, stored->meta.target);
    put_text(sink, verdict_kind_name(verdict->kind));
    sink_printf(sink, ",%d", verdict->exit_code);
    put_number(sink, (double)run_load_ns(stored) / (double)NS_PER_S);
    put_measured(sink, stored, "rate.reached.min");
    put_measured(sink, stored, "errors.ratio.max");
    put_measured(sink, stored, "latency.response.p50.max");
    put_measured(sink, stored, "latency.response.p99.max");
    put_measured(sink, stored, "latency.service.p50.max");
    put_measured(sink, stored, "latency.service.p99.max");
    for (int d = 0; d < DRIVER_COUNT; d++) {
        put_number(sink, bytes_of(verdict, (enum driver)d));
    }
    sink_write(sink, "\n", 1);
}

/* What must come before the row: the header of a new file, the end of a line that was torn.  NULL
 * for a file that is none of ours. */
static const char *before_row(int fd, const char *header)
{
    char head[HEADER_BYTES], last = '\n';
    off_t end = lseek(fd, 0, SEEK_END);
    size_t len = strlen(header);

    if (end == 0) {
        return header;
    }
    if (end < (off_t)len || len > sizeof head || pread(fd, head, len, 0) != (ssize_t)len ||
        memcmp(head, header, len) != 0 || pread(fd, &last, 1, end - 1) != 1) {
        return NULL;
    }
    return last == '\n' ? "" : "\n";
}

static const char *append(const struct plan *plan, const struct stored_run *stored,
                          const struct verdict *verdict)
{
    const char *path = plan->output.history;
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
    struct sink *header = sink_new(), *line = sink_new();
    const char *problem = NULL;
    struct stat st;

    put_header(header);
    /* whoever finds it empty writes the header: one at a time */
    if (fd < 0 || fstat(fd, &st) != 0 || flock(fd, LOCK_EX) != 0) {
        problem = strerror(errno);
    } else if (!S_ISREG(st.st_mode)) {
        problem = "it is no regular file";
    } else {
        const char *before = before_row(fd, sink_text(header, NULL));
        if (before == NULL) {
            problem = "it is none of this version's histories: its first line is another one";
        } else {
            sink_printf(line, "%s", before);
            put_row(line, plan, stored, verdict);
            problem = sink_send(line, fd) ? NULL : strerror(errno);
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    sink_free(header);
    sink_free(line);
    return problem;
}

void history_append(const struct plan *plan, const struct stored_run *stored,
                    const struct verdict *verdict)
{
    const char *problem = plan->output.history != NULL ? append(plan, stored, verdict) : NULL;

    if (problem != NULL) {
        log_warn("the run's line could not be added to %s: %s", plan->output.history, problem);
    }
}
