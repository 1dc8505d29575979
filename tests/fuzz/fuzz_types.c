/* Fuzzes values of options: an input is lines "TYPE TEXT", TYPE a letter.  "a" and so on are the
 * types of the option table: what parses, prints as what parses as the same.  "L" is the name of a
 * limit, "E" bytes written with escapes, "I" a value for a line of INI, "U" a number for people. */
#include "kit/fuzz.h"
#include "kit/markup.h"

#include "base/escape.h"
#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"
#include "base/unit.h"
#include "profile/ini.h"
#include "profile/plan.h"
#include "profile/types.h"
#include "record/limit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

union field {
    uint64_t u64;
    int64_t i64;
    double number;
    bool yes;
    int word;
    struct rotate rotate;
    unsigned char bytes[64];
};

static const char *const some_words[] = {"open", "closed", "no", NULL};

static char *printed(const struct type_info *type, const union field *field)
{
    struct sink *sink = sink_new();
    type->print(field, some_words, sink);
    char *text = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return text;
}

static bool try_type(enum type which, const char *text)
{
    const struct type_info *type = type_info(which);
    union field value, again, untouched;
    memset(&value, 0x5a, sizeof value);
    untouched = value;
    if (type->parse == NULL) {
        return false;
    }
    if (!type->parse(text, some_words, &value)) {
        fuzz_require(memcmp(&value, &untouched, sizeof value) == 0, "refused, and yet written");
        return false;
    }
    if (type->number != NULL) {
        fuzz_require(isfinite(type->number(&value)), "a value without end");
    }
    CLEANUP_FREE char *first = printed(type, &value);
    again = untouched;
    fuzz_require(type->parse(first, some_words, &again), "what was printed is of no such type");
    CLEANUP_FREE char *second = printed(type, &again);
    fuzz_require(str_equal(first, second), "what was printed prints otherwise");
    fuzz_require(memcmp(&value, &again, sizeof value) == 0, "what was printed is another value");
    return true;
}

static bool try_limit(const char *text)
{
    struct limit limit;
    char shown[LIMIT_VALUE];
    memset(&limit, 0, sizeof limit);
    if (!limit_from_key(text, &limit)) {
        return false;
    }
    fuzz_require(str_equal(limit.key, text), "a limit of another name");
    fuzz_require(limit.metric != LIMIT_LATENCY || limit.stat != LIMIT_QUANTILE ||
                     (limit.quantile > 0 && limit.quantile < 1),
                 "a quantile that is none");
    struct sink *sink = sink_new();
    limit_column(&limit, sink);
    fuzz_require(markup_is_plain(sink_text(sink, NULL), strlen(sink_text(sink, NULL)), false),
                 "a column that can't be printed");
    sink_free(sink);
    static const double values[] = {0, 0.5, 1, 25e6, 1e12};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        double back = limit_from_number(&limit, limit_number(&limit, values[i]));
        fuzz_require(fabs(back - values[i]) <= 1e-9 * values[i], "a number became another");
        fuzz_require(strlen(limit_value(&limit, values[i], shown)) > 0, "a value without text");
    }
    limit.bound = 1;
    fuzz_require(limit_holds(&limit, 1) && limit_holds(&limit, 0) != limit_holds(&limit, 2),
                 "a limit that its bound does not hold");
    return true;
}

/* What is written for bytes reads as these bytes. */
static bool try_escapes(const char *text)
{
    size_t len, again_len;
    CLEANUP_FREE char *bytes = xstrdup(text);
    if (escape_read(bytes, &len) != NULL) {
        return false;
    }
    fuzz_require(len <= strlen(text), "escapes became longer");
    struct sink *sink = sink_new();
    escape_write(sink, bytes, len);
    CLEANUP_FREE char *again = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    fuzz_require(strspn(again, " ") == 0 || len == 0, "begins with a blank");
    for (const char *c = again; *c != '\0'; c++) {
        fuzz_require(*c >= ' ' && *c < 0x7f, "written with what is not printable");
    }
    fuzz_require(escape_read(again, &again_len) == NULL, "what was written can't be read");
    fuzz_require(len == again_len && memcmp(bytes, again, len) == 0, "bytes became others");
    return true;
}

struct heard {
    const char *wanted;
    size_t n;
};

static void on_section(void *user, const char *section, int line)
{
    (void)user, (void)section, (void)line;
    fuzz_require(false, "a value became a section");
}

static void on_value(void *user, const char *key, const char *value, int line)
{
    struct heard *heard = user;
    fuzz_require(line == 1 || line == 2, "a value on a line that is not there");
    fuzz_require(str_equal(key, "key") && str_equal(value, heard->wanted),
                 "a line of INI reads as something else");
    heard->n++;
}

static bool try_ini(const char *text)
{
    size_t len;
    struct heard heard = {text, 0};
    const struct ini_handler handler = {on_section, on_value, &heard};
    struct sink *sink = sink_new();
    bool ok = ini_write(sink, "key", text, "a comment");
    const char *line = sink_text(sink, &len);
    fuzz_require(ok || len == 0, "refused, and yet written");
    if (ok) {
        struct diag *diag = diag_new();
        ini_read("x", line, len, &handler, diag);
        fuzz_require(diag_count(diag) == 0 && heard.n == 1, "a line of INI does not read");
        diag_free(diag);
    }
    sink_free(sink);
    return ok;
}

static bool try_units(const char *text)
{
    char shown[UNIT_TEXT];
    double value;
    uint64_t whole;
    if (str_to_u64(text, &whole)) {
        CLEANUP_FREE char *back = xasprintf("%llu", (unsigned long long)whole);
        const char *digits = text + strspn(text, "0");
        fuzz_require(str_equal(back, *digits != '\0' ? digits : "0"), "a count became another");
        fuzz_require(strlen(unit_grouped(shown, whole)) < UNIT_TEXT, "too long");
    }
    if (!str_to_double(text, &value)) {
        return false;
    }
    fuzz_require(isfinite(value), "a number without end");
    fuzz_require(strlen(unit_bytes(shown, value)) < UNIT_TEXT, "too long");
    fuzz_require(strlen(unit_duration(shown, value)) < UNIT_TEXT, "too long");
    fuzz_require(strlen(unit_count(shown, value)) < UNIT_TEXT, "too long");
    return true;
}

static bool try_line(const char *line)
{
    if (line[0] == '\0' || line[1] != ' ') {
        return false;
    }
    const char *text = line + 2;
    switch (line[0]) {
    case 'L':
        return try_limit(text);
    case 'E':
        return try_escapes(text);
    case 'I':
        return try_ini(text);
    case 'U':
        return try_units(text);
    default:
        return line[0] >= 'a' && line[0] < 'a' + TYPE_COUNT_OF &&
               try_type((enum type)(line[0] - 'a'), text);
    }
}

static bool run(const char *bytes, size_t len)
{
    CLEANUP_FREE char *copy = xstrndup(bytes, len);
    char *rest = copy, *line;
    bool ok = false;
    while ((line = strsep(&rest, "\n")) != NULL) {
        ok = try_line(line) || ok;
    }
    return ok;
}

static const char *const words[] = {"\nL latency.",
                                    "\nL errors.ratio.max",
                                    "\nL rate.reached.min",
                                    "response.",
                                    "handshake_full.",
                                    "p99.9",
                                    "p0.001",
                                    ".mean",
                                    ".max",
                                    "\nE ",
                                    "\nI ",
                                    "\nU ",
                                    "\\x00",
                                    "\\xff",
                                    "\\n",
                                    "\\\\",
                                    "\\\"",
                                    "\"",
                                    " ;",
                                    "=",
                                    "yes",
                                    "no",
                                    "none",
                                    "never",
                                    "connection",
                                    "request",
                                    " uses",
                                    "2xx",
                                    "k",
                                    "M",
                                    "ms",
                                    "us",
                                    "ns",
                                    "d",
                                    "h",
                                    "KiB",
                                    "TiB",
                                    "kB",
                                    "/s",
                                    "k/m",
                                    "/h",
                                    "%",
                                    ".",
                                    "18446744073709551615",
                                    "1e308",
                                    "0.1",
                                    "9.999999999999999",
                                    "\nd ",
                                    "\ni ",
                                    "\nk ",
                                    "\nl ",
                                    "\np ",
                                    NULL};

const struct fuzz_target fuzz_target = {
    .name = "types",
    .about = "profile/types.c base/unit.c base/str.c base/escape.c record/limit.c profile/ini.c",
    .words = words,
    .run = run,
};
