#include "profile/ini.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/str.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>

/* Stands for a semicolon within quotes while inih has the line; no line may hold it. */
#define HIDDEN_SEMICOLON '\x01'
#define CONTINUED        "a value stays on its line; put a long one in a file and write @FILE"
#define KEY_LETTERS      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

struct reader {
    const char *file;
    const char *next, *end;
    int line;
    bool stopped;
    size_t n_before; /* mistakes that were there before this file */
    const struct ini_handler *handler;
    struct diag *diag;
};

static struct origin here(const struct reader *reader)
{
    return (struct origin){.file = reader->file, .line = reader->line};
}

static void show_semicolons(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        if (*p == HIDDEN_SEMICOLON) {
            *p = ';';
        }
    }
}

/* Hides each semicolon within double quotes from inih; a backslash takes the next letter's meaning,
 * as in JSON.  A quote that nothing closes is a letter like any other. */
static void hide_semicolons(char *line)
{
    char *open = NULL;

    for (char *p = line; *p != '\0'; p++) {
        if (open != NULL && *p == '\\' && p[1] != '\0') {
            p++;
        } else if (*p == '"') {
            open = open == NULL ? p : NULL;
        } else if (open != NULL && *p == ';') {
            *p = HIDDEN_SEMICOLON;
        }
    }
    if (open != NULL) {
        show_semicolons(open);
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The end of what inih takes for the line's content: a semicolon behind white space. */
static const char *comment_of(const char *line)
{
    for (const char *p = line; *p != '\0'; p++) {
        if (*p == ';' && (p == line || is_blank(p[-1]))) {
            return p;
        }
    }
    return line + strlen(line);
}

static bool has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool read_section(const struct reader *reader, const char *line)
{
    const char *comment = comment_of(line);
    const char *end = memchr(line, ']', (size_t)(comment - line));

    if (end == NULL) {
        diag_add(reader->diag, here(reader), "a section ends with ]");
        return false;
    }
    if (end + 1 + strspn(end + 1, " \t") != comment) {
        diag_add(reader->diag, here(reader), "nothing but a comment may follow the ] of a section");
        return false;
    }
    CLEANUP_FREE char *name = xstrndup(line + 1, (size_t)(end - line - 1));
    reader->handler->section(reader->handler->user, str_trim(name), reader->line);
    return true;
}

/* inih reports only the first line that it cannot read, so every line is looked at before. */
static bool line_is_good(const struct reader *reader, const char *line, bool indented)
{
    if (line[0] == '\0' || line[0] == ';' || line[0] == '#') {
        return true;
    }
    if (line[0] == '[') {
        return read_section(reader, line);
    }
    size_t key_len = strcspn(line, "=:");
    if (line[key_len] == '\0' || line + key_len > comment_of(line)) {
        diag_add(reader->diag, here(reader),
                 indented ? CONTINUED : "not a KEY = VALUE, nor a [section], nor a ; comment");
        return false;
    }
    if (key_len == 0 || strspn(line, " \t") == key_len) {
        diag_add(reader->diag, here(reader), "no key before the %c", line[key_len]);
        return false;
    }
    size_t plain = strspn(line, KEY_LETTERS);
    if (indented && plain + strspn(line + plain, " \t") != key_len) {
        diag_add(reader->diag, here(reader), CONTINUED);
        return false;
    }
    return true;
}

/* Cuts the next physical line off the text; NULL at the end. */
static const char *next_line(struct reader *reader, size_t *ret_len)
{
    const char *start = reader->next;

    if (start == reader->end || reader->stopped) {
        return NULL;
    }
    const char *newline = memchr(start, '\n', (size_t)(reader->end - start));
    size_t len = newline != NULL ? (size_t)(newline - start) : (size_t)(reader->end - start);
    reader->next = newline != NULL ? newline + 1 : reader->end;
    reader->line++;
    if (len > 0 && start[len - 1] == '\r') {
        len--;
    }
    if (reader->line == 1 && len >= 3 && memcmp(start, "\xEF\xBB\xBF", 3) == 0) {
        start += 3;
        len -= 3;
    }
    *ret_len = len;
    return start;
}

/* inih's reader: one line at a time, without white space in front (which inih takes for a value
 * that goes on); a line that is wrong is given as a blank one, so that lines keep their numbers. */
static char *read_line(char *to, int size, void *stream)
{
    struct reader *reader = stream;
    size_t len = 0;
    const char *line = next_line(reader, &len);

    if (line == NULL) {
        return NULL;
    }
    BUG_ON(size < INI_LINE_MAX + 2);
    to[0] = '\0';
    if (diag_count(reader->diag) - reader->n_before >= INI_MISTAKES_MAX) {
        diag_add(reader->diag, here(reader), "too many mistakes; the rest is not looked at");
        reader->stopped = true;
    } else if (len > INI_LINE_MAX) {
        diag_add(reader->diag, here(reader),
                 "line longer than %d bytes; put the value in a file and write @FILE",
                 INI_LINE_MAX);
    } else if (has_control(line, len)) {
        diag_add(reader->diag, here(reader), "a control character; a profile is text");
    } else {
        size_t indent = 0;
        while (indent < len && is_blank(line[indent])) {
            indent++;
        }
        memcpy(to, line + indent, len - indent);
        to[len - indent] = '\0';
        hide_semicolons(to);
        if (!line_is_good(reader, to, indent > 0)) {
            to[0] = '\0';
        }
    }
    memcpy(to + strlen(to), "\n", 2);
    return to;
}

/* A pair of quotes around the whole value; quotes inside it belong to the value. */
static const char *without_quotes(const struct reader *reader, const char *key, char *value)
{
    size_t len = strlen(value);

    if (value[0] != '"') {
        return value;
    }
    if (len < 2 || value[len - 1] != '"') {
        diag_add(reader->diag, here(reader), "%s: a value that opens with \" closes with one", key);
        return NULL;
    }
    value[len - 1] = '\0';
    return value + 1;
}

static int handle_value(void *user, const char *section, const char *key, const char *value)
{
    const struct reader *reader = user;
    CLEANUP_FREE char *copy = xstrdup(value);

    (void)section;
    show_semicolons(copy);
    const char *bare = without_quotes(reader, key, copy);
    if (bare != NULL) {
        reader->handler->value(reader->handler->user, key, bare, reader->line);
    }
    return 1;
}

void ini_read(const char *file, const char *text, size_t len, const struct ini_handler *handler,
              struct diag *diag)
{
    struct reader reader = {
        .file = file,
        .next = text,
        .end = text + len,
        .n_before = diag_count(diag),
        .handler = handler,
        .diag = diag,
    };

    BUG_ON(ini_parse_stream(read_line, &reader, handle_value, &reader) != 0);
}

/* True when this line is read as key and value up to the comment at `comment_at`. */
static bool survives(const char *line, size_t comment_at)
{
    CLEANUP_FREE char *copy = xstrdup(line);

    hide_semicolons(copy);
    return strlen(line) <= INI_LINE_MAX && comment_of(copy) == copy + comment_at;
}

static bool write_as(struct sink *sink, const char *key, const char *value, const char *comment)
{
    CLEANUP_FREE char *bare = xasprintf("%s = %s", key, value);
    CLEANUP_FREE char *full = xasprintf("%s ; %s", bare, comment != NULL ? comment : "");
    size_t len = strlen(bare);

    if (comment != NULL && survives(full, len + 1)) {
        sink_printf(sink, "%s\n", full);
    } else if (!survives(bare, len)) {
        return false;
    } else if (comment != NULL) {
        sink_printf(sink, "; %.*s\n%s\n", INI_LINE_MAX - 2, comment, bare);
    } else {
        sink_printf(sink, "%s\n", bare);
    }
    return true;
}

bool ini_write(struct sink *sink, const char *key, const char *value, const char *comment)
{
    CLEANUP_FREE char *quoted = xasprintf("\"%s\"", value);
    size_t len = strlen(value);
    bool bare = len > 0 && value[0] != '"' && !is_blank(value[0]) && !is_blank(value[len - 1]);

    if (has_control(value, len)) {
        return false;
    }
    return (bare && write_as(sink, key, value, comment)) || write_as(sink, key, quoted, comment);
}
