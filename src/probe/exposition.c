#include "probe/exposition.h"

#include "base/str.h"
#include "record/reading.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 128
#define START_TIME   "process_start_time_seconds"

/* One line, or what is left of it. */
struct span {
    const char *at, *end;
};

struct search {
    const struct plan_memory *memory;
    struct exposition *found;
    char nearest[NAME_MAX_LEN]; /* a name that may have been meant; "": none */
    size_t n_other;             /* samples of the metric with other labels */
    bool counts;                /* its type is one that only grows */
    const char *wrong;          /* what is wrong with the metric's own lines; NULL: nothing */
};

static void skip_blank(struct span *line)
{
    while (line->at < line->end && (*line->at == ' ' || *line->at == '\t')) {
        line->at++;
    }
}

static bool take(struct span *line, char c)
{
    skip_blank(line);
    if (line->at == line->end || *line->at != c) {
        return false;
    }
    line->at++;
    return true;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':';
}

/* The name that comes next, "" when there is none or it is too long to be wanted. */
static void take_name(struct span *line, char name[NAME_MAX_LEN])
{
    const char *from = line->at;

    while (line->at < line->end && is_name_byte(*line->at)) {
        line->at++;
    }
    size_t len = (size_t)(line->at - from);
    len = len < NAME_MAX_LEN ? len : 0;
    memcpy(name, from, len);
    name[len] = '\0';
}

/* What stands up to the next blank; false when it does not fit. */
static bool take_word(struct span *line, char *word, size_t size)
{
    skip_blank(line);
    const char *from = line->at;
    while (line->at < line->end && *line->at != ' ' && *line->at != '\t') {
        line->at++;
    }
    size_t len = (size_t)(line->at - from);
    if (len >= size) {
        return false;
    }
    memcpy(word, from, len);
    word[len] = '\0';
    return len > 0;
}

/* A quoted value; false when it does not end.  *ret_equal: it is `expected` (NULL: never). */
static bool take_value(struct span *line, const char *expected, bool *ret_equal)
{
    bool equal = expected != NULL;

    if (!take(line, '"')) {
        return false;
    }
    while (line->at < line->end && *line->at != '"') {
        char c = *line->at++;
        if (c == '\\' && line->at < line->end) {
            c = *line->at++;
            c = c == 'n' ? '\n' : c;
        }
        equal = equal && *expected != '\0' && *expected == c;
        if (equal) {
            expected++;
        }
    }
    *ret_equal = equal && *expected == '\0';
    return take(line, '"');
}

static size_t index_of(const struct plan_memory *memory, const char *label)
{
    size_t i = 0;

    while (i < memory->n_labels && !str_equal(memory->labels[i].name, label)) {
        i++;
    }
    return i;
}

/* One label; notes in `equal` whether it has the value that is wanted. */
static bool take_label(struct span *line, const struct plan_memory *memory, bool *equal)
{
    char label[NAME_MAX_LEN];
    bool same = false;

    skip_blank(line);
    take_name(line, label);
    size_t i = index_of(memory, label);
    bool wanted = i < memory->n_labels;
    if (!take(line, '=') || !take_value(line, wanted ? memory->labels[i].value : NULL, &same)) {
        return false;
    }
    if (wanted) {
        equal[i] = same;
    }
    return true;
}

/* The labels between braces, if there are any; false when they are malformed.  A label that is not
 * there is an empty one, as in PromQL. */
static bool take_labels(struct span *line, const struct plan_memory *memory, bool *ret_match)
{
    bool equal[PLAN_LABELS_MAX];
    bool open = take(line, '{');

    for (size_t i = 0; i < memory->n_labels; i++) {
        equal[i] = memory->labels[i].value[0] == '\0';
    }
    while (open && !take(line, '}')) {
        if (!take_label(line, memory, equal)) {
            return false;
        }
        open = take(line, ',');
        if (!open && !take(line, '}')) {
            return false;
        }
    }
    *ret_match = true;
    for (size_t i = 0; i < memory->n_labels; i++) {
        *ret_match = *ret_match && equal[i];
    }
    return true;
}

/* The number of a sample; a timestamp and an exemplar may follow.  False when it is none. */
static bool take_number(struct span *line, double *ret_value)
{
    static const char *const none[] = {"NaN", "+Inf", "-Inf", "Inf", "+inf", "-inf", "inf", "nan"};
    char word[64], stamp[64];

    if (!take_word(line, word, sizeof word)) {
        return false;
    }
    *ret_value = NAN;
    if (str_index(word, none, sizeof none / sizeof *none) < 0 && !str_to_double(word, ret_value)) {
        return false;
    }
    double at;
    skip_blank(line);
    return line->at == line->end || *line->at == '#' ||
           (take_word(line, stamp, sizeof stamp) && str_to_double(stamp, &at));
}

static void read_start(struct search *search, struct span line)
{
    struct plan_memory any = {.name = NULL};
    bool match;
    double value;

    if (take_labels(&line, &any, &match) && take_number(&line, &value) && value > 0 &&
        value < 1e12) {
        search->found->start_ms = (int64_t)(value * 1e3);
    }
}

static void read_own(struct search *search, struct span line)
{
    bool match;
    double value;

    if (!take_labels(&line, search->memory, &match) || !take_number(&line, &value)) {
        search->wrong = "has a line that is no sample";
    } else if (!match) {
        search->n_other++;
    } else if (!isfinite(value)) {
        search->wrong = "is not a finite number";
    } else if (value < 0) {
        search->wrong = "is negative";
    } else {
        search->found->bytes += value;
        search->found->n_samples++;
    }
}

/* "# TYPE name type"; all other comments say nothing of use. */
static void read_comment(struct search *search, struct span line)
{
    static const char *const counting[] = {"counter", "histogram", "summary", "gaugehistogram"};
    char word[32], name[NAME_MAX_LEN];

    line.at++;
    if (!take_word(&line, word, sizeof word) || !str_equal(word, "TYPE")) {
        return;
    }
    skip_blank(&line);
    take_name(&line, name);
    if (str_equal(name, search->memory->metric) && take_word(&line, word, sizeof word) &&
        str_index(word, counting, sizeof counting / sizeof *counting) >= 0) {
        search->counts = true;
    }
}

static void read_line(struct search *search, struct span line)
{
    char name[NAME_MAX_LEN];

    if (line.at < line.end && line.end[-1] == '\r') {
        line.end--;
    }
    skip_blank(&line);
    if (line.at == line.end) {
        return;
    }
    if (*line.at == '#') {
        read_comment(search, line);
        return;
    }
    take_name(&line, name);
    if (name[0] == '\0' ||
        (line.at < line.end && *line.at != '{' && *line.at != ' ' && *line.at != '\t')) {
        return;
    }
    search->found->runtime = reading_runtime(search->found->runtime, name);
    if (str_equal(name, search->memory->metric)) {
        read_own(search, line);
    } else if (str_equal(name, START_TIME)) {
        read_start(search, line);
    }
}

static bool is_end(struct span line)
{
    static const char eof[] = "# EOF";

    return (size_t)(line.end - line.at) >= sizeof eof - 1 &&
           memcmp(line.at, eof, sizeof eof - 1) == 0;
}

/* Calls `read` with each line up to the end of the page. */
static void each_line(const char *text, size_t len, struct search *search,
                      void (*read)(struct search *search, struct span line))
{
    const char *end = text + len;

    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        struct span line = {text, stop != NULL ? stop : end};
        if (is_end(line)) {
            return;
        }
        read(search, line);
        text = stop != NULL ? stop + 1 : end;
    }
}

static void compare_name(struct search *search, struct span line)
{
    char name[NAME_MAX_LEN];

    take_name(&line, name);
    const char *const names[] = {search->nearest, name};
    const char *nearest = str_nearest(search->memory->metric, names, 2);
    if (name[0] != '\0' && nearest == name) {
        memcpy(search->nearest, name, sizeof name);
    }
}

static void tell_absence(struct search *search, const char *text, size_t len, char *why,
                         size_t size)
{
    const char *metric = search->memory->metric;

    if (search->n_other > 0) {
        (void)snprintf(why, size, "none of %zu samples of %s has the labels of match",
                       search->n_other, metric);
        return;
    }
    each_line(text, len, search, compare_name);
    (void)snprintf(why, size, "%s is not on the page%s%s%s", metric,
                   search->nearest[0] != '\0' ? "; did you mean " : "", search->nearest,
                   search->nearest[0] != '\0' ? "?" : "");
}

bool exposition_read(const char *text, size_t len, const struct plan_memory *memory,
                     struct exposition *ret_exposition, char *why, size_t size)
{
    struct exposition found = {.bytes = 0};
    struct search search = {.memory = memory, .found = &found};

    each_line(text, len, &search, read_line);
    if (search.wrong != NULL) {
        (void)snprintf(why, size, "%s %s", memory->metric, search.wrong);
    } else if (search.counts) {
        (void)snprintf(why, size, "%s counts up for ever: it is not the memory in use",
                       memory->metric);
    } else if (found.n_samples == 0) {
        tell_absence(&search, text, len, why, size);
    } else if (!isfinite(found.bytes)) {
        (void)snprintf(why, size, "%s is no number of bytes in all", memory->metric);
    } else {
        *ret_exposition = found;
        return true;
    }
    return false;
}
