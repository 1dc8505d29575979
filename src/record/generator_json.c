#include "record/generator_json.h"

#include <stddef.h>
#include <string.h>

#define COUNT(name, field)                                                                         \
    {                                                                                              \
        name, offsetof(struct run_generator, field), true                                          \
    }
#define NUMBER(name, field)                                                                        \
    {                                                                                              \
        name, offsetof(struct run_generator, field), false                                         \
    }

static const struct {
    const char *name;
    size_t offset;
    bool is_count;
} members[] = {
    NUMBER("lagging_s", lagging_s),
    NUMBER("cpu_share", cpu_share),
    NUMBER("wait_share", wait_share),
    NUMBER("busiest_share", busiest_share),
    NUMBER("stolen_share", stolen_share),
    COUNT("n_throttled", n_throttled),
    NUMBER("throttled_s", throttled_s),
    COUNT("descriptors", n_descriptors),
    COUNT("descriptors_max", descriptors_max),
    COUNT("ports", n_ports),
    COUNT("ports_max", ports_max),
    COUNT("backlog", backlog),
    COUNT("backlog_ns", backlog_ns),
    NUMBER("backlog_at_s", backlog_at_s),
};

void generator_json_write(struct jsonw *w, const struct run_generator *generator)
{
    jsonw_bool(w, "latency_is_own", generator->latency_is_own);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const char *field = (const char *)generator + members[i].offset;
        if (members[i].is_count) {
            uint64_t value;
            memcpy(&value, field, sizeof value);
            jsonw_integer(w, members[i].name, value > INT64_MAX ? INT64_MAX : (int64_t)value);
        } else {
            double value;
            memcpy(&value, field, sizeof value);
            jsonw_number(w, members[i].name, value);
        }
    }
}

void generator_json_load(const struct json *object, struct run_generator *generator)
{
    generator->latency_is_own = json_get_bool(object, "latency_is_own", false);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        char *field = (char *)generator + members[i].offset;
        double value = json_get_number(object, members[i].name, 0);
        value = value >= 0 && value < 0x1p63 ? value : 0;
        if (members[i].is_count) {
            uint64_t count = (uint64_t)value;
            memcpy(field, &count, sizeof count);
        } else {
            memcpy(field, &value, sizeof value);
        }
    }
}
