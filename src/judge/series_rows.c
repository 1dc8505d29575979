#include "judge/series_rows.h"

#include "base/mem.h"
#include "base/str.h"
#include "judge/numeric.h"
#include "judge/series_formats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fewer readings than this are never judged; a metric that is read more seldom gives way. */
#define MIN_READINGS 40
#define MAX_NOTES    20
/* Times beyond this count from another origin than the first row (seconds since 1970), where
 * squares of them would lose the digits that matter. */
#define FAR_S 1e6
/* Fewer rows say nothing of what a usual interval is. */
#define STEP_ROWS 8
/* No process fits into less than a page, none needs more than this. */
#define LEAST_BYTES 4096.0
#define MOST_BYTES  1125899906842624.0

/* Where one memory source stands; a file without the column `source` holds one. */
struct source {
    char name[64];
    char incarnation[64];
    int part;
    bool begun;
    double t;     /* of the last row, shifted */
    double shift; /* seconds added since the clock stepped back */
    double x[DRIVER_COUNT];
    double carried[DRIVER_COUNT];        /* events before a counter began again without a restart */
    struct series *series[ROWS_COLUMNS]; /* owns, by memory column; NULL elsewhere */
};

void rows_mistake(struct rows *r, const char *field, const char *text)
{
    struct origin origin = {r->path, r->line};
    if (field != NULL) {
        diag_add(r->diag, origin, "\"%.60s\": %s", field, text);
    } else {
        diag_add(r->diag, origin, "%s", text);
    }
}

void rows_note(struct rows *r, const char *field, const char *text)
{
    if (r->note == NULL || r->n_notes > MAX_NOTES) {
        return;
    }
    CLEANUP_FREE char *place =
        r->line > 0 ? xasprintf("%s:%d", r->path, r->line) : xstrdup(r->path);
    CLEANUP_FREE char *all =
        r->n_notes++ < MAX_NOTES
            ? xasprintf("%s: \"%.60s\": %s", place, field, text)
            : xasprintf("%s: and more of this kind; further notes are left out", r->path);
    r->note(all, r->context);
}

void rows_leave_out(struct rows *r, const char *name)
{
    size_t len = strlen(r->left_out);
    const char *shown = *name != '\0' ? name : "(no name)";
    size_t need = strlen(shown) + (len > 0 ? 2 : 0);
    if (len + need + sizeof ", ..." > sizeof r->left_out) {
        if (len > 0 && r->left_out[len - 1] != '.') {
            (void)str_copy(r->left_out + len, sizeof r->left_out - len, ", ...");
        }
        return;
    }
    (void)str_copy(r->left_out + len, sizeof r->left_out - len, len > 0 ? ", " : "");
    len = strlen(r->left_out);
    (void)str_copy(r->left_out + len, sizeof r->left_out - len, shown);
}

static void name_source(const struct rows *r, const char *given, char *to, size_t size)
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

static void begin_series(const struct rows *r, struct source *s)
{
    for (size_t i = 0; i < r->n_columns; i++) {
        if (r->column[i].kind != COLUMN_MEMORY) {
            continue;
        }
        struct series *series = xmalloc(sizeof *series);
        series_init(series);
        (void)str_copy(series->source, sizeof series->source, s->name);
        (void)str_copy(series->metric, sizeof series->metric, r->column[i].name);
        series->chosen = str_equal(series->metric, r->chosen);
        memcpy(series->has, r->has, sizeof series->has);
        series->has[DRIVER_TIME] = true;
        s->series[i] = series;
    }
}

/* Most rows are of the same source as the one before. */
static struct source *remember(struct rows *r, struct source *s, bool own)
{
    r->last = s;
    r->own = own ? s : r->own;
    return s;
}

struct source *rows_source(struct rows *r, const char *given)
{
    char name[64];
    bool own = given == NULL || *given == '\0';
    struct source *likely = own ? r->own : r->last;
    if (likely != NULL && (own || str_equal(likely->name, given))) {
        return likely;
    }
    name_source(r, given, name, sizeof name);
    for (size_t i = 0; i < r->n_sources; i++) {
        if (str_equal(r->source[i]->name, name)) {
            return remember(r, r->source[i], own);
        }
    }
    if (r->n_sources == ROWS_SOURCES) {
        rows_mistake(r, name, "more than 8 memory sources in one file");
        return NULL;
    }
    struct source *s = xcalloc(1, sizeof *s);
    (void)str_copy(s->name, sizeof s->name, name);
    begin_series(r, s);
    r->source[r->n_sources++] = s;
    return remember(r, s, own);
}

void rows_begin(const struct source *source, struct row *ret_row)
{
    *ret_row = (struct row){.t = NAN};
    memcpy(ret_row->x, source->x, sizeof ret_row->x);
    for (size_t i = 0; i < ROWS_COLUMNS; i++) {
        ret_row->memory[i] = NAN;
    }
}

/* A clock that steps back (or stands still) makes a gap; later times are shifted to go on.  NAN
 * for a row that has no place. */
static double place_in_time(struct rows *r, struct source *s, double given)
{
    if (!s->begun && fabs(given) > FAR_S) {
        s->shift = -given;
    }
    double t = given + s->shift;
    if (s->begun && t <= s->t) {
        if (t < s->t) {
            s->shift += s->t - t;
            rows_note(r, "time_s", "the clock steps back; from here on times are shifted to go on");
        }
        return NAN;
    }
    return t;
}

/* A counter that begins again means a restart of the server, unless the file says by incarnations
 * when that was: then it is the counter's own, and it goes on from where it was. */
static bool counters_fall(struct rows *r, struct source *s, const struct row *row)
{
    bool fall = false;
    for (int d = 0; d < DRIVER_COUNT && s->begun; d++) {
        if (row->x[d] >= s->x[d]) {
            continue;
        }
        if (r->has_incarnation) {
            s->carried[d] += s->x[d];
        }
        rows_note(r, driver_info((enum driver)d)->column,
                  r->has_incarnation
                      ? "the counter begins again in the same incarnation: counted on from before"
                      : "the counter begins again: taken as a restart of the server");
        fall = true;
    }
    return fall && !r->has_incarnation;
}

static void place_in_part(struct rows *r, struct source *s, const struct row *row)
{
    bool another = row->incarnation != NULL && s->begun && s->incarnation[0] != '\0' &&
                   strncmp(s->incarnation, row->incarnation, sizeof s->incarnation - 1) != 0;
    if (row->incarnation != NULL) {
        (void)str_copy(s->incarnation, sizeof s->incarnation, row->incarnation);
    }
    if (!another) {
        another = counters_fall(r, s, row);
    }
    s->part += another;
}

void rows_add(struct rows *r, struct source *s, const struct row *row)
{
    double x[DRIVER_COUNT];
    double t = place_in_time(r, s, row->t);
    if (!isnan(t)) {
        place_in_part(r, s, row);
        s->t = t;
        s->begun = true;
        memcpy(s->x, row->x, sizeof s->x);
    }
    for (int d = 0; d < DRIVER_COUNT; d++) {
        x[d] = row->x[d] + s->carried[d];
    }
    for (size_t i = 0; i < r->n_columns; i++) {
        if (s->series[i] != NULL) {
            series_add(s->series[i], t, row->memory[i], x, row->open, s->part);
        }
    }
}

/* The bucket before which nothing was read for longer than in all the rest together; 0: none. */
static size_t find_step(const struct series *s)
{
    double whole = s->n > 0 ? s->t[s->n - 1] - s->t[0] : 0;
    for (size_t i = 1; i < s->n; i++) {
        if (s->t[i] - s->t[i - 1] > whole / 2) {
            return i;
        }
    }
    return 0;
}

static double usual_interval(const struct series *s)
{
    CLEANUP_FREE double *each = xmalloc(s->n * sizeof *each);
    for (size_t i = 1; i < s->n; i++) {
        each[i - 1] = s->t[i] - s->t[i - 1];
    }
    return numeric_median(each, s->n - 1);
}

/* A clock that steps forward stretches the time, so that growth looks slow.  It is taken as one
 * usual interval.  If it was a true pause, this asks no less of a pass, and growth during the
 * pause becomes a jump, which never makes a leak. */
static void take_out_steps(struct rows *r, struct series *s, bool tell)
{
    size_t i = s->n >= STEP_ROWS ? find_step(s) : 0;
    while (i > 0) {
        double step = s->t[i] - s->t[i - 1];
        double usual = usual_interval(s);
        CLEANUP_FREE char *text = xasprintf(
            "nothing was read for %.0f s, longer than in all the rest together: taken as a step of "
            "the clock",
            step);
        r->line = 0;
        if (tell) {
            rows_note(r, s->metric, text);
        }
        for (; i < s->n; i++) {
            s->t[i] -= step - usual;
            s->x[DRIVER_TIME][i] = s->t[i];
        }
        s->end -= step - usual;
        i = find_step(s);
    }
}

static int rank_of(const struct series *s)
{
    return s->chosen ? -1 : series_rank(s->metric);
}

/* The next series of a source to hand over: the best metric with enough readings; when none has
 * enough, the one with most.  NULL when nothing is left. */
static struct series **next_series(struct source *s, size_t n_columns, bool enough)
{
    struct series **best = NULL;
    for (size_t i = 0; i < n_columns; i++) {
        struct series **candidate = &s->series[i];
        if (*candidate == NULL ||
            (enough && (*candidate)->n_readings < MIN_READINGS && !(*candidate)->chosen)) {
            continue;
        }
        bool better = best == NULL || (enough ? rank_of(*candidate) < rank_of(*best)
                                              : (*candidate)->n_readings > (*best)->n_readings);
        best = better ? candidate : best;
    }
    return best;
}

/* A limit never grows, and megabytes in a column of bytes would look like a server that hardly
 * does. */
static void check_best(struct rows *r, const struct series *s)
{
    double most = 0;
    for (size_t i = 0; i < s->n; i++) {
        most = fmax(most, s->y[i]);
    }
    r->line = r->header_line;
    if (rank_of(s) == SERIES_NO_MEMORY) {
        rows_mistake(r, s->metric,
                     "limits, reservations and free memory show no growth; name what is in use");
    }
    if (s->n > 0 && most < LEAST_BYTES && rank_of(s) >= 0) {
        CLEANUP_FREE char *text = xasprintf(
            "the largest reading is %.3g bytes, less than a page: is this in another unit?", most);
        rows_mistake(r, s->metric, text);
    }
    if (most > MOST_BYTES) {
        CLEANUP_FREE char *text = xasprintf(
            "the largest reading is %.3g bytes, more than a PiB: is this in another unit?", most);
        rows_mistake(r, s->metric, text);
    }
}

/* Moves one series to its place in the array. */
static void hand_over(struct rows *r, struct series **from, struct series *to, bool best)
{
    *to = **from;
    free(*from);
    *from = NULL;
    (void)str_copy(to->runtime, sizeof to->runtime, r->runtime);
    to->collected = series_runtime_collects(r->runtime);
    to->floors = r->floors;
    to->limit_bytes = r->limit_bytes;
    (void)str_copy(to->left_out, sizeof to->left_out, r->left_out);
    take_out_steps(r, to, best);
}

static size_t hand_over_all(struct rows *r, struct series *to)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_sources; i++) {
        struct source *s = r->source[i];
        struct series **best = next_series(s, r->n_columns, true);
        if (best == NULL) {
            best = next_series(s, r->n_columns, false);
        }
        if (best != NULL) {
            check_best(r, *best);
        }
        for (bool first = true; best != NULL; first = false) {
            hand_over(r, best, &to[n++], first);
            best = next_series(s, r->n_columns, true);
        }
    }
    return n;
}

static size_t count_memories(const struct rows *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_columns; i++) {
        n += r->column[i].kind == COLUMN_MEMORY;
    }
    return n;
}

size_t rows_finish(struct rows *r, struct series **ret_series)
{
    if (diag_count(r->diag) == r->mistakes_before && r->n_sources == 0) {
        rows_mistake(r, NULL, "there are no readings");
    }
    if (diag_count(r->diag) > r->mistakes_before) {
        return 0;
    }
    struct series *all = xcalloc(r->n_sources * count_memories(r), sizeof *all);
    size_t n = hand_over_all(r, all);
    if (diag_count(r->diag) > r->mistakes_before) {
        free(all);
        return 0;
    }
    *ret_series = all;
    return n;
}

void rows_end(struct rows *r)
{
    for (size_t i = 0; i < r->n_sources; i++) {
        for (size_t c = 0; c < r->n_columns; c++) {
            free(r->source[i]->series[c]);
        }
        free(r->source[i]);
    }
}
