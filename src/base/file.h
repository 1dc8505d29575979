/* Files as wholes. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* The whole file, NUL-terminated, at most `max` bytes; NULL with errno (EFBIG when longer). The
 * caller frees it.  ret_len may be NULL. */
char *file_read(const char *path, size_t max, size_t *ret_len) __attribute__((warn_unused_result));
/* Creates `path` with exactly these bytes and mode (0600 for keys), atomically. */
bool file_write(const char *path, const void *bytes, size_t len, unsigned mode)
    __attribute__((warn_unused_result));
/* Makes a directory and its parents; true when it is there at the end. */
bool file_make_dir(const char *path) __attribute__((warn_unused_result));
/* Directory part of `path` joined with `name`; an absolute `name` is returned as it is.  The
 * caller frees it. */
char *file_beside(const char *path, const char *name) __attribute__((warn_unused_result));

#endif
