#include "report/csv.h"

#include <math.h>

static void put_text(struct sink *sink, const char *text)
{
    struct sink *plain = sink_new();

    sink_plain(plain, text);
    sink_csv(sink, sink_text(plain, NULL));
    sink_write(sink, ",", 1);
    sink_free(plain);
}

static void put_number(struct sink *sink, double value)
{
    if (isfinite(value)) {
        sink_printf(sink, "%.9g", value);
    }
    sink_write(sink, ",", 1);
}

static void put_bool(struct sink *sink, bool value)
{
    put_text(sink, value ? "true" : "false");
}

static void put_finding(struct sink *sink, const struct memory_finding *finding)
{
    put_text(sink, finding->source);
    put_text(sink, finding->metric);
    put_text(sink, memory_class_name(finding->class));
    put_text(sink, finding->reason_code);
    put_number(sink, finding->slope);
    put_number(sink, finding->slope_low);
    put_number(sink, finding->slope_high);
    put_number(sink, finding->smallest_visible);
    put_number(sink, finding->seconds_to_limit_low);
    put_number(sink, finding->seconds_to_limit_high);
}

static void put_driver(struct sink *sink, const struct driver_finding *driver)
{
    put_text(sink, driver_info(driver->driver)->name);
    put_number(sink, driver->bytes_per_event);
    put_number(sink, driver->low);
    put_number(sink, driver->high);
    put_bool(sink, driver->separable);
    put_bool(sink, driver->blamed);
    put_bool(sink, driver->bounded);
    put_text(sink, driver->confounded_with);
    if (isfinite(driver->events)) {
        sink_printf(sink, "%.0f", driver->events);
    }
    sink_printf(sink, "\r\n");
}

void csv_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict)
{
    (void)run;
    sink_printf(sink, "source,metric,class,reason_code,slope_bytes_per_second,slope_low,slope_high,"
                      "smallest_visible_bytes_per_second,seconds_to_limit_low,"
                      "seconds_to_limit_high,driver,bytes_per_event,low,high,separable,blamed,"
                      "bounded,confounded_with,events\r\n");
    for (size_t i = 0; i < verdict->n_memory; i++) {
        const struct memory_finding *finding = &verdict->memory[i];
        for (size_t k = 0; k < finding->n_drivers; k++) {
            put_finding(sink, finding);
            put_driver(sink, &finding->drivers[k]);
        }
        if (finding->n_drivers == 0) {
            put_finding(sink, finding);
            sink_printf(sink, ",,,,,,,,\r\n");
        }
    }
}
