/* A fuzz target: what one fuzz_NAME.c defines.  Two engines run it: one of our own, which is part
 * of `./dev test` and mutates the corpus by a seed (engine_plain.c), and libFuzzer's, which looks
 * where the code branches (engine_libfuzzer.c, `./dev fuzz`).  A new target is its .c file and a
 * folder corpus/NAME. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fuzz_target {
    const char *name;
    const char *about;        /* the sources whose coverage is told: paths below src, with blanks */
    const char *const *words; /* that the format knows, for mutations; ends with NULL */
    void (*start)(void);      /* once, before the first input; may be NULL */
    /* One input, with a NUL behind it that does not count.  True: it was of the format. */
    bool (*run)(const char *bytes, size_t len);
};

/* The target of this program. */
extern const struct fuzz_target fuzz_target;

/* A promise that must hold whatever the input is: else the input is a finding. */
void fuzz_require(bool ok, const char *what);
/* A folder of our own, on a file system in memory where there is one; made when it is first asked
 * for, and removed at the end with what is in it. */
const char *fuzz_dir(void);
/* From now on files outside the folder can't be opened, made or asked about, as far as our own code
 * does so; what is written down there is a finding where `read_only`. */
void fuzz_confine(bool read_only);

#endif
