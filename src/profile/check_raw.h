/* Raw targets: what tls:// needs, and what of it and of HTTP does not go together. */
#ifndef PROFILE_CHECK_RAW_H
#define PROFILE_CHECK_RAW_H

#include "profile/check_internal.h"

/* target.alpn, which means protocols of HTTP or any names; after target.url. */
void check_protocols(const struct checker *c);
/* All else; after all else. */
void check_raw(const struct checker *c);

#endif
