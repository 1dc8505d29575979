/* The parts that a [memory] section is checked in. */
#ifndef PROFILE_CHECK_MEMORY_H
#define PROFILE_CHECK_MEMORY_H

#include "profile/check_internal.h"

/* The target of an http URL; `key` is its option's whole name. */
void check_plain_page(const struct checker *c, char *const *url, const char *key,
                      struct plan_target *ret_target);
/* What a control group or a page of metrics is asked for; after the deadline. */
void check_metric(const struct checker *c, struct plan_memory *memory);

#endif
