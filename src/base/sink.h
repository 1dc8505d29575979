/* A writer with a sticky error: write whatever you like, look once at the end.  A sink gathers in
 * memory; sink_send gives the gathered bytes to a descriptor in one write(2), which is what makes
 * append-only records whole after a kill.  Escaping for every format that we write lives here,
 * hence more than eight functions. */
#ifndef BASE_SINK_H
#define BASE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct sink;

struct sink *sink_new(void) __attribute__((warn_unused_result));
void sink_free(struct sink *sink);
void sink_write(struct sink *sink, const void *bytes, size_t len);
void sink_printf(struct sink *sink, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes (RFC 8259), control characters and invalid UTF-8 escaped. */
void sink_json(struct sink *sink, const char *s);
/* One CSV field (RFC 4180), quoted only where it must be. */
void sink_csv(struct sink *sink, const char *s);
/* Text for XML and HTML, content or attribute; control characters become U+FFFD. */
void sink_xml(struct sink *sink, const char *s);
/* Text for a terminal: control characters and escapes made visible. */
void sink_plain(struct sink *sink, const char *s);
/* What was gathered (borrows until the next write); always NUL-terminated. */
const char *sink_text(const struct sink *sink, size_t *ret_len);
/* One write(2) of all that was gathered, then empty.  On a short write the file is cut back to
 * its length before (regular files).  False with errno on failure; the bytes are dropped. */
bool sink_send(struct sink *sink, int fd) __attribute__((warn_unused_result));
/* Replaces the file at `path` atomically (temporary name, fsync, rename).  False with errno. */
bool sink_replace_file(struct sink *sink, const char *path) __attribute__((warn_unused_result));
/* Prints what was gathered to a stdio stream, then empty. */
void sink_print(struct sink *sink, FILE *to);

#endif
