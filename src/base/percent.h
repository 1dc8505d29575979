/* Percent-encoding (RFC 3986, section 2.1): of a value in the query of a URL or in a form. */
#ifndef BASE_PERCENT_H
#define BASE_PERCENT_H

/* All but unreserved characters (section 2.3) as %XX; the caller frees it. */
char *percent_encode(const char *text) __attribute__((warn_unused_result));

#endif
