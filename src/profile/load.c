#include "profile/profile.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "profile/build.h"
#include "profile/check.h"
#include "profile/doc.h"
#include "profile/ini.h"
#include "profile/set.h"
#include "profile/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROFILE_MAX_BYTES (1u << 20)
#define EXTENDS_MAX       8

/* One file on the way down the chain of extends; the chain is what a cycle is found in. */
struct chain {
    const char *path; /* real path; NULL: text that is compiled in */
    const char *shown;
    const struct chain *child;
    int depth;
};

/* What a file says, before its parent is known: the parent must go first into the document. */
struct line {
    char *section; /* a header when key is NULL */
    char *key, *text;
    int number;
};

struct pages {
    const char *file;
    struct line *lines;
    size_t n, capacity;
    bool in_run;      /* in [run], or before any section */
    bool in_sections; /* behind the first header */
    char *extends;
    int extends_line;
    struct diag *diag;
};

static void add_line(struct pages *pages, const char *section, const char *key, const char *text,
                     int number)
{
    ARRAY_RESERVE(pages->lines, pages->n, pages->capacity);
    pages->lines[pages->n++] = (struct line){
        .section = section != NULL ? xstrdup(section) : NULL,
        .key = key != NULL ? xstrdup(key) : NULL,
        .text = text != NULL ? xstrdup(text) : NULL,
        .number = number,
    };
}

static void on_section(void *user, const char *section, int number)
{
    struct pages *pages = user;

    pages->in_sections = true;
    pages->in_run = str_equal(section, "run");
    add_line(pages, section, NULL, NULL, number);
}

static void on_value(void *user, const char *key, const char *text, int number)
{
    struct pages *pages = user;
    struct origin origin = {.file = pages->file, .line = number};

    if (pages->in_run && str_equal(key, "extends")) {
        if (pages->extends != NULL) {
            diag_add(pages->diag, origin, "duplicate key extends; the first is on line %d",
                     pages->extends_line);
            return;
        }
        pages->extends = xstrdup(text);
        pages->extends_line = number;
    } else if (!pages->in_sections) {
        diag_add(pages->diag, origin,
                 "%.60s stands before any section; only extends may do so (write a [section] "
                 "above it)",
                 key);
    } else {
        add_line(pages, NULL, key, text, number);
    }
}

static void free_pages(struct pages *pages)
{
    for (size_t i = 0; i < pages->n; i++) {
        free(pages->lines[i].section);
        free(pages->lines[i].key);
        free(pages->lines[i].text);
    }
    free(pages->lines);
    free(pages->extends);
}

/* "kind" or "kind NAME" between the brackets. */
static size_t open_section(struct doc *doc, const char *header, struct origin origin)
{
    CLEANUP_FREE char *kind = xstrndup(header, strcspn(header, " \t"));
    const char *name = header + strlen(kind);

    name += strspn(name, " \t");
    return doc_open(doc, kind, name[0] != '\0' ? name : NULL, origin);
}

/* A section stands once in a file (in a parent it may stand once more). */
static size_t enter_section(struct doc *doc, int seen_on[DOC_SECTIONS_MAX], const char *header,
                            struct origin origin)
{
    size_t section = open_section(doc, header, origin);

    if (section == DOC_NO_SECTION || seen_on[section] == 0) {
        if (section != DOC_NO_SECTION) {
            seen_on[section] = origin.line;
        }
        return section;
    }
    bool is_list = section_info(doc->sections[section].id)->item_size > 0;
    diag_add(doc->diag, origin, "duplicate section [%.60s]; the first is on line %d%s", header,
             seen_on[section], is_list ? " (give each a name of its own)" : "");
    return DOC_NO_SECTION;
}

static void fill_doc(struct doc *doc, const struct pages *pages, const char *file)
{
    int seen_on[DOC_SECTIONS_MAX] = {0};
    size_t current = DOC_NO_SECTION, n_before = diag_count(doc->diag);

    for (size_t i = 0; i < pages->n; i++) {
        const struct line *line = &pages->lines[i];
        struct origin origin = {.file = file, .line = line->number};
        if (diag_count(doc->diag) - n_before >= INI_MISTAKES_MAX) {
            diag_add(doc->diag, origin, "too many mistakes; the rest is not looked at");
            return;
        }
        if (line->key == NULL) {
            current = enter_section(doc, seen_on, line->section, origin);
        } else if (current != DOC_NO_SECTION) {
            doc_set(doc, current, line->key, line->text, origin);
        }
    }
}

static bool load_file(struct doc *doc, const char *path, const struct chain *child,
                      struct origin from);

static bool load_parent(struct doc *doc, const struct pages *pages, const struct chain *self,
                        const char *dir)
{
    struct origin origin = {.file = pages->file, .line = pages->extends_line};

    if (pages->extends == NULL) {
        return true;
    }
    if (pages->extends[0] == '\0') {
        diag_add(doc->diag, origin, "run.extends: names no file");
        return false;
    }
    const char *base = self->path != NULL ? self->shown : dir;
    CLEANUP_FREE char *path = self->path != NULL ? file_beside(base, pages->extends)
                                                 : xasprintf("%s/%s", dir, pages->extends);
    return load_file(doc, path, self, origin);
}

static bool load_pages(struct doc *doc, const char *text, size_t len, const struct chain *self,
                       const char *dir)
{
    struct pages pages = {.file = self->shown, .in_run = true, .diag = doc->diag};
    const struct ini_handler handler = {.section = on_section, .value = on_value, .user = &pages};

    ini_read(self->shown, text, len, &handler, doc->diag);
    bool ok = load_parent(doc, &pages, self, dir);
    fill_doc(doc, &pages, doc_begin_layer(doc, self->shown, dir)->file);
    free_pages(&pages);
    return ok;
}

static bool is_cycle(const struct chain *self, struct origin from, struct diag *diag)
{
    const struct chain *link = self->child;

    while (link != NULL && (link->path == NULL || !str_equal(link->path, self->path))) {
        link = link->child;
    }
    if (link != NULL) {
        diag_add(diag, from, "run.extends: %s extends itself in the end", self->shown);
        return true;
    }
    if (self->depth > EXTENDS_MAX) {
        diag_add(diag, from, "run.extends: more than %d profiles in a row", EXTENDS_MAX);
        return true;
    }
    return false;
}

static void cannot_read(const char *path, struct origin from, struct diag *diag)
{
    bool is_root = from.file == NULL;
    struct origin origin = is_root ? (struct origin){.file = path} : from;

    if (errno == EFBIG) {
        diag_add(diag, origin, "%s%s is no profile: longer than %u bytes",
                 is_root ? "" : "extends ", path, PROFILE_MAX_BYTES);
    } else {
        diag_add(diag, origin, "%s%s: cannot read it: %s",
                 is_root ? "" : "run.extends: ", is_root ? "profile" : path, strerror(errno));
    }
}

/* The absolute path of the folder that relative names of the command line begin at. */
static char *working_dir(void)
{
    char *dir = getcwd(NULL, 0);

    return dir != NULL ? dir : xstrdup(".");
}

/* Absolute; a pipe, as of a shell's <(...), has no real path. */
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL);
    CLEANUP_FREE char *dir = working_dir();

    if (real != NULL) {
        return real;
    }
    return path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", dir, path);
}

static bool load_file(struct doc *doc, const char *path, const struct chain *child,
                      struct origin from)
{
    size_t len = 0;
    CLEANUP_FREE char *text = file_read(path, PROFILE_MAX_BYTES, &len);
    CLEANUP_FREE char *real = text != NULL ? real_path(path) : NULL;
    struct chain self = {.path = real, .shown = path, .child = child};

    if (text == NULL) {
        cannot_read(path, from, doc->diag);
        return false;
    }
    self.depth = child != NULL ? child->depth + 1 : 0;
    if (is_cycle(&self, from, doc->diag)) {
        return false;
    }
    CLEANUP_FREE char *dir = xstrndup(real, (size_t)(strrchr(real, '/') - real));
    return load_pages(doc, text, len, &self, dir);
}

/* The document, with what --set says on top, becomes the plan. */
static struct plan *finish(struct doc *doc, const char *name, bool whole, const char *const *sets,
                           size_t n_sets)
{
    CLEANUP_FREE char *dir = working_dir();

    (void)doc_begin_layer(doc, "--set", dir);
    for (size_t i = 0; i < n_sets; i++) {
        set_apply(doc, sets[i]);
    }
    const char *file = doc_begin_layer(doc, name, dir)->file;
    struct plan *plan = build_plan(doc, doc->diag);
    store_note_section(plan->store, SECTION_COUNT, (struct origin){.file = file});
    if (doc->stored) {
        /* it was checked before its run; here only the derived fields are wanted */
        struct diag *unheard = diag_new();
        check_values(plan, unheard);
        diag_free(unheard);
    } else if (whole) {
        check_values(plan, doc->diag);
        check_files(plan, doc->diag);
    }
    if (!whole || diag_count(doc->diag) > doc->n_mistakes_before) {
        plan_free(plan);
        plan = NULL;
    }
    doc_free(doc);
    return plan;
}

struct plan *profile_load(const char *path, const char *const *sets, size_t n_sets,
                          struct diag *diag)
{
    struct doc *doc = doc_new(diag);
    bool whole = load_file(doc, path, NULL, (struct origin){.file = NULL});

    return finish(doc, path, whole, sets, n_sets);
}

struct plan *profile_load_stored(const char *path, struct diag *diag)
{
    struct doc *doc = doc_new(diag);

    doc->stored = true;
    bool whole = load_file(doc, path, NULL, (struct origin){.file = NULL});
    return finish(doc, path, whole, NULL, 0);
}

struct plan *profile_load_text(const char *name, const char *text, const char *const *sets,
                               size_t n_sets, struct diag *diag)
{
    struct doc *doc = doc_new(diag);
    const struct chain self = {.shown = name};
    CLEANUP_FREE char *dir = working_dir();
    bool whole = load_pages(doc, text, strlen(text), &self, dir);

    return finish(doc, name, whole, sets, n_sets);
}
