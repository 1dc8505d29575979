#include "net/h2_fields.h"

#include "base/bug.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct h2_field field(const char *name, const char *value, size_t value_len)
{
    return (struct h2_field){
        .name = name, .name_len = strlen(name), .value = value, .value_len = value_len};
}

static bool is_named(const struct h2_field *field, const char *name)
{
    return field->name_len == strlen(name) && strncasecmp(field->name, name, field->name_len) == 0;
}

/* Of a connection, not of a request; TE may say "trailers" alone. */
static bool is_hop_by_hop(const struct h2_field *field)
{
    static const char *const names[] = {"connection",        "keep-alive", "proxy-connection",
                                        "transfer-encoding", "upgrade",    "http2-settings"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_named(field, names[i])) {
            return true;
        }
    }
    return is_named(field, "te") &&
           (field->value_len != 8 || strncasecmp(field->value, "trailers", 8) != 0);
}

/* "METHOD TARGET HTTP/1.1" */
static void take_request_line(struct h2_fields *fields, const char *line, size_t len)
{
    const char *end = line + len;
    const char *path = memchr(line, ' ', len);
    const char *version;

    BUG_ON(path == NULL);
    path++;
    version = memrchr(path, ' ', (size_t)(end - path));
    BUG_ON(version == NULL);
    fields->fields[H2_METHOD] = field(":method", line, (size_t)(path - 1 - line));
    fields->fields[H2_SCHEME] = field(":scheme", "https", 5);
    fields->fields[H2_AUTHORITY] = field(":authority", "", 0);
    fields->fields[H2_PATH] = field(":path", path, (size_t)(version - path));
    fields->n = H2_PSEUDO;
}

static void take_header_line(struct h2_fields *fields, char *line, size_t len)
{
    char *colon = memchr(line, ':', len);
    struct h2_field *next = &fields->fields[fields->n];
    char *value, *end = line + len;

    BUG_ON(colon == NULL);
    for (char *p = line; p < colon; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *next = (struct h2_field){.name = line,
                              .name_len = (size_t)(colon - line),
                              .value = value,
                              .value_len = (size_t)(end - value)};
    if (is_named(next, "host")) {
        fields->fields[H2_AUTHORITY].value = next->value;
        fields->fields[H2_AUTHORITY].value_len = next->value_len;
    } else if (!is_hop_by_hop(next)) {
        fields->n++;
    }
}

void h2_fields_init(struct h2_fields *fields, const char *head, size_t head_len)
{
    size_t n_lines = 0;

    for (size_t i = 0; i < head_len; i++) {
        n_lines += head[i] == '\n';
    }
    *fields = (struct h2_fields){.text = xstrndup(head, head_len)};
    fields->fields = xcalloc(n_lines + H2_PSEUDO, sizeof *fields->fields);
    for (char *line = fields->text, *end; (end = strstr(line, "\r\n")) != NULL; line = end + 2) {
        if (end == line) {
            break;
        }
        if (line == fields->text) {
            take_request_line(fields, line, (size_t)(end - line));
        } else {
            take_header_line(fields, line, (size_t)(end - line));
        }
    }
    BUG_ON(fields->n == 0);
}

void h2_fields_clear(struct h2_fields *fields)
{
    free(fields->fields);
    free(fields->text);
    *fields = (struct h2_fields){.n = 0};
}

void h2_fields_hide(struct h2_fields *fields, const char *name)
{
    for (size_t i = H2_PSEUDO; i < fields->n; i++) {
        struct h2_field *field = &fields->fields[i];

        field->secret = field->secret || name == NULL || is_named(field, name);
    }
}
