#include "report/comparison.h"

#include "base/jsonw.h"
#include "base/str.h"
#include "base/unit.h"
#include "report/text.h"

#include <math.h>
#include <stdio.h>

#define TEXT 48

static bool by_ratio(enum baseline_kind kind)
{
    return kind == BASELINE_LATENCY || kind == BASELINE_RATE || kind == BASELINE_COST;
}

static const char *value_text(const struct compare_finding *f, double value, char text[TEXT])
{
    char unit[UNIT_TEXT];

    if (!isfinite(value)) {
        return "-";
    }
    switch (f->kind) {
    case BASELINE_LATENCY:
        (void)snprintf(text, TEXT, "%s", unit_duration(unit, value));
        break;
    case BASELINE_RATE:
        (void)snprintf(text, TEXT, "%.4g/s", value);
        break;
    case BASELINE_COST:
        (void)snprintf(text, TEXT, "%s",
                       str_equal(f->name, "cost.cpu") ? unit_duration(unit, 1e9 * value)
                                                      : unit_bytes(unit, value));
        break;
    case BASELINE_RATIO:
        (void)snprintf(text, TEXT, "%.3g %%", 100 * value);
        break;
    default:
        (void)snprintf(text, TEXT, "%s", unit_bytes(unit, value));
    }
    return text;
}

/* A difference, or a tolerance: "+12.3 %", "+0.02 pp", "+64 B". */
static const char *change_text(const struct compare_finding *f, double change, bool sign,
                               char text[TEXT])
{
    char unit[UNIT_TEXT];
    const char *plus = sign && change >= 0 ? "+" : "";

    if (!isfinite(change)) {
        return "-";
    }
    if (f->kind == BASELINE_LEAK) {
        (void)snprintf(text, TEXT, "%s%s", plus, unit_bytes(unit, change));
    } else if (by_ratio(f->kind)) {
        (void)snprintf(text, TEXT, fabs(change) >= 9.995 ? "%s%.0f %%" : "%s%.3g %%", plus,
                       fabs(change) < 5e-5 ? 0 : 100 * change);
    } else {
        (void)snprintf(text, TEXT, "%s%.2g pp", plus, fabs(change) < 5e-7 ? 0 : 100 * change);
    }
    return text;
}

static const char *arrow(const struct compare_finding *f)
{
    switch (f->state) {
    case COMPARE_WORSE:
    case COMPARE_BETTER:
        return f->difference > 0 ? "\u2191" : "\u2193";
    case COMPARE_UNCLEAR:
        return "?";
    default:
        return "=";
    }
}

void comparison_sentence(struct sink *sink, const struct comparison *c)
{
    enum compare_state told = c->count[COMPARE_WORSE] > 0     ? COMPARE_WORSE
                              : c->count[COMPARE_UNCLEAR] > 0 ? COMPARE_UNCLEAR
                                                              : COMPARE_BETTER;
    size_t n = c->n - c->count[COMPARE_LEFT_OUT], shown = 0;

    if (n == 0) {
        sink_printf(sink, "nothing can be compared: the baseline has too little of everything");
        return;
    }
    if (c->cut_short && told != COMPARE_WORSE) {
        sink_printf(sink, "a new run was cut off before a third of the baseline's time; until then "
                          "nothing was worse");
        return;
    }
    if (c->count[told] == 0) {
        sink_printf(sink, "all %zu metrics are the same within their tolerances", n);
        return;
    }
    if (told == COMPARE_UNCLEAR) {
        sink_printf(sink, "nothing is worse for sure, and %zu of %zu metrics can't be told",
                    c->count[told], n);
    } else {
        sink_printf(sink, "%zu of %zu metrics are %s", c->count[told], n, compare_state_name(told));
    }
    for (size_t i = 0; i < c->n; i++) {
        const struct compare_finding *f = &c->finding[i];
        char change[TEXT];
        if (f->state == told && ++shown <= 4) {
            sink_printf(sink, "%s%s", shown == 1 ? ": " : ", ", f->name);
            if (isfinite(f->difference)) {
                sink_printf(sink, " %s", change_text(f, f->difference, true, change));
            }
        }
    }
    sink_printf(sink, "%s", shown > 4 ? " and more" : "");
}

static void put_row(struct sink *sink, const struct compare_finding *f)
{
    char base[TEXT], new[TEXT], change[TEXT], low[TEXT], high[TEXT], tolerance[TEXT];
    char interval[2 * TEXT + 8] = "-";
    struct sink *name = sink_new();

    if (isfinite(f->low)) {
        (void)snprintf(interval, sizeof interval, "%s to %s", change_text(f, f->low, true, low),
                       change_text(f, f->high, true, high));
    }
    sink_plain(name, f->name);
    sink_printf(sink, "%s %-29s %9s %9s %9s  %-22s %7s  %s\n", arrow(f), sink_text(name, NULL),
                value_text(f, f->base, base), value_text(f, f->new_value, new),
                change_text(f, f->difference, true, change), interval,
                change_text(f, f->tolerance, false, tolerance), compare_state_name(f->state));
    sink_free(name);
}

static void put_runs(struct sink *sink, const char *label, struct baseline_run *const *runs,
                     size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct baseline_run *run = runs[i];
        char seconds[UNIT_TEXT], text[1024];
        (void)snprintf(text, sizeof text, "%s, %s of tlsoak %s%s%s", run->name,
                       unit_duration(seconds, 1e9 * run->seconds), run->version,
                       run->problem[0] != '\0' ? "; it " : "", run->problem);
        text_row(sink, label, "%s", text);
    }
}

static const char *headline(const struct comparison *c)
{
    static const char *const words[COMPARE_STATES] = {[COMPARE_WORSE] = "WORSE: ",
                                                      [COMPARE_UNCLEAR] = "INCONCLUSIVE: ",
                                                      [COMPARE_BETTER] = "BETTER: ",
                                                      [COMPARE_SAME] = "SAME: "};

    return words[c->state];
}

/* Whether one before it in the list has the same state and reason. */
static bool is_told(const struct comparison *c, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (c->finding[k].state == c->finding[i].state &&
            str_equal(c->finding[k].reason, c->finding[i].reason)) {
            return true;
        }
    }
    return false;
}

/* "can't tell: REASON: METRIC, METRIC", once a reason. */
static void put_reason(struct sink *sink, const struct comparison *c, size_t first)
{
    const struct compare_finding *f = &c->finding[first];
    struct sink *text = sink_new();
    char label[32];

    for (size_t i = first; i < c->n; i++) {
        if (c->finding[i].state == f->state && str_equal(c->finding[i].reason, f->reason)) {
            sink_printf(text, "%s%s", i == first ? "" : ", ", c->finding[i].name);
        }
    }
    (void)snprintf(label, sizeof label, "%s: ", compare_state_name(f->state));
    sink_printf(text, " (%s)", f->reason);
    text_prose(sink, label, sink_text(text, NULL));
    sink_free(text);
}

static void put_notes(struct sink *sink, const struct comparison *c,
                      const struct comparison_sides *sides)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->finding[i].reason[0] != '\0' && !is_told(c, i)) {
            put_reason(sink, c, i);
        }
    }
    if (sides->differences[0] != '\0') {
        text_prose(sink, "note: ", "the loads differ, and were compared since --force says so");
    }
    text_prose(sink, "note: ",
               c->between
                   ? "how runs of a kind differ is in the intervals"
                   : "how one run differs from the next (drift of the machine) is not in the "
                     "intervals: give several runs by --base and --new, five of each at best");
}

void comparison_text(struct sink *sink, const struct comparison *c,
                     const struct comparison_sides *sides)
{
    struct sink *sentence = sink_new();

    comparison_sentence(sentence, c);
    text_prose(sink, headline(c), sink_text(sentence, NULL));
    put_runs(sink, "base", sides->bases, sides->n_bases);
    put_runs(sink, "new", sides->news, sides->n_news);
    sink_printf(sink, "\n  %-29s %9s %9s %9s  %-22s %7s\n", "metric", "base", "new", "change",
                "95 %", "allowed");
    for (size_t i = 0; i < c->n; i++) {
        if (c->finding[i].state != COMPARE_LEFT_OUT) {
            put_row(sink, &c->finding[i]);
        }
    }
    sink_printf(sink, "\n");
    put_notes(sink, c, sides);
    sink_free(sentence);
}

static void json_runs(struct jsonw *w, const char *key, struct baseline_run *const *runs, size_t n)
{
    jsonw_array(w, key);
    for (size_t i = 0; i < n; i++) {
        jsonw_object(w, NULL);
        jsonw_string(w, "name", runs[i]->name);
        jsonw_string(w, "id", runs[i]->id);
        jsonw_string(w, "version", runs[i]->version);
        jsonw_number(w, "seconds", runs[i]->seconds);
        jsonw_string(w, "problem", runs[i]->problem[0] != '\0' ? runs[i]->problem : NULL);
        jsonw_end(w);
    }
    jsonw_end(w);
}

/* Keys have no blanks. */
static const char *state_key(enum compare_state state)
{
    static const char *const keys[COMPARE_STATES] = {[COMPARE_WORSE] = "worse",
                                                     [COMPARE_BETTER] = "better",
                                                     [COMPARE_SAME] = "same",
                                                     [COMPARE_NO_WORSE] = "no_worse",
                                                     [COMPARE_UNCLEAR] = "inconclusive",
                                                     [COMPARE_LEFT_OUT] = "left_out"};

    return keys[state];
}

static void json_finding(struct jsonw *w, const struct compare_finding *f)
{
    jsonw_object(w, NULL);
    jsonw_string(w, "metric", f->name);
    jsonw_string(w, "state", state_key(f->state));
    jsonw_string(w, "unit", baseline_unit(f->kind));
    jsonw_number(w, "base", f->base);
    jsonw_number(w, "new", f->new_value);
    jsonw_bool(w, "relative", by_ratio(f->kind));
    jsonw_number(w, "difference", f->difference);
    jsonw_number(w, "low", f->low);
    jsonw_number(w, "high", f->high);
    jsonw_number(w, "low_of_all", f->low_all);
    jsonw_number(w, "high_of_all", f->high_all);
    jsonw_number(w, "tolerance", f->tolerance);
    jsonw_string(w, "reason", f->reason[0] != '\0' ? f->reason : NULL);
    jsonw_end(w);
}

void comparison_json(struct sink *sink, const struct comparison *c,
                     const struct comparison_sides *sides)
{
    struct sink *sentence = sink_new();
    struct jsonw w;

    comparison_sentence(sentence, c);
    jsonw_init(&w, sink, false);
    jsonw_object(&w, NULL);
    jsonw_string(&w, "schema", "tlsoak.compare/1");
    jsonw_string(&w, "verdict", state_key(c->state));
    jsonw_integer(&w, "exit_code", sides->exit_code);
    jsonw_string(&w, "reason", sink_text(sentence, NULL));
    jsonw_bool(&w, "between_runs", c->between);
    jsonw_string(&w, "load_differs", sides->differences[0] != '\0' ? sides->differences : NULL);
    json_runs(&w, "base", sides->bases, sides->n_bases);
    json_runs(&w, "new", sides->news, sides->n_news);
    jsonw_array(&w, "metrics");
    for (size_t i = 0; i < c->n; i++) {
        json_finding(&w, &c->finding[i]);
    }
    jsonw_end(&w);
    jsonw_end(&w);
    sink_free(sentence);
}

static void junit_case(struct sink *sink, const struct compare_finding *f)
{
    char change[TEXT], low[TEXT], high[TEXT], tolerance[TEXT];

    sink_printf(sink, "    <testcase name=\"");
    sink_xml(sink, f->name);
    sink_printf(sink, "\" classname=\"tlsoak.compare\" time=\"0.000\"");
    if (f->state == COMPARE_WORSE) {
        sink_printf(sink,
                    ">\n      <failure type=\"worse\" message=\"%s (%s to %s), %s are allowed\"/>"
                    "\n    </testcase>\n",
                    change_text(f, f->difference, true, change), change_text(f, f->low, true, low),
                    change_text(f, f->high, true, high),
                    change_text(f, f->tolerance, false, tolerance));
    } else if (f->state == COMPARE_UNCLEAR) {
        sink_printf(sink, ">\n      <skipped message=\"");
        sink_xml(sink, f->reason);
        sink_printf(sink, "\"/>\n    </testcase>\n");
    } else {
        sink_printf(sink, "/>\n");
    }
}

void comparison_junit(struct sink *sink, const struct comparison *c,
                      const struct comparison_sides *sides)
{
    (void)sides;
    sink_printf(sink,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tlsoak compare\" "
                "time=\"0.000\">\n  <testsuite name=\"tlsoak compare\" tests=\"%zu\" "
                "failures=\"%zu\" errors=\"0\" skipped=\"%zu\" time=\"0.000\">\n",
                c->n - c->count[COMPARE_LEFT_OUT], c->count[COMPARE_WORSE],
                c->count[COMPARE_UNCLEAR]);
    for (size_t i = 0; i < c->n; i++) {
        if (c->finding[i].state != COMPARE_LEFT_OUT) {
            junit_case(sink, &c->finding[i]);
        }
    }
    sink_printf(sink, "  </testsuite>\n</testsuites>\n");
}
