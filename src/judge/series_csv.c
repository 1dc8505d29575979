#include "judge/series_formats.h"

#include "base/mem.h"
#include "base/str.h"
#include "record/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_LINE     65536
#define MAX_MISTAKES 20
#define KIB          1024.0
/* Seconds since 1970 are below this until the year 5138; milliseconds were above it in 1973. */
#define MOST_SECONDS 1e11
/* Beyond this a sum of counts is exact no longer, by far. */
#define MOST_EVENTS 1e18

static bool ends_in(const char *s, const char *end)
{
    size_t len = strlen(s);
    size_t end_len = strlen(end);
    return len >= end_len && str_equal(s + len - end_len, end);
}

/* The field that begins at *at, its quotes taken off in place (RFC 4180); *at goes on to the next
 * one, NULL after the last.  NULL when a quote is not closed. */
static char *cut_field(char **at)
{
    char *field = *at + strspn(*at, " \t");
    if (*field != '"') {
        char *comma = strchr(field, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        *at = comma != NULL ? comma + 1 : NULL;
        return str_trim(field);
    }
    char *to = field;
    char *from = field + 1;
    while (*from != '\0' && (*from != '"' || from[1] == '"')) {
        from += *from == '"';
        *to++ = *from++;
    }
    char *rest = *from == '"' ? from + 1 + strspn(from + 1, " \t") : NULL;
    *to = '\0';
    if (rest == NULL || (*rest != ',' && *rest != '\0')) {
        return NULL;
    }
    *at = *rest == ',' ? rest + 1 : NULL;
    return str_trim(field);
}

/* Cuts a line into fields in place.  Gives how many there are, which may be more than `max`;
 * false with a mistake. */
static bool cut_fields(struct rows *r, char *line, char *fields[], size_t max, size_t *ret_n)
{
    size_t n = 0;
    for (char *at = line; at != NULL; n++) {
        char *field = cut_field(&at);
        if (field == NULL) {
            rows_mistake(r, NULL, "a quote does not end where its field does");
            return false;
        }
        if (n < max) {
            fields[n] = field;
        }
    }
    *ret_n = n;
    return true;
}

/* "rss", "rss_mb", "heap_mib": memory, as far as one can tell, in no unit that we read. */
static bool is_memory_in_wrong_unit(const char *name)
{
    static const char *const bare[] = {"rss", "anon", "pss", "private_dirty", "memory", "heap"};
    static const char *const units[] = {"_mb", "_mib", "_gb", "_gib", "_kib", "_b", "_pages"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (ends_in(name, units[i])) {
            return true;
        }
    }
    return str_index(name, bare, sizeof bare / sizeof *bare) >= 0;
}

static bool is_of_stored_run(const char *name)
{
    for (int i = 0; i < MEMORY_METRIC_COUNT; i++) {
        if (str_equal(name, metric_memory((enum memory_metric)i)->name)) {
            return true;
        }
    }
    return false;
}

static void classify(struct rows *r, struct column *c)
{
    if (str_equal(c->name, "time_s")) {
        c->kind = COLUMN_TIME;
    } else if (str_equal(c->name, "incarnation")) {
        c->kind = COLUMN_INCARNATION;
        r->has_incarnation = true;
    } else if (str_equal(c->name, "open")) {
        c->kind = COLUMN_OPEN;
    } else if (str_equal(c->name, "source")) {
        c->kind = COLUMN_SOURCE;
    } else if (driver_from_column(c->name, &c->driver)) {
        c->kind = COLUMN_DRIVER;
        r->has[c->driver] = true;
    } else if (ends_in(c->name, "_bytes") || ends_in(c->name, "_kb")) {
        c->kind = COLUMN_MEMORY;
        c->scale = ends_in(c->name, "_kb") ? KIB : 1;
    } else if (is_memory_in_wrong_unit(c->name)) {
        rows_mistake(r, c->name, "memory columns end in _bytes or _kb");
    } else if (is_of_stored_run(c->name)) {
        c->kind = COLUMN_KNOWN;
    } else {
        rows_leave_out(r, c->name);
    }
}

/* Two names for one thing (requests, requests_done) are a column named twice as well. */
static void refuse_doubles(struct rows *r)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        for (size_t j = 0; j < i && r->column[i].kind != COLUMN_UNKNOWN; j++) {
            const struct column *a = &r->column[i];
            const struct column *b = &r->column[j];
            if (str_equal(a->name, b->name) ||
                (a->kind == COLUMN_DRIVER && b->kind == COLUMN_DRIVER && a->driver == b->driver)) {
                rows_mistake(r, a->name, "this column is named twice");
            }
        }
    }
}

/* What stands between the names when no comma does. */
static void refuse_separator(struct rows *r, const char *line)
{
    if (strchr(line, ',') == NULL && strpbrk(line, ";\t") != NULL) {
        rows_mistake(r, NULL, "fields are separated by commas here, not by ; or tabs");
    }
}

static void read_header(struct rows *r, char *line)
{
    char *fields[ROWS_COLUMNS];
    size_t n_times = 0;
    size_t n_memories = 0;
    size_t n;
    r->header_line = r->line;
    refuse_separator(r, line);
    if (!cut_fields(r, line, fields, ROWS_COLUMNS, &n)) {
        return;
    }
    if (n > ROWS_COLUMNS) {
        rows_mistake(r, NULL, "more than 64 columns");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct column *c = &r->column[r->n_columns++];
        if (!str_copy(c->name, sizeof c->name, fields[i])) {
            rows_mistake(r, fields[i], "the column's name is longer than 63 bytes");
        }
        classify(r, c);
        n_times += c->kind == COLUMN_TIME;
        n_memories += c->kind == COLUMN_MEMORY;
    }
    refuse_doubles(r);
    if (n_times == 0) {
        rows_mistake(r, NULL, "there is no column time_s");
    }
    if (n_memories == 0) {
        rows_mistake(r, NULL, "there is no memory column (a name that ends in _bytes or _kb)");
    }
}

/* "# runtime jvm": what the sampled process runs on; "# source NAME"; "# floors yes": each reading
 * came right after a forced collection; "# metric COLUMN": to be judged; "# limit BYTES". */
static void read_comment(struct rows *r, char *line)
{
    char *text = str_trim(line + 1);
    if (str_has_prefix(text, "runtime ")) {
        (void)str_copy(r->runtime, sizeof r->runtime, str_trim(text + strlen("runtime ")));
    }
    if (str_has_prefix(text, "floors ")) {
        r->floors = str_equal(str_trim(text + strlen("floors ")), "yes");
    }
    if (str_has_prefix(text, "metric ")) {
        (void)str_copy(r->chosen, sizeof r->chosen, str_trim(text + strlen("metric ")));
    }
    if (str_has_prefix(text, "limit ") &&
        !(str_to_double(str_trim(text + strlen("limit ")), &r->limit_bytes) &&
          r->limit_bytes > 0)) {
        r->limit_bytes = 0;
    }
    if (str_has_prefix(text, "source ")) {
        (void)str_copy(r->name, sizeof r->name, str_trim(text + strlen("source ")));
    }
}

/* One number of a row; an empty field leaves *ret as it is. */
static bool read_number(struct rows *r, size_t column, const char *field, double *ret)
{
    double value;
    if (*field == '\0') {
        return true;
    }
    if (!str_to_double(field, &value)) {
        CLEANUP_FREE char *text =
            xasprintf("column %s is not a finite number", r->column[column].name);
        rows_mistake(r, field, text);
        return false;
    }
    *ret = value;
    return true;
}

static bool read_time(struct rows *r, size_t i, const char *field, double *ret_t)
{
    if (!read_number(r, i, field, ret_t)) {
        return false;
    }
    if (isnan(*ret_t)) {
        rows_mistake(r, NULL, "time_s is missing");
        return false;
    }
    if (fabs(*ret_t) > MOST_SECONDS) {
        rows_mistake(r, field, "time_s counts seconds; is this in milliseconds?");
        return false;
    }
    return true;
}

static bool read_count(struct rows *r, size_t i, const char *field, double *ret)
{
    if (!read_number(r, i, field, ret)) {
        return false;
    }
    if (*ret < 0 || *ret > MOST_EVENTS) {
        rows_mistake(r, field, "a cumulative count is neither negative nor beyond 1e18");
        return false;
    }
    return true;
}

static bool read_field(struct rows *r, size_t i, const char *field, struct row *row)
{
    const struct column *c = &r->column[i];
    switch (c->kind) {
    case COLUMN_TIME:
        return read_time(r, i, field, &row->t);
    case COLUMN_MEMORY:
        if (!read_number(r, i, field, &row->memory[i])) {
            return false;
        }
        row->memory[i] *= c->scale;
        return true;
    case COLUMN_DRIVER:
        return read_count(r, i, field, &row->x[c->driver]);
    case COLUMN_OPEN:
        return read_count(r, i, field, &row->open);
    case COLUMN_INCARNATION:
        row->incarnation = *field != '\0' ? field : NULL;
        return true;
    default:
        return true;
    }
}

/* The source of a row; NULL with a mistake. */
static struct source *source_of(struct rows *r, char *const fields[])
{
    const char *given = NULL;
    for (size_t i = 0; i < r->n_columns; i++) {
        given = r->column[i].kind == COLUMN_SOURCE ? fields[i] : given;
    }
    return rows_source(r, given);
}

static void read_row(struct rows *r, char *line)
{
    char *fields[ROWS_COLUMNS];
    struct row row;
    size_t n;
    if (!cut_fields(r, line, fields, ROWS_COLUMNS, &n)) {
        return;
    }
    if (n != r->n_columns) {
        CLEANUP_FREE char *text =
            xasprintf("%zu fields where the header has %zu columns", n, r->n_columns);
        rows_mistake(r, NULL, text);
        return;
    }
    struct source *s = source_of(r, fields);
    if (s == NULL) {
        return;
    }
    rows_begin(s, &row);
    for (size_t i = 0; i < n; i++) {
        if (!read_field(r, i, fields[i], &row)) {
            return;
        }
    }
    if (isnan(row.t)) {
        rows_mistake(r, NULL, "time_s is missing");
        return;
    }
    rows_add(r, s, &row);
}

enum line_end { LINE_WHOLE, LINE_CUT, LINE_NONE, LINE_BAD };

/* One line without its end (LF, CRLF or CR).  LINE_CUT when the file ends in it, LINE_NONE at the
 * end, LINE_BAD with a mistake. */
static enum line_end next_line(struct rows *r, FILE *file, char *line)
{
    size_t len = 0;
    int c = getc_unlocked(file);
    enum line_end none = c == EOF ? LINE_NONE : LINE_CUT;
    r->line += c != EOF;
    for (; c != EOF && c != '\n' && c != '\r'; c = getc_unlocked(file)) {
        if (c == '\0' || len + 1 == MAX_LINE) {
            rows_mistake(r, NULL,
                         c == '\0' ? "holds a NUL byte, so this is no text (in UTF-8)"
                                   : "the line is longer than 64 KiB");
            return LINE_BAD;
        }
        line[len++] = (char)c;
    }
    line[len] = '\0';
    if (c == '\r') {
        int next = getc_unlocked(file);
        if (next != '\n' && next != EOF) {
            (void)ungetc(next, file);
        }
    }
    return c == EOF ? none : LINE_WHOLE;
}

static void read_line(struct rows *r, char *line, bool whole)
{
    char *text = str_trim(line + (r->line == 1 && str_has_prefix(line, "\xEF\xBB\xBF") ? 3 : 0));
    if (*text == '\0') {
        return;
    }
    if (*text == '#') {
        read_comment(r, text);
    } else if (r->n_columns == 0) {
        read_header(r, text);
    } else if (whole) {
        read_row(r, text);
    } else {
        text[strcspn(text, ",")] = '\0';
        rows_note(r, text, "the last line has no end and may have been cut: left out");
    }
}

void series_csv_read(struct rows *r, FILE *file)
{
    CLEANUP_FREE char *line = xmalloc(MAX_LINE);
    enum line_end end = LINE_WHOLE;
    while (end == LINE_WHOLE) {
        bool headed = r->n_columns > 0;
        end = next_line(r, file, line);
        if (end == LINE_WHOLE || end == LINE_CUT) {
            read_line(r, line, end == LINE_WHOLE);
        }
        size_t mistakes = diag_count(r->diag) - r->mistakes_before;
        if (mistakes > 0 && !headed) {
            return;
        }
        if (mistakes >= MAX_MISTAKES) {
            rows_mistake(r, NULL, "and more; the rest was not read");
            return;
        }
    }
    if (ferror(file)) {
        rows_mistake(r, NULL, strerror(errno));
    } else if (r->n_columns == 0) {
        r->line = r->line > 0 ? r->line : 1;
        rows_mistake(r, NULL, "the file has no header line");
    }
}
