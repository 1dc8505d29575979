#include "report/html_limits.h"

#include "base/unit.h"

#include <math.h>

static void begin_table(struct sink *sink, const char *heading)
{
    sink_printf(sink, "<h2>%s</h2>\n<div class=\"wide\"><table><thead><tr>", heading);
}

static void put_head(struct sink *sink, const char *text, bool number)
{
    sink_printf(sink, "<th scope=\"col\"%s>", number ? " class=\"n\"" : "");
    sink_xml(sink, text);
    sink_printf(sink, "</th>");
}

static void put_cell(struct sink *sink, const char *text, bool number)
{
    sink_printf(sink, "<td%s>", number ? " class=\"n\"" : "");
    sink_xml(sink, text);
    sink_printf(sink, "</td>");
}

static void begin_rows(struct sink *sink)
{
    sink_printf(sink, "</tr></thead><tbody>\n");
}

static void end_table(struct sink *sink)
{
    sink_printf(sink, "</tbody></table></div>\n");
}

static const char *const marks[LIMIT_STATES] = {
    [LIMIT_HELD] = "\u2713", [LIMIT_BROKEN] = "\u2717", [LIMIT_UNKNOWN] = "?"};

static void put_limits(struct sink *sink, const struct verdict *verdict)
{
    char text[LIMIT_MEASURED];

    begin_table(sink, "Limits");
    put_head(sink, "limit", false);
    put_head(sink, "measured", true);
    put_head(sink, "", false);
    put_head(sink, "", false);
    begin_rows(sink);
    for (size_t i = 0; i < verdict->n_limits; i++) {
        const struct limit_finding *finding = &verdict->limits[i];
        sink_printf(sink, "<tr>");
        put_cell(sink, finding->limit.rule, false);
        put_cell(sink, limits_measured(finding, text), true);
        put_cell(sink, marks[finding->state], false);
        put_cell(sink, limit_state_name(finding->state), false);
        sink_printf(sink, "</tr>\n");
    }
    end_table(sink);
}

static void put_step(struct sink *sink, const struct verdict *verdict, const struct run_step *step)
{
    char rate[UNIT_TEXT], value[LIMIT_VALUE];

    sink_printf(sink, "<tr>");
    put_cell(sink, search_rate(step->asked_per_s, rate), true);
    put_cell(sink, search_rate(step->reached_per_s, rate), true);
    for (size_t i = 0; i < verdict->n_limits; i++) {
        const struct limit *limit = &verdict->limits[i].limit;
        double number = i < step->n_limits ? step->measured[i] : NAN;
        put_cell(sink, limit_value(limit, limit_from_number(limit, number), value), true);
    }
    put_cell(sink, step_result_name(step->result), false);
    sink_printf(sink, "</tr>\n");
}

static void put_search(struct sink *sink, const struct stored_run *run,
                       const struct verdict *verdict)
{
    begin_table(sink, "Search");
    put_head(sink, "asked", true);
    put_head(sink, "reached", true);
    for (size_t i = 0; i < verdict->n_limits; i++) {
        put_head(sink, verdict->limits[i].limit.key, true);
    }
    put_head(sink, "", false);
    begin_rows(sink);
    for (size_t i = 0; i < run->n_steps; i++) {
        put_step(sink, verdict, &run->steps[i]);
    }
    end_table(sink);
}

void html_limits(struct sink *sink, const struct stored_run *run, const struct verdict *verdict)
{
    if (verdict->n_limits > 0) {
        put_limits(sink, verdict);
    }
    if (verdict->search.answer.end != SEARCH_NONE) {
        put_search(sink, run, verdict);
    }
}
