/* Several files in one input: a line "=== NAME" begins each.  What stands before the first such
 * line is the file that has no name. */
#ifndef FUZZ_PARTS_H
#define FUZZ_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#define PARTS_MAX 32

struct part {
    char name[64]; /* "" of the first */
    const char *bytes;
    size_t len;
};

/* Returns how many; what follows PARTS_MAX of them belongs to the last. */
size_t parts_split(const char *bytes, size_t len, struct part parts[PARTS_MAX]);
/* The bytes of the first part of that name; NULL: there is none. */
const struct part *parts_find(const struct part *parts, size_t n, const char *name);
/* Writes fuzz_dir()/NAME for each part whose name `allowed` takes, and folders above it; the last
 * of one name wins.  Removes what an earlier input wrote and this one does not. */
void parts_write(const struct part *parts, size_t n, bool (*allowed)(const char *name));
/* Writes one more, to be removed with them. */
void parts_put(const char *name, const char *bytes, size_t len);

#endif
