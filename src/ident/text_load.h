/* Files with an API key or a token on each line, blank lines and # comments left out.  Private to
 * ident. */
#ifndef IDENT_TEXT_LOAD_H
#define IDENT_TEXT_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#define TEXT_ERROR 512

struct text_list {
    char **texts;
    size_t n;
};

/* Visible ASCII of at most `max` bytes with blanks inside only: what a header can carry (RFC 9110
 * section 5.5). */
bool text_fits_header(const char *text, size_t max);
/* At least one; false with a reason, which begins with the path.  `noun` is what a line holds. */
bool text_list_load(struct text_list *ret_list, const char *path, const char *noun, size_t max,
                    char error[TEXT_ERROR]) __attribute__((warn_unused_result));
/* Wipes and frees the texts. */
void text_list_free(struct text_list *list);

#endif
