/* Whether text is well-formed XML (1.0, fifth edition), or HTML as carefully written: all elements
 * closed but the void ones, all attributes quoted, all references known.  What comes from an input
 * may stand in it as text only: an element, attribute or reference called "canary...", any script
 * and any on... attribute are faults, too. */
#ifndef FUZZ_MARKUP_H
#define FUZZ_MARKUP_H

#include <stdbool.h>
#include <stddef.h>

enum markup { MARKUP_XML, MARKUP_HTML };

/* NULL, or what is wrong. */
const char *markup_fault(enum markup kind, const char *text, size_t len);
/* The bytes of one character of UTF-8 (RFC 3629) at `text`, and which it is; 0: there is none. */
size_t markup_character(const char *text, size_t len, unsigned *ret_character);
/* A terminal shows it as it is: UTF-8 without control characters but line feeds (and, where
 * `tabs`, tabs). */
bool markup_is_plain(const char *text, size_t len, bool tabs);

#endif
