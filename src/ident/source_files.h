/* Watches the files of one source: certificates, keys or tokens that somebody replaces during the
 * run are read again, and those that expire are named.  A file that is half written, or whose key
 * has not followed yet, is tried again; what cannot be read keeps what was read before.  For the
 * one thread that makes for the source.  Private to ident. */
#ifndef IDENT_SOURCE_FILES_H
#define IDENT_SOURCE_FILES_H

#include "ident/source.h"

#include <stddef.h>
#include <stdint.h>

struct events;
struct source_files;

/* NULL when the source does not come from files. */
struct source_files *source_files_new(struct source *source, struct events *events)
    __attribute__((warn_unused_result));
void source_files_free(struct source_files *files);
/* Looks at the next of them, for some milliseconds at most.  Returns after how long it wants to
 * look again, so that each file is seen once a second (ten thousand of them; of more, less
 * often). */
uint64_t source_files_look(struct source_files *files, int64_t now_s);
/* The numbers that are not what they were, those not done yet: at most the first so many.  Borrows
 * until the next look. */
size_t source_files_changed(const struct source_files *files, const uint64_t **ret_numbers);
/* The first n of them were seen to. */
void source_files_done(struct source_files *files, size_t n);

#endif
