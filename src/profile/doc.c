#include "profile/doc.h"

#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"
#include "record/driver.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_BYTES 40

struct doc *doc_new(struct diag *diag)
{
    struct doc *doc = xcalloc(1, sizeof *doc);

    doc->diag = diag;
    doc->n_mistakes_before = diag_count(diag);
    return doc;
}

void doc_free(struct doc *doc)
{
    for (size_t i = 0; i < doc->n_layers; i++) {
        free(doc->layers[i]->file);
        free(doc->layers[i]->dir);
        free(doc->layers[i]);
    }
    for (size_t i = 0; i < doc->n_sections; i++) {
        free(doc->sections[i].name);
    }
    for (size_t i = 0; i < doc->n_entries; i++) {
        free(doc->entries[i].suffix);
        free(doc->entries[i].text);
    }
    free(doc->layers);
    free(doc->sections);
    free(doc->entries);
    free(doc);
}

const struct doc_layer *doc_begin_layer(struct doc *doc, const char *file, const char *dir)
{
    struct doc_layer *layer = xcalloc(1, sizeof *layer);

    layer->file = xstrdup(file);
    layer->dir = xstrdup(dir);
    ARRAY_RESERVE(doc->layers, doc->n_layers, doc->layers_capacity);
    doc->layers[doc->n_layers++] = layer;
    return layer;
}

static bool name_is_good(const char *name)
{
    /* "header" would make request.header.X of --set mean two things */
    return name[0] != '\0' && strlen(name) <= NAME_MAX_BYTES &&
           strspn(name, STR_NAME_LETTERS) == strlen(name) && !str_equal(name, "header");
}

static size_t section_of(struct doc *doc, enum section id, const char *name, struct origin origin)
{
    for (size_t i = 0; i < doc->n_sections; i++) {
        if (doc->sections[i].id == id && str_equal(doc->sections[i].name, name)) {
            doc->sections[i].origin = origin.line > 0 ? origin : doc->sections[i].origin;
            return i;
        }
    }
    if (doc->n_sections == DOC_SECTIONS_MAX) {
        diag_add(doc->diag, origin, "more than %d sections", DOC_SECTIONS_MAX);
        return DOC_NO_SECTION;
    }
    ARRAY_RESERVE(doc->sections, doc->n_sections, doc->sections_capacity);
    doc->sections[doc->n_sections] =
        (struct doc_section){.id = id, .name = xstrdup(name), .origin = origin};
    return doc->n_sections++;
}

size_t doc_open(struct doc *doc, const char *kind, const char *name, struct origin origin)
{
    const char *near = section_suggest(kind);
    enum section id;

    if (!section_find(kind, &id)) {
        diag_add(doc->diag, origin, "unknown section [%.60s]%s%s%s", kind,
                 near != NULL ? "; did you mean [" : "", near != NULL ? near : "",
                 near != NULL ? "]?" : "");
        return DOC_NO_SECTION;
    }
    if (name != NULL && section_info(id)->item_size == 0) {
        diag_add(doc->diag, origin, "[%s] takes no name", kind);
        return DOC_NO_SECTION;
    }
    if (name != NULL && !name_is_good(name)) {
        diag_add(doc->diag, origin,
                 "[%s %.60s]: a name is up to %d letters, digits, - and _, and not \"header\"",
                 kind, name, NAME_MAX_BYTES);
        return DOC_NO_SECTION;
    }
    return section_of(doc, id, name != NULL ? name : "default", origin);
}

/* "section.key", as a phase may have it. */
static bool is_key_of_another(const char *key)
{
    CLEANUP_FREE char *section = xstrndup(key, strcspn(key, "."));
    const char *rest = key + strlen(section), *suffix;
    enum section id;

    return rest[0] == '.' && section_find(section, &id) && option_find(id, rest + 1, &suffix);
}

static void complain_of_fixed(const struct doc *doc, const char *key, struct origin origin)
{
    struct sink *sink = sink_new();

    for (size_t i = 0; option_at(i) != NULL; i++) {
        const struct option *option = option_at(i);
        if (option->section == SECTION_PHASE && strchr(option->key, '.') != NULL) {
            sink_printf(sink, ", %s", option->key);
        }
    }
    diag_add(doc->diag, origin, "phase.%.60s: cannot change in mid-run; what can is %s", key,
             sink_text(sink, NULL) + 2);
    sink_free(sink);
}

static void complain_of_limit(const struct doc *doc, const char *key, struct origin origin)
{
    struct sink *sink = sink_new();

    limit_vocabulary(sink);
    diag_add(doc->diag, origin, "unknown limit %.60s; there are %s", key, sink_text(sink, NULL));
    sink_free(sink);
}

static void unknown_key(const struct doc *doc, enum section id, const char *key,
                        struct origin origin)
{
    const struct option *near = option_suggest(id, key);

    if (id == SECTION_PHASE && is_key_of_another(key)) {
        complain_of_fixed(doc, key, origin);
        return;
    }
    if (id == SECTION_LIMIT) {
        complain_of_limit(doc, key, origin);
        return;
    }
    if (near == NULL) {
        diag_add(doc->diag, origin, "unknown key %s.%.60s", section_info(id)->name, key);
        return;
    }
    diag_add(doc->diag, origin, "unknown key %s.%.60s; did you mean %s.%s%s?",
             section_info(id)->name, key, section_info(near->section)->name, near->key,
             near->suffix != NULL ? near->suffix : "");
}

static bool driver_is_known(const struct doc *doc, const struct option *option, const char *suffix,
                            struct origin origin)
{
    const char *names[DRIVER_COUNT];
    enum driver driver;

    if (driver_from_name(suffix, &driver)) {
        return true;
    }
    for (size_t i = 0; i < DRIVER_COUNT; i++) {
        names[i] = driver_info((enum driver)i)->name;
    }
    const char *near = str_nearest(suffix, names, DRIVER_COUNT);
    const char *section = section_info(option->section)->name;
    if (near != NULL) {
        diag_add(doc->diag, origin, "unknown driver in %s.%s%.60s; did you mean %s.%s%s?", section,
                 option->key, suffix, section, option->key, near);
    } else {
        diag_add(doc->diag, origin, "unknown driver in %s.%s%.60s", section, option->key, suffix);
    }
    return false;
}

static bool same_suffix(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcasecmp(a, b) == 0;
}

static struct doc_entry *find(const struct doc *doc, size_t section, const struct option *option,
                              const char *suffix)
{
    for (size_t i = 0; i < doc->n_entries; i++) {
        struct doc_entry *entry = &doc->entries[i];
        if (entry->section == section && entry->option == option &&
            same_suffix(entry->suffix, suffix)) {
            return entry;
        }
    }
    return NULL;
}

/* The entry to write to; NULL with a mistake when this file has set it before. */
static struct doc_entry *entry_for(struct doc *doc, size_t section, const struct option *option,
                                   const char *suffix, struct origin origin)
{
    struct doc_entry *entry = find(doc, section, option, suffix);
    size_t layer = doc->n_layers - 1;

    if (entry != NULL && entry->layer == layer && origin.line > 0) {
        diag_add(doc->diag, origin, "duplicate key %s.%s%.60s; the first is on line %d",
                 section_info(option->section)->name, option->key, suffix != NULL ? suffix : "",
                 entry->origin.line);
        return NULL;
    }
    if (entry == NULL && doc->n_entries == DOC_ENTRIES_MAX) {
        diag_add(doc->diag, origin, "more than %d values", DOC_ENTRIES_MAX);
        return NULL;
    }
    if (entry == NULL) {
        ARRAY_RESERVE(doc->entries, doc->n_entries, doc->entries_capacity);
        entry = &doc->entries[doc->n_entries++];
        *entry = (struct doc_entry){.section = section, .option = option};
        entry->suffix = suffix != NULL ? xstrdup(suffix) : NULL;
    }
    return entry;
}

void doc_set(struct doc *doc, size_t section, const char *key, const char *text,
             struct origin origin)
{
    enum section id = doc->sections[section].id;
    const char *suffix = NULL;
    const struct option *option = option_find(id, key, &suffix);

    if (option == NULL) {
        unknown_key(doc, id, key, origin);
        return;
    }
    if (suffix != NULL && str_equal(option->suffix, "DRIVER") &&
        !driver_is_known(doc, option, suffix, origin)) {
        return;
    }
    struct limit limit;
    if (id == SECTION_LIMIT && !limit_from_key(key, &limit)) {
        complain_of_limit(doc, key, origin);
        return;
    }
    struct doc_entry *entry = entry_for(doc, section, option, suffix, origin);
    if (entry == NULL) {
        return;
    }
    free(entry->text);
    entry->text = xstrdup(text);
    entry->origin = origin;
    entry->layer = doc->n_layers - 1;
    entry->dir = doc->layers[entry->layer]->dir;
}
