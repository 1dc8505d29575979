#include "profile/set.h"

#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"
#include "profile/ini.h"

#include <string.h>

#define SUGGESTIONS_MAX 64

/* The names of the document's sections of that kind. */
static size_t names_of(const struct doc *doc, enum section id, const char *names[SUGGESTIONS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < doc->n_sections && n < SUGGESTIONS_MAX; i++) {
        if (doc->sections[i].id == id) {
            names[n++] = doc->sections[i].name;
        }
    }
    return n;
}

/* No NAME: the only section of that kind, or the one called default. */
static const char *only_name(const struct doc *doc, enum section id, const char *key,
                             struct origin origin)
{
    const char *names[SUGGESTIONS_MAX];
    size_t n = names_of(doc, id, names);
    const char *kind = section_info(id)->name;

    if (n <= 1 || str_index("default", names, n) >= 0) {
        return n == 1 ? names[0] : "default";
    }
    diag_add(doc->diag, origin, "%s.%.60s: which [%s]? Write %s.%s.%.60s", kind, key, kind, kind,
             names[0], key);
    return NULL;
}

static bool name_is_known(const struct doc *doc, enum section id, const char *name,
                          struct origin origin)
{
    const char *names[SUGGESTIONS_MAX];
    size_t n = names_of(doc, id, names);
    const char *kind = section_info(id)->name;

    if (n == 0 || str_index(name, names, n) >= 0) {
        return true;
    }
    const char *near = str_nearest(name, names, n);
    diag_add(doc->diag, origin, "the profile has no [%s %.60s]; did you mean [%s %s]?", kind, name,
             kind, near != NULL ? near : names[0]);
    return false;
}

/* Splits "KEY" or "NAME.KEY"; false with a mistake. */
static bool split(const struct doc *doc, enum section id, char *rest, const char **ret_name,
                  const char **ret_key, struct origin origin)
{
    const char *suffix = NULL;
    char *dot = strchr(rest, '.');

    *ret_name = NULL;
    *ret_key = rest;
    if (section_info(id)->item_size == 0) {
        return true;
    }
    if (dot == NULL || option_find(id, rest, &suffix) != NULL) {
        *ret_name = only_name(doc, id, rest, origin);
        return *ret_name != NULL;
    }
    *dot = '\0';
    *ret_name = rest;
    *ret_key = dot + 1;
    return name_is_known(doc, id, rest, origin);
}

/* What the effective profile could not say is not taken: a run must be repeatable from it. */
static bool fits_a_line(const char *key, const char *value)
{
    struct sink *sink = sink_new();
    bool fits = ini_write(sink, key, value, NULL);

    sink_free(sink);
    return fits;
}

static void set_value(struct doc *doc, const char *kind, char *rest, const char *value,
                      struct origin origin)
{
    const char *name, *key;
    enum section id;

    if (!section_find(kind, &id)) {
        (void)doc_open(doc, kind, NULL, origin);
        return;
    }
    if (!split(doc, id, rest, &name, &key, origin)) {
        return;
    }
    if (id == SECTION_RUN && str_equal(key, "extends")) {
        diag_add(doc->diag, origin, "run.extends: stands in a profile only");
        return;
    }
    if (!fits_a_line(key, value)) {
        diag_add(doc->diag, origin,
                 "%s.%.60s: no line of a profile can hold this value; put it in a file and write "
                 "@FILE",
                 kind, key);
        return;
    }
    size_t section = doc_open(doc, kind, name, origin);
    if (section != DOC_NO_SECTION) {
        doc_set(doc, section, key, value, origin);
    }
}

void set_apply(struct doc *doc, const char *set)
{
    const char *equals = strchr(set, '=');
    const char *dot = strchr(set, '.');
    struct origin origin = {.file = doc->layers[doc->n_layers - 1]->file};

    if (equals == NULL || dot == NULL || dot > equals) {
        diag_add(doc->diag, origin, "\"%.60s\" is not SECTION.KEY=VALUE", set);
        return;
    }
    CLEANUP_FREE char *kind = xstrndup(set, (size_t)(dot - set));
    CLEANUP_FREE char *rest = xstrndup(dot + 1, (size_t)(equals - dot - 1));
    CLEANUP_FREE char *value = xstrdup(equals + 1);
    set_value(doc, str_trim(kind), str_trim(rest), str_trim(value), origin);
}
