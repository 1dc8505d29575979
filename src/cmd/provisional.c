#include "cmd/provisional.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "cmd/judging.h"
#include "judge/series_formats.h"
#include "record/interval.h"

#include <stdlib.h>

#define EVERY_S 60.0

struct provisional {
    struct judge_options options;
    struct series series;
    uint64_t read_ns; /* of the last reading, which is shown until the next */
    uint64_t incarnation;
    int part;
    double told_s;
};

struct provisional *provisional_new(const struct plan *plan, const char *runtime)
{
    struct provisional *provisional = xcalloc(1, sizeof *provisional);
    provisional->options = judging_options(plan, 0);
    series_init(&provisional->series);
    if (plan->n_memories > 0) {
        struct series *series = &provisional->series;
        (void)str_copy(series->source, sizeof series->source, plan->memories[0].name);
        (void)str_copy(series->runtime, sizeof series->runtime, runtime);
        series->collected = series_runtime_collects(runtime);
        series->floors = plan->memories[0].settle != NULL;
        provisional->options.floors = series->floors;
    }
    return provisional;
}

void provisional_free(struct provisional *provisional)
{
    free(provisional);
}

static void add(struct provisional *provisional, const struct fleet_second *second)
{
    struct series *series = &provisional->series;
    enum memory_metric metric = reading_metric(second->memory);
    double x[DRIVER_COUNT];
    for (int d = 0; d < DRIVER_COUNT; d++) {
        x[d] = (double)interval_driver(second->total, (enum driver)d);
        series->has[d] = true;
    }
    if (series->n_readings > 0 && second->memory->incarnation != provisional->incarnation) {
        provisional->part++;
    }
    provisional->incarnation = second->memory->incarnation;
    (void)str_copy(series->metric, sizeof series->metric, metric_memory(metric)->name);
    series_add(series, second->elapsed_s, (double)second->memory->value[metric], x,
               (double)second->total->gauge[GAUGE_OPEN], provisional->part);
}

void provisional_second(struct provisional *provisional, const struct fleet_second *second)
{
    struct memory_finding finding;
    const struct reading *memory = second->memory;
    if (memory != NULL && memory->ok && memory->source == 0 &&
        memory->t_ns != provisional->read_ns) {
        provisional->read_ns = memory->t_ns;
        add(provisional, second);
    }
    if (second->elapsed_s < provisional->told_s + EVERY_S ||
        second->elapsed_s > second->planned_s - EVERY_S / 2 || provisional->series.n == 0) {
        return;
    }
    provisional->told_s = second->elapsed_s;
    judge_provisional(&provisional->series, &provisional->options, &finding);
    log_note("provisional, %.0f s: %s: %s", second->elapsed_s, memory_class_name(finding.class),
             finding.reason);
}
