#include "ident/text_load.h"

#include "ident/crypt.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (256U << 20)

bool text_fits_header(const char *text, size_t max)
{
    size_t len = strlen(text);
    if (len == 0 || len > max || text[0] == ' ' || text[len - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* Line number of the first that cannot be sent, 0 when all can. */
static size_t take_lines(struct text_list *list, char *text, size_t max)
{
    size_t line = 0, capacity = 0;
    for (char *at = text, *next; at != NULL; at = next) {
        next = strchr(at, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        line++;
        char *trimmed = str_trim(at);
        if (trimmed[0] == '\0' || trimmed[0] == '#') {
            continue;
        }
        if (!text_fits_header(trimmed, max)) {
            return line;
        }
        ARRAY_RESERVE(list->texts, list->n, capacity);
        list->texts[list->n++] = xstrdup(trimmed);
    }
    return 0;
}

bool text_list_load(struct text_list *ret_list, const char *path, const char *noun, size_t max,
                    char error[TEXT_ERROR])
{
    size_t len;
    char *text = file_read(path, FILE_MAX, &len);
    if (text == NULL) {
        (void)snprintf(error, TEXT_ERROR, "%s cannot be read: %s", path, strerror(errno));
        return false;
    }
    struct text_list list = {0};
    size_t wrong = take_lines(&list, text, max);
    crypt_wipe(text, len);
    free(text);
    if (wrong == 0 && list.n > 0) {
        *ret_list = list;
        return true;
    }
    if (wrong != 0) {
        (void)snprintf(error, TEXT_ERROR, "%s:%zu holds a %s that cannot be sent as a header", path,
                       wrong, noun);
    } else {
        (void)snprintf(error, TEXT_ERROR, "%s holds no %s", path, noun);
    }
    text_list_free(&list);
    return false;
}

void text_list_free(struct text_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        crypt_wipe(list->texts[i], strlen(list->texts[i]));
        free(list->texts[i]);
    }
    free(list->texts);
    *list = (struct text_list){0};
}
