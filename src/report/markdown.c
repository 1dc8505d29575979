#include "report/markdown.h"

#include "base/mem.h"
#include "base/unit.h"
#include "report/checks.h"
#include "report/headline.h"
#include "report/text.h"

#include <string.h>

/* Text from a server or a profile in Markdown that may hold HTML: nothing in it means anything. */
static void put_text(struct sink *sink, const char *text)
{
    struct sink *plain = sink_new();

    sink_plain(plain, text);
    for (const char *c = sink_text(plain, NULL); *c != '\0'; c++) {
        if (strchr("\\`*_[]|#~", *c) != NULL) {
            sink_write(sink, "\\", 1);
            sink_write(sink, c, 1);
        } else if (*c == '<' || *c == '>' || *c == '&') {
            sink_printf(sink, "&#%d;", *c);
        } else {
            sink_write(sink, c, 1);
        }
    }
    sink_free(plain);
}

static void put_checks(struct sink *sink, const struct verdict *verdict)
{
    static const char *const marks[CHECK_STATES] = {[CHECK_PASSED] = "\u2705",
                                                    [CHECK_FAILED] = "\u274c",
                                                    [CHECK_UNKNOWN] = "\u2753",
                                                    [CHECK_INVALID] = "\u26a0\ufe0f"};
    struct checks *checks = checks_new(verdict);

    sink_printf(sink, "| | check | | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < checks->n; i++) {
        const struct check *check = &checks->list[i];
        sink_printf(sink, "| %s | ", marks[check->state]);
        put_text(sink, check->name);
        sink_printf(sink, " | %s | ", check_state_name(check->state));
        put_text(sink, check->text);
        sink_printf(sink, " |\n");
    }
    checks_free(checks);
}

static void put_latencies(struct sink *sink, const struct stored_run *run)
{
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};

    sink_printf(sink, "\n| latency | p50 | p90 | p99 | p99.9 | max | count |\n"
                      "|---|--:|--:|--:|--:|--:|--:|\n");
    for (int i = 0; i < LATENCY_COUNT; i++) {
        const struct hist *hist = &run->total->latency[i];
        char text[UNIT_TEXT];
        if (hist->n == 0) {
            continue;
        }
        sink_printf(sink, "| %s |", text_latency((enum latency)i));
        for (size_t q = 0; q < sizeof quantiles / sizeof quantiles[0]; q++) {
            sink_printf(sink, " %s |",
                        unit_duration(text, (double)hist_quantile(hist, quantiles[q])));
        }
        sink_printf(sink, " %s |", unit_duration(text, (double)hist->max_ns));
        sink_printf(sink, " %s |\n", unit_grouped(text, hist->n));
    }
}

static void put_load(struct sink *sink, const struct stored_run *run)
{
    char length[UNIT_TEXT], done[UNIT_TEXT], failed[UNIT_TEXT];

    sink_printf(sink, "\n");
    put_text(sink, run->meta.target);
    sink_printf(sink, ", %s: %s exchanges, %s failed. Run ",
                unit_duration(length, (double)run->elapsed_ns),
                unit_grouped(done, run->total->count[COUNTER_COMPLETED]),
                unit_grouped(failed, run->total->count[COUNTER_FAILED]));
    put_text(sink, run->meta.id);
    sink_printf(sink, ", tlsoak ");
    put_text(sink, run->meta.version);
    sink_printf(sink, ".\n");
    put_latencies(sink, run);
}

void markdown_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict)
{
    struct sink *sentence = sink_new();

    (void)headline_write(sentence, verdict);
    sink_printf(sink, "## tlsoak: %s\n\n", headline_word(verdict));
    put_text(sink, sink_text(sentence, NULL));
    sink_printf(sink, "\n\n");
    sink_free(sentence);
    put_checks(sink, verdict);
    if (run != NULL) {
        put_load(sink, run);
    }
}
