#include "ident/template.h"

#include "ident/crypt.h"

#include "base/str.h"

#include <inttypes.h>
#include <string.h>

enum field { FIELD_N, FIELD_UUID, FIELD_RUN, FIELD_RANDOM, FIELD_COUNT };

static const char *const field_names[FIELD_COUNT] = {"n", "uuid", "run", "random"};

/* Length of the name in "{name}" at `at`, 0 when that is not a field. */
static size_t field_len(const char *at)
{
    size_t len = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz_");
    return len > 0 && at[len + 1] == '}' ? len : 0;
}

static int field_find(const char *name, size_t len)
{
    for (int i = 0; i < FIELD_COUNT; i++) {
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

static void write_uuid(struct sink *sink)
{
    unsigned char b[16];
    char hex[33];
    crypt_random(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* RFC 9562 section 5.4 */
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    crypt_hex(hex, b, sizeof b);
    sink_write(sink, hex, 8);
    for (int i = 8; i < 20; i += 4) {
        sink_write(sink, "-", 1);
        sink_write(sink, hex + i, 4);
    }
    sink_write(sink, "-", 1);
    sink_write(sink, hex + 20, 12);
}

static void write_field(struct sink *sink, enum field field, uint64_t n, const char *run_id)
{
    unsigned char bytes[16];
    char hex[33];
    switch (field) {
    case FIELD_N:
        sink_printf(sink, "%" PRIu64, n);
        break;
    case FIELD_UUID:
        write_uuid(sink);
        break;
    case FIELD_RUN:
        sink_write(sink, run_id, strlen(run_id));
        break;
    case FIELD_RANDOM:
    case FIELD_COUNT:
        crypt_random(bytes, sizeof bytes);
        crypt_hex(hex, bytes, sizeof bytes);
        sink_write(sink, hex, 32);
        break;
    }
}

void template_expand(struct sink *sink, const char *text, uint64_t n, const char *run_id)
{
    bool json = looks_like_json(text);
    while (*text != '\0') {
        size_t plain = strcspn(text, "{}");
        sink_write(sink, text, plain);
        text += plain;
        if (*text == '\0') {
            break;
        }
        if (!json && text[1] == text[0]) {
            sink_write(sink, text, 1);
            text += 2;
            continue;
        }
        size_t len = *text == '{' ? field_len(text) : 0;
        int field = field_find(text + 1, len);
        if (field >= 0) {
            write_field(sink, (enum field)field, n, run_id);
            text += len + 2;
        } else {
            sink_write(sink, text, 1);
            text++;
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
