#include "judge/series.h"

#include "base/mem.h"
#include "base/str.h"
#include "record/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS  64
#define MAX_SOURCES  8
#define MAX_LINE     65536
#define MAX_MISTAKES 20
#define KIB          1024.0
/* Fewer readings than this are never judged; a metric that is read more seldom gives way. */
#define MIN_READINGS 40

enum column_kind {
    COLUMN_UNKNOWN,
    COLUMN_TIME,
    COLUMN_MEMORY,
    COLUMN_DRIVER,
    COLUMN_INCARNATION,
    COLUMN_OPEN,
    COLUMN_SOURCE,
    COLUMN_KNOWN /* of a stored run; nothing to judge */
};

struct column {
    enum column_kind kind;
    enum driver driver;
    double scale; /* memory: bytes in a unit */
    char name[64];
};

/* Where one memory source stands; a file without the column `source` holds one. */
struct source {
    char name[64];
    char incarnation[64];
    int part;
    bool begun;
    double t;     /* of the last row, shifted */
    double shift; /* seconds added since the clock stepped back */
    double x[DRIVER_COUNT];
    struct series *series[MAX_COLUMNS]; /* by memory column; NULL elsewhere */
};

struct reader {
    const char *path;
    int line;
    struct column column[MAX_COLUMNS];
    size_t n_columns;
    struct source source[MAX_SOURCES];
    size_t n_sources;
    bool has[DRIVER_COUNT];
    char runtime[16];
    char name[64];   /* of the source, by a comment; "" : by the file's name */
    bool whole_line; /* the last line that was read ended in a newline */
    struct diag *diag;
    void (*note)(const char *text, void *context);
    void *context;
};

/* `field` may be NULL. */
static void mistake(struct reader *r, const char *field, const char *text)
{
    struct origin origin = {r->path, r->line};
    if (field != NULL) {
        diag_add(r->diag, origin, "\"%.60s\": %s", field, text);
    } else {
        diag_add(r->diag, origin, "%s", text);
    }
}

static void note(const struct reader *r, const char *field, const char *text)
{
    if (r->note != NULL) {
        CLEANUP_FREE char *all = xasprintf("%s:%d: \"%.60s\": %s", r->path, r->line, field, text);
        r->note(all, r->context);
    }
}

static bool ends_in(const char *s, const char *end)
{
    size_t len = strlen(s);
    size_t end_len = strlen(end);
    return len >= end_len && str_equal(s + len - end_len, end);
}

/* Cuts a line into trimmed fields in place; quotes around a field are dropped.  Returns how many
 * there are, which may be more than `max`. */
static size_t cut_fields(char *line, char *fields[], size_t max)
{
    size_t n = 0;
    for (char *at = line; at != NULL;) {
        char *comma = strchr(at, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        char *field = str_trim(at);
        size_t len = strlen(field);
        if (len >= 2 && field[0] == '"' && field[len - 1] == '"') {
            field[len - 1] = '\0';
            field++;
        }
        if (n < max) {
            fields[n] = field;
        }
        n++;
        at = comma != NULL ? comma + 1 : NULL;
    }
    return n;
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

static void classify(struct reader *r, struct column *c)
{
    if (str_equal(c->name, "time_s")) {
        c->kind = COLUMN_TIME;
    } else if (str_equal(c->name, "incarnation")) {
        c->kind = COLUMN_INCARNATION;
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
        mistake(r, c->name, "memory columns end in _bytes or _kb");
    } else if (is_of_stored_run(c->name)) {
        c->kind = COLUMN_KNOWN;
    } else {
        note(r, c->name, "unknown column, left out");
    }
}

/* Two names for one thing (requests, requests_done) are a column named twice as well. */
static void refuse_doubles(struct reader *r)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct column *a = &r->column[i];
            const struct column *b = &r->column[j];
            if (str_equal(a->name, b->name) ||
                (a->kind == COLUMN_DRIVER && b->kind == COLUMN_DRIVER && a->driver == b->driver)) {
                mistake(r, a->name, "this column is named twice");
            }
        }
    }
}

static void read_header(struct reader *r, char *line)
{
    char *fields[MAX_COLUMNS];
    size_t n_times = 0;
    size_t n_memories = 0;
    line += str_has_prefix(line, "\xEF\xBB\xBF") ? 3 : 0;
    size_t n = cut_fields(line, fields, MAX_COLUMNS);
    if (n > MAX_COLUMNS) {
        mistake(r, NULL, "more than 64 columns");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct column *c = &r->column[r->n_columns++];
        (void)str_copy(c->name, sizeof c->name, fields[i]);
        classify(r, c);
        n_times += c->kind == COLUMN_TIME;
        n_memories += c->kind == COLUMN_MEMORY;
    }
    refuse_doubles(r);
    if (n_times == 0) {
        mistake(r, NULL, "there is no column time_s");
    }
    if (n_memories == 0) {
        mistake(r, NULL, "there is no memory column (a name that ends in _bytes or _kb)");
    }
}

/* "# runtime jvm": what the sampled process runs on; "# source NAME". */
static void read_comment(struct reader *r, char *line)
{
    char *text = str_trim(line + 1);
    if (str_has_prefix(text, "runtime ")) {
        (void)str_copy(r->runtime, sizeof r->runtime, str_trim(text + strlen("runtime ")));
    }
    if (str_has_prefix(text, "source ")) {
        (void)str_copy(r->name, sizeof r->name, str_trim(text + strlen("source ")));
    }
}

static void name_source(const struct reader *r, const char *given, char *to, size_t size)
{
    if (given != NULL && *given != '\0') {
        (void)str_copy(to, size, given);
        return;
    }
    if (r->name[0] != '\0') {
        (void)str_copy(to, size, r->name);
        return;
    }
    const char *slash = strrchr(r->path, '/');
    (void)str_copy(to, size, slash != NULL ? slash + 1 : r->path);
    char *dot = strrchr(to, '.');
    if (dot != NULL && dot > to) {
        *dot = '\0';
    }
}

static bool is_collected(const char *runtime)
{
    static const char *const collected[] = {"jvm", "go", "node", "dotnet"};
    return str_index(runtime, collected, sizeof collected / sizeof *collected) >= 0;
}

static void begin_series(const struct reader *r, struct source *s)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        if (r->column[i].kind != COLUMN_MEMORY) {
            continue;
        }
        struct series *series = xmalloc(sizeof *series);
        series_init(series);
        (void)str_copy(series->source, sizeof series->source, s->name);
        (void)str_copy(series->metric, sizeof series->metric, r->column[i].name);
        memcpy(series->has, r->has, sizeof series->has);
        series->has[DRIVER_TIME] = true;
        s->series[i] = series;
    }
}

/* The source of a row; NULL with a mistake when there are too many. */
static struct source *find_source(struct reader *r, char *const fields[])
{
    char name[64];
    const char *given = NULL;
    for (size_t i = 0; i < r->n_columns; i++) {
        given = r->column[i].kind == COLUMN_SOURCE ? fields[i] : given;
    }
    name_source(r, given, name, sizeof name);
    for (size_t i = 0; i < r->n_sources; i++) {
        if (str_equal(r->source[i].name, name)) {
            return &r->source[i];
        }
    }
    if (r->n_sources == MAX_SOURCES) {
        mistake(r, name, "more than 8 memory sources in one file");
        return NULL;
    }
    struct source *s = &r->source[r->n_sources++];
    (void)str_copy(s->name, sizeof s->name, name);
    begin_series(r, s);
    return s;
}

struct row {
    double t;
    double x[DRIVER_COUNT];
    double open;
    const char *incarnation;    /* NULL: no such column */
    double memory[MAX_COLUMNS]; /* bytes; NAN: a gap */
};

/* One number of a row; an empty field leaves *ret as it is. */
static bool read_number(struct reader *r, size_t column, const char *field, double *ret)
{
    double value;
    if (*field == '\0') {
        return true;
    }
    if (!str_to_double(field, &value)) {
        CLEANUP_FREE char *text =
            xasprintf("column %s is not a finite number", r->column[column].name);
        mistake(r, field, text);
        return false;
    }
    *ret = value;
    return true;
}

static bool read_field(struct reader *r, size_t i, const char *field, struct row *row)
{
    const struct column *c = &r->column[i];
    switch (c->kind) {
    case COLUMN_TIME:
        row->t = NAN;
        if (!read_number(r, i, field, &row->t)) {
            return false;
        }
        if (isnan(row->t)) {
            mistake(r, NULL, "time_s is missing");
            return false;
        }
        return true;
    case COLUMN_MEMORY:
        row->memory[i] = NAN;
        if (!read_number(r, i, field, &row->memory[i])) {
            return false;
        }
        row->memory[i] = row->memory[i] > 0 ? row->memory[i] * c->scale : NAN;
        return true;
    case COLUMN_DRIVER:
        return read_number(r, i, field, &row->x[c->driver]);
    case COLUMN_OPEN:
        return read_number(r, i, field, &row->open);
    case COLUMN_INCARNATION:
        row->incarnation = *field != '\0' ? field : NULL;
        return true;
    default:
        return true;
    }
}

/* A clock that steps back (or stands still) makes a gap; later times are shifted to go on. */
static bool place_in_time(struct reader *r, struct source *s, struct row *row)
{
    double t = row->t + s->shift;
    if (s->begun && t <= s->t) {
        if (t < s->t) {
            s->shift += s->t - t;
            note(r, "time_s", "the clock steps back; from here on times are shifted to go on");
        }
        return false;
    }
    row->t = t;
    return true;
}

/* The server was restarted when its incarnation says so, or (a file of another tool) when a
 * counter begins again. */
static void place_in_part(struct reader *r, struct source *s, const struct row *row)
{
    bool another = false;
    if (row->incarnation != NULL) {
        another = s->begun && !str_equal(s->incarnation, row->incarnation);
        (void)str_copy(s->incarnation, sizeof s->incarnation, row->incarnation);
    }
    for (int d = 0; d < DRIVER_COUNT && s->begun && !another; d++) {
        if (row->x[d] < s->x[d]) {
            note(r, driver_info((enum driver)d)->column,
                 "the counter begins again: taken as a restart of the server");
            another = true;
        }
    }
    s->part += another;
}

static bool falls_back(const struct source *s, const struct row *row)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        if (row->x[d] < s->x[d]) {
            return s->begun;
        }
    }
    return s->begun && row->t + s->shift < s->t;
}

static void add_row(struct reader *r, struct source *s, struct row *row)
{
    bool placed = place_in_time(r, s, row);
    if (placed) {
        place_in_part(r, s, row);
        s->t = row->t;
        s->begun = true;
        memcpy(s->x, row->x, sizeof s->x);
    }
    for (size_t i = 0; i < r->n_columns; i++) {
        if (s->series[i] == NULL) {
            continue;
        }
        if (placed && !isnan(row->memory[i])) {
            series_add(s->series[i], row->t, row->memory[i], row->x, row->open, s->part);
        } else {
            s->series[i]->n_gaps++;
        }
    }
}

static void read_row(struct reader *r, char *line)
{
    char *fields[MAX_COLUMNS];
    struct row row = {0};
    size_t n = cut_fields(line, fields, MAX_COLUMNS);
    if (n != r->n_columns) {
        if (!r->whole_line && n < r->n_columns) {
            note(r, fields[0], "the last line is not whole, left out");
            return;
        }
        CLEANUP_FREE char *text =
            xasprintf("%zu fields where the header has %zu columns", n, r->n_columns);
        mistake(r, NULL, text);
        return;
    }
    struct source *s = find_source(r, fields);
    if (s == NULL) {
        return;
    }
    memcpy(row.x, s->x, sizeof row.x);
    for (size_t i = 0; i < n; i++) {
        if (!read_field(r, i, fields[i], &row)) {
            return;
        }
    }
    if (!r->whole_line && falls_back(s, &row)) {
        note(r, fields[0], "the last line is not whole, left out");
        return;
    }
    add_row(r, s, &row);
}

static void read_lines(struct reader *r, FILE *file)
{
    CLEANUP_FREE char *line = xmalloc(MAX_LINE);
    size_t mistakes_before = diag_count(r->diag);
    while (fgets(line, MAX_LINE, file) != NULL) {
        size_t len = strlen(line);
        r->line++;
        r->whole_line = len > 0 && line[len - 1] == '\n';
        if (!r->whole_line && len + 1 == MAX_LINE) {
            mistake(r, NULL, "the line is longer than 64 KiB");
            return;
        }
        char *text = str_trim(line);
        if (*text == '\0') {
            continue;
        }
        if (*text == '#') {
            read_comment(r, text);
        } else if (r->n_columns == 0) {
            read_header(r, text);
            if (diag_count(r->diag) > mistakes_before) {
                return;
            }
        } else {
            read_row(r, text);
        }
        if (diag_count(r->diag) >= mistakes_before + MAX_MISTAKES) {
            mistake(r, NULL, "and more; the rest was not read");
            return;
        }
    }
    if (ferror(file)) {
        mistake(r, NULL, strerror(errno));
    } else if (r->n_columns == 0 && diag_count(r->diag) == mistakes_before) {
        r->line = r->line > 0 ? r->line : 1;
        mistake(r, NULL, "the file has no header line");
    }
}

/* Best first: a heap after collection, then what is the process's own. */
static int rank(const char *metric)
{
    static const char *const order[] = {"anon", "private_dirty", "pss"};
    if (strstr(metric, "floor") != NULL || strstr(metric, "after_full_gc") != NULL) {
        return 0;
    }
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (str_has_prefix(metric, order[i])) {
            return 1 + (int)i;
        }
    }
    return str_has_prefix(metric, "rss") ? 5 : 4;
}

/* The next series of a source to hand over: the best metric with enough readings; when none has
 * enough, the one with most.  NULL when nothing is left. */
static struct series **next_series(struct source *s, size_t n_columns, bool enough)
{
    struct series **best = NULL;
    for (size_t i = 0; i < n_columns; i++) {
        struct series **candidate = &s->series[i];
        if (*candidate == NULL || (enough && (*candidate)->n_readings < MIN_READINGS)) {
            continue;
        }
        bool better = best == NULL || (enough ? rank((*candidate)->metric) < rank((*best)->metric)
                                              : (*candidate)->n_readings > (*best)->n_readings);
        best = better ? candidate : best;
    }
    return best;
}

static size_t hand_over(struct reader *r, struct series *to)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_sources; i++) {
        struct source *s = &r->source[i];
        struct series **best = next_series(s, r->n_columns, true);
        if (best == NULL) {
            best = next_series(s, r->n_columns, false);
        }
        for (; best != NULL; best = next_series(s, r->n_columns, true)) {
            to[n] = **best;
            (void)str_copy(to[n].runtime, sizeof to[n].runtime, r->runtime);
            to[n].collected = is_collected(r->runtime);
            n++;
            free(*best);
            *best = NULL;
        }
    }
    return n;
}

static size_t count_memories(const struct reader *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_columns; i++) {
        n += r->column[i].kind == COLUMN_MEMORY;
    }
    return n;
}

static void forget(struct reader *r)
{
    for (size_t i = 0; i < r->n_sources; i++) {
        for (size_t c = 0; c < r->n_columns; c++) {
            free(r->source[i].series[c]);
        }
    }
    free(r);
}

size_t series_load(const char *path, struct series **ret_series,
                   void (*note_unknown)(const char *text, void *context), void *context,
                   struct diag *diag)
{
    size_t n = 0;
    size_t mistakes_before = diag_count(diag);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        diag_add(diag, (struct origin){path, 0}, "%s", strerror(errno));
        return 0;
    }
    struct reader *r = xcalloc(1, sizeof *r);
    r->path = path;
    r->diag = diag;
    r->note = note_unknown;
    r->context = context;
    read_lines(r, file);
    fclose(file);
    if (diag_count(diag) == mistakes_before && r->n_sources == 0) {
        mistake(r, NULL, "there are no readings below the header");
    }
    if (diag_count(diag) == mistakes_before) {
        struct series *all = xcalloc(r->n_sources * count_memories(r), sizeof *all);
        n = hand_over(r, all);
        *ret_series = all;
    }
    forget(r);
    return n;
}
