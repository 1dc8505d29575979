#include "report/bench_json.h"

#include "base/jsonw.h"
#include "base/str.h"
#include "judge/baseline.h"

#include <math.h>
#include <stdio.h>

/* How a metric is told: its unit, the factor to it, and what Bencher calls its measure. */
struct telling {
    const char *unit;
    double factor;
    const char *measure;
    double measure_factor;
};

static struct telling telling_of(const struct baseline_sample *sample)
{
    switch (sample->kind) {
    case BASELINE_LATENCY:
        return (struct telling){"us", 1e-3, "latency", 1};
    case BASELINE_RATE:
        return (struct telling){"1/s", 1, "throughput", 1};
    case BASELINE_RATIO:
        return str_has_prefix(sample->name, "errors.")
                   ? (struct telling){"%", 100, "error-ratio", 1}
                   : (struct telling){"handshakes/exchange", 1, "handshakes-per-exchange", 1};
    case BASELINE_LEAK:
        return (struct telling){"bytes/event", 1, "bytes-per-event", 1};
    default:
        return str_equal(sample->name, "cost.cpu")
                   ? (struct telling){"us/exchange", 1e6, "cpu-ns-per-exchange", 1e9}
                   : (struct telling){"bytes/exchange", 1, "bytes-per-exchange", 1};
    }
}

static void put_entry(struct jsonw *w, const struct baseline_run *run,
                      const struct baseline_sample *sample)
{
    struct telling telling = telling_of(sample);
    double low, high;
    char range[48], extra[160];

    jsonw_object(w, NULL);
    jsonw_string(w, "name", sample->name);
    jsonw_string(w, "unit", telling.unit);
    jsonw_number(w, "value", telling.factor * sample->value);
    if (baseline_interval(sample, &low, &high)) {
        (void)snprintf(range, sizeof range, "\u00b1 %.3g", telling.factor * (high - low) / 2);
        (void)snprintf(extra, sizeof extra, "95 %% %.4g to %.4g\nrun %s", telling.factor * low,
                       telling.factor * high, run->id);
        jsonw_string(w, "range", range);
        jsonw_string(w, "extra", extra);
    }
    jsonw_end(w);
}

/* The samples of a run; what can't be read is left out, as the page says it. */
static struct baseline_run *take(const struct stored_run *run, const struct verdict *verdict)
{
    struct diag *diag = diag_new();
    struct baseline_run *taken = baseline_take(run, verdict, diag);

    diag_free(diag);
    return taken;
}

static void put_array(struct sink *sink, const struct stored_run *run,
                      const struct verdict *verdict, bool bigger)
{
    struct baseline_run *taken = take(run, verdict);
    struct jsonw w;

    jsonw_init(&w, sink, false);
    jsonw_array(&w, NULL);
    for (size_t i = 0; taken != NULL && i < taken->n; i++) {
        const struct baseline_sample *sample = &taken->sample[i];
        if ((sample->kind == BASELINE_RATE) == bigger && isfinite(sample->value)) {
            put_entry(&w, taken, sample);
        }
    }
    jsonw_end(&w);
    baseline_free(taken);
}

void bench_smaller_write(struct sink *sink, const struct stored_run *run,
                         const struct verdict *verdict)
{
    put_array(sink, run, verdict, false);
}

void bench_bigger_write(struct sink *sink, const struct stored_run *run,
                        const struct verdict *verdict)
{
    put_array(sink, run, verdict, true);
}

void bmf_write(struct sink *sink, const struct stored_run *run, const struct verdict *verdict)
{
    struct baseline_run *taken = take(run, verdict);
    struct jsonw w;
    double low, high;

    jsonw_init(&w, sink, false);
    jsonw_object(&w, NULL);
    for (size_t i = 0; taken != NULL && i < taken->n; i++) {
        const struct baseline_sample *sample = &taken->sample[i];
        struct telling telling = telling_of(sample);
        if (!isfinite(sample->value)) {
            continue;
        }
        jsonw_object(&w, sample->name);
        jsonw_object(&w, telling.measure);
        jsonw_number(&w, "value", telling.measure_factor * sample->value);
        if (baseline_interval(sample, &low, &high)) {
            jsonw_number(&w, "lower_value", telling.measure_factor * low);
            jsonw_number(&w, "upper_value", telling.measure_factor * high);
        }
        jsonw_end(&w);
        jsonw_end(&w);
    }
    jsonw_end(&w);
    baseline_free(taken);
}
