/* The HdrHistogram log: a text file with one line an interval, each a histogram that is compressed
 * with zlib and written in base64 (log version 1.3, histogram encoding V2; the reference is the
 * Java class HistogramLogWriter).  Untagged, one series a file: some of its readers mix tags up or
 * stop at them.  Nothing but intervals follows the header, and each is appended by one write. */
#ifndef RECORD_HLOG_H
#define RECORD_HLOG_H

#include "base/diag.h"
#include "record/hist.h"

#include <stdbool.h>
#include <stdint.h>

struct hlog; /* being written */

/* Length of an interval in a run planned for so long: a second in runs of up to an hour; longer
 * ones keep a day, and a month, below 100 MB a series. */
uint64_t hlog_period_ns(uint64_t duration_ns);
/* Creates the file (it must not exist) and writes its header.  NULL with errno. */
struct hlog *hlog_create(const char *path, double start_wall_s) __attribute__((warn_unused_result));
/* Appends one interval; times in nanoseconds since the start.  An empty histogram writes nothing.
 * False with errno when the disk refused; the file is then as it was before. */
bool hlog_append(struct hlog *hlog, uint64_t start_ns, uint64_t end_ns, const struct hist *hist)
    __attribute__((warn_unused_result));
void hlog_close(struct hlog *hlog);

/* Told each interval in turn, in seconds since the start; the histogram is the reader's. */
struct hlog_listener {
    void (*interval)(double from_s, double to_s, const struct hist *hist, void *context);
    void *context;
};

/* Adds all intervals of a log to `total`; with a listener each is told to it instead, and `total`
 * holds one at a time.  An incomplete last line is dropped and counted in
 * *torn_lines.  False with one mistake when the log is not one of ours: the geometry must be that
 * of struct hist.  Memory is bounded whatever the file holds.  The sum of what is read is that of
 * the middles of the slots, its maximum that which the log says in its third column. */
bool hlog_load(const char *path, const struct hlog_listener *listener, struct hist *total,
               int *torn_lines, struct diag *diag) __attribute__((warn_unused_result));

/* The largest encoded histogram: a header of 40 bytes and at most 9 bytes a slot. */
#define HLOG_HEADER_BYTES   40u
#define HLOG_ENCODED_BYTES  (HLOG_HEADER_BYTES + 9u * HIST_SLOTS)
#define HLOG_COMPRESSED_MAX (HLOG_ENCODED_BYTES + HLOG_ENCODED_BYTES / 512 + 64)
/* A line: three numbers and base64 of the above with its 8 bytes of header. */
#define HLOG_LINE_BYTES        ((HLOG_COMPRESSED_MAX + 8) / 3 * 4 + 256)
#define HLOG_COOKIE            0x1c849313u
#define HLOG_COMPRESSED_COOKIE 0x1c849314u
#define HLOG_DIGITS            3u

#endif
