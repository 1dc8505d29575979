/* Fuzzes the reader of JSON, and what we write for what was read: every string, written as JSON
 * again, reads as the same; and whatever bytes the input has, as text they can be written for each
 * format that the sink knows, and come back from those that have a reader. */
#include "kit/fuzz.h"
#include "kit/markup.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16

static const char *const keys[] = {"a", "b", "values", "", "x5t#S256", "finished"};

static struct json *parse(const char *text, size_t len)
{
    char error[160];
    error[0] = '\0';
    struct json *json = json_parse(text, len, error, sizeof error);
    fuzz_require(json != NULL || error[0] != '\0', "refused without a reason");
    fuzz_require(strchr(error, '\n') == NULL, "a reason of two lines");
    return json;
}

static void write_again(const char *text)
{
    size_t len;
    struct sink *sink = sink_new();
    sink_json(sink, text);
    const char *written = sink_text(sink, &len);
    struct json *again = parse(written, len);
    fuzz_require(again != NULL, "what was written is no JSON");
    fuzz_require(str_equal(json_as_string(again, ""), text), "a string became another");
    json_free(again);
    sink_free(sink);
}

static void walk(const struct json *value, int depth)
{
    const char *text = json_as_string(value, NULL);
    if (text != NULL) {
        write_again(text);
    }
    double number = json_as_number(value, NAN);
    fuzz_require(isnan(number) || isfinite(number), "a number without end");
    size_t n = json_size(value), met = 0;
    for (size_t i = 0; depth < DEPTH_MAX && json_at(value, i) != NULL; i++, met++) {
        walk(json_at(value, i), depth + 1);
    }
    fuzz_require(depth == DEPTH_MAX || json_is_map(value) || met == n, "elements were lost");
    for (size_t i = 0; depth < DEPTH_MAX && i < sizeof keys / sizeof *keys; i++) {
        const struct json *member = json_get(value, keys[i]);
        fuzz_require(member == NULL || json_is_map(value), "a member of what is no object");
        if (member != NULL) {
            walk(member, depth + 1);
        }
        (void)json_get_bool(value, keys[i], false);
        fuzz_require(!isinf(json_get_number(value, keys[i], 0)), "a number without end");
    }
}

static void check_markup(const char *text)
{
    size_t len;
    struct sink *sink = sink_new();
    sink_printf(sink, "<a b=\"");
    sink_xml(sink, text);
    sink_printf(sink, "\">");
    sink_xml(sink, text);
    sink_printf(sink, "</a>");
    const char *written = sink_text(sink, &len);
    const char *fault = markup_fault(MARKUP_XML, written, len);
    fuzz_require(fault == NULL, fault);
    sink_free(sink);
}

/* Invalid UTF-8 is replaced, so that it is only held to being JSON. */
static void write_text(const char *text)
{
    size_t len;
    struct sink *sink = sink_new();
    sink_json(sink, text);
    const char *written = sink_text(sink, &len);
    struct json *json = parse(written, len);
    fuzz_require(json != NULL, "text became no JSON");
    json_free(json);
    sink_free(sink);
    check_markup(text);
    sink = sink_new();
    sink_plain(sink, text);
    written = sink_text(sink, &len);
    fuzz_require(markup_is_plain(written, len, false) && strchr(written, '\n') == NULL,
                 "text for a terminal drives it");
    sink_free(sink);
}

static bool run(const char *bytes, size_t len)
{
    struct json *json = parse(bytes, len);
    if (json != NULL) {
        walk(json, 0);
    }
    bool ok = json != NULL;
    json_free(json);
    write_text(bytes);
    return ok;
}

static const char *const words[] = {"{",
                                    "}",
                                    "[",
                                    "]",
                                    "\"",
                                    ",",
                                    ":",
                                    "\"a\":",
                                    "\"b\":",
                                    "\"values\":",
                                    "null",
                                    "true",
                                    "false",
                                    "-0",
                                    "1e999",
                                    "-1e-999",
                                    "9223372036854775808",
                                    "9007199254740993",
                                    "\\u0000",
                                    "\\ud83d\\ude00",
                                    "\\ud800",
                                    "\\u001b",
                                    "\xef\xbf\xbe",
                                    "\xc2\x85",
                                    "\xf4\x8f\xbf\xbf",
                                    "\xed\xa0\x80",
                                    "\x7f",
                                    "<canary>",
                                    "&canary;",
                                    "]]>",
                                    "\" canary=\"",
                                    "\xEF\xBB\xBF",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "json",
    .about = "base/json.c base/sink.c",
    .words = words,
    .run = run,
};
