#include "report/html.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "report/headline.h"
#include "report/html_charts.h"
#include "report/html_limits.h"
#include "report/html_style.h"
#include "report/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROFILE_MAX (1024 * 1024)

static void put_heading(struct sink *sink, const char *text)
{
    sink_printf(sink, "<h2>");
    sink_xml(sink, text);
    sink_printf(sink, "</h2>\n");
}

static void put_paragraph(struct sink *sink, const char *class, const char *text)
{
    sink_printf(sink, "<p class=\"%s\">", class);
    sink_xml(sink, text);
    sink_printf(sink, "</p>\n");
}

/* A row of a list of terms; the text may hold anything. */
static void put_fact(struct sink *sink, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put_fact(struct sink *sink, const char *name, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sink_printf(sink, "<dt>%s</dt><dd>", name);
    sink_xml(sink, text);
    sink_printf(sink, "</dd>\n");
}

static void put_head(struct sink *sink, const struct stored_run *run, const struct verdict *verdict)
{
    sink_printf(sink,
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                "<title>%s",
                headline_word(verdict));
    if (run != NULL) {
        sink_printf(sink, ": ");
        sink_xml(sink, run->meta.target);
    }
    sink_printf(sink, " - tlsoak</title>\n<style>\n%s</style></head>\n<body>\n", html_style);
}

static const char *class_of(const struct verdict *verdict)
{
    return verdict->kind == VERDICT_PASS   ? "pass"
           : verdict->kind == VERDICT_FAIL ? "fail"
                                           : "unsure";
}

static void put_meta(struct sink *sink, const struct stored_run *run)
{
    time_t seconds = (time_t)run->meta.start_wall_s;
    char date[64] = "", length[UNIT_TEXT];
    struct tm tm;

    if (gmtime_r(&seconds, &tm) != NULL) {
        (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &tm);
    }
    sink_printf(sink, "<p class=\"meta\">");
    sink_xml(sink, run->meta.target);
    sink_printf(sink, " &middot; %s of load from %s",
                unit_duration(length, (double)run->elapsed_ns), date);
    if (run->meta.server[0] != '\0') {
        sink_printf(sink, " &middot; server ");
        sink_xml(sink, run->meta.server);
    }
    sink_printf(sink, "</p>\n");
}

static void put_warnings(struct sink *sink, const struct stored_run *run,
                         const struct verdict *verdict)
{
    if (str_equal(run->meta.verify, "no")) {
        put_paragraph(sink, "warning",
                      "The server's certificate was not verified (target.verify = no): what was "
                      "tested may have been any server.");
    }
    if (!run->meta.finished) {
        put_paragraph(sink, "warning", "The run was killed before its end.");
    }
    if (verdict->ended[0] != '\0') {
        put_paragraph(sink, "warning", verdict->ended);
    }
    if (!verdict->generator_healthy) {
        put_paragraph(sink, "warning", verdict->generator_reason);
    }
}

static void put_verdict(struct sink *sink, const struct stored_run *run,
                        const struct verdict *verdict)
{
    struct sink *sentence = sink_new();

    (void)headline_write(sentence, verdict);
    sink_printf(sink, "<header class=\"%s\"><span class=\"badge\">%s</span>\n<h1>",
                class_of(verdict), headline_word(verdict));
    sink_xml(sink, sink_text(sentence, NULL));
    sink_printf(sink, "</h1>\n");
    sink_free(sentence);
    if (run != NULL) {
        put_meta(sink, run);
        put_warnings(sink, run, verdict);
    }
    sink_printf(sink, "</header>\n<main>\n");
}

static void put_numbers(struct sink *sink, const struct memory_finding *finding)
{
    char value[UNIT_TEXT], low[UNIT_TEXT], high[UNIT_TEXT], n[UNIT_TEXT];

    sink_printf(sink, "<dl>\n");
    if (isfinite(finding->slope_low) && isfinite(finding->slope_high)) {
        put_fact(sink, "growth", "%s/s (99 %% %s/s to %s/s)", unit_bytes(value, finding->slope),
                 unit_bytes(low, finding->slope_low), unit_bytes(high, finding->slope_high));
    }
    put_fact(sink, "level", "%s, %s%s in %s", unit_bytes(value, finding->level_bytes),
             finding->growth_bytes >= 0 ? "+" : "", unit_bytes(low, finding->growth_bytes),
             unit_duration(high, finding->duration_s * (double)NS_PER_S));
    if (isfinite(finding->smallest_visible)) {
        put_fact(sink, "visible", "the smallest leak that this run could have seen: %s/s",
                 unit_bytes(value, finding->smallest_visible));
    }
    if (finding->needed_seconds > 0) {
        put_fact(sink, "needed", "%s more",
                 unit_duration(value, finding->needed_seconds * (double)NS_PER_S));
    }
    if (finding->needed_driver >= 0 && finding->needed_events > 0) {
        put_fact(sink, "needed", "%s more of: %s",
                 unit_grouped(value, (uint64_t)finding->needed_events),
                 driver_info((enum driver)finding->needed_driver)->event);
    }
    if (finding->known_bound[0] != '\0') {
        put_fact(sink, "known bound", "%s: %.0f%s", finding->known_bound, finding->known_bound_size,
                 str_equal(finding->known_bound, "expect_ttl") ? " s" : " entries");
    }
    if (isfinite(finding->seconds_to_limit_low)) {
        put_fact(sink, "to the limit", "%s at the earliest",
                 unit_duration(value, finding->seconds_to_limit_low * (double)NS_PER_S));
    }
    put_fact(sink, "readings", "%s, %zu could not be taken; %zu restarts of the server",
             unit_grouped(n, finding->n_readings), finding->n_gaps, finding->n_restarts);
    if (finding->floors.n > 0) {
        put_fact(sink, "idle", "%s", finding->floors.reason);
    }
    sink_printf(sink, "</dl>\n");
}

/* Which of the run's sources it is; -1: none. */
static int source_of(const struct stored_run *run, const struct memory_finding *finding)
{
    for (int i = 0; i < run->meta.n_sources; i++) {
        if (str_equal(run->meta.source[i], finding->source)) {
            return i;
        }
    }
    return -1;
}

static void put_finding(struct sink *sink, const struct stored_run *run,
                        const struct memory_finding *finding)
{
    CLEANUP_FREE char *heading = xasprintf("Memory of %s, %s: %s", finding->source, finding->metric,
                                           memory_class_name(finding->class));
    int source = run != NULL ? source_of(run, finding) : -1;

    put_heading(sink, heading);
    put_paragraph(sink, "", finding->reason);
    if (source >= 0) {
        html_memory_chart(sink, run, (size_t)source, finding);
    }
    put_numbers(sink, finding);
    html_attribution(sink, finding);
}

static void put_latency_table(struct sink *sink, const struct interval *total)
{
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999};
    char text[UNIT_TEXT];

    sink_printf(sink, "<div class=\"wide\"><table><thead><tr><th scope=\"col\">latency</th>");
    for (size_t k = 0; k < sizeof quantiles / sizeof quantiles[0]; k++) {
        sink_printf(sink, "<th scope=\"col\" class=\"n\">p%g</th>", 100 * quantiles[k]);
    }
    sink_printf(sink, "<th scope=\"col\" class=\"n\">max</th><th scope=\"col\" class=\"n\">n</th>"
                      "</tr></thead><tbody>\n");
    for (int i = 0; i < LATENCY_COUNT; i++) {
        const struct hist *hist = &total->latency[i];
        if (hist->n == 0) {
            continue;
        }
        sink_printf(sink, "<tr><th scope=\"row\">%s</th>", text_latency((enum latency)i));
        for (size_t k = 0; k < sizeof quantiles / sizeof quantiles[0]; k++) {
            sink_printf(sink, "<td class=\"n\">%s</td>",
                        unit_duration(text, (double)hist_quantile(hist, quantiles[k])));
        }
        sink_printf(sink, "<td class=\"n\">%s</td>", unit_duration(text, (double)hist->max_ns));
        sink_printf(sink, "<td class=\"n\">%s</td></tr>\n", unit_grouped(text, hist->n));
    }
    sink_printf(sink, "</tbody></table></div>\n");
}

static void put_errors(struct sink *sink, const struct interval *total)
{
    char n[UNIT_TEXT];
    bool any = false;

    put_heading(sink, "Errors");
    for (int i = OUTCOME_OK + 1; i < OUTCOME_COUNT; i++) {
        const struct outcome_info *info = outcome_info((enum outcome)i);
        if (total->outcome[i] > 0) {
            sink_printf(sink,
                        "%s<tr><td class=\"n\">%s</td><th scope=\"row\">%s</th><td>%s</td></tr>\n",
                        any ? "" : "<div class=\"wide\"><table><tbody>\n",
                        unit_grouped(n, total->outcome[i]), info->name, info->text);
            any = true;
        }
    }
    if (any) {
        sink_printf(sink, "</tbody></table></div>\n");
    } else {
        put_paragraph(sink, "", "None.");
    }
}

static void put_refusals(struct sink *sink, const struct verdict *verdict)
{
    char text[512];

    if (verdict->n_refusals == 0) {
        return;
    }
    put_heading(sink, "Bad identities");
    sink_printf(sink, "<div class=\"wide\"><table><thead><tr><th scope=\"col\">presented</th>"
                      "<th scope=\"col\" class=\"n\">tried</th><th scope=\"col\" class=\"n\">"
                      "refused</th><th scope=\"col\"></th></tr></thead><tbody>\n");
    for (size_t i = 0; i < verdict->n_refusals; i++) {
        const struct refusal_finding *finding = &verdict->refusals[i];
        refusal_sentence(finding, text, sizeof text);
        sink_printf(sink, "<tr><th scope=\"row\">");
        sink_xml(sink, finding->what.presented);
        sink_printf(sink,
                    "</th><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64 "</td><td>",
                    finding->tally.tried, finding->tally.n[REFUSAL_REFUSED]);
        sink_xml(sink, text[0] != '\0' ? text : "as it should be");
        sink_printf(sink, "</td></tr>\n");
    }
    sink_printf(sink, "</tbody></table></div>\n");
}

static void put_generator(struct sink *sink, const struct stored_run *run,
                          const struct verdict *verdict)
{
    const struct run_generator *own = &run->meta.generator;
    const char *reason = verdict->generator_reason;

    put_heading(sink, "The generator itself");
    put_paragraph(sink, verdict->generator_healthy ? "" : "warning",
                  reason[0] != '\0' ? reason : "It kept up with its plan.");
    sink_printf(sink, "<dl>\n");
    put_fact(sink, "threads", "%u, on average %.0f %% on a core and %.0f %% waiting for one",
             run->meta.threads, 100 * own->cpu_share, 100 * own->wait_share);
    put_fact(sink, "the busiest", "%.0f %%", 100 * own->busiest_share);
    put_fact(sink, "stolen", "%.1f %% of the machine's cores by its hypervisor",
             100 * own->stolen_share);
    put_fact(sink, "descriptors", "%" PRIu64 " of %" PRIu64, own->n_descriptors,
             own->descriptors_max);
    put_fact(sink, "ports", "%" PRIu64 " of %" PRIu64, own->n_ports, own->ports_max);
    put_fact(sink, "mint waits", "%" PRIu64, verdict->generator_mint_waits);
    put_fact(sink, "TLS library", "%s", run->meta.tls_library);
    sink_printf(sink, "</dl>\n");
}

static void put_events(struct sink *sink, const struct stored_run *run)
{
    enum { SHOWN = 50 };
    char at[UNIT_TEXT];

    if (run->n_events == 0) {
        return;
    }
    put_heading(sink, "Events");
    sink_printf(sink, "<dl>\n");
    for (size_t i = 0; i < run->n_events && i < SHOWN; i++) {
        put_fact(sink, unit_duration(at, run->events[i].at_s * (double)NS_PER_S), "%s",
                 run->events[i].text);
    }
    sink_printf(sink, "</dl>\n");
    if (run->n_events > SHOWN) {
        put_paragraph(sink, "quiet", "More are in events.csv.");
    }
}

static void put_preformatted(struct sink *sink, const char *summary, const char *text)
{
    sink_printf(sink, "<details><summary>%s</summary><pre>", summary);
    sink_xml(sink, text);
    sink_printf(sink, "</pre></details>\n");
}

static void put_reproduction(struct sink *sink, const struct stored_run *run,
                             const struct verdict *verdict)
{
    CLEANUP_FREE char *path = xasprintf("%s/profile.ini", run->dir);
    CLEANUP_FREE char *profile = file_read(path, PROFILE_MAX, NULL);
    struct sink *report = sink_new();

    put_heading(sink, "The same again");
    sink_printf(sink, "<dl>\n");
    put_fact(sink, "run", "tlsoak run profile.ini (below; secrets are left out of it)");
    put_fact(sink, "report", "tlsoak report %s", run->dir);
    put_fact(sink, "run id", "%s, seed %" PRIu64, run->meta.id, run->meta.seed);
    put_fact(sink, "version", "tlsoak %s", run->meta.version);
    sink_printf(sink, "</dl>\n");
    if (profile != NULL) {
        put_preformatted(sink, "The effective profile", profile);
    }
    text_write(report, run, verdict);
    put_preformatted(sink, "The report of the terminal", sink_text(report, NULL));
    sink_free(report);
}

static void put_load(struct sink *sink, const struct stored_run *run)
{
    struct diag *diag = diag_new();
    struct curves *curves = curves_load(run, diag);
    struct sink *numbers = sink_new();

    put_heading(sink, "Latency");
    if (curves != NULL) {
        html_latency_charts(sink, run, curves);
    } else {
        put_paragraph(sink, "warning", diag_count(diag) > 0 ? diag_text(diag, 0) : "");
    }
    put_latency_table(sink, run->total);
    put_heading(sink, "Load");
    if (curves != NULL) {
        html_rate_chart(sink, run, curves);
    }
    text_load(numbers, run);
    sink_printf(sink, "<pre>");
    sink_xml(sink, sink_text(numbers, NULL) + strspn(sink_text(numbers, NULL), "\n"));
    sink_printf(sink, "</pre>\n");
    sink_free(numbers);
    free(curves);
    diag_free(diag);
}

void html_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict)
{
    put_head(sink, run, verdict);
    put_verdict(sink, run, verdict);
    for (size_t i = 0; i < verdict->n_memory; i++) {
        put_finding(sink, run, &verdict->memory[i]);
    }
    if (run != NULL) {
        html_limits(sink, run, verdict);
        put_refusals(sink, verdict);
        put_load(sink, run);
        put_errors(sink, run->total);
        put_generator(sink, run, verdict);
        put_events(sink, run);
        put_reproduction(sink, run, verdict);
    }
    sink_printf(sink, "</main>\n<footer class=\"quiet\">Made by tlsoak from the run's directory; "
                      "<code>tlsoak report</code> makes it again.</footer>\n</body></html>\n");
}
