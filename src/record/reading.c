#include "record/reading.h"

enum memory_metric reading_metric(const struct reading *reading)
{
    return reading->value[MEMORY_COMMAND] >= 0 ? MEMORY_COMMAND
           : reading->value[MEMORY_ANON] >= 0  ? MEMORY_ANON
                                               : MEMORY_RSS;
}
