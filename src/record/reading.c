#include "record/reading.h"

#include "base/str.h"

#include <stddef.h>

enum memory_metric reading_metric(const struct reading *reading)
{
    return reading->value[MEMORY_COMMAND] >= 0  ? MEMORY_COMMAND
           : reading->value[MEMORY_CHOSEN] >= 0 ? MEMORY_CHOSEN
           : reading->value[MEMORY_ANON] >= 0   ? MEMORY_ANON
                                                : MEMORY_RSS;
}

const char *reading_runtime(const char *known, const char *metric_name)
{
    static const struct {
        const char *prefix;
        const char *runtime;
    } marks[] = {{"jvm_", "jvm"},
                 {"process_runtime_jvm_", "jvm"},
                 {"nodejs_", "node"},
                 {"dotnet_", "dotnet"},
                 {"process_runtime_dotnet_", "dotnet"},
                 {"go_", "go"},
                 {"process_runtime_go_", "go"}};

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (known != NULL && str_equal(known, marks[i].runtime)) {
            return known;
        }
        if (str_has_prefix(metric_name, marks[i].prefix)) {
            return marks[i].runtime;
        }
    }
    return known;
}
