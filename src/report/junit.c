#include "report/junit.h"

#include "base/mono.h"
#include "report/checks.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* Three decimals at the most: the schema takes no more. */
static double seconds_of(const struct stored_run *run)
{
    return run == NULL ? 0 : (double)run->elapsed_ns / (double)NS_PER_S;
}

static void put_attribute(struct sink *sink, const char *name, const char *value)
{
    sink_printf(sink, " %s=\"", name);
    sink_xml(sink, value);
    sink_write(sink, "\"", 1);
}

static void put_timestamp(struct sink *sink, const struct stored_run *run)
{
    time_t seconds = (time_t)run->meta.start_wall_s;
    char text[32];
    struct tm tm;

    if (gmtime_r(&seconds, &tm) != NULL && strftime(text, sizeof text, "%FT%T", &tm) > 0) {
        put_attribute(sink, "timestamp", text);
    }
}

static void put_property(struct sink *sink, const char *name, const char *value)
{
    sink_printf(sink, "      <property");
    put_attribute(sink, "name", name);
    put_attribute(sink, "value", value);
    sink_printf(sink, "/>\n");
}

static void put_properties(struct sink *sink, const struct stored_run *run)
{
    char seed[24];

    (void)snprintf(seed, sizeof seed, "%" PRIu64, run->meta.seed);
    sink_printf(sink, "    <properties>\n");
    put_property(sink, "run", run->meta.id);
    put_property(sink, "target", run->meta.target);
    put_property(sink, "seed", seed);
    put_property(sink, "version", run->meta.version);
    sink_printf(sink, "    </properties>\n");
}

static void put_case(struct sink *sink, const struct check *check, double seconds)
{
    static const char *const elements[CHECK_STATES] = {
        [CHECK_FAILED] = "failure", [CHECK_INVALID] = "error", [CHECK_UNKNOWN] = "skipped"};
    const char *element = elements[check->state];
    char classname[32];

    (void)snprintf(classname, sizeof classname, "tlsoak.%s", check->group);
    sink_printf(sink, "    <testcase");
    put_attribute(sink, "name", check->name);
    put_attribute(sink, "classname", classname);
    sink_printf(sink, " time=\"%.3f\"", seconds);
    if (element == NULL) {
        sink_printf(sink, "/>\n");
        return;
    }
    sink_printf(sink, ">\n      <%s", element);
    if (check->state != CHECK_UNKNOWN) {
        put_attribute(sink, "type", check->type);
    }
    put_attribute(sink, "message", check->text);
    sink_printf(sink, "/>\n    </testcase>\n");
}

static void put_counts(struct sink *sink, const struct checks *checks, double seconds)
{
    sink_printf(sink,
                " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\"",
                checks->n, checks_count(checks, CHECK_FAILED), checks_count(checks, CHECK_INVALID),
                checks_count(checks, CHECK_UNKNOWN), seconds);
}

void junit_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict)
{
    struct checks *checks = checks_new(verdict);
    double seconds = seconds_of(run);

    sink_printf(sink,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"tlsoak\" "
                "time=\"%.3f\">\n  <testsuite name=\"tlsoak\"",
                seconds);
    put_counts(sink, checks, seconds);
    if (run != NULL) {
        put_timestamp(sink, run);
    }
    sink_printf(sink, ">\n");
    if (run != NULL) {
        put_properties(sink, run);
    }
    for (size_t i = 0; i < checks->n; i++) {
        put_case(sink, &checks->list[i], seconds);
    }
    sink_printf(sink, "  </testsuite>\n</testsuites>\n");
    checks_free(checks);
}
