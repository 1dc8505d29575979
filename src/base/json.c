#include "base/json.h"

#include <jansson.h>
#include <stdio.h>

/* struct json is jansson's json_t under our own name: no wrapper to allocate. */
static const json_t *native(const struct json *value)
{
    return (const json_t *)value;
}

struct json *json_parse(const char *text, size_t len, char *error, size_t error_size)
{
    json_error_t why;
    json_t *document = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);

    if (document == NULL) {
        (void)snprintf(error, error_size, "line %d: %s", why.line, why.text);
        /* it quotes what it met */
        for (char *c = error; error_size > 0 && *c != '\0'; c++) {
            *c = (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c;
        }
    }
    return (struct json *)document;
}

void json_free(struct json *document)
{
    json_decref((json_t *)document);
}

const struct json *json_get(const struct json *value, const char *key)
{
    return (const struct json *)json_object_get(native(value), key);
}

const struct json *json_at(const struct json *value, size_t i)
{
    return (const struct json *)json_array_get(native(value), i);
}

size_t json_size(const struct json *value)
{
    return json_is_map(value) ? json_object_size(native(value)) : json_array_size(native(value));
}

bool json_is_map(const struct json *value)
{
    return value != NULL && json_typeof(native(value)) == JSON_OBJECT;
}

double json_as_number(const struct json *value, double fallback)
{
    return json_is_number(native(value)) ? json_number_value(native(value)) : fallback;
}

const char *json_as_string(const struct json *value, const char *fallback)
{
    const char *s = json_string_value(native(value));

    return s != NULL ? s : fallback;
}

const char *json_get_string(const struct json *value, const char *key, const char *fallback)
{
    return json_as_string(json_get(value, key), fallback);
}

double json_get_number(const struct json *value, const char *key, double fallback)
{
    return json_as_number(json_get(value, key), fallback);
}

bool json_get_bool(const struct json *value, const char *key, bool fallback)
{
    const json_t *member = native(json_get(value, key));

    return json_is_boolean(member) ? json_is_true(member) : fallback;
}
