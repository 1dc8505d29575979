#include "judge/baseline.h"

#include "base/json.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "tlsoak.baseline/1"

static const struct {
    const char *name, *unit;
} kinds[BASELINE_KINDS] = {
    [BASELINE_LATENCY] = {"latency", "ns"},    [BASELINE_RATE] = {"rate", "1/s"},
    [BASELINE_COST] = {"cost", "1/exchange"},  [BASELINE_RATIO] = {"ratio", "1"},
    [BASELINE_LEAK] = {"leak", "bytes/event"},
};

const char *baseline_unit(enum baseline_kind kind)
{
    return kinds[kind].unit;
}

static void put_sample(struct jsonw *w, const struct baseline_sample *sample)
{
    jsonw_object(w, NULL);
    jsonw_string(w, "metric", sample->name);
    jsonw_string(w, "kind", kinds[sample->kind].name);
    jsonw_string(w, "unit", baseline_unit(sample->kind));
    jsonw_number(w, "value", sample->value);
    jsonw_number(w, "n", sample->n);
    if (sample->drift > 0) {
        jsonw_number(w, "drift", sample->drift);
    }
    if (sample->kind == BASELINE_LEAK) {
        jsonw_number(w, "low", sample->low);
        jsonw_number(w, "high", sample->high);
    }
    jsonw_array(w, "sections");
    for (size_t i = 0; i < sample->sections.n; i++) {
        jsonw_number(w, NULL, sample->sections.value[i]);
    }
    jsonw_end(w);
    jsonw_end(w);
}

static void put_run(struct jsonw *w, const struct baseline_run *run)
{
    jsonw_object(w, NULL);
    jsonw_string(w, "id", run->id);
    jsonw_string(w, "version", run->version);
    jsonw_number(w, "seconds", run->seconds);
    jsonw_bool(w, "invalid", run->invalid);
    jsonw_string(w, "problem", run->problem[0] != '\0' ? run->problem : NULL);
    jsonw_string(w, "load", run->load);
    jsonw_array(w, "samples");
    for (size_t i = 0; i < run->n; i++) {
        put_sample(w, &run->sample[i]);
    }
    jsonw_end(w);
    jsonw_end(w);
}

void baseline_write(struct sink *sink, struct baseline_run *const *runs, size_t n)
{
    struct jsonw w;

    jsonw_init(&w, sink, true);
    jsonw_object(&w, NULL);
    jsonw_string(&w, "schema", SCHEMA);
    jsonw_array(&w, "runs");
    for (size_t i = 0; i < n; i++) {
        put_run(&w, runs[i]);
    }
    jsonw_end(&w);
    jsonw_end(&w);
    sink_write(sink, "\n", 1);
}

static bool find_kind(const char *name, enum baseline_kind *ret_kind)
{
    for (int i = 0; i < BASELINE_KINDS; i++) {
        if (str_equal(name, kinds[i].name)) {
            *ret_kind = (enum baseline_kind)i;
            return true;
        }
    }
    return false;
}

/* "leak.cache.request": what a metric, a driver and a [memory NAME] can be called. */
static bool is_metric(const char *name)
{
    return strspn(name, STR_NAME_LETTERS ".") == strlen(name) && strchr(name, '.') != NULL;
}

static bool read_sample(const struct json *json, struct baseline_sample *ret_sample)
{
    struct baseline_sample sample = {.value = json_get_number(json, "value", NAN),
                                     .n = json_get_number(json, "n", 0),
                                     .drift = json_get_number(json, "drift", 0),
                                     .low = json_get_number(json, "low", NAN),
                                     .high = json_get_number(json, "high", NAN)};
    const struct json *sections = json_get(json, "sections");

    if (!find_kind(json_get_string(json, "kind", ""), &sample.kind) ||
        !str_copy(sample.name, sizeof sample.name, json_get_string(json, "metric", "")) ||
        !is_metric(sample.name) || !isfinite(sample.drift) || sample.drift < 0 ||
        json_size(sections) > SECTIONS_MAX) {
        return false;
    }
    for (; sample.sections.n < json_size(sections); sample.sections.n++) {
        double value = json_as_number(json_at(sections, sample.sections.n), NAN);
        if (!isfinite(value)) {
            return false;
        }
        sample.sections.value[sample.sections.n] = value;
    }
    *ret_sample = sample;
    return true;
}

static struct baseline_run *read_run(const char *path, const struct json *json)
{
    const struct json *samples = json_get(json, "samples");
    const char *load = json_get_string(json, "load", NULL);
    struct baseline_run *run = xcalloc(1, sizeof *run);

    (void)str_copy(run->name, sizeof run->name, path);
    run->seconds = json_get_number(json, "seconds", 0);
    run->invalid = json_get_bool(json, "invalid", false);
    run->load = load != NULL ? xstrdup(load) : NULL;
    bool ok = str_copy(run->id, sizeof run->id, json_get_string(json, "id", "")) &&
              str_copy(run->version, sizeof run->version, json_get_string(json, "version", "")) &&
              str_copy(run->problem, sizeof run->problem, json_get_string(json, "problem", "")) &&
              json_size(samples) <= BASELINE_SAMPLES;
    for (size_t i = 0; ok && i < json_size(samples); i++) {
        ok = read_sample(json_at(samples, i), &run->sample[run->n++]);
    }
    if (!ok) {
        baseline_free(run);
        return NULL;
    }
    return run;
}

size_t baseline_read(const char *path, const char *text, size_t len,
                     struct baseline_run *ret_runs[BASELINE_RUNS_MAX], struct diag *diag)
{
    struct origin origin = {path, 0};
    char error[160];
    struct json *json = json_parse(text, len, error, sizeof error);
    const struct json *runs = json_get(json, "runs");
    size_t n = 0;
    bool ok = json != NULL && str_equal(json_get_string(json, "schema", ""), SCHEMA);

    if (!ok) {
        diag_add(diag, origin, "is neither a run's directory nor a baseline (" SCHEMA ")%s%s",
                 json == NULL ? ": " : "", json == NULL ? error : "");
        json_free(json);
        return 0;
    }
    ok = json_size(runs) > 0 && json_size(runs) <= BASELINE_RUNS_MAX;
    for (size_t i = 0; ok && i < json_size(runs); i++) {
        ret_runs[n] = read_run(path, json_at(runs, i));
        ok = ret_runs[n] != NULL;
        n += ok;
    }
    if (!ok) {
        diag_add(diag, origin, "is a damaged baseline");
        while (n > 0) {
            baseline_free(ret_runs[--n]);
        }
    }
    json_free(json);
    return n;
}
