/* Rows: readings with the counters at each, in the order in which they were taken, become series.
 * Every file format ends here: its reader declares the columns, then adds row by row; clocks that
 * step, counters that begin again, restarts, gaps, absurd units and the choice of the best metric
 * are dealt with in one place.  Memory is bounded by the columns, whatever the length. */
#ifndef JUDGE_SERIES_ROWS_H
#define JUDGE_SERIES_ROWS_H

#include "judge/series.h"

#define ROWS_COLUMNS 64
#define ROWS_SOURCES 8

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

struct source;

struct row {
    double t; /* seconds, of any origin */
    double x[DRIVER_COUNT];
    double open;
    const char *incarnation;     /* NULL: not known */
    double memory[ROWS_COLUMNS]; /* bytes, by column; NAN: a gap */
};

struct rows {
    const char *path; /* borrows */
    int line;         /* being read; 0: the format has none */
    int header_line;
    struct column column[ROWS_COLUMNS];
    size_t n_columns;
    bool has[DRIVER_COUNT];
    bool has_incarnation;
    struct source *source[ROWS_SOURCES]; /* owns */
    size_t n_sources;
    struct source *last; /* of the row before */
    struct source *own;  /* of rows that name none */
    char runtime[16];
    bool floors;
    char chosen[64];    /* column that is to be judged; "": the best */
    double limit_bytes; /* that the server may use; 0: not told */
    char name[64];      /* of a source that has none; "": by the file's name */
    char left_out[128]; /* columns that nobody understood */
    size_t n_notes;
    void (*note)(const char *text, void *context);
    void *context;
    struct diag *diag;
    size_t mistakes_before;
};

/* `field` may be NULL. */
void rows_mistake(struct rows *r, const char *field, const char *text);
/* Something odd that is no mistake; after twenty the rest is kept quiet. */
void rows_note(struct rows *r, const char *field, const char *text);
/* Remembers a column that nobody understood, to be told. */
void rows_leave_out(struct rows *r, const char *name);
/* The source of this name (NULL or "": the file's own), made when it is new; columns must be
 * complete by then.  NULL with a mistake when there are too many. */
struct source *rows_source(struct rows *r, const char *name);
/* What the next row of a source is before its fields are read: counters stand, memory is a gap. */
void rows_begin(const struct source *source, struct row *ret_row);
void rows_add(struct rows *r, struct source *source, const struct row *row);
/* The series of all sources, best metric of each first, in one array that the caller frees.  0
 * with mistakes. */
size_t rows_finish(struct rows *r, struct series **ret_series);
/* Frees the sources. */
void rows_end(struct rows *r);

#endif
