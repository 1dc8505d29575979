#include "cmd/loads.h"

#include "base/mem.h"
#include "base/str.h"
#include "profile/options.h"
#include "profile/profile.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TITLE 256 /* of a section: no line of a profile is longer */

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

static void put_value(struct sink *sink, const char *title, const char *line)
{
    char kind[64], key[64];
    size_t kind_len = strcspn(title, "."), len = strcspn(line, " =");

    (void)snprintf(kind, sizeof kind, "%.*s", (int)kind_len, title);
    (void)snprintf(key, sizeof key, "%.*s", (int)len, line);
    if (!is_ignored_section(kind) && !is_ignored(kind, key)) {
        sink_printf(sink, "%s.%s\n", title, line);
    }
}

char *loads_text(const struct plan *plan)
{
    struct sink *printed = sink_new(), *sink = sink_new();
    char title[TITLE] = "";

    profile_print(plan, false, printed);
    CLEANUP_FREE char *text = xstrdup(sink_text(printed, NULL));
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] == '[') {
            open_section(line, title);
        } else if (line[0] != ';' && line[0] != '\0') {
            put_value(sink, title, line);
        }
    }
    char *load = xstrdup(sink_text(sink, NULL));
    sink_free(printed);
    sink_free(sink);
    return load;
}

/* The line of `text` that begins with the same key as `line`, or NULL. */
static const char *same_key(const char *text, const char *line, size_t key_len)
{
    while (*text != '\0') {
        if (strncmp(text, line, key_len) == 0) {
            return text;
        }
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return NULL;
}

static size_t key_length(const char *line)
{
    const char *equals = strstr(line, " =");

    return equals != NULL && equals < line + strcspn(line, "\n") ? (size_t)(equals - line) + 2
                                                                 : strcspn(line, "\n");
}

static void put_quoted(struct sink *sink, const char *value)
{
    CLEANUP_FREE char *copy = xstrndup(value, strcspn(value, "\n"));

    sink_plain(sink, str_trim(copy));
}

/* What `a` has and `b` has not, or otherwise; values of both are told once, from the base. */
static size_t tell_side(const char *a, const char *b, bool is_base, struct sink *sink)
{
    size_t n = 0;

    for (const char *line = a; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t len = strcspn(line, "\n"), key_len = key_length(line);
        const char *other = same_key(b, line, key_len);
        if (other != NULL &&
            (!is_base || (strcspn(other, "\n") == len && strncmp(line, other, len) == 0))) {
            continue;
        }
        CLEANUP_FREE char *key = xstrndup(line, key_len < 2 ? key_len : key_len - 2);
        sink_plain(sink, key);
        sink_printf(sink, ": ");
        put_quoted(sink, line + key_len);
        sink_printf(sink, is_base ? " in the baseline, " : " in the new run, ");
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

bool loads_differ(const char *base, const char *new, struct sink *sink)
{
    size_t n = tell_side(base, new, true, sink);

    n += tell_side(new, base, false, sink);
    if (n == 0 && !str_equal(base, new)) {
        sink_printf(sink, "the sections are in another order\n");
        n++;
    }
    return n > 0;
}

void loads_hash(const char *load, char ret_text[17])
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *load != '\0'; load++) {
        hash = (hash ^ (unsigned char)*load) * 0x100000001b3u;
    }
    (void)snprintf(ret_text, 17, "%016" PRIx64, hash);
}
