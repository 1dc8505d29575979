/* Fuzzes baselines.  What is read is written as it is read again; compared with itself it is the
 * same, or can't be told; nothing of it drives the terminal or breaks the JSON and the
 * JUnit. */
#include "kit/fuzz.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/loads.h"
#include "judge/compare.h"
#include "kit/markup.h"
#include "report/comparison.h"

#include <stdlib.h>
#include <string.h>

static size_t read_runs(const char *text, size_t len, struct baseline_run **runs)
{
    struct diag *diag = diag_new();
    size_t n = baseline_read("b.json", text, len, runs, diag);

    fuzz_require(diag_count(diag) == (n == 0), "not one mistake, or one and yet read");
    diag_free(diag);
    return n;
}

static void free_runs(struct baseline_run **runs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        baseline_free(runs[i]);
    }
}

static void check_written(struct baseline_run **runs, size_t n)
{
    struct baseline_run *again[BASELINE_RUNS_MAX];
    struct sink *first = sink_new(), *second = sink_new();
    size_t len;

    baseline_write(first, runs, n);
    const char *text = sink_text(first, &len);
    fuzz_require(read_runs(text, len, again) == n, "what was written is refused");
    baseline_write(second, again, n);
    fuzz_require(str_equal(text, sink_text(second, NULL)), "read again it is another one");
    free_runs(again, n);
    sink_free(first);
    sink_free(second);
}

static void check_loads(struct baseline_run **runs, size_t n)
{
    struct sink *sink = sink_new();
    bool differ = false;
    size_t len;

    for (size_t i = 0; i < n; i++) {
        const char *a = runs[i]->load, *b = runs[(i + 1) % n]->load;
        if (a != NULL && b != NULL) {
            differ = loads_differ(a, b, sink) || differ;
        }
    }
    const char *text = sink_text(sink, &len);
    fuzz_require(differ == (len > 0), "loads differ without a word");
    fuzz_require(markup_is_plain(text, len, false), "a difference drives the terminal");
    sink_free(sink);
}

static void check_told(const struct comparison *c, const struct comparison_sides *sides)
{
    struct sink *text = sink_new(), *json = sink_new(), *junit = sink_new();
    char error[160];
    size_t len;

    comparison_text(text, c, sides);
    const char *told = sink_text(text, &len);
    fuzz_require(markup_is_plain(told, len, false), "control characters in the text");
    comparison_json(json, c, sides);
    told = sink_text(json, &len);
    struct json *document = json_parse(told, len, error, sizeof error);
    fuzz_require(document != NULL, "the JSON is none");
    json_free(document);
    comparison_junit(junit, c, sides);
    told = sink_text(junit, &len);
    const char *fault = markup_fault(MARKUP_XML, told, len);
    fuzz_require(fault == NULL, fault);
    sink_free(text);
    sink_free(json);
    sink_free(junit);
}

static void check_compared(struct baseline_run **runs, size_t n)
{
    struct comparison_sides sides = {
        .bases = runs, .news = runs, .n_bases = n, .n_news = n, .differences = ""};
    struct comparison *c = compare_runs(runs, n, runs, n, NULL, 0);

    fuzz_require(c->state == COMPARE_SAME || c->state == COMPARE_UNCLEAR,
                 "it is not the same as itself");
    check_told(c, &sides);
    free(c);
}

static bool run(const char *bytes, size_t len)
{
    struct baseline_run *runs[BASELINE_RUNS_MAX];
    size_t n = read_runs(bytes, len, runs);

    if (n > 0) {
        check_written(runs, n);
        check_loads(runs, n);
        check_compared(runs, n);
    }
    free_runs(runs, n);
    return n > 0;
}

static const char *const words[] = {"{\"schema\": \"tlsoak.baseline/1\", \"runs\": [",
                                    "{\"samples\": [",
                                    "{\"metric\": \"latency.response.p50\", ",
                                    "\"metric\": \"leak.cache.request\"",
                                    "\"metric\": \"nodot\"",
                                    "\"errors.ratio\"",
                                    "\"rate.reached\"",
                                    "\"kind\": \"latency\"",
                                    "\"kind\": \"rate\"",
                                    "\"kind\": \"cost\"",
                                    "\"kind\": \"ratio\"",
                                    "\"kind\": \"leak\"",
                                    "\"sections\": [",
                                    "\"value\": ",
                                    "\"n\": ",
                                    "\"low\": ",
                                    "\"high\": ",
                                    "\"seconds\": ",
                                    "\"invalid\": true",
                                    "\"problem\": \"was killed\"",
                                    "\"version\": \"",
                                    "\"load\": \"run.threads = 2\\n",
                                    "cert.b\\n",
                                    "phase.up.duration = 5s\\n",
                                    "\\u001b[2J",
                                    "\\n",
                                    ".",
                                    "null",
                                    "1e308",
                                    "-1e308",
                                    "5e-324",
                                    "-0",
                                    "]}",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "baseline",
    .about = "judge/baseline_json.c judge/compare.c cmd/loads.c report/comparison.c",
    .words = words,
    .run = run,
};
