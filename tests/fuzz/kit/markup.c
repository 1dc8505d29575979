#include "markup.h"

#include "base/str.h"

#include <string.h>
#include <strings.h>

#define DEPTH_MAX      64
#define NAME_MAX_BYTES 32

struct reader {
    enum markup kind;
    const char *at, *end;
    char open[DEPTH_MAX][NAME_MAX_BYTES];
    size_t depth;
    const char *fault;
};

size_t markup_character(const char *text, size_t len, unsigned *ret_character)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    size_t n = len == 0      ? 0
               : s[0] < 0x80 ? 1
               : s[0] < 0xc0 ? 0
               : s[0] < 0xe0 ? 2
               : s[0] < 0xf0 ? 3
               : s[0] < 0xf8 ? 4
                             : 0;
    if (n == 0 || n > len) {
        return 0;
    }
    unsigned c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        return 0;
    }
    *ret_character = c;
    return n;
}

bool markup_is_plain(const char *text, size_t len, bool tabs)
{
    unsigned c;
    for (size_t i = 0, n; i < len; i += n) {
        n = markup_character(text + i, len - i, &c);
        if (n == 0 || (c < 0x20 && c != '\n' && !(tabs && c == '\t')) || (c >= 0x7f && c < 0xa0)) {
            return false;
        }
    }
    return true;
}

/* Char of XML, section 2.2. */
static bool is_char(unsigned c)
{
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c != 0xfffe && c != 0xffff);
}

static bool fail(struct reader *r, const char *fault)
{
    r->fault = fault;
    return false;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr(":_-.", c) != NULL);
}

static bool read_name(struct reader *r, char name[NAME_MAX_BYTES])
{
    size_t n = 0;
    while (r->at < r->end && n < NAME_MAX_BYTES - 1 && is_name_byte(*r->at)) {
        name[n++] = *r->at++;
    }
    name[n] = '\0';
    if (n == 0 || !((name[0] | 0x20) >= 'a' && (name[0] | 0x20) <= 'z')) {
        return fail(r, "a < that begins no element, or an attribute without a name");
    }
    return strncasecmp(name, "canary", 6) != 0 ? true : fail(r, "the input's markup is markup");
}

static bool read_reference(struct reader *r)
{
    static const char *const xml[] = {"amp", "lt", "gt", "quot", "apos"};
    const char *semicolon = memchr(r->at, ';', (size_t)(r->end - r->at));
    char name[16];
    size_t len = semicolon != NULL ? (size_t)(semicolon - r->at) - 1 : 0;
    if (len == 0 || len >= sizeof name) {
        return fail(r, "an & that begins no reference");
    }
    memcpy(name, r->at + 1, len);
    name[len] = '\0';
    bool number = name[0] == '#' && name[1] != '\0' && strspn(name + 1, "0123456789") == len - 1;
    bool known = str_index(name, xml, 5) >= 0 ||
                 (r->kind == MARKUP_HTML && strspn(name, "abcdefghijklmnopqrstuvwxyz") == len &&
                  !str_has_prefix(name, "canary"));
    r->at = semicolon + 1;
    return number || known ? true : fail(r, "a reference to something unknown");
}

/* Up to `end_mark`, or to the end where it is 0. */
static bool read_text(struct reader *r, char end_mark)
{
    while (r->at < r->end && *r->at != end_mark) {
        unsigned c;
        size_t n = markup_character(r->at, (size_t)(r->end - r->at), &c);
        if (n == 0 || !is_char(c)) {
            return fail(r, "a character that no XML may hold");
        }
        if (c == '<') {
            return fail(r, "a < within an attribute");
        }
        if (c == '&') {
            if (!read_reference(r)) {
                return false;
            }
            continue;
        }
        if (c == ']' && r->end - r->at >= 3 && memcmp(r->at, "]]>", 3) == 0) {
            return fail(r, "]]> in text");
        }
        r->at += n;
    }
    return true;
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && strchr(" \n\t", *r->at) != NULL) {
        r->at++;
    }
}

static bool read_attribute(struct reader *r)
{
    char name[NAME_MAX_BYTES];
    if (!read_name(r, name)) {
        return false;
    }
    if (strncasecmp(name, "on", 2) == 0) {
        return fail(r, "an attribute that runs a script");
    }
    if (r->kind == MARKUP_HTML && r->at < r->end && strchr(" \n/>", *r->at) != NULL) {
        return true; /* one without a value, such as "open" */
    }
    if (r->end - r->at < 2 || r->at[0] != '=' || r->at[1] != '"') {
        return fail(r, "an attribute that is not quoted");
    }
    r->at += 2;
    if (!read_text(r, '"') || r->at == r->end) {
        return r->fault != NULL ? false : fail(r, "an attribute without an end");
    }
    r->at++;
    if (r->at == r->end || strchr(" \n\t/>?", *r->at) == NULL) {
        return fail(r, "something behind an attribute");
    }
    return true;
}

static bool is_void(const struct reader *r, const char *name)
{
    static const char *const names[] = {"meta", "br", "hr", "img", "link", "col"};
    return r->kind == MARKUP_HTML && str_index(name, names, sizeof names / sizeof *names) >= 0;
}

static bool read_style(struct reader *r)
{
    static const char style_end[] = "</style>";
    const char *found = memmem(r->at, (size_t)(r->end - r->at), style_end, sizeof style_end - 1);
    if (found == NULL) {
        return fail(r, "a style without an end");
    }
    r->at = found;
    return true;
}

static bool read_start(struct reader *r)
{
    char name[NAME_MAX_BYTES];
    if (!read_name(r, name)) {
        return false;
    }
    if (strcasecmp(name, "script") == 0) {
        return fail(r, "a script");
    }
    for (skip_space(r); r->at < r->end && *r->at != '>' && *r->at != '/'; skip_space(r)) {
        if (!read_attribute(r)) {
            return false;
        }
    }
    bool closed = r->at < r->end && *r->at == '/';
    r->at += closed;
    if (r->at == r->end || *r->at != '>') {
        return fail(r, "a tag without an end");
    }
    r->at++;
    if (closed || is_void(r, name)) {
        return true;
    }
    if (r->depth == DEPTH_MAX) {
        return fail(r, "elements too deep");
    }
    memcpy(r->open[r->depth++], name, sizeof name);
    return r->kind == MARKUP_HTML && str_equal(name, "style") ? read_style(r) : true;
}

static bool read_end(struct reader *r)
{
    char name[NAME_MAX_BYTES];
    if (!read_name(r, name)) {
        return false;
    }
    skip_space(r);
    if (r->at == r->end || *r->at != '>' || r->depth == 0 ||
        !str_equal(r->open[r->depth - 1], name)) {
        return fail(r, "an end of another element");
    }
    r->at++;
    r->depth--;
    return true;
}

static bool read_tag(struct reader *r)
{
    static const char declaration[] = "<?xml ", doctype[] = "<!doctype html>";
    size_t left = (size_t)(r->end - r->at);
    if (r->kind == MARKUP_XML && left > sizeof declaration &&
        memcmp(r->at, declaration, sizeof declaration - 1) == 0) {
        r->at += strcspn(r->at, ">") + 1;
        return true;
    }
    if (r->kind == MARKUP_HTML && left > sizeof doctype &&
        memcmp(r->at, doctype, sizeof doctype - 1) == 0) {
        r->at += sizeof doctype - 1;
        return true;
    }
    bool end = left > 1 && r->at[1] == '/';
    r->at += end ? 2 : 1;
    return end ? read_end(r) : read_start(r);
}

const char *markup_fault(enum markup kind, const char *text, size_t len)
{
    static struct reader r;
    r = (struct reader){.kind = kind, .at = text, .end = text + len};
    while (r.at < r.end && read_text(&r, '<')) {
        if (r.at < r.end && !read_tag(&r)) {
            break;
        }
    }
    if (r.fault == NULL && r.depth > 0) {
        r.fault = "an element without an end";
    }
    return r.fault;
}
