#include "judge/series_formats.h"

#include "base/str.h"

#include <string.h>

struct known {
    const char *part;
    bool anywhere; /* else at the name's beginning */
    int rank;
};

/* The first that fits decides.  Garbage lies in a heap until it is collected, so the heap after
 * collection goes before all; a container's RSS is its anonymous memory (cgroup memory.stat). */
static const struct known known[] = {
    {"floor", true, 0},
    {"command", false, 0}, /* what the profile's own command measures */
    {"after_full_gc", true, 0},
    {"jvm_gc_live_data_size", false, 0},
    {"virtual", true, SERIES_NO_MEMORY},
    {"vsz", true, SERIES_NO_MEMORY},
    {"vms", true, SERIES_NO_MEMORY},
    {"limit", true, SERIES_NO_MEMORY},
    {"available", true, SERIES_NO_MEMORY},
    {"free", true, SERIES_NO_MEMORY},
    {"anon", false, 1},
    {"container_memory_rss", false, 1},
    {"private_dirty", false, 2},
    {"uss", false, 2},
    {"process_private_memory", false, 2},
    {"pss", false, 3},
    {"go_memstats_heap_inuse", false, 4},
    {"go_memstats_heap_alloc", false, 4},
    {"go_memstats_alloc_bytes", false, 4},
    {"jvm_memory_used", false, 4},
    {"jvm_memory_bytes_used", false, 4},
    {"nodejs_heap_size_used", false, 4},
    {"heap", false, 4},
    {"rss", false, 5},
    {"process_resident_memory", false, 5},
    {"process_working_set", false, 5},
    {"container_memory_working_set", false, 6},
    {"container_memory_usage", false, 7},
};

int series_rank(const char *metric)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *part = known[i].part;
        if (known[i].anywhere ? strstr(metric, part) != NULL : str_has_prefix(metric, part)) {
            return known[i].rank;
        }
    }
    return SERIES_OTHER;
}

bool series_runtime_collects(const char *runtime)
{
    static const char *const collected[] = {"jvm", "go", "node", "dotnet"};
    return str_index(runtime, collected, sizeof collected / sizeof *collected) >= 0;
}
