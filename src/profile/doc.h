/* The document: what the profile, what it extends and the --set flags say, merged but not yet
 * understood.  A later layer wins over an earlier one; within one file a key stands once. */
#ifndef PROFILE_DOC_H
#define PROFILE_DOC_H

#include "base/diag.h"
#include "profile/options.h"

#include <stddef.h>
#include <stdint.h>

#define DOC_ENTRIES_MAX  4096
#define DOC_SECTIONS_MAX 256
#define DOC_NO_SECTION   SIZE_MAX

struct doc_section {
    enum section id;
    char *name; /* "default" when none was written */
    struct origin origin;
};

struct doc_entry {
    size_t section; /* index */
    const struct option *option;
    char *suffix; /* NULL: none */
    char *text;   /* as written */
    struct origin origin;
    const char *dir; /* where relative names of files begin; borrows from the layer */
    size_t layer;
};

struct doc_layer {
    char *file; /* as messages name it; origins borrow it */
    char *dir;  /* absolute */
};

struct doc {
    struct doc_layer **layers;
    size_t n_layers, layers_capacity;
    struct doc_section *sections;
    size_t n_sections, sections_capacity;
    struct doc_entry *entries;
    size_t n_entries, entries_capacity;
    struct diag *diag;        /* borrows */
    size_t n_mistakes_before; /* that were in diag already */
    bool stored;              /* of a run that is over: references stay as they are written */
};

struct doc *doc_new(struct diag *diag) __attribute__((warn_unused_result));
void doc_free(struct doc *doc);
/* Begins the layer that following entries belong to.  The names are copied. */
const struct doc_layer *doc_begin_layer(struct doc *doc, const char *file, const char *dir);
/* Index of the section, added when it is not there.  name NULL: "default".  DOC_NO_SECTION, with a
 * mistake, for an unknown kind or a bad name. */
size_t doc_open(struct doc *doc, const char *kind, const char *name, struct origin origin);
/* Sets a value.  A key that the section does not know, an unknown driver and a key that this layer
 * has set before (unless it is one of --set) are mistakes. */
void doc_set(struct doc *doc, size_t section, const char *key, const char *text,
             struct origin origin);

#endif
