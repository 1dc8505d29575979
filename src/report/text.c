#include "report/text.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "report/headline.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LABEL_COLUMNS 14
/* Further ahead nobody looks. */
#define FORECAST_MAX_S (10 * 365.25 * 86400)
#define ROW            "  %-22s %8s  %-20s %8s %9s"

static size_t columns_of(const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return n;
}

void text_prose(struct sink *sink, const char *label, const char *text)
{
    struct sink *head = sink_new(), *plain = sink_new();
    bool first = true;

    sink_plain(head, label);
    sink_plain(plain, text);
    size_t indent = columns_of(sink_text(head, NULL), strlen(sink_text(head, NULL))), at = indent;
    sink_printf(sink, "%s", sink_text(head, NULL));
    for (const char *word = sink_text(plain, NULL); *word != '\0';) {
        word += strspn(word, " ");
        size_t len = strcspn(word, " "), columns = columns_of(word, len);
        if (!first && at + 1 + columns > TEXT_COLUMNS) {
            sink_printf(sink, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first && len > 0) {
            sink_write(sink, " ", 1);
            at++;
        }
        sink_write(sink, word, len);
        at += columns;
        word += len;
        first = false;
    }
    sink_write(sink, "\n", 1);
    sink_free(head);
    sink_free(plain);
}

void text_row(struct sink *sink, const char *name, const char *format, ...)
{
    char text[512], label[64];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)snprintf(label, sizeof label, "  %-*s", LABEL_COLUMNS, name);
    text_prose(sink, label, text);
}

/* False when it says the leak in its own words, so that the judge's reason is still to be given. */
static bool put_headline(struct sink *sink, const struct verdict *verdict)
{
    struct sink *sentence = sink_new();
    CLEANUP_FREE char *label = xasprintf("%s: ", headline_word(verdict));

    bool own_words = headline_write(sentence, verdict);
    text_prose(sink, label, sink_text(sentence, NULL));
    sink_free(sentence);
    return !own_words;
}

static const char *note_of(const struct driver_finding *driver)
{
    if (driver->blamed) {
        return " LEAK";
    }
    if (driver->bounded && driver->separable) {
        return " bound";
    }
    if (driver->may_slow && driver->separable) {
        return " may slow";
    }
    return "";
}

/* Per event a tenth of a byte counts. */
static const char *small_bytes(char text[UNIT_TEXT], double bytes)
{
    if (fabs(bytes) >= 9.95 || fabs(bytes) < 0.05) {
        return unit_bytes(text, bytes);
    }
    (void)snprintf(text, UNIT_TEXT, "%.1f B", bytes);
    return text;
}

static void put_driver_row(struct sink *sink, const struct memory_finding *finding,
                           const struct driver_finding *driver)
{
    char size[UNIT_TEXT] = "?", low[UNIT_TEXT], high[UNIT_TEXT], seen[UNIT_TEXT] = "?";
    char interval[2 * UNIT_TEXT + 8], events[UNIT_TEXT];
    double visible = finding->smallest_visible * finding->duration_s / driver->events;

    (void)snprintf(interval, sizeof interval, "%s", driver->separable ? "" : "not separable");
    if (isfinite(driver->bytes_per_event)) {
        (void)small_bytes(size, driver->bytes_per_event);
    }
    if (isfinite(driver->low) && isfinite(driver->high)) {
        (void)snprintf(interval, sizeof interval, "%s to %s", small_bytes(low, driver->low),
                       small_bytes(high, driver->high));
    }
    if (isfinite(visible)) {
        (void)small_bytes(seen, visible);
    }
    sink_printf(sink, ROW "%s\n", driver_info(driver->driver)->event, size, interval, seen,
                unit_grouped(events, (uint64_t)fmax(0, driver->events)), note_of(driver));
}

/* Two that moved with each other are named once. */
static bool told_before(const struct memory_finding *finding, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        const struct driver_finding *a = &finding->drivers[k], *b = &finding->drivers[i];
        if (str_equal(a->confounded_with, driver_info(b->driver)->name) &&
            str_equal(b->confounded_with, driver_info(a->driver)->name)) {
            return true;
        }
    }
    return false;
}

static void put_confounded(struct sink *sink, const struct memory_finding *finding)
{
    bool any = false, all = true;

    for (size_t i = 0; i < finding->n_drivers; i++) {
        all = all && !finding->drivers[i].separable;
    }
    for (size_t i = 0; i < finding->n_drivers && !all; i++) {
        const struct driver_finding *driver = &finding->drivers[i];
        enum driver with;
        if (!driver->separable && driver_from_name(driver->confounded_with, &with) &&
            !told_before(finding, i)) {
            sink_printf(sink, "  %s and %s moved together in this run\n",
                        driver_info(driver->driver)->event, driver_info(with)->event);
            any = true;
        }
    }
    if (any || all) {
        text_prose(
            sink, "  ",
            all ? "All moved together, so that they can't be told apart; [attribution] mode = "
                  "crossover, for long enough, moves them apart."
                : "What moved together can't be told apart; [attribution] mode = crossover, "
                  "for long enough, moves it apart.");
    }
}

static void put_drivers(struct sink *sink, const struct memory_finding *finding)
{
    bool only_time = finding->n_drivers == 1 && finding->drivers[0].driver == DRIVER_TIME;

    if (finding->n_drivers == 0 || (only_time && !finding->drivers[0].separable)) {
        return;
    }
    sink_printf(sink, ROW "\n", "per", "keeps", "95 % interval", "visible", "events");
    for (size_t i = 0; i < finding->n_drivers; i++) {
        put_driver_row(sink, finding, &finding->drivers[i]);
    }
    put_confounded(sink, finding);
}

static void put_forecast(struct sink *sink, const struct memory_finding *finding)
{
    double low = finding->seconds_to_limit_low, high = finding->seconds_to_limit_high;
    char from[UNIT_TEXT], to[UNIT_TEXT];

    if (isnan(low)) {
        return;
    }
    if (low > FORECAST_MAX_S) {
        text_row(sink, "to the limit", "more than ten years");
        return;
    }
    (void)unit_duration(from, low * (double)NS_PER_S);
    if (high < FORECAST_MAX_S) {
        text_row(sink, "to the limit", "%s to %s", from,
                 unit_duration(to, high * (double)NS_PER_S));
    } else {
        text_row(sink, "to the limit", "%s at the earliest", from);
    }
}

static void put_needed(struct sink *sink, const struct memory_finding *finding)
{
    char text[UNIT_TEXT];

    const char *label = "needed";

    if (finding->needed_seconds > 0) {
        text_row(sink, label, "%s more",
                 unit_duration(text, finding->needed_seconds * (double)NS_PER_S));
        label = "";
    }
    if (finding->needed_driver >= 0 && finding->needed_events > 0) {
        text_row(sink, label, "%s more of: %s",
                 unit_grouped(text, (uint64_t)finding->needed_events),
                 driver_info((enum driver)finding->needed_driver)->event);
    }
}

static void put_growth(struct sink *sink, const struct memory_finding *finding)
{
    char slope[UNIT_TEXT], low[UNIT_TEXT], high[UNIT_TEXT], grown[UNIT_TEXT], level[UNIT_TEXT],
        noise[UNIT_TEXT], length[UNIT_TEXT];
    bool noisy = finding->noise_bytes >= 0.5;

    if (isfinite(finding->slope_low) && isfinite(finding->slope_high)) {
        text_row(sink, "growth", "%s/s (99 %% %s/s to %s/s)", unit_bytes(slope, finding->slope),
                 unit_bytes(low, finding->slope_low), unit_bytes(high, finding->slope_high));
    }
    text_row(sink, "level", "%s, %s%s in %s%s%s", unit_bytes(level, finding->level_bytes),
             finding->growth_bytes >= 0 ? "+" : "", unit_bytes(grown, finding->growth_bytes),
             unit_duration(length, finding->duration_s * (double)NS_PER_S), noisy ? ", noise " : "",
             noisy ? unit_bytes(noise, finding->noise_bytes) : "");
    if (isfinite(finding->smallest_visible)) {
        text_row(sink, "visible", "the smallest leak that this run could have seen: %s/s",
                 unit_bytes(slope, finding->smallest_visible));
    }
}

static void put_known_bound(struct sink *sink, const struct memory_finding *finding)
{
    char text[UNIT_TEXT];
    double size = finding->known_bound_size;

    if (str_equal(finding->known_bound, "expect_ttl")) {
        text_row(sink, "known bound", "%s after which entries end (expect_ttl)",
                 unit_duration(text, size * (double)NS_PER_S));
    } else if (finding->known_bound[0] != '\0') {
        text_row(sink, "known bound", "%s (%s entries)", finding->known_bound,
                 unit_grouped(text, (uint64_t)fmax(0, size)));
    }
}

static void put_readings(struct sink *sink, const struct memory_finding *finding)
{
    char n[UNIT_TEXT], gaps[48] = "", restarts[48] = "";

    if (finding->n_gaps > 0) {
        (void)snprintf(gaps, sizeof gaps, "; %zu could not be taken", finding->n_gaps);
    }
    if (finding->n_restarts > 0) {
        (void)snprintf(restarts, sizeof restarts, "; the server restarted %s",
                       finding->n_restarts == 1 ? "once" : "more than once");
    }
    text_row(sink, "readings", "%s%s%s", unit_grouped(n, finding->n_readings), gaps, restarts);
}

/* Where it settled while the load was idle. */
static void put_floors(struct sink *sink, const struct memory_finding *finding)
{
    const struct floors_finding *floors = &finding->floors;
    char level[UNIT_TEXT], known[UNIT_TEXT], at[UNIT_TEXT];

    if (floors->n > 0) {
        text_row(sink, "idle", "%s", floors->reason);
    }
    for (size_t i = 0; i < floors->n; i++) {
        const struct idle_floor *floor = &floors->floor[i];
        (void)unit_duration(at, floor->to_s * (double)NS_PER_S);
        (void)unit_bytes(level, floor->level_bytes);
        if (isfinite(floor->uncertainty_bytes)) {
            text_row(sink, "", "%s: %s +- %s%s", at, level,
                     unit_bytes(known, floor->uncertainty_bytes),
                     floor->settled ? "" : ", not surely at rest");
        } else {
            text_row(sink, "", "%s: %s, read too seldom", at, level);
        }
    }
}

static void put_finding(struct sink *sink, const struct memory_finding *finding, bool explain)
{
    sink_printf(sink, "\nMemory of ");
    sink_plain(sink, finding->source);
    sink_printf(sink, ", ");
    sink_plain(sink, finding->metric);
    sink_printf(sink, ": %s\n", memory_class_name(finding->class));
    if (explain) {
        text_prose(sink, "  ", finding->reason);
    }
    put_growth(sink, finding);
    put_forecast(sink, finding);
    put_needed(sink, finding);
    put_known_bound(sink, finding);
    put_readings(sink, finding);
    put_floors(sink, finding);
    put_drivers(sink, finding);
}

static void put_generator(struct sink *sink, const struct verdict *verdict)
{
    const char *reason = verdict->generator_reason;

    if (verdict->generator_healthy) {
        text_prose(sink, "Generator: ", reason[0] != '\0' ? reason : "it kept up with its plan");
    } else {
        text_prose(sink, "Generator: UNHEALTHY: ",
                   reason[0] != '\0' ? reason : "it did not keep up with its plan");
    }
}

static void put_ended(struct sink *sink, const struct verdict *verdict)
{
    if (verdict->ended[0] != '\0') {
        text_prose(sink, "Ended early: ", verdict->ended);
    }
}

static void put_refusals(struct sink *sink, const struct verdict *verdict)
{
    char text[512], tried[UNIT_TEXT], refused[UNIT_TEXT];

    if (verdict->n_refusals > 0) {
        sink_printf(sink, "\nBad identities\n");
    }
    for (size_t i = 0; i < verdict->n_refusals; i++) {
        const struct refusal_finding *finding = &verdict->refusals[i];
        const struct refusal_tally *tally = &finding->tally;
        refusal_sentence(finding, text, sizeof text);
        if (text[0] == '\0') {
            char answer[128];
            refusal_answer_text(&tally->first[REFUSAL_REFUSED], answer, sizeof answer);
            (void)snprintf(text, sizeof text, "%s: refused %s of %s times (%s)",
                           finding->what.presented,
                           unit_grouped(refused, tally->n[REFUSAL_REFUSED]),
                           unit_grouped(tried, tally->tried), answer);
        }
        text_row(sink, finding->what.name, "%s", text);
    }
}

/* Of what befell the identities, the first few. */
static void put_events(struct sink *sink, const struct stored_run *run)
{
    enum { SHOWN = 5 };
    char at[UNIT_TEXT];

    if (run->n_events > 0) {
        sink_printf(sink, "\nEvents\n");
    }
    for (size_t i = 0; i < run->n_events && i < SHOWN; i++) {
        text_row(sink, unit_duration(at, run->events[i].at_s * (double)NS_PER_S), "%s",
                 run->events[i].text);
    }
    if (run->n_events > SHOWN) {
        text_row(sink, "", "and %zu more, in events.csv", run->n_events - SHOWN);
    }
}

static void put_warnings(struct sink *sink, const struct stored_run *run)
{
    char at[UNIT_TEXT], of[UNIT_TEXT], text[160];

    if (str_equal(run->meta.verify, "no")) {
        text_prose(sink, "WARNING: ",
                   "the server's certificate was not verified (target.verify = no): what was "
                   "tested may have been any server");
    }
    if (!run->meta.finished) {
        (void)snprintf(text, sizeof text, "the run was killed after %s of %s",
                       unit_duration(at, (double)run->elapsed_ns),
                       unit_duration(of, (double)run->meta.duration_ns));
        text_prose(sink, "WARNING: ", text);
    }
}

void text_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict)
{
    bool reasoned = put_headline(sink, verdict);

    if (run != NULL) {
        put_warnings(sink, run);
    }
    for (size_t i = 0; i < verdict->n_memory; i++) {
        /* a reason that the headline has given already is not given again */
        bool said = reasoned && strstr(verdict->reason, verdict->memory[i].reason) != NULL;
        put_finding(sink, &verdict->memory[i], !said);
    }
    if (run == NULL) {
        return;
    }
    text_limits(sink, verdict);
    text_search(sink, run, verdict);
    put_refusals(sink, verdict);
    text_load(sink, run);
    put_events(sink, run);
    sink_write(sink, "\n", 1);
    if (run->meta.server[0] != '\0') {
        text_prose(sink, "Server:    ", run->meta.server);
    }
    put_ended(sink, verdict);
    put_generator(sink, verdict);
    if (run->dir != NULL) {
        text_prose(sink, "Run:       ", run->dir);
    }
}
