#include "cmd/loads.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"
#include "profile/options.h"
#include "profile/profile.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TITLE         256       /* of a section: no line of a profile is longer */
#define PROFILE_BYTES (1 << 20) /* of an effective profile */
#define DEFAULT       "; default"

static bool is_ignored_section(const char *name)
{
    static const char *const ignored[] = {"limit", "judge", "output"};

    return str_index(name, ignored, sizeof ignored / sizeof ignored[0]) >= 0;
}

/* A file is another one on another machine, and so is a process. */
static bool is_ignored(const char *section, const char *key)
{
    static const char *const ignored[] = {"seed", "dir", "pid", "pid_file", "limit"};
    enum section id;
    const char *suffix;

    if (str_index(key, ignored, sizeof ignored / sizeof ignored[0]) >= 0) {
        return true;
    }
    const struct option *option = section_find(section, &id) ? option_find(id, key, &suffix) : NULL;
    return option != NULL && (option->flags & OPTION_PATH) != 0;
}

/* "[cert NAME]" to "cert.NAME"; the default name is not said. */
static void open_section(const char *line, char title[TITLE])
{
    size_t kind_len = strcspn(line + 1, " ]");
    const char *name = line + 1 + kind_len;

    name += *name == ' ';
    size_t name_len = strcspn(name, "]");
    bool named = name_len > 0 && strncmp(name, "default]", 8) != 0;
    (void)snprintf(title, TITLE, "%.*s%s%.*s", (int)kind_len, line + 1, named ? "." : "",
                   named ? (int)name_len : 0, name);
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return line + (*line == '\n');
}

/* The first line of `text` that begins like `line`, or NULL. */
static const char *same_key(const char *text, const char *line, size_t key_len)
{
    for (; *text != '\0'; text = next_line(text)) {
        if (strncmp(text, line, key_len) == 0) {
            return text;
        }
    }
    return NULL;
}

/* The keys of an effective profile that nobody gave, one line each: "pace.rate =".  The comment
 * that says so stands behind the value, or above where there is no room. */
static char *default_keys(const char *profile)
{
    CLEANUP_FREE char *text = xstrdup(profile);
    struct sink *sink = sink_new();
    char title[TITLE] = "", *rest = text;
    bool above = false;

    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        const char *comment = strrchr(line, ';');
        bool is_default = comment != NULL && str_equal(comment, DEFAULT) &&
                          (comment == line || comment[-1] == ' ');
        if (line[0] == '[') {
            open_section(line, title);
        } else if (line[0] != ';' && (is_default || above)) {
            sink_printf(sink, "%s.%.*s =\n", title, (int)strcspn(line, " ="), line);
        }
        above = comment == line && is_default;
    }
    char *keys = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return keys;
}

static char *given_profile(const struct plan *plan, const char *dir)
{
    CLEANUP_FREE char *path = xasprintf("%s/profile.ini", dir != NULL ? dir : "");
    char *text = dir != NULL ? file_read(path, PROFILE_BYTES, NULL) : NULL;

    if (text == NULL) {
        struct sink *sink = sink_new();
        profile_print(plan, true, sink);
        text = xstrdup(sink_text(sink, NULL));
        sink_free(sink);
    }
    return text;
}

/* A section is told of even when it gives nothing. */
static void put_empty(struct sink *sink, const char *title)
{
    CLEANUP_FREE char *kind = xstrndup(title, strcspn(title, "."));
    enum section id;

    if (section_find(kind, &id) && section_info(id)->item_size > 0) {
        sink_printf(sink, "%s\n", title);
    }
}

/* True when the value is in the load. */
static bool put_value(struct sink *sink, const char *title, const char *line, const char *defaults)
{
    char kind[64], key[64];
    size_t kind_len = strcspn(title, "."), len = strcspn(line, " =");
    CLEANUP_FREE char *label = xasprintf("%s.%.*s =", title, (int)len, line);

    (void)snprintf(kind, sizeof kind, "%.*s", (int)kind_len, title);
    (void)snprintf(key, sizeof key, "%.*s", (int)len, line);
    if (is_ignored_section(kind) || is_ignored(kind, key) ||
        same_key(defaults, label, strlen(label)) != NULL) {
        return false;
    }
    sink_printf(sink, "%s.%s\n", title, line);
    return true;
}

char *loads_text(const struct plan *plan, const char *dir)
{
    struct sink *printed = sink_new(), *sink = sink_new();
    CLEANUP_FREE char *profile = given_profile(plan, dir);
    CLEANUP_FREE char *defaults = default_keys(profile);
    char title[TITLE] = "";
    bool empty = false;

    profile_print(plan, false, printed);
    CLEANUP_FREE char *text = xstrdup(sink_text(printed, NULL));
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (empty && (line[0] == '[' || rest == NULL)) {
            put_empty(sink, title);
        }
        if (line[0] == '[') {
            open_section(line, title);
            empty = true;
        } else if (line[0] != ';' && line[0] != '\0') {
            empty = !put_value(sink, title, line, defaults) && empty;
        }
    }
    char *load = xstrdup(sink_text(sink, NULL));
    sink_free(printed);
    sink_free(sink);
    return load;
}

/* Of a line "kind.key = value", "kind.NAME.key = value", "kind" or "kind.NAME". */
struct line_parts {
    size_t title; /* length of "kind.NAME"; 0: of a kind of which there is only one */
    const struct option *option; /* NULL: none, or of another version */
};

static struct line_parts take_apart(const char *line)
{
    CLEANUP_FREE char *label = xstrndup(line, strcspn(line, " =\n"));
    bool bare = strcspn(line, "\n") == strlen(label);
    struct line_parts parts = {.title = 0};
    const char *suffix;
    char *rest = label;
    const char *kind = strsep(&rest, ".");
    enum section id;

    if (!section_find(kind, &id)) {
        return parts;
    }
    parts.option = rest != NULL && !bare ? option_find(id, rest, &suffix) : NULL;
    if (section_info(id)->item_size == 0) {
        return parts;
    }
    parts.title = strlen(kind);
    char *dot = rest != NULL ? strchr(rest, '.') : NULL;
    if (rest != NULL && bare) {
        parts.title += 1 + strlen(rest);
    } else if (parts.option == NULL && dot != NULL) {
        parts.title += 1 + (size_t)(dot - rest);
        parts.option = option_find(id, dot + 1, &suffix);
    }
    return parts;
}

/* The first line of `text` that is of the section that begins `line`, or NULL. */
static const char *same_section(const char *text, const char *line, size_t title)
{
    for (; *text != '\0'; text = next_line(text)) {
        if (strncmp(text, line, title) == 0 && take_apart(text).title == title) {
            return text;
        }
    }
    return NULL;
}

/* "60s" as "1m", where the type knows both. */
static char *normal(const struct option *option, const char *text)
{
    const struct type_info *type = type_info(option->type);
    struct sink *sink = sink_new();
    union type_value parsed = {.rotate = {.kind = ROTATE_NEVER}};

    if (type->parse != NULL && type->parse(text, option->words, &parsed)) {
        type->print(&parsed, option->words, sink);
    } else {
        sink_printf(sink, "%s", text);
    }
    char *ret = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return ret;
}

static size_t key_length(const char *line)
{
    const char *equals = strstr(line, " =");

    return equals != NULL && equals < line + strcspn(line, "\n") ? (size_t)(equals - line) + 2
                                                                 : strcspn(line, "\n");
}

/* The value of a line, without quotes around it; the caller frees it. */
static char *value_of(const char *line)
{
    CLEANUP_FREE char *copy =
        xstrndup(line + key_length(line), strcspn(line, "\n") - key_length(line));
    char *value = str_trim(copy);
    size_t len = strlen(value);
    bool quoted = len >= 2 && value[0] == '"' && value[len - 1] == '"';

    return quoted ? xstrndup(value + 1, len - 2) : xstrdup(value);
}

/* Whether a side that lacks the line's key means the same by that. */
static bool is_implied(const char *line, const char *other)
{
    struct line_parts parts = take_apart(line);

    if (parts.title > 0 && same_section(other, line, parts.title) == NULL) {
        return false;
    }
    if (parts.option == NULL) {
        return parts.title > 0 && key_length(line) == strcspn(line, "\n");
    }
    if (parts.option->section == SECTION_RUN && str_equal(parts.option->key, "threads")) {
        return true; /* as many as the machine has cores */
    }
    if (parts.option->initial == NULL) {
        return false;
    }
    CLEANUP_FREE char *value = value_of(line);
    CLEANUP_FREE char *given = normal(parts.option, value);
    CLEANUP_FREE char *initial = normal(parts.option, parts.option->initial);
    return str_equal(given, initial);
}

static void put_quoted(struct sink *sink, const char *value)
{
    CLEANUP_FREE char *copy = xstrndup(value, strcspn(value, "\n"));

    sink_plain(sink, str_trim(copy));
}

static bool same_line(const char *a, const char *b)
{
    size_t len = strcspn(a, "\n");

    return strcspn(b, "\n") == len && strncmp(a, b, len) == 0;
}

/* What `a` has and `b` has not, or otherwise; values of both are told once, from the base. */
static size_t tell_side(const char *a, const char *b, bool is_base, struct sink *sink)
{
    size_t n = 0;

    for (const char *line = a; *line != '\0'; line = next_line(line)) {
        size_t key_len = key_length(line);
        bool bare = key_len == strcspn(line, "\n"); /* a section that gives nothing */
        const char *other = bare ? NULL : same_key(b, line, key_len);
        if (other != NULL ? !is_base || same_line(line, other) : is_implied(line, b)) {
            continue;
        }
        CLEANUP_FREE char *key = xstrndup(line, bare ? key_len : key_len - 2);
        sink_plain(sink, key);
        sink_printf(sink, ": ");
        put_quoted(sink, line + key_len);
        sink_printf(sink, "%sin the %s, ", bare ? "" : " ", is_base ? "baseline" : "new run");
        if (other != NULL) {
            put_quoted(sink, other + key_len);
            sink_printf(sink, " in the new run\n");
        } else {
            sink_printf(sink, "not in the %s\n", is_base ? "new run" : "baseline");
        }
        n++;
    }
    return n;
}

/* Whether the sections of each kind that both have stand in the same order. */
static bool are_in_order(const char *base, const char *new)
{
    const char *before = "", *last = new;

    for (const char *line = base; *line != '\0'; line = next_line(line)) {
        size_t title = take_apart(line).title;
        const char *at = title > 0 ? same_section(new, line, title) : NULL;
        if (at == NULL) {
            continue;
        }
        if (strncmp(before, line, strcspn(line, ". =\n")) == 0 && at < last) {
            return false;
        }
        before = line;
        last = at;
    }
    return true;
}

bool loads_differ(const char *base, const char *new, struct sink *sink)
{
    size_t n = tell_side(base, new, true, sink);

    n += tell_side(new, base, false, sink);
    if (n == 0 && !are_in_order(base, new)) {
        sink_printf(sink, "the sections are in another order\n");
        n++;
    }
    return n > 0;
}

void loads_hash(const char *load, char ret_text[17])
{
    (void)snprintf(ret_text, 17, "%016" PRIx64, hash_bytes(load, strlen(load)));
}
