/* The option table: one row declares an option, and that row is all that INI, --set, help, the
 * reference profile, the effective profile, redaction and the messages know of it.  A new option
 * is one row here, one field of the plan, and its use. */
#ifndef PROFILE_OPTIONS_H
#define PROFILE_OPTIONS_H

#include "profile/plan.h"
#include "profile/types.h"

#include <stdbool.h>
#include <stddef.h>

enum section {
    SECTION_RUN,
    SECTION_TARGET,
    SECTION_PACE,
    SECTION_CERT,
    SECTION_APIKEY,
    SECTION_JWT,
    SECTION_IDENTITY,
    SECTION_REQUEST,
    SECTION_REFUSE,
    SECTION_MISUSE,
    SECTION_PHASE,
    SECTION_MEMORY,
    SECTION_JUDGE,
    SECTION_ATTRIBUTION,
    SECTION_LIMIT,
    SECTION_SEARCH,
    SECTION_HOOK,
    SECTION_OUTPUT,
    SECTION_COUNT
};

struct section_info {
    const char *name;
    const char *help;
    size_t offset; /* in struct plan: of the section's struct, or of the pointer to its list */
    size_t count_offset; /* of the list's length */
    size_t item_size;    /* 0: not a list */
    size_t name_offset;  /* in an item: its name (char *) */
    size_t origin_offset;
    size_t max; /* items of the list */
};

enum option_flags {
    OPTION_REQUIRED = 1,
    OPTION_SECRET = 2,  /* never printed; comes from @file or ${VAR} only */
    OPTION_CONTENT = 4, /* what is sent: printed as it was written when that was @file or ${VAR} */
    OPTION_PATH = 8,    /* resolved beside the profile that it was written in */
    OPTION_READABLE = 16,  /* a PATH that must exist and be readable before the run */
    OPTION_EMPTY = 32,     /* an empty value is a value; else it takes back what was given */
    OPTION_LINES = 64,     /* may hold line breaks */
    OPTION_NO_FIELD = 128, /* checked, or used while loading, but not part of the plan */
    OPTION_WRITTEN = 256   /* a PATH that the run writes: its folder must be there */
};

struct option {
    enum section section;
    const char *key; /* "rate", or "budget." when a suffix follows */
    /* what stands behind the dot: "DRIVER", "NAME", "SERIES.STAT.max"; NULL: nothing */
    const char *suffix;
    enum type type;
    size_t offset;            /* in the section's struct */
    const char *initial;      /* the default as text; NULL: none, zero, or told by the help */
    double min, max;          /* both 0: unbounded */
    const char *const *words; /* TYPE_WORD; ends with NULL */
    unsigned flags;
    const char *help;
};

const struct section_info *section_info(enum section section);
/* The structs of that section in a struct plan, one after the other, and how many there are: one
 * where the section is no list.  NULL for an empty list. */
char *section_items(const struct section_info *info, const void *plan, size_t *ret_n);
/* False for an unknown name. */
bool section_find(const char *name, enum section *ret_section) __attribute__((warn_unused_result));
/* The name nearest to a wrong one, or NULL. */
const char *section_suggest(const char *name);
/* The i-th row, in the order of the sections; NULL past the end. */
const struct option *option_at(size_t i);
/* The row of a key; `ret_suffix` gets what follows a key with a suffix (borrows from `key`), else
 * NULL.  NULL for an unknown key. */
const struct option *option_find(enum section section, const char *key, const char **ret_suffix);
/* The option that a wrong key may have meant, of this section or, spelt right, of another; or
 * NULL. */
const struct option *option_suggest(enum section section, const char *key);

#endif
