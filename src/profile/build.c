#include "profile/build.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/str.h"
#include "profile/store.h"
#include "profile/value.h"

#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 64
#define SHOWN_MAX   60

struct builder {
    const struct doc *doc;
    struct plan *plan;
    char **bases; /* where the struct of each section of the document is; NULL: left out */
    struct diag *diag;
};

char *build_shown(const char *text)
{
    char *shown = xasprintf("%.*s%s", SHOWN_MAX, text, strlen(text) > SHOWN_MAX ? "..." : "");

    for (char *p = shown; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
    return shown;
}

static void parse_initial(const struct builder *b, const struct option *option, char *base)
{
    const struct type_info *type = type_info(option->type);
    size_t n = option->suffix != NULL ? DRIVER_COUNT : 1;

    if (option->initial == NULL || (option->flags & OPTION_NO_FIELD) != 0) {
        return;
    }
    if (type->parse == NULL) {
        char *text = store_keep(b->plan->store, xstrdup(option->initial));
        memcpy(base + option->offset, &text, sizeof text);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        char *field = base + option->offset + i * sizeof(double);
        BUG_ON(!type->parse(option->initial, option->words, field));
    }
}

static void apply_defaults(const struct builder *b, enum section section, char *base)
{
    for (size_t i = 0; option_at(i) != NULL; i++) {
        if (option_at(i)->section == section) {
            parse_initial(b, option_at(i), base);
        }
    }
}

static void complain_of_words(const struct option *option, const char *label, const char *shown,
                              struct origin origin, struct diag *diag)
{
    struct sink *sink = sink_new();
    size_t n = 0;

    for (; option->words[n] != NULL; n++) {
        sink_printf(sink, "%s%s", n > 0 ? ", " : "", option->words[n]);
    }
    const char *near = str_nearest(shown, option->words, n);
    if (near != NULL) {
        diag_add(diag, origin, "%s: \"%s\" is none of %s; did you mean %s?", label, shown,
                 sink_text(sink, NULL), near);
    } else {
        diag_add(diag, origin, "%s: \"%s\" is none of %s", label, shown, sink_text(sink, NULL));
    }
    sink_free(sink);
}

static bool is_within(const struct option *option, const void *field, const char *label,
                      const char *shown, struct origin origin, struct diag *diag)
{
    const struct type_info *type = type_info(option->type);

    if (type->number == NULL || (option->min == 0 && option->max == 0)) {
        return true;
    }
    double number = type->number(field);
    if (number >= option->min && number <= option->max) {
        return true;
    }
    struct sink *sink = sink_new();
    type_print_number(option->type, option->min, sink);
    sink_printf(sink, " to ");
    type_print_number(option->type, option->max, sink);
    diag_add(diag, origin, "%s: \"%s\" is out of range (%s)", label, shown, sink_text(sink, NULL));
    sink_free(sink);
    return false;
}

/* A value of a type that is not text. */
static bool apply_typed(const struct doc_entry *entry, const char *text, const char *label,
                        char *field, struct diag *diag)
{
    const struct option *option = entry->option;
    const struct type_info *type = type_info(option->type);
    CLEANUP_FREE char *shown = build_shown(text);
    union type_value parsed = {.rotate = {.kind = ROTATE_NEVER}};

    if (!type->parse(text, option->words, &parsed)) {
        if (option->words != NULL) {
            complain_of_words(option, label, shown, entry->origin, diag);
        } else {
            diag_add(diag, entry->origin, "%s: \"%s\" is not %s (write %s)", label, shown,
                     type->noun, type->example);
        }
        return false;
    }
    if (!is_within(option, &parsed, label, shown, entry->origin, diag)) {
        return false;
    }
    return field == NULL || type->parse(text, option->words, field);
}

#define HAS_LENGTH_BEHIND(field)                                                                   \
    (offsetof(struct plan_request, field##_len) ==                                                 \
     offsetof(struct plan_request, field) + sizeof(char *))
_Static_assert(HAS_LENGTH_BEHIND(body) && HAS_LENGTH_BEHIND(send) && HAS_LENGTH_BEHIND(expect) &&
                   HAS_LENGTH_BEHIND(expect_until),
               "TYPE_BODY and TYPE_BYTE_TEXT write the length behind the pointer");

/* A text; an empty one takes back what an earlier layer gave. */
static void apply_text(const struct builder *b, const struct doc_entry *entry,
                       const struct value *value, char *field)
{
    const struct option *option = entry->option;
    char *text = NULL;

    if (value->len > 0 || (option->flags & OPTION_EMPTY) != 0) {
        text = xmalloc(value->len + 1);
        memcpy(text, value->text, value->len + 1);
    } else if (option->initial != NULL) {
        text = xstrdup(option->initial);
    }
    if (text != NULL) {
        store_keep(b->plan->store, text);
    }
    memcpy(field, &text, sizeof text);
    if (option->type == TYPE_BODY || option->type == TYPE_BYTE_TEXT) {
        memcpy(field + sizeof text, &value->len, sizeof value->len);
    }
}

static struct plan_header *next_header(const struct builder *b, struct plan_request *request,
                                       const struct doc_entry *entry)
{
    struct plan_header *header = &request->headers[request->n_headers++];

    header->name = store_keep(b->plan->store, xstrdup(entry->suffix));
    header->secret = value_is_secret(entry->option, entry->suffix);
    store_note(b->plan->store, &header->name, entry->origin, NULL);
    return header;
}

/* NULL with a mistake when there are too many. */
static char *next_limit(const struct builder *b, struct plan_limit *limit,
                        const struct doc_entry *entry)
{
    if (limit->n_named == PLAN_NAMED_LIMITS_MAX) {
        diag_add(b->diag, entry->origin, "[limit]: more than %d limits", PLAN_NAMED_LIMITS_MAX);
        return NULL;
    }
    struct plan_named_limit *named = &limit->named[limit->n_named++];
    named->key = store_keep(b->plan->store, xasprintf("%s%s", entry->option->key, entry->suffix));
    return (char *)&named->terms;
}

/* The address that the value of this entry goes to; NULL: checked only. */
static char *field_of(const struct builder *b, const struct doc_entry *entry)
{
    const struct option *option = entry->option;
    char *base = b->bases[entry->section];
    enum driver driver;

    if ((option->flags & OPTION_NO_FIELD) != 0) {
        return NULL;
    }
    if (option->suffix != NULL && str_equal(option->suffix, "DRIVER")) {
        BUG_ON(!driver_from_name(entry->suffix, &driver));
        return base + option->offset + (size_t)driver * sizeof(double);
    }
    if (option->section == SECTION_LIMIT && option->suffix != NULL) {
        return next_limit(b, (struct plan_limit *)base, entry);
    }
    if (option->suffix != NULL) {
        return (char *)&next_header(b, (struct plan_request *)base, entry)->value;
    }
    return base + option->offset;
}

/* A value that was wrong was given all the same: nobody shall say that it is missing. */
static void note_given(const struct builder *b, const char *field, struct origin origin)
{
    if (field != NULL) {
        store_note(b->plan->store, field, origin, NULL);
    }
}

static void apply_entry(const struct builder *b, const struct doc_entry *entry)
{
    const struct option *option = entry->option;
    struct value value;

    if (b->bases[entry->section] == NULL) {
        return;
    }
    char *field = field_of(b, entry);
    if (!value_resolve(entry, b->doc->stored, &value, b->diag)) {
        note_given(b, field, entry->origin);
        return;
    }
    CLEANUP_FREE char *text = value.text;
    CLEANUP_FREE char *written = value.written;
    CLEANUP_FREE char *label = value_label(option, entry->suffix);
    bool is_text = type_info(option->type)->parse == NULL;
    /* an empty number takes back as an empty text does, but not when a variable made it empty */
    bool takes_back =
        is_text ? value.len == 0 && (option->flags & OPTION_EMPTY) == 0 : entry->text[0] == '\0';
    if (is_text && field != NULL) {
        apply_text(b, entry, &value, field);
    } else if (!is_text && !takes_back) {
        (void)apply_typed(entry, text, label, field, b->diag);
    }
    if (field != NULL && !takes_back) {
        char *kept = written != NULL ? store_keep(b->plan->store, xstrdup(written)) : NULL;
        store_note(b->plan->store, field, entry->origin, kept);
    }
}

static size_t count_sections(const struct doc *doc, enum section id)
{
    size_t n = 0;

    for (size_t i = 0; i < doc->n_sections; i++) {
        n += doc->sections[i].id == id;
    }
    return n;
}

static void build_item(const struct builder *b, const struct doc_section *section, char *item)
{
    const struct section_info *info = section_info(section->id);
    char *name = store_keep(b->plan->store, xstrdup(section->name));

    memcpy(item + info->name_offset, &name, sizeof name);
    memcpy(item + info->origin_offset, &section->origin, sizeof section->origin);
    apply_defaults(b, section->id, item);
}

static void too_many(const struct builder *b, const struct doc_section *section)
{
    const struct section_info *info = section_info(section->id);

    diag_add(b->diag, section->origin, "[%s %s]: at most %zu [%s] sections", info->name,
             section->name, info->max, info->name);
}

static void build_list(const struct builder *b, enum section id)
{
    const struct section_info *info = section_info(id);
    size_t n = count_sections(b->doc, id);
    char *plan = (char *)b->plan;
    size_t filled = 0;

    n = n < info->max ? n : info->max;
    char *items = n > 0 ? xcalloc(n, info->item_size) : NULL;
    memcpy(plan + info->offset, &items, sizeof items);
    memcpy(plan + info->count_offset, &n, sizeof n);
    for (size_t i = 0; i < b->doc->n_sections; i++) {
        const struct doc_section *section = &b->doc->sections[i];
        if (section->id != id) {
            continue;
        }
        if (filled == n) {
            too_many(b, section);
            continue;
        }
        b->bases[i] = items + filled++ * info->item_size;
        build_item(b, section, b->bases[i]);
    }
}

static void build_single(const struct builder *b, enum section id)
{
    char *base = (char *)b->plan + section_info(id)->offset;

    apply_defaults(b, id, base);
    for (size_t i = 0; i < b->doc->n_sections; i++) {
        if (b->doc->sections[i].id == id) {
            b->bases[i] = base;
            store_note_section(b->plan->store, id, b->doc->sections[i].origin);
        }
    }
}

/* Makes room for the headers of each request; a request with too many is left out. */
static void build_headers(const struct builder *b)
{
    for (size_t s = 0; s < b->doc->n_sections; s++) {
        size_t n = 0;
        if (b->doc->sections[s].id != SECTION_REQUEST || b->bases[s] == NULL) {
            continue;
        }
        for (size_t i = 0; i < b->doc->n_entries; i++) {
            const struct doc_entry *entry = &b->doc->entries[i];
            n += entry->section == s && entry->suffix != NULL;
        }
        if (n > HEADERS_MAX) {
            diag_add(b->diag, b->doc->sections[s].origin, "[request %s]: more than %d headers",
                     b->doc->sections[s].name, HEADERS_MAX);
            b->bases[s] = NULL;
        } else if (n > 0) {
            ((struct plan_request *)b->bases[s])->headers = xcalloc(n, sizeof(struct plan_header));
        }
    }
}

/* A profile without such a section has one all the same. */
static void add_usual(const struct builder *b, enum section id)
{
    const struct section_info *info = section_info(id);
    struct doc_section section = {
        .id = id, .name = (char[]){"default"}, .origin = {.file = "default"}};
    char *plan = (char *)b->plan;
    size_t n;

    (void)section_items(info, plan, &n);
    if (n > 0) {
        return;
    }
    char *item = xcalloc(1, info->item_size);
    n = 1;
    memcpy(plan + info->offset, &item, sizeof item);
    memcpy(plan + info->count_offset, &n, sizeof n);
    build_item(b, &section, item);
}

/* Origins point at names of files, which must live as long as the plan. */
static void adopt_origins(const struct doc *doc, struct plan_store *store)
{
    for (size_t i = 0; i < doc->n_layers; i++) {
        store_keep(store, doc->layers[i]->file);
        doc->layers[i]->file = NULL;
    }
}

struct plan *build_plan(const struct doc *doc, struct diag *diag)
{
    struct plan *plan = xcalloc(1, sizeof *plan);
    CLEANUP_FREE char **bases = xcalloc(doc->n_sections + 1, sizeof *bases);
    struct builder b = {.doc = doc, .plan = plan, .bases = bases, .diag = diag};

    plan->store = store_new();
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (section_info((enum section)i)->item_size > 0) {
            build_list(&b, (enum section)i);
        } else {
            build_single(&b, (enum section)i);
        }
    }
    build_headers(&b);
    for (size_t i = 0; i < doc->n_entries; i++) {
        apply_entry(&b, &doc->entries[i]);
    }
    add_usual(&b, SECTION_IDENTITY);
    add_usual(&b, SECTION_REQUEST);
    adopt_origins(doc, plan->store);
    return plan;
}
