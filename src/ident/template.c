#include "ident/template.h"

#include "ident/crypt.h"

#include "base/str.h"

#include <inttypes.h>
#include <string.h>

static const char *const field_names[TEMPLATE_FIELDS] = {"n", "uuid", "run", "random"};

/* Length of the name in "{name}" at `at`, 0 when that is not a field. */
static size_t field_len(const char *at)
{
    size_t len = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
    return len > 0 && at[len + 1] == '}' ? len : 0;
}

static int field_find(const char *name, size_t len)
{
    for (int i = 0; i < TEMPLATE_FIELDS; i++) {
        if (strlen(field_names[i]) == len && memcmp(field_names[i], name, len) == 0) {
            return i;
        }
    }
    return -1;
}

/* A JSON object begins with a brace and a quote, which no other template does; there }} closes two
 * objects. */
static bool looks_like_json(const char *text)
{
    text += strspn(text, " \t\r\n");
    if (*text != '{') {
        return false;
    }
    text += 1 + strspn(text + 1, " \t\r\n");
    return *text == '"' || *text == '}';
}

void template_uuid(char text[37])
{
    unsigned char b[16];
    char hex[33];
    crypt_random(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* RFC 9562 section 5.4 */
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    crypt_hex(hex, b, sizeof b);
    memcpy(text, hex, 8);
    memcpy(text + 9, hex + 8, 4);
    memcpy(text + 14, hex + 12, 4);
    memcpy(text + 19, hex + 16, 4);
    memcpy(text + 24, hex + 20, 12);
    text[8] = text[13] = text[18] = text[23] = '-';
    text[36] = '\0';
}

void template_random(char text[33])
{
    unsigned char bytes[16];
    crypt_random(bytes, sizeof bytes);
    crypt_hex(text, bytes, sizeof bytes);
}

struct template_reader template_reader(const char *text)
{
    return (struct template_reader){.at = text, .json = looks_like_json(text)};
}

bool template_next(struct template_reader *reader, struct template_piece *ret_piece)
{
    const char *at = reader->at;
    size_t len = strcspn(at, "{}"), skip = len;
    enum template_field field = TEMPLATE_TEXT;
    if (*at == '\0') {
        return false;
    }
    if (len == 0) {
        size_t name = *at == '{' && (reader->json || at[1] != '{') ? field_len(at) : 0;
        int found = field_find(at + 1, name);
        field = found >= 0 ? (enum template_field)found : TEMPLATE_TEXT;
        len = 1;
        skip = found >= 0 ? name + 2 : !reader->json && at[1] == at[0] ? 2 : 1;
    }
    *ret_piece = (struct template_piece){.field = field, .text = at, .len = len};
    reader->at = at + skip;
    return true;
}

void template_expand(struct sink *sink, const char *text, uint64_t n, const char *run_id)
{
    struct template_reader reader = template_reader(text);
    struct template_piece piece;
    char value[37];
    while (template_next(&reader, &piece)) {
        switch (piece.field) {
        case TEMPLATE_N:
            sink_printf(sink, "%" PRIu64, n);
            break;
        case TEMPLATE_UUID:
            template_uuid(value);
            sink_write(sink, value, 36);
            break;
        case TEMPLATE_RUN:
            sink_write(sink, run_id, strlen(run_id));
            break;
        case TEMPLATE_RANDOM:
            template_random(value);
            sink_write(sink, value, 32);
            break;
        case TEMPLATE_TEXT:
            sink_write(sink, piece.text, piece.len);
            break;
        }
    }
}

bool template_check(const char *text, const char *extra, struct origin origin, struct diag *diag)
{
    bool json = looks_like_json(text);
    bool good = true;
    for (const char *at = text; (at = strchr(at, '{')) != NULL; at++) {
        if (!json && at[1] == '{') {
            at++;
            continue;
        }
        size_t len = field_len(at);
        bool is_extra = extra != NULL && strlen(extra) == len && memcmp(at + 1, extra, len) == 0;
        if (len == 0 || is_extra || field_find(at + 1, len) >= 0) {
            continue;
        }
        diag_add(diag, origin,
                 "unknown field {%.*s} in \"%s\"; there are {n}, {uuid}, {run}, {random}%s%s%s%s",
                 (int)len, at + 1, text, extra != NULL ? " and {" : "", extra != NULL ? extra : "",
                 extra != NULL ? "}" : "", json ? "" : " ({{ is a brace)");
        good = false;
    }
    return good;
}
