#include "profile/profile.h"

#include "base/escape.h"
#include "base/mem.h"
#include "base/str.h"
#include "profile/ini.h"
#include "profile/options.h"
#include "profile/store.h"
#include "profile/value.h"

#include <stdlib.h>
#include <string.h>

struct printer {
    const struct plan *plan;
    bool origins;
    struct sink *sink;
};

/* The comment behind a value: where it came from, and that what it stands for is not shown. */
static char *comment_for(const struct printer *p, const void *field, bool secret)
{
    struct origin origin = plan_origin(p->plan, field);
    const char *redacted = secret ? "redacted" : "";

    if (!p->origins) {
        return secret ? xstrdup(redacted) : NULL;
    }
    const char *comma = secret ? ", " : "";
    return origin.line > 0 ? xasprintf("%s%s%s:%d", redacted, comma, origin.file, origin.line)
                           : xasprintf("%s%s%s", redacted, comma, origin.file);
}

static void print_line(const struct printer *p, const char *key, const char *text,
                       const void *field, bool secret)
{
    CLEANUP_FREE char *comment = comment_for(p, field, secret);

    if (!ini_write(p->sink, key, text, comment)) {
        sink_printf(p->sink, "; %s: does not fit on a line\n", key);
    }
}

/* The text as it must be written to mean itself; the caller frees it. */
static char *text_escaped(const struct option *option, const char *field, const char *text)
{
    size_t len;

    if (option->type != TYPE_BYTE_TEXT) {
        return value_escape(text);
    }
    memcpy(&len, field + sizeof text, sizeof len);
    struct sink *bytes = sink_new();
    escape_write(bytes, text, len);
    char *escaped = value_escape(sink_text(bytes, NULL));
    sink_free(bytes);
    return escaped;
}

/* A secret, and content that was fetched, is printed as the reference that was written. */
static void print_text(const struct printer *p, const struct option *option, const char *key,
                       const char *field, bool secret)
{
    const char *written = store_written(p->plan->store, field);
    const char *text;

    memcpy(&text, field, sizeof text);
    if (text == NULL) {
        return;
    }
    if (secret && written == NULL) {
        sink_printf(p->sink, "; %s: redacted\n", key);
        return;
    }
    CLEANUP_FREE char *escaped = text_escaped(option, field, text);
    bool as_written =
        written != NULL && (secret || (option->flags & (OPTION_CONTENT | OPTION_LINES)) != 0);
    struct sink *trial = sink_new();
    if (written != NULL && (option->flags & OPTION_PATH) == 0) {
        as_written = as_written || !ini_write(trial, key, escaped, NULL);
    }
    sink_free(trial);
    print_line(p, key, as_written ? written : escaped, field, secret);
}

static void print_typed(const struct printer *p, const struct option *option, const char *key,
                        const void *field)
{
    struct sink *text = sink_new();

    type_info(option->type)->print(field, option->words, text);
    bool is_told = !store_is_default(plan_origin(p->plan, field));
    bool is_usual = option->suffix != NULL && str_equal(option->initial, sink_text(text, NULL));
    if (is_told ? !is_usual : option->suffix == NULL) {
        print_line(p, key, sink_text(text, NULL), field, false);
    }
    sink_free(text);
}

static void print_headers(const struct printer *p, const struct option *option,
                          const struct plan_request *request)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct plan_header *header = &request->headers[i];
        CLEANUP_FREE char *key = xasprintf("%s%s", option->key, header->name);
        print_text(p, option, key, (const char *)&header->value,
                   value_is_secret(option, header->name));
    }
}

static void print_drivers(const struct printer *p, const struct option *option, const char *base)
{
    for (size_t i = 0; i < DRIVER_COUNT; i++) {
        CLEANUP_FREE char *key = xasprintf("%s%s", option->key, driver_info((enum driver)i)->name);
        print_typed(p, option, key, base + option->offset + i * sizeof(double));
    }
}

static void print_limits(const struct printer *p, const struct option *option,
                         const struct plan_limit *limit)
{
    for (size_t i = 0; i < limit->n_named; i++) {
        const struct plan_named_limit *named = &limit->named[i];
        if (str_has_prefix(named->key, option->key) &&
            !store_is_default(plan_origin(p->plan, &named->terms))) {
            struct sink *text = sink_new();
            type_info(option->type)->print(&named->terms, option->words, text);
            print_line(p, named->key, sink_text(text, NULL), &named->terms, false);
            sink_free(text);
        }
    }
}

/* A number that has no default and was not given is left out: its zero is not a value. */
static bool is_absent(const struct printer *p, const struct option *option, const char *field)
{
    static const char zeros[sizeof(struct rotate)];

    return option->initial == NULL && type_info(option->type)->number != NULL &&
           store_is_default(plan_origin(p->plan, field)) &&
           memcmp(field, zeros, sizeof(uint64_t)) == 0;
}

static void print_option(const struct printer *p, const struct option *option, const char *base)
{
    const char *field = base + option->offset;

    if ((option->flags & OPTION_NO_FIELD) != 0 || store_is_idle(p->plan->store, field)) {
        return;
    }
    if (option->suffix != NULL && str_equal(option->suffix, "DRIVER")) {
        print_drivers(p, option, base);
    } else if (option->section == SECTION_LIMIT && option->suffix != NULL) {
        print_limits(p, option, (const struct plan_limit *)base);
    } else if (option->suffix != NULL) {
        print_headers(p, option, (const struct plan_request *)base);
    } else if (type_info(option->type)->parse == NULL) {
        print_text(p, option, option->key, field, value_is_secret(option, NULL));
    } else if (!is_absent(p, option, field)) {
        print_typed(p, option, option->key, field);
    }
}

static void print_options(const struct printer *p, enum section section, const char *base)
{
    for (size_t i = 0; option_at(i) != NULL; i++) {
        if (option_at(i)->section == section) {
            print_option(p, option_at(i), base);
        }
    }
}

static void print_section(const struct printer *p, enum section section)
{
    const struct section_info *info = section_info(section);
    const char *name;
    size_t n;
    const char *items = section_items(info, p->plan, &n);

    if (info->item_size == 0) {
        sink_printf(p->sink, "\n[%s]\n", info->name);
        print_options(p, section, items);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const char *item = items + i * info->item_size;
        memcpy(&name, item + info->name_offset, sizeof name);
        sink_printf(p->sink, "\n[%s %s]\n", info->name, name);
        print_options(p, section, item);
    }
}

void profile_print(const struct plan *plan, bool origins, struct sink *sink)
{
    const struct printer p = {.plan = plan, .origins = origins, .sink = sink};

    sink_printf(sink, "; The effective profile: every value, defaults included.\n");
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        print_section(&p, (enum section)i);
    }
}
