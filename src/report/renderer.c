#include "report/renderer.h"

#include "base/str.h"
#include "report/bench_json.h"
#include "report/csv.h"
#include "report/html.h"
#include "report/junit.h"
#include "report/markdown.h"
#include "report/text.h"
#include "report/verdict_json.h"

static const struct renderer renderers[] = {
    {"text", "txt", "what the terminal shows at the end", text_write},
    {"json", "json", "verdict.json, schema tlsoak.verdict/1", verdict_json_write},
    {"html", "html", "a page with charts: one file, opens offline, without scripts", html_write},
    {"junit", "xml", "the checks as JUnit XML, for CI", junit_write},
    {"markdown", "md", "a screenful, for a job's summary or a comment", markdown_write},
    {"csv", "csv", "findings, one row a memory metric and driver", csv_write},
    {"bench-smaller", "json", "github-action-benchmark: what is better when smaller",
     bench_smaller_write},
    {"bench-bigger", "json", "github-action-benchmark: what is better when bigger",
     bench_bigger_write},
    {"bmf", "json", "Bencher's metric format", bmf_write},
};

const struct renderer *renderer_at(size_t i)
{
    return i < sizeof renderers / sizeof renderers[0] ? &renderers[i] : NULL;
}

const struct renderer *renderer_find(const char *name)
{
    size_t i = 0;

    while (renderer_at(i) != NULL && !str_equal(renderers[i].name, name)) {
        i++;
    }
    return renderer_at(i);
}

void renderer_json_line(struct sink *sink, const struct verdict *verdict)
{
    verdict_json_line(sink, verdict);
}
