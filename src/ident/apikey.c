#include "ident/apikey.h"

#include "ident/crypt.h"
#include "ident/template.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FILE_MAX (256U << 20)
#define KEY_MAX      8192 /* bytes of one key: more than servers take as a header */

static const char hmac_field[] = "{hmac}";

/* A verifier recomputes the tag over all that stands before the last dot. */
static void add_tag(struct sink *sink, const char *secret)
{
    unsigned char tag[CRYPT_TAG];
    char hex[2 * CRYPT_TAG + 1];
    size_t len;
    const char *text = sink_text(sink, &len);
    if (len > 0 && text[len - 1] == '.') {
        len--;
    }
    crypt_hmac_sha256(secret, strlen(secret), text, len, tag);
    crypt_hex(hex, tag, sizeof tag);
    sink_write(sink, hex, 2 * CRYPT_TAG);
}

char *apikey_generate(const struct plan_apikey *section, uint64_t n, const char *run_id)
{
    struct sink *sink = sink_new();
    const char *at = section->template;
    const char *field;
    while ((field = strstr(at, hmac_field)) != NULL) {
        CLEANUP_FREE char *before = xstrndup(at, (size_t)(field - at));
        template_expand(sink, before, n, run_id);
        add_tag(sink, section->secret != NULL ? section->secret : "");
        at = field + strlen(hmac_field);
    }
    template_expand(sink, at, n, run_id);
    char *key = xstrdup(sink_text(sink, NULL));
    sink_free(sink);
    return key;
}

/* A key goes into a header (RFC 9110 section 5.5): visible ASCII, blanks inside only. */
static bool fits_header(const char *key)
{
    size_t len = strlen(key);
    if (len == 0 || len > KEY_MAX || key[0] == ' ' || key[len - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (key[i] < 0x20 || key[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

bool apikey_check(const struct plan *plan, const struct plan_apikey *section, struct diag *diag)
{
    struct origin origin = plan_origin(plan, &section->template);
    if (!template_check(section->template, "hmac", origin, diag)) {
        return false;
    }
    CLEANUP_FREE char *sample = apikey_generate(section, 1, "run");
    if (!fits_header(sample)) {
        diag_add(diag, origin, "apikey.template: \"%s\" cannot be sent as a header",
                 section->template);
        return false;
    }
    return true;
}

size_t apikey_load(const struct plan *plan, const struct plan_apikey *section, char ***ret_keys,
                   struct diag *diag)
{
    struct origin origin = plan_origin(plan, &section->path);
    size_t len, n = 0, capacity = 0, line = 0;
    char *text = file_read(section->path, KEY_FILE_MAX, &len);
    char **keys = NULL;
    bool good = text != NULL;
    if (text == NULL) {
        diag_add(diag, origin, "apikey.path: %s cannot be read: %s", section->path,
                 strerror(errno));
        return 0;
    }
    for (char *at = text, *next; at != NULL && good; at = next) {
        next = strchr(at, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        line++;
        char *key = str_trim(at);
        if (key[0] == '\0' || key[0] == '#') {
            continue;
        }
        if (!fits_header(key)) {
            diag_add(diag, origin,
                     "apikey.path: %s:%zu holds a key that cannot be sent as a header",
                     section->path, line);
            good = false;
            break;
        }
        ARRAY_RESERVE(keys, n, capacity);
        keys[n++] = xstrdup(key);
    }
    crypt_wipe(text, len);
    free(text);
    if (good && n == 0) {
        diag_add(diag, origin, "apikey.path: %s holds no key", section->path);
    }
    if (!good || n == 0) {
        for (size_t i = 0; i < n; i++) {
            free(keys[i]);
        }
        free(keys);
        return 0;
    }
    *ret_keys = keys;
    return n;
}

bool apikey_verify(const char *key, size_t len, const char *secret, size_t secret_len)
{
    unsigned char tag[CRYPT_TAG];
    char hex[2 * CRYPT_TAG + 1];
    if (len > KEY_MAX || len < 2 * CRYPT_TAG + 2 || key[len - 2 * CRYPT_TAG - 1] != '.') {
        return false;
    }
    crypt_hmac_sha256(secret, secret_len, key, len - 2 * CRYPT_TAG - 1, tag);
    crypt_hex(hex, tag, sizeof tag);
    return crypt_equal(hex, key + len - 2 * CRYPT_TAG, 2 * CRYPT_TAG);
}
