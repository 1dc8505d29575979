/* Fuzzes stored runs: an input is the files of a run directory ("=== run.json" and so on), which
 * are loaded and judged as `tlsoak report` does; then every report is drawn of it.  Text of the
 * run is text in all of them: the HTML and the XML are well-formed and hold no markup of the
 * input's, JSON parses, rows of CSV are equally long, what goes to a terminal has no control
 * characters; and a report drawn twice is the same. */
#include "kit/fuzz.h"
#include "kit/markup.h"
#include "kit/parts.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/judging.h"
#include "record/hgrm.h"
#include "report/annotations.h"
#include "report/renderer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_allowed(const char *name)
{
    static const char *const names[] = {
        "run.json", "profile.ini", "ticks.csv", "events.csv", "phases.csv", "search.csv",
    };
    size_t len = strlen(name);
    bool series = str_has_prefix(name, "memory.") && len > 4 && str_equal(name + len - 4, ".csv");
    bool log = str_has_prefix(name, "latency.") && len > 5 && str_equal(name + len - 5, ".hlog");
    return str_index(name, names, sizeof names / sizeof *names) >= 0 ||
           ((series || log) && strchr(name, '/') == NULL);
}

/* RFC 4180: every row has as many fields as the first. */
static void check_csv(const char *text, size_t len)
{
    size_t fields = 1, wanted = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        quoted ^= text[i] == '"';
        fields += !quoted && text[i] == ',';
        if (!quoted && text[i] == '\n') {
            fuzz_require(wanted == 0 || fields == wanted, "rows of other lengths");
            wanted = fields;
            fields = 1;
        }
    }
    fuzz_require(!quoted && (len == 0 || text[len - 1] == '\n'), "a row without an end");
}

static void check_json(const char *text, size_t len)
{
    char error[160];
    struct json *json = json_parse(text, len, error, sizeof error);
    fuzz_require(json != NULL, "no JSON");
    fuzz_require(json_get_string(json, "verdict", NULL) != NULL, "JSON without a verdict");
    json_free(json);
}

static void check_markup(enum markup kind, const char *text, size_t len)
{
    const char *fault = markup_fault(kind, text, len);
    fuzz_require(fault == NULL, fault);
}

static void check_report(const char *format, const char *text, size_t len)
{
    fuzz_require(strlen(text) == len, "a NUL in a report");
    if (str_equal(format, "html")) {
        check_markup(MARKUP_HTML, text, len);
    } else if (str_equal(format, "junit")) {
        check_markup(MARKUP_XML, text, len);
    } else if (str_equal(format, "json")) {
        check_json(text, len);
    } else if (str_equal(format, "csv")) {
        check_csv(text, len);
    } else {
        fuzz_require(markup_is_plain(text, len, false), "control characters in a report");
        fuzz_require(!str_equal(format, "markdown") || strstr(text, "<canary") == NULL,
                     "markup of the input's in Markdown");
    }
}

static void draw(const struct renderer *renderer, const struct stored_run *stored,
                 const struct verdict *verdict)
{
    size_t len, again_len;
    struct sink *sink = sink_new(), *again = sink_new();
    renderer->write(sink, stored, verdict);
    renderer->write(again, stored, verdict);
    const char *text = sink_text(sink, &len), *text_again = sink_text(again, &again_len);
    fuzz_require(len == again_len && memcmp(text, text_again, len) == 0, "drawn twice is another");
    check_report(renderer->name, text, len);
    sink_free(sink);
    sink_free(again);
}

/* A workflow command a line, and nothing else that a runner would take for one. */
static void draw_annotations(const struct verdict *verdict)
{
    size_t len;
    struct sink *sink = sink_new();
    annotations_write(sink, verdict, "profile.ini");
    const char *text = sink_text(sink, &len);
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        fuzz_require(str_has_prefix(line, "::") && strchr(line, '\n') != NULL,
                     "a line of annotations that is no command");
    }
    fuzz_require(markup_is_plain(text, len, false), "control characters in annotations");
    sink_free(sink);
}

static void draw_all(const struct stored_run *stored, const struct verdict *verdict)
{
    for (size_t i = 0; renderer_at(i) != NULL; i++) {
        draw(renderer_at(i), stored, verdict);
        draw(renderer_at(i), NULL, verdict);
    }
    draw_annotations(verdict);
    for (int i = 0; i < LATENCY_COUNT; i++) {
        struct sink *sink = sink_new();
        if (stored->total->latency[i].n > 0) {
            hgrm_write(sink, &stored->total->latency[i]);
        }
        sink_free(sink);
    }
}

static void check_verdict(const struct verdict *verdict)
{
    fuzz_require(verdict->reason[0] != '\0', "a verdict without a reason");
    fuzz_require(verdict->exit_code >= 0 && verdict->exit_code <= 6, "an exit code of no verdict");
}

/* `tlsoak analyse memory.csv` of the same. */
static void analyse(const char *dir)
{
    CLEANUP_FREE char *path = xasprintf("%s/memory.csv", dir);
    struct judge_options options = judge_options_none();
    struct diag *diag = diag_new();
    struct verdict *verdict = judging_series(path, &options, NULL, diag);
    if (verdict != NULL) {
        check_verdict(verdict);
    }
    free(verdict);
    diag_free(diag);
}

static bool report(const char *dir)
{
    struct diag *diag = diag_new();
    struct sink *told = sink_new();
    struct plan *plan = NULL;
    struct stored_run *stored = judging_load(dir, &plan, diag);
    struct verdict *verdict = stored != NULL ? judging_run(stored, plan, NULL, told, diag) : NULL;
    fuzz_require((verdict == NULL) == (diag_count(diag) > 0),
                 "neither a verdict nor a mistake, or both");
    if (verdict != NULL) {
        check_verdict(verdict);
        draw_all(stored, verdict);
    }
    bool ok = verdict != NULL;
    free(verdict);
    plan_free(plan);
    run_unload(stored);
    sink_free(told);
    diag_free(diag);
    return ok;
}

static bool run(const char *bytes, size_t len)
{
    static struct part parts[PARTS_MAX];
    size_t n = parts_split(bytes, len, parts);
    parts_write(parts, n, is_allowed);
    /* a run has a log for each latency, and those that the input leaves out are empty */
    for (int i = 0; i < LATENCY_COUNT; i++) {
        CLEANUP_FREE char *name =
            xasprintf("latency.%s.hlog", metric_latency((enum latency)i)->name);
        if (parts_find(parts, n, name) == NULL) {
            parts_put(name, "", 0);
        }
    }
    bool ok = report(fuzz_dir());
    analyse(fuzz_dir());
    return ok;
}

static void start(void)
{
    fuzz_confine(true);
}

static const char *const words[] = {"\n=== run.json\n",
                                    "\n=== profile.ini\n",
                                    "\n=== ticks.csv\n",
                                    "\n=== memory.csv\n",
                                    "\n=== events.csv\n",
                                    "\n=== phases.csv\n",
                                    "\n=== search.csv\n",
                                    "<canary>",
                                    "</canary>",
                                    "&canary;",
                                    "' canary='",
                                    "\\\" canary=\\\"",
                                    "<script>",
                                    "</style>",
                                    "<!--",
                                    "]]>",
                                    "\\u0000",
                                    "\\u001b[2J",
                                    "\x1b[2J",
                                    "\xef\xbf\xbf",
                                    "\xc2\x9b",
                                    "\xff",
                                    "\\ud800",
                                    "|",
                                    "`",
                                    "::error::",
                                    "\\n",
                                    "\\r",
                                    "\n",
                                    ",",
                                    ";",
                                    "\"",
                                    "null",
                                    "true",
                                    "false",
                                    "[]",
                                    "{}",
                                    "1e999",
                                    "-1",
                                    "0",
                                    "18446744073709551615",
                                    "9007199254740993",
                                    "nan",
                                    "1e308",
                                    "\"finished\": true",
                                    "\"interrupted\": true",
                                    "\"invalid\": \"x\"",
                                    "\"healthy\": false",
                                    "\n[limit]\nlatency.response.p99.max = 1ms\n",
                                    "\n[search]\nto = 100/s\n",
                                    "\n[attribution]\nmode = pairs\n",
                                    "\n[phase a]\nduration = 1s\nidle = yes\n",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "stored",
    .about = "record/run_load.c record/run_json.c record/ticks.c record/events.c record/phases.c "
             "record/search.c record/hlog_load.c record/lines.c cmd/judging.c cmd/limiting.c "
             "report/annotations.c report/chart.c report/checks.c report/csv.c report/headline.c "
             "report/html.c report/html_charts.c report/html_limits.c report/junit.c "
             "report/markdown.c report/picture.c report/text.c report/text_limits.c "
             "report/text_load.c report/verdict_json.c",
    .words = words,
    .start = start,
    .run = run,
};
