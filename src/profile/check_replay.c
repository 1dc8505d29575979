#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "profile/check_run.h"
#include "profile/store.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPLAY_MAX_BYTES (256u << 20)
#define LONGEST_S        (366.0 * 24 * 3600)
#define MISTAKES_MAX     10
#define MAX_PER_S        1e7 /* as pace.rate */

struct reader {
    const char *path;
    struct diag *diag;
    uint64_t *times_ns;
    size_t n, capacity;
    int line, n_mistakes;
};

__attribute__((format(printf, 2, 3))) static void complain(struct reader *reader,
                                                           const char *format, ...)
{
    char text[160];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    diag_add(reader->diag, (struct origin){reader->path, reader->line}, "%s", text);
    reader->n_mistakes++;
}

/* "1.25", or "+0.5" after the line before. */
static void read_line(struct reader *reader, char *line)
{
    line[strcspn(line, "#")] = '\0';
    const char *text = str_trim(line);
    bool is_interval = text[0] == '+';
    uint64_t last_ns = reader->n > 0 ? reader->times_ns[reader->n - 1] : 0;
    double seconds;

    if (text[0] == '\0') {
        return;
    }
    if (!str_to_double(text + is_interval, &seconds) || !(seconds >= 0) ||
        text[is_interval] == '+') {
        complain(reader,
                 "\"%.40s\" is not a time (write seconds: 1.25, or +0.5 after the line before)",
                 text);
        return;
    }
    if (seconds + (is_interval ? (double)last_ns / (double)NS_PER_S : 0) > LONGEST_S) {
        complain(reader, "\"%.40s\" is more than a year after the start", text);
        return;
    }
    uint64_t at_ns = (uint64_t)llround(seconds * (double)NS_PER_S) + (is_interval ? last_ns : 0);
    if (at_ns < last_ns) {
        complain(reader,
                 "%.40s comes before %.9g, the time before it: sort them, or write intervals "
                 "as +%.40s",
                 text, (double)last_ns / (double)NS_PER_S, text);
        return;
    }
    ARRAY_RESERVE(reader->times_ns, reader->n, reader->capacity);
    reader->times_ns[reader->n++] = at_ns;
}

static void read_lines(struct reader *reader, char *text, size_t len)
{
    if (strlen(text) != len) {
        complain(reader, "holds bytes that are not text");
        return;
    }
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        reader->line++;
        if (reader->n_mistakes == MISTAKES_MAX) {
            complain(reader, "too many mistakes; the rest is not looked at");
            return;
        }
        read_line(reader, line);
    }
    reader->line = 0;
    if (reader->n == 0 && reader->n_mistakes == 0) {
        complain(reader, "holds no times");
    }
}

static uint64_t due_ns(const struct plan_pace *pace, uint64_t k)
{
    return pace->replay_ns[k % pace->n_replay] + k / pace->n_replay * pace->replay_every_ns;
}

/* Where it begins again, a second may hold the end and the beginning, or many rounds. */
static double greatest_per_s(const struct plan_pace *pace)
{
    uint64_t n_due = pace->replay_every_ns > 0 ? UINT64_MAX : pace->n_replay, last = 0, most = 0;

    for (uint64_t first = 0; first < pace->n_replay; first++) {
        while (last < n_due && due_ns(pace, last) - due_ns(pace, first) < NS_PER_S) {
            last++;
        }
        most = last - first > most ? last - first : most;
    }
    return (double)most;
}

/* The whole of it is played once, or again after `every`. */
static void adopt(const struct checker *c, const struct reader *reader)
{
    struct plan_pace *pace = &c->plan->pace;
    uint64_t last_ns = reader->times_ns[reader->n - 1];
    uint64_t once_ns = last_ns > NS_PER_S ? last_ns : NS_PER_S;
    uint64_t span_ns = pace->replay_every_ns > 0 ? pace->replay_every_ns : once_ns;
    double per_s = (double)reader->n * (double)NS_PER_S / (double)span_ns;
    char every[UNIT_TEXT], last[UNIT_TEXT];

    if (pace->replay_every_ns > 0 && pace->replay_every_ns < last_ns) {
        diag_add(c->diag, plan_origin(c->plan, &pace->replay_every_ns),
                 "pace.replay_every: %s, but the last time of its file is %s",
                 unit_duration(every, (double)pace->replay_every_ns),
                 unit_duration(last, (double)last_ns));
        free(reader->times_ns);
        return;
    }
    if (pace->replay_every_ns > 0 && per_s > MAX_PER_S) {
        diag_add(
            c->diag, plan_origin(c->plan, &pace->replay_every_ns),
            "pace.replay_every: the %zu times of its file so often are %.6g/s, more than %.6g/s",
            reader->n, per_s, MAX_PER_S);
        free(reader->times_ns);
        return;
    }
    store_keep(c->plan->store, (char *)reader->times_ns);
    pace->replay_ns = reader->times_ns;
    pace->n_replay = reader->n;
    /* What it asks for on average, for those who look ahead; a profile can't say it as well. */
    pace->rate_per_s = per_s;
    pace->replay_peak_per_s = greatest_per_s(pace);
    store_note_idle(c->plan->store, &pace->rate_per_s);
}

void check_replay(const struct checker *c)
{
    struct plan_pace *pace = &c->plan->pace;
    struct reader reader = {.path = pace->replay, .diag = c->diag};
    size_t len = 0;

    if (pace->arrivals != ARRIVALS_REPLAY || pace->replay == NULL ||
        access(pace->replay, R_OK) != 0) {
        return;
    }
    CLEANUP_FREE char *text = file_read(pace->replay, REPLAY_MAX_BYTES, &len);
    if (text == NULL) {
        complain(&reader, "can't be read: %s", strerror(errno));
        return;
    }
    read_lines(&reader, text, len);
    if (reader.n_mistakes > 0) {
        free(reader.times_ns);
        return;
    }
    adopt(c, &reader);
}
