#include "base/core.h"

#include <stdbool.h>
#include <sys/resource.h>

static struct rlimit before;
static bool forbidden;

void core_forbid(void)
{
    if (!forbidden && getrlimit(RLIMIT_CORE, &before) == 0) {
        struct rlimit limit = {.rlim_cur = 1, .rlim_max = before.rlim_max};
        if (limit.rlim_max < limit.rlim_cur) {
            limit.rlim_cur = limit.rlim_max;
        }
        forbidden = setrlimit(RLIMIT_CORE, &limit) == 0;
    }
}

void core_allow(void)
{
    if (forbidden) {
        (void)setrlimit(RLIMIT_CORE, &before);
    }
}
