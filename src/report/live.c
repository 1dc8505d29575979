#include "report/live.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/unit.h"
#include "report/picture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_EVERY_S    10.0
#define COLUMNS_DEFAULT 80
#define ROWS_DEFAULT    24

struct live {
    bool quiet;
    bool terminal;
    struct picture picture;
    struct sink *drawn; /* what stands on the terminal */
    size_t n_lines;
    /* without a terminal: since the last line */
    double line_s;
    uint64_t completed, due, errors;
    struct hist responses;
};

/* Notes come from any thread; the view that they must not tear is the only one there is. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct live *current;
static _Thread_local bool holding;

static void print(struct sink *sink)
{
    sink_print(sink, stderr);
    (void)fflush(stderr);
}

static void put_erase(const struct live *live, struct sink *sink)
{
    if (live->n_lines > 0) {
        sink_printf(sink, "\r\033[%zuA\033[J", live->n_lines);
    }
}

/* Before a note: the picture goes away, and stays so until the note stands. */
static void hide(void)
{
    (void)pthread_mutex_lock(&mutex);
    holding = current != NULL;
    if (!holding) {
        (void)pthread_mutex_unlock(&mutex);
        return;
    }
    struct sink *sink = sink_new();
    put_erase(current, sink);
    print(sink);
    sink_free(sink);
}

static void restore(void)
{
    if (!holding) {
        return;
    }
    (void)fputs(sink_text(current->drawn, NULL), stderr);
    (void)fflush(stderr);
    holding = false;
    (void)pthread_mutex_unlock(&mutex);
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0';
}

/* The first of these that is set decides (POSIX, "Internationalization Variables"). */
static bool speaks_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (is_set(names[i])) {
            const char *value = getenv(names[i]);
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
        }
    }
    return false;
}

struct live *live_new(bool quiet, const char *target)
{
    struct live *live = xcalloc(1, sizeof *live);
    const char *term = getenv("TERM");

    live->quiet = quiet;
    live->terminal = !quiet && isatty(STDERR_FILENO) && term != NULL && !str_equal(term, "dumb");
    live->drawn = sink_new();
    hist_init(&live->responses);
    picture_init(&live->picture, target, live->terminal && !is_set("NO_COLOR"), speaks_utf8());
    if (live->terminal) {
        (void)pthread_mutex_lock(&mutex);
        current = live;
        (void)pthread_mutex_unlock(&mutex);
        log_around(hide, restore);
    }
    return live;
}

/* One write of the old picture's end and the new one: no flicker. */
static void show_picture(struct live *live, const struct live_frame *frame)
{
    struct winsize size = {.ws_row = 0};
    struct sink *sink = sink_new();

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
        size = (struct winsize){.ws_col = COLUMNS_DEFAULT, .ws_row = ROWS_DEFAULT};
    }
    (void)pthread_mutex_lock(&mutex);
    put_erase(live, sink);
    sink_free(live->drawn);
    live->drawn = sink_new();
    /* a full last column wraps on some terminals, a full last row scrolls */
    live->n_lines =
        picture_draw(&live->picture, frame, size.ws_col - 1u, size.ws_row - 1u, live->drawn);
    sink_printf(sink, "%s", sink_text(live->drawn, NULL));
    print(sink);
    (void)pthread_mutex_unlock(&mutex);
    sink_free(sink);
}

static void put_line(const struct live *live, const struct live_frame *frame, struct sink *sink)
{
    const struct interval *total = frame->total;
    double seconds = frame->elapsed_s - live->line_s;
    uint64_t errors = picture_errors(total) - live->errors;
    char text[UNIT_TEXT];

    picture_clock(sink, frame->elapsed_s);
    sink_printf(sink, "/");
    picture_clock(sink, frame->planned_s);
    sink_printf(sink, " ");
    sink_plain(sink, frame->phase);
    sink_printf(sink, " ... %.0f req/s",
                (double)(total->count[COUNTER_COMPLETED] - live->completed) / seconds);
    if (frame->rate_asked > 0) {
        sink_printf(sink, " of %.0f", (double)(total->count[COUNTER_DUE] - live->due) / seconds);
    }
    if (live->responses.n > 0) {
        sink_printf(sink, ", p99 %s",
                    unit_duration(text, (double)hist_quantile(&live->responses, 0.99)));
    }
    sink_printf(sink, ", %s error%s, ", unit_grouped(text, errors), errors == 1 ? "" : "s");
    if (!picture_memory(&live->picture, frame, sink)) {
        sink_printf(sink, "no memory reading");
    }
    sink_printf(sink, "\n");
}

/* A line tells of all the time since the one before. */
static void show_line(struct live *live, const struct live_frame *frame)
{
    hist_add(&live->responses, &frame->second->latency[LATENCY_RESPONSE]);
    if (frame->elapsed_s < live->line_s + LINE_EVERY_S) {
        return;
    }
    struct sink *sink = sink_new();
    put_line(live, frame, sink);
    print(sink);
    sink_free(sink);
    live->line_s = frame->elapsed_s;
    live->completed = frame->total->count[COUNTER_COMPLETED];
    live->due = frame->total->count[COUNTER_DUE];
    live->errors = picture_errors(frame->total);
    hist_clear(&live->responses);
}

void live_show(struct live *live, const struct live_frame *frame)
{
    if (live->quiet) {
        return;
    }
    picture_note(&live->picture, frame);
    if (live->terminal) {
        show_picture(live, frame);
    } else {
        show_line(live, frame);
    }
}

void live_free(struct live *live)
{
    if (live == NULL) {
        return;
    }
    if (live->terminal) {
        /* a note under way ends first: it holds the mutex until its picture is back */
        (void)pthread_mutex_lock(&mutex);
        current = NULL;
        (void)pthread_mutex_unlock(&mutex);
        /* not under the mutex: a note holds the log's lock while it waits for the mutex */
        log_around(NULL, NULL);
    }
    picture_free(&live->picture);
    sink_free(live->drawn);
    free(live);
}
