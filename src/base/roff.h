/* Text for man pages (man(7)): what would be a request or an escape of roff stands for itself. */
#ifndef BASE_ROFF_H
#define BASE_ROFF_H

#include "base/sink.h"

/* Running text, which may begin a line.  Blanks and line breaks become single blanks; a line may
 * be broken behind | and /. */
void roff_text(struct sink *sink, const char *text);
/* A line that is kept as it is, without its break. */
void roff_line(struct sink *sink, const char *text, size_t len);
/* The same in bold and in italics, for use within a line. */
void roff_bold(struct sink *sink, const char *text);
void roff_italic(struct sink *sink, const char *text);

#endif
