#include "report/verdict_json.h"

#include "base/jsonw.h"
#include "judge/floors.h"

#include <math.h>

#define SCHEMA "tlsoak.verdict/1"

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* `driver` below 0: none. */
static void put_needed(struct jsonw *w, double seconds, int driver, double events)
{
    if (seconds <= 0 && driver < 0) {
        jsonw_null(w, "needed");
        return;
    }
    jsonw_object(w, "needed");
    if (seconds > 0) {
        jsonw_number(w, "seconds", seconds);
    } else {
        jsonw_null(w, "seconds");
    }
    if (driver >= 0) {
        jsonw_string(w, "driver", driver_info((enum driver)driver)->name);
        jsonw_number(w, "events", events);
    } else {
        jsonw_null(w, "driver");
        jsonw_null(w, "events");
    }
    jsonw_end(w);
}

static void put_known_bound(struct jsonw *w, const struct memory_finding *finding)
{
    if (finding->known_bound[0] == '\0') {
        jsonw_null(w, "known_bound");
        return;
    }
    jsonw_object(w, "known_bound");
    jsonw_string(w, "name", finding->known_bound);
    jsonw_number(w, "size", finding->known_bound_size);
    jsonw_end(w);
}

static void put_slope(struct jsonw *w, const struct memory_finding *finding)
{
    jsonw_object(w, "slope_bytes_per_second");
    jsonw_number(w, "value", finding->slope);
    jsonw_number(w, "low", finding->slope_low);
    jsonw_number(w, "high", finding->slope_high);
    jsonw_end(w);
}

static void put_seconds_to_limit(struct jsonw *w, const struct memory_finding *finding)
{
    if (isnan(finding->seconds_to_limit_low)) {
        jsonw_null(w, "seconds_to_limit");
        return;
    }
    jsonw_object(w, "seconds_to_limit");
    jsonw_number(w, "low", finding->seconds_to_limit_low);
    jsonw_number(w, "high", finding->seconds_to_limit_high);
    jsonw_end(w);
}

static void put_driver(struct jsonw *w, const struct driver_finding *driver)
{
    jsonw_object(w, NULL);
    jsonw_string(w, "driver", driver_info(driver->driver)->name);
    jsonw_number(w, "bytes_per_event", driver->bytes_per_event);
    jsonw_number(w, "low", driver->low);
    jsonw_number(w, "high", driver->high);
    jsonw_bool(w, "separable", driver->separable);
    jsonw_string(w, "confounded_with",
                 driver->confounded_with[0] != '\0' ? driver->confounded_with : NULL);
    jsonw_bool(w, "blamed", driver->blamed);
    jsonw_bool(w, "bounded", driver->bounded);
    jsonw_number(w, "events", driver->events);
    jsonw_end(w);
}

static void put_rise(struct jsonw *w, const struct floors_finding *floors)
{
    if (floors->change == FLOORS_NOT_COMPARED) {
        jsonw_null(w, "rise_bytes");
        return;
    }
    jsonw_object(w, "rise_bytes");
    jsonw_number(w, "value", floors->rise);
    jsonw_number(w, "low", floors->rise_low);
    jsonw_number(w, "high", floors->rise_high);
    jsonw_end(w);
}

/* Where memory settled in the idle phases; null without any. */
static void put_floors(struct jsonw *w, const struct floors_finding *floors)
{
    if (floors->n == 0) {
        jsonw_null(w, "floors");
        return;
    }
    jsonw_object(w, "floors");
    jsonw_string(w, "change", floors_change_name(floors->change));
    jsonw_string(w, "reason", floors->reason);
    put_rise(w, floors);
    jsonw_array(w, "drivers");
    for (int d = 0; d < DRIVER_COUNT; d++) {
        if (floors->events[d] > 0) {
            jsonw_object(w, NULL);
            jsonw_string(w, "driver", driver_info((enum driver)d)->name);
            jsonw_number(w, "bytes_per_event", floors->rise / floors->events[d]);
            jsonw_number(w, "events", floors->events[d]);
            jsonw_end(w);
        }
    }
    jsonw_end(w);
    jsonw_array(w, "idle");
    for (size_t i = 0; i < floors->n; i++) {
        const struct idle_floor *floor = &floors->floor[i];
        jsonw_object(w, NULL);
        jsonw_number(w, "from_s", floor->from_s);
        jsonw_number(w, "to_s", floor->to_s);
        jsonw_number(w, "level_bytes", floor->level_bytes);
        jsonw_number(w, "uncertainty_bytes", floor->uncertainty_bytes);
        jsonw_bool(w, "settled", floor->settled);
        jsonw_end(w);
    }
    jsonw_end(w);
    jsonw_end(w);
}

static void put_finding(struct jsonw *w, const struct memory_finding *finding)
{
    jsonw_object(w, NULL);
    jsonw_string(w, "source", finding->source);
    jsonw_string(w, "metric", finding->metric);
    jsonw_string(w, "class", memory_class_name(finding->class));
    jsonw_string(w, "reason", finding->reason);
    put_needed(w, finding->needed_seconds, finding->needed_driver, finding->needed_events);
    put_known_bound(w, finding);
    put_slope(w, finding);
    jsonw_number(w, "smallest_visible_bytes_per_second", finding->smallest_visible);
    put_seconds_to_limit(w, finding);
    put_floors(w, &finding->floors);
    jsonw_array(w, "drivers");
    for (size_t i = 0; i < finding->n_drivers; i++) {
        put_driver(w, &finding->drivers[i]);
    }
    jsonw_end(w);
    jsonw_end(w);
}

/* Of a limit that holds in windows: when the worst was. */
static void put_window(struct jsonw *w, const struct limit_finding *finding)
{
    if (finding->to_s <= 0) {
        return;
    }
    jsonw_object(w, "window");
    jsonw_number(w, "from_s", finding->from_s);
    jsonw_number(w, "to_s", finding->to_s);
    jsonw_end(w);
}

/* Latencies are in microseconds, as in run.json. */
static void put_limit(struct jsonw *w, const struct limit_finding *finding)
{
    struct sink *metric = sink_new();
    char text[1024];

    limit_column(&finding->limit, metric);
    limits_sentence(finding, text, sizeof text);
    jsonw_object(w, NULL);
    jsonw_string(w, "rule", finding->limit.rule);
    jsonw_string(w, "state", limit_state_name(finding->state));
    jsonw_string(w, "metric", sink_text(metric, NULL));
    jsonw_number(w, "bound", limit_number(&finding->limit, finding->limit.bound));
    jsonw_number(w, "measured", limit_number(&finding->limit, finding->measured));
    put_window(w, finding);
    if (limit_is_of_memory(&finding->limit)) {
        jsonw_number(w, "low", finding->low);
        jsonw_number(w, "high", finding->high);
        put_needed(w, finding->needed_seconds, finding->needed_driver, finding->needed_events);
    }
    if (finding->ended) {
        jsonw_bool(w, "ended_run", true);
    }
    jsonw_string(w, "reason", text);
    jsonw_end(w);
    sink_free(metric);
}

/* Only of a search. */
static void put_search(struct jsonw *w, const struct search_finding *finding)
{
    char text[512];

    if (finding->answer.end == SEARCH_NONE) {
        return;
    }
    search_sentence(finding, text, sizeof text);
    search_json_write(w, &finding->answer, text);
}

static void put_refusal(struct jsonw *w, const struct refusal_finding *finding)
{
    const struct refusal_tally *tally = &finding->tally;
    char text[512];

    jsonw_object(w, NULL);
    jsonw_string(w, "name", finding->what.name);
    jsonw_string(w, "presented", finding->what.presented);
    jsonw_string(w, "expect", finding->what.expect);
    jsonw_integer(w, "tried", (int64_t)tally->tried);
    for (int i = 0; i < REFUSAL_RESULTS; i++) {
        jsonw_integer(w, refusal_result_name((enum refusal_result)i), (int64_t)tally->n[i]);
    }
    jsonw_object(w, "answers");
    for (int i = 0; i < REFUSAL_RESULTS; i++) {
        if (tally->n[i] > 0) {
            refusal_answer_text(&tally->first[i], text, sizeof text);
            jsonw_string(w, refusal_result_name((enum refusal_result)i), text);
        }
    }
    jsonw_end(w);
    refusal_sentence(finding, text, sizeof text);
    jsonw_string(w, "reason", text_or_null(text));
    jsonw_end(w);
}

static void put_verdict(struct sink *sink, const struct verdict *verdict, bool compact)
{
    struct jsonw w;

    jsonw_init(&w, sink, compact);
    jsonw_object(&w, NULL);
    jsonw_string(&w, "schema", SCHEMA);
    jsonw_string(&w, "verdict", verdict_kind_name(verdict->kind));
    jsonw_integer(&w, "exit_code", verdict->exit_code);
    jsonw_string(&w, "reason", verdict->reason);
    jsonw_string(&w, "ended_early", text_or_null(verdict->ended));
    jsonw_array(&w, "memory");
    for (size_t i = 0; i < verdict->n_memory; i++) {
        put_finding(&w, &verdict->memory[i]);
    }
    jsonw_end(&w);
    jsonw_array(&w, "limits");
    for (size_t i = 0; i < verdict->n_limits; i++) {
        put_limit(&w, &verdict->limits[i]);
    }
    jsonw_end(&w);
    put_search(&w, &verdict->search);
    jsonw_array(&w, "refusals");
    for (size_t i = 0; i < verdict->n_refusals; i++) {
        put_refusal(&w, &verdict->refusals[i]);
    }
    jsonw_end(&w);
    jsonw_object(&w, "generator");
    jsonw_bool(&w, "healthy", verdict->generator_healthy);
    jsonw_string(&w, "reason", text_or_null(verdict->generator_reason));
    jsonw_integer(&w, "mint_wait", (int64_t)verdict->generator_mint_waits);
    jsonw_end(&w);
    jsonw_end(&w);
}

void verdict_json_write(struct sink *sink, const struct stored_run *run,
                        const struct verdict *verdict)
{
    (void)run;
    put_verdict(sink, verdict, false);
}

void verdict_json_line(struct sink *sink, const struct verdict *verdict)
{
    put_verdict(sink, verdict, true);
}
