#include "cmd/reports.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "record/hgrm.h"
#include "report/annotations.h"
#include "report/renderer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUMMARY_MAX 900000

static void write_file(struct sink *sink, const struct stored_run *stored, const char *file)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", stored->dir, file);

    if (!sink_replace_file(sink, path)) {
        log_warn("cannot write %s", path);
    }
}

static void write_percentiles(const struct stored_run *stored)
{
    for (int i = 0; i < LATENCY_COUNT; i++) {
        const struct hist *hist = &stored->total->latency[i];
        CLEANUP_FREE char *file =
            xasprintf("latency.%s.hgrm", metric_latency((enum latency)i)->name);
        struct sink *sink = sink_new();
        if (hist->n > 0) {
            hgrm_write(sink, hist);
            write_file(sink, stored, file);
        }
        sink_free(sink);
    }
}

static const struct {
    const char *format, *file;
} reports[] = {
    {"text", "report.txt"},
    {"csv", "findings.csv"},
    {"html", "report.html"},
    {"junit", "junit.xml"},
    {"markdown", "summary.md"},
    {"bench-smaller", "bench.smaller.json"},
    {"bench-bigger", "bench.bigger.json"},
    {"bmf", "bmf.json"},
    {"json", "verdict.json"},
};

#define N_REPORTS (sizeof reports / sizeof reports[0])
#define USUAL     "text, csv, html, junit, markdown"

static const char *formats_of(const struct plan *plan)
{
    return plan->output.formats != NULL ? plan->output.formats : USUAL;
}

/* The next name of a list; NULL at its end. */
static char *next_name(char **rest)
{
    char *name;

    do {
        name = strsep(rest, ", ");
    } while (name != NULL && name[0] == '\0');
    return name;
}

static bool is_asked_for(const struct plan *plan, const char *format)
{
    CLEANUP_FREE char *list = xstrdup(formats_of(plan));
    char *rest = list, *name;

    do {
        name = next_name(&rest);
    } while (name != NULL && !str_equal(name, format));
    return name != NULL;
}

void reports_check(const struct plan *plan, struct diag *diag)
{
    CLEANUP_FREE char *list = xstrdup(formats_of(plan));
    char *rest = list;

    for (char *name; (name = next_name(&rest)) != NULL;) {
        if (renderer_find(name) == NULL) {
            diag_add(diag, plan_origin(plan, &plan->output.formats),
                     "output.formats: unknown format %s (" RENDERER_NAMES ")", name);
        }
    }
}

void reports_write(const struct plan *plan, const struct stored_run *stored,
                   const struct verdict *verdict)
{
    for (size_t i = 0; i < N_REPORTS; i++) {
        if (!is_asked_for(plan, reports[i].format) && !str_equal(reports[i].format, "json")) {
            continue;
        }
        struct sink *sink = sink_new();
        renderer_find(reports[i].format)->write(sink, stored, verdict);
        write_file(sink, stored, reports[i].file);
        sink_free(sink);
    }
    write_percentiles(stored);
}

/* What of the text a step's summary that holds `before` bytes has room for, in whole lines: GitHub
 * drops a summary of more than 1 MiB, all of it.  Takes `whole` over. */
static struct sink *shortened(struct sink *whole, off_t before)
{
    static const char note[] = "\n(Cut short: the rest is in the report.)\n";
    size_t len, room = before < SUMMARY_MAX ? (size_t)(SUMMARY_MAX - before) : 0;
    const char *text = sink_text(whole, &len);

    if (len <= room) {
        return whole;
    }
    size_t kept = room > sizeof note ? room - sizeof note : 0;
    while (kept > 0 && text[kept - 1] != '\n') {
        kept--;
    }
    struct sink *part = sink_new();
    sink_write(part, text, kept);
    sink_printf(part, "%s", note);
    sink_free(whole);
    return part;
}

static void append_summary(const char *path, const struct stored_run *stored,
                           const struct verdict *verdict)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    struct sink *sink = sink_new();
    struct stat st;

    renderer_find("markdown")->write(sink, stored, verdict);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        sink = shortened(sink, st.st_size);
    }
    if (fd < 0 || !sink_send(sink, fd)) {
        log_warn("cannot write the job's summary %s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    sink_free(sink);
}

void reports_tell_github(const struct stored_run *stored, const struct verdict *verdict,
                         const char *profile)
{
    const char *actions = getenv("GITHUB_ACTIONS"), *summary = getenv("GITHUB_STEP_SUMMARY");

    if (actions == NULL || !str_equal(actions, "true")) {
        return;
    }
    struct sink *sink = sink_new();
    annotations_write(sink, verdict, profile);
    sink_print(sink, stdout);
    sink_free(sink);
    if (summary != NULL && summary[0] != '\0') {
        append_summary(summary, stored, verdict);
    }
}
