#include "profile/value.h"

#include "base/escape.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILE_MAX_BYTES (16u << 20)

bool value_is_secret(const struct option *option, const char *suffix)
{
    static const char *const words[] = {"authorization", "cookie", "key",     "token",
                                        "secret",        "passw",  "session", "credential"};

    if ((option->flags & OPTION_SECRET) != 0) {
        return true;
    }
    if (suffix == NULL || !str_equal(option->suffix, "NAME")) {
        return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasestr(suffix, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

char *value_label(const struct option *option, const char *suffix)
{
    return xasprintf("%s.%s%s", section_info(option->section)->name, option->key,
                     suffix != NULL ? suffix : "");
}

char *value_escape(const char *text)
{
    struct sink *sink = sink_new();

    if (text[0] == '@') {
        sink_write(sink, "@", 1);
    }
    for (const char *p = text; *p != '\0';) {
        size_t n = strspn(p, "$");
        if (n > 0 && p[n] == '{') {
            sink_write(sink, "$", 1);
        }
        n = n > 0 ? n : 1;
        sink_write(sink, p, n);
        p += n;
    }
    char *escaped = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return escaped;
}

/* Appends the variable whose "${" stands at `p` and returns what follows its "}"; NULL with a
 * mistake. */
static const char *append_variable(struct sink *sink, const char *p, const char *label,
                                   struct origin origin, struct diag *diag)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    size_t len = strspn(p + 2, letters);

    if (len == 0 || p[2 + len] != '}') {
        diag_add(diag, origin, "%s: a variable is ${NAME} (write $${ for the letters ${)", label);
        return NULL;
    }
    CLEANUP_FREE char *name = xstrndup(p + 2, len);
    const char *value = getenv(name);
    if (value == NULL) {
        diag_add(diag, origin, "%s: ${%s} is not set in the environment", label, name);
        return NULL;
    }
    sink_write(sink, value, strlen(value));
    return p + 2 + len + 1;
}

/* The text with each ${NAME} replaced, and each $${ made ${; NULL with mistakes. */
static char *expand(const char *text, const char *label, struct origin origin, struct diag *diag)
{
    struct sink *sink = sink_new();
    const char *p = text;
    char *expanded = NULL;

    while (p != NULL && *p != '\0') {
        size_t dollars = strspn(p, "$");
        if (dollars >= 2 && p[dollars] == '{') {
            sink_write(sink, p, dollars - 1);
            sink_write(sink, "{", 1);
            p += dollars + 1;
        } else if (dollars == 1 && p[1] == '{') {
            p = append_variable(sink, p, label, origin, diag);
        } else {
            size_t n = dollars > 0 ? dollars : 1;
            sink_write(sink, p, n);
            p += n;
        }
    }
    if (p != NULL) {
        expanded = xstrdup(sink_text(sink, NULL));
    }
    sink_free(sink);
    return expanded;
}

static char *absolute(const char *dir, const char *name)
{
    return name[0] == '/' ? xstrdup(name) : xasprintf("%s/%s", dir, name);
}

static bool read_into(const struct doc_entry *entry, const char *label, struct value *value,
                      struct diag *diag)
{
    CLEANUP_FREE char *name = expand(entry->text + 1, label, entry->origin, diag);

    if (name == NULL) {
        return false;
    }
    CLEANUP_FREE char *path = absolute(entry->dir, name);
    value->text = file_read(path, FILE_MAX_BYTES, &value->len);
    if (value->text == NULL) {
        diag_add(diag, entry->origin, "%s: cannot read %s: %s", label, path, strerror(errno));
        return false;
    }
    CLEANUP_FREE char *escaped = value_escape(path);
    value->written = xasprintf("@%s", escaped);
    if (entry->option->type == TYPE_BODY || entry->option->type == TYPE_BYTE_TEXT) {
        return true;
    }
    while (value->len > 0 && strchr("\r\n", value->text[value->len - 1]) != NULL) {
        value->text[--value->len] = '\0';
    }
    if (strlen(value->text) != value->len) {
        diag_add(diag, entry->origin, "%s: %s is not text", label, path);
        return false;
    }
    return true;
}

static bool holds_variable(const char *text)
{
    const char *p = strstr(text, "${");

    while (p != NULL && p > text && p[-1] == '$') {
        p = strstr(p + 2, "${");
    }
    return p != NULL;
}

static bool secret_is_hidden(const struct doc_entry *entry, const char *label, struct diag *diag)
{
    const char *text = entry->text;
    bool is_header = entry->suffix != NULL;
    size_t len = strlen(text);
    bool one_variable = str_has_prefix(text, "${") && strchr(text, '}') == text + len - 1;

    if (text[0] == '@' && text[1] != '@') {
        return true;
    }
    if (len == 0 || one_variable || (is_header && holds_variable(text))) {
        return true;
    }
    bool is_set = entry->origin.line == 0 && str_equal(entry->origin.file, "--set");
    diag_add(diag, entry->origin,
             is_set ? "%s: everyone on this machine can read a command line, so a secret does not "
                      "belong there; write @FILE or ${VARIABLE}"
                    : "%s: a secret does not belong in a profile; write @FILE (a file beside the "
                      "profile) or ${VARIABLE}",
             label);
    return false;
}

static bool text_is_clean(const struct doc_entry *entry, const char *label,
                          const struct value *value, struct diag *diag)
{
    if ((entry->option->flags & OPTION_LINES) != 0) {
        return true;
    }
    for (const char *p = value->text; *p != '\0'; p++) {
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f) {
            diag_add(diag, entry->origin, "%s: a line break or another control character in it",
                     label);
            return false;
        }
    }
    return true;
}

static bool read_escapes(const struct doc_entry *entry, const char *label, struct value *value,
                         struct diag *diag)
{
    const char *wrong = escape_read(value->text, &value->len);

    if (wrong != NULL) {
        diag_add(diag, entry->origin,
                 "%s: \"%.4s\" is none of \\r \\n \\t \\\\ \\\" \\xHH (write \\\\ for a backslash)",
                 label, wrong);
    }
    return wrong == NULL;
}

static bool is_reference(const char *text)
{
    return (text[0] == '@' && text[1] != '@') || holds_variable(text);
}

bool value_resolve(const struct doc_entry *entry, bool stored, struct value *ret_value,
                   struct diag *diag)
{
    const struct option *option = entry->option;
    CLEANUP_FREE char *label = value_label(option, entry->suffix);
    struct value value = {0};
    bool ok =
        stored || !value_is_secret(option, entry->suffix) || secret_is_hidden(entry, label, diag);

    if (!ok) {
        return false;
    }
    if (stored && is_reference(entry->text)) {
        *ret_value = (struct value){
            .text = xstrdup(entry->text),
            .len = strlen(entry->text),
            .written = xstrdup(entry->text),
        };
        return true;
    }
    if (entry->text[0] == '@' && entry->text[1] != '@') {
        ok = read_into(entry, label, &value, diag);
    } else {
        value.text = expand(entry->text + (entry->text[0] == '@'), label, entry->origin, diag);
        value.len = value.text != NULL ? strlen(value.text) : 0;
        value.written = holds_variable(entry->text) ? xstrdup(entry->text) : NULL;
        ok = value.text != NULL &&
             (option->type != TYPE_BYTE_TEXT || read_escapes(entry, label, &value, diag));
    }
    ok = ok && text_is_clean(entry, label, &value, diag);
    if (ok && (option->flags & OPTION_SECRET) != 0 && value.len == 0 && is_reference(entry->text)) {
        diag_add(diag, entry->origin, "%s: %s is empty", label, entry->text);
        ok = false;
    }
    if (!ok) {
        free(value.text);
        free(value.written);
        return false;
    }
    if ((option->flags & OPTION_PATH) != 0 && value.text[0] != '\0') {
        char *path = absolute(entry->dir, value.text);
        free(value.text);
        value.text = path;
        value.len = strlen(path);
    }
    *ret_value = value;
    return true;
}
