#include "report/picture.h"

#include "base/mono.h"
#include "base/unit.h"

#include <math.h>
#include <string.h>

#define BAR_COLUMNS      20
#define LAG_SHOWN_NS     (50 * NS_PER_MS) /* of a second: below, it is the machine's own jitter */
#define BACKLOG_SHOWN_NS (100 * NS_PER_MS)

static const char dim[] = "\033[2m", red[] = "\033[31m", normal[] = "\033[0m";

void picture_init(struct picture *picture, const char *target, bool colours, bool utf8)
{
    *picture =
        (struct picture){.target = sink_new(), .colours = colours, .utf8 = utf8, .first_bytes = -1};
    sink_plain(picture->target, target);
}

void picture_free(struct picture *picture)
{
    sink_free(picture->target);
}

/* Bytes < 0: not known. */
static double memory_of(const struct live_frame *frame, const char **ret_name)
{
    const struct reading *reading = frame->memory;

    if (reading == NULL || !reading->ok) {
        return -1;
    }
    enum memory_metric metric = reading_metric(reading);
    *ret_name = metric == MEMORY_COMMAND  ? "command"
                : metric == MEMORY_CHOSEN ? "metric"
                : metric == MEMORY_ANON   ? "anon"
                                          : "rss";
    return (double)reading->value[metric];
}

void picture_note(struct picture *picture, const struct live_frame *frame)
{
    const char *name;
    double bytes = memory_of(frame, &name);

    if (bytes < 0) {
        return;
    }
    if (picture->n_history == PICTURE_HISTORY) {
        picture->n_history--;
        memmove(picture->history, picture->history + 1,
                picture->n_history * sizeof picture->history[0]);
    }
    picture->history[picture->n_history++] = bytes;
    if (picture->first_bytes < 0) {
        picture->first_bytes = bytes;
    }
}

bool picture_memory(const struct picture *picture, const struct live_frame *frame,
                    struct sink *sink)
{
    char now[UNIT_TEXT], growth[UNIT_TEXT];
    const char *name;
    double bytes = memory_of(frame, &name);

    if (bytes < 0) {
        return false;
    }
    double grown = picture->first_bytes >= 0 ? bytes - picture->first_bytes : 0;
    sink_printf(sink, "%s %s (%s%s)", name, unit_bytes(now, bytes), grown >= 0 ? "+" : "",
                unit_bytes(growth, grown));
    return true;
}

void picture_clock(struct sink *sink, double seconds)
{
    unsigned long long s = seconds > 0 ? (unsigned long long)seconds : 0;

    if (s >= 3600) {
        sink_printf(sink, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
    } else {
        sink_printf(sink, "%02llu:%02llu", s / 60, s % 60);
    }
}

uint64_t picture_errors(const struct interval *interval)
{
    uint64_t n = 0;

    for (int i = OUTCOME_OK + 1; i < OUTCOME_COUNT; i++) {
        n += interval->outcome[i];
    }
    return n;
}

static void put_label(const struct picture *picture, struct sink *sink, const char *label)
{
    sink_printf(sink, "%s%-12s%s", picture->colours ? dim : "", label,
                picture->colours ? normal : "");
}

static void put_progress(const struct picture *picture, const struct live_frame *frame,
                         struct sink *sink)
{
    double share = frame->planned_s > 0 ? frame->elapsed_s / frame->planned_s : 0;
    int filled = (int)lround(fmin(1, fmax(0, share)) * BAR_COLUMNS);

    for (int i = 0; i < BAR_COLUMNS; i++) {
        sink_printf(sink, "%s",
                    picture->utf8 ? (i < filled ? "█" : "░") : (i < filled ? "#" : "-"));
    }
    sink_printf(sink, "  ");
    picture_clock(sink, frame->elapsed_s);
    sink_printf(sink, " / ");
    picture_clock(sink, frame->planned_s);
    sink_printf(sink, "  ");
    sink_plain(sink, frame->phase);
    sink_printf(sink, "\n");
}

static double length_of(const struct interval *interval)
{
    uint64_t ns = interval->end_ns > interval->start_ns ? interval->end_ns - interval->start_ns : 0;

    return ns > 0 ? (double)ns / (double)NS_PER_S : 1;
}

static void put_rate(const struct picture *picture, const struct live_frame *frame,
                     struct sink *sink)
{
    const struct interval *second = frame->second;
    const struct hist *hist = &second->latency[LATENCY_RESPONSE];
    char p50[UNIT_TEXT], p99[UNIT_TEXT], service[UNIT_TEXT];

    put_label(picture, sink, "rate");
    sink_printf(sink, "%.0f/s", (double)second->count[COUNTER_COMPLETED] / length_of(second));
    if (frame->rate_asked > 0) {
        sink_printf(sink, " of %.0f/s asked", frame->rate_asked);
    }
    if (hist->n > 0) {
        sink_printf(sink, ", p50 %s, p99 %s", unit_duration(p50, (double)hist_quantile(hist, 0.5)),
                    unit_duration(p99, (double)hist_quantile(hist, 0.99)));
    }
    if (hist->n > 0 && second->count[COUNTER_DUE] > 0) {
        const struct hist *served = &second->latency[LATENCY_SERVICE];
        sink_printf(sink, " (service p99 %s)",
                    unit_duration(service, (double)hist_quantile(served, 0.99)));
    }
    sink_printf(sink, "\n");
}

static void put_connections(const struct picture *picture, const struct live_frame *frame,
                            struct sink *sink)
{
    const struct interval *second = frame->second;
    char open[UNIT_TEXT], shaking[UNIT_TEXT];

    put_label(picture, sink, "connections");
    sink_printf(sink, "%s open, %s in handshake, new %.0f/s full and %.0f/s resumed\n",
                unit_grouped(open, second->gauge[GAUGE_OPEN]),
                unit_grouped(shaking, second->gauge[GAUGE_HANDSHAKING]),
                (double)second->count[COUNTER_HANDSHAKE_FULL] / length_of(second),
                (double)second->count[COUNTER_HANDSHAKE_RESUMED] / length_of(second));
}

/* "12 tls, 3 timeout" */
static void put_classes(struct sink *sink, const struct interval *interval)
{
    uint64_t n[OUTCOME_CLASS_COUNT] = {0};
    const char *before = "";

    for (int i = OUTCOME_OK + 1; i < OUTCOME_COUNT; i++) {
        n[outcome_info((enum outcome)i)->class] += interval->outcome[i];
    }
    for (int i = 0; i < OUTCOME_CLASS_COUNT; i++) {
        char text[UNIT_TEXT];
        if (n[i] > 0) {
            sink_printf(sink, "%s%s %s", before, unit_grouped(text, n[i]),
                        outcome_class_name((enum outcome_class)i));
            before = ", ";
        }
    }
    if (before[0] == '\0') {
        sink_printf(sink, "none");
    }
}

static void put_errors(const struct picture *picture, const struct live_frame *frame,
                       struct sink *sink)
{
    bool now = picture->colours && picture_errors(frame->second) > 0;

    put_label(picture, sink, "errors");
    sink_printf(sink, "%slast second ", now ? red : "");
    put_classes(sink, frame->second);
    sink_printf(sink, "%s; in all ", now ? normal : "");
    put_classes(sink, frame->total);
    sink_printf(sink, "\n");
}

static void put_sparkline(const struct picture *picture, size_t room, struct sink *sink)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char letters[] = "_.-:=+*#";
    size_t from = picture->n_history > room ? picture->n_history - room : 0;
    double low = INFINITY, high = -INFINITY;

    for (size_t i = from; i < picture->n_history; i++) {
        low = fmin(low, picture->history[i]);
        high = fmax(high, picture->history[i]);
    }
    for (size_t i = from; i < picture->n_history; i++) {
        int level = high > low ? (int)((picture->history[i] - low) / (high - low) * 7.999) : 0;
        if (picture->utf8) {
            sink_printf(sink, "%s", blocks[level]);
        } else {
            sink_write(sink, &letters[level], 1);
        }
    }
}

static void put_server(const struct picture *picture, const struct live_frame *frame,
                       size_t columns, struct sink *sink)
{
    struct sink *text = sink_new();
    size_t len;

    if (picture_memory(picture, frame, text)) {
        put_label(picture, sink, "server");
        sink_printf(sink, "%s  ", sink_text(text, &len));
        put_sparkline(picture, columns > len + 15 ? columns - len - 15 : 0, sink);
        sink_printf(sink, "\n");
    } else if (picture->n_history > 0) {
        put_label(picture, sink, "server");
        sink_printf(sink, "%sits memory can't be read now%s\n", picture->colours ? red : "",
                    picture->colours ? normal : "");
    }
    sink_free(text);
}

static void put_generator(const struct picture *picture, const struct live_frame *frame,
                          struct sink *sink)
{
    const struct hist *delay = &frame->second->latency[LATENCY_OWN_DELAY];
    uint64_t lag = frame->second->count[COUNTER_LAG_NS];
    uint64_t delay_ns = hist_quantile(delay, 0.99);
    char late[UNIT_TEXT], delayed[UNIT_TEXT];

    if (lag < LAG_SHOWN_NS && delay_ns < LAG_SHOWN_NS) {
        return;
    }
    put_label(picture, sink, "generator");
    sink_printf(sink, "%sits timers ran %s late in the last second", picture->colours ? red : "",
                unit_duration(late, (double)lag));
    if (delay->n > 0) {
        sink_printf(sink, ", starts %s (p99)", unit_duration(delayed, (double)delay_ns));
    }
    sink_printf(sink, "%s\n", picture->colours ? normal : "");
}

/* Starts that are due and wait for a connection: the target's doing, unless the generator lags. */
static void put_backlog(const struct picture *picture, const struct live_frame *frame,
                        struct sink *sink)
{
    const struct interval *second = frame->second;
    uint64_t waited_ns = second->gauge[GAUGE_BACKLOG_NS];
    char waiting[UNIT_TEXT], waited[UNIT_TEXT], missed[UNIT_TEXT];

    if (waited_ns < BACKLOG_SHOWN_NS && second->count[COUNTER_SKIPPED] == 0) {
        return;
    }
    put_label(picture, sink, "backlog");
    sink_printf(sink, "%s%s starts wait, up to %s; %s skipped in the last second%s\n",
                picture->colours ? red : "", unit_grouped(waiting, second->gauge[GAUGE_BACKLOG]),
                unit_duration(waited, (double)waited_ns),
                unit_grouped(missed, second->count[COUNTER_SKIPPED]),
                picture->colours ? normal : "");
}

/* Copies at most `rows` lines cut to `columns`; colours take no column and are ended with the
 * line. */
static size_t cut(const char *s, size_t columns, size_t rows, bool colours, struct sink *sink)
{
    size_t at = 0, n = 0;

    while (*s != '\0' && n < rows) {
        size_t len = 1;
        if (*s == '\033') {
            len = strcspn(s, "m") + 1;
        } else if (*s == '\n') {
            sink_printf(sink, "%s", colours ? normal : "");
            at = 0;
            n++;
        } else {
            while (((unsigned char)s[len] & 0xc0) == 0x80) {
                len++;
            }
            if (++at > columns) {
                s += len;
                continue;
            }
        }
        sink_write(sink, s, len);
        s += len;
    }
    return n;
}

size_t picture_draw(const struct picture *picture, const struct live_frame *frame, size_t columns,
                    size_t rows, struct sink *sink)
{
    struct sink *whole = sink_new();

    put_progress(picture, frame, whole);
    put_label(picture, whole, "target");
    sink_printf(whole, "%s\n", sink_text(picture->target, NULL));
    put_rate(picture, frame, whole);
    put_connections(picture, frame, whole);
    put_errors(picture, frame, whole);
    put_server(picture, frame, columns, whole);
    put_backlog(picture, frame, whole);
    put_generator(picture, frame, whole);
    size_t n = cut(sink_text(whole, NULL), columns, rows, picture->colours, sink);
    sink_free(whole);
    return n;
}
