#include "cmd/provisional.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "cmd/judging.h"
#include "judge/pairs.h"
#include "judge/series_formats.h"
#include "load/fleet.h"
#include "record/interval.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define EVERY_S    60.0
#define FORECAST_S 5.0 /* between two looks ahead, where there is a limit */
/* So many in a row must see memory at the limit before the end: who looks often is wrong sooner. */
#define FORECASTS       3
#define FORECAST_NEAR_S 60.0

struct provisional {
    struct judge_options options;
    bool stop_early;
    bool calls; /* somebody wants to know of a proof, though nothing ends by it */
    bool proven;
    char called[PROVISIONAL_TEXT]; /* why a leak was called; "": none was */
    char metric[64];               /* that the profile chose */
    struct series series;
    uint64_t incarnation;
    int part;
    double told_s, looked_s, cooldown_s;
    struct memory_finding told; /* at told_s, when that is not 0 */
    double level;               /* bytes, of the last reading */
    int n_heading;              /* forecasts in a row that reach the limit before the end */
};

struct provisional *provisional_new(const struct plan *plan, const char *runtime,
                                    double limit_bytes)
{
    struct provisional *provisional = xcalloc(1, sizeof *provisional);
    provisional->options = judging_options(plan, 0);
    provisional->options.limit_bytes = limit_bytes;
    provisional->stop_early = plan->judge.stop_early;
    provisional->calls = plan->hook.on_leak != NULL && plan->attribution.mode == ATTRIBUTION_PAIRS;
    provisional->cooldown_s = (double)plan->attribution.cooldown_ns / (double)NS_PER_S;
    series_init(&provisional->series);
    if (plan->n_memories > 0) {
        struct series *series = &provisional->series;
        (void)str_copy(series->source, sizeof series->source, plan->memories[0].name);
        (void)str_copy(series->runtime, sizeof series->runtime, runtime);
        series->collected = series_runtime_collects(runtime);
        series->floors = plan->memories[0].settle != NULL;
        provisional->options.floors = series->floors;
        series->chosen = plan->memories[0].column != NULL;
        if (series->chosen) {
            (void)str_copy(provisional->metric, sizeof provisional->metric,
                           plan->memories[0].column);
        }
    }
    return provisional;
}

void provisional_free(struct provisional *provisional)
{
    if (provisional != NULL) {
        judging_options_clear(&provisional->options);
        free(provisional);
    }
}

void provisional_reading(struct provisional *provisional, const struct reading *reading,
                         const struct interval *counts, double t_s)
{
    struct series *series = &provisional->series;
    double x[DRIVER_COUNT];
    if (!reading->ok || reading->source != 0) {
        return;
    }
    enum memory_metric metric = reading_metric(reading);
    for (int d = 0; d < DRIVER_COUNT; d++) {
        x[d] = (double)interval_driver(counts, (enum driver)d);
        series->has[d] = true;
    }
    if (series->n_readings > 0 && reading->incarnation != provisional->incarnation) {
        provisional->part++;
    }
    provisional->incarnation = reading->incarnation;
    (void)str_copy(series->metric, sizeof series->metric,
                   metric == MEMORY_CHOSEN ? provisional->metric : metric_memory(metric)->name);
    provisional->level = (double)reading->value[metric];
    if (series->n_readings == 0 && provisional->options.limit_bytes > 0 &&
        provisional->level >= provisional->options.limit_bytes) {
        log_warn("memory is above its limit before the load: the limit is of something else, and "
                 "ends nothing");
        provisional->options.limit_bytes = 0;
    }
    /* As it is stored. */
    series_add(series, round(t_s * 1e3) / 1e3, provisional->level, x,
               (double)counts->gauge[GAUGE_OPEN], provisional->part);
}

static void tell(struct provisional *provisional, const struct fleet_second *second)
{
    struct memory_finding *finding = &provisional->told;
    if (second->elapsed_s < provisional->told_s + EVERY_S ||
        second->elapsed_s > second->planned_s - EVERY_S / 2) {
        return;
    }
    provisional->told_s = second->elapsed_s;
    judge_provisional(&provisional->series, &provisional->options, finding);
    log_note("provisional, %.0f s: %s: %s", second->elapsed_s, memory_class_name(finding->class),
             finding->reason);
}

const struct memory_finding *provisional_finding(const struct provisional *provisional)
{
    return provisional->told_s > 0 ? &provisional->told : NULL;
}

/* A leak that reaches the limit soon by its slowest plausible growth, and while the load goes on.
 * Further ahead nothing is ended: a store that fills heads for the limit as well, and may be full
 * before. */
static bool is_heading_for_limit(struct provisional *provisional, const struct fleet_second *second,
                                 char ended[PROVISIONAL_TEXT])
{
    struct memory_finding finding;
    double limit_bytes = provisional->options.limit_bytes;
    char limit[UNIT_TEXT], left[UNIT_TEXT];
    if (limit_bytes <= 0 || second->elapsed_s < provisional->looked_s + FORECAST_S) {
        return false;
    }
    provisional->looked_s = second->elapsed_s;
    judge_provisional(&provisional->series, &provisional->options, &finding);
    double left_s = finding.seconds_to_limit_high;
    double load_s = second->planned_s - provisional->cooldown_s - second->elapsed_s;
    bool heading = finding.class == MEMORY_LEAK && isfinite(left_s) && left_s < load_s &&
                   left_s <= FORECAST_NEAR_S;
    provisional->n_heading = heading ? provisional->n_heading + 1 : 0;
    if (provisional->n_heading < FORECASTS) {
        return false;
    }
    (void)unit_bytes(limit, limit_bytes);
    if (provisional->level >= limit_bytes) {
        (void)snprintf(ended, PROVISIONAL_TEXT, "memory has reached its limit of %s and grows on",
                       limit);
    } else {
        (void)snprintf(ended, PROVISIONAL_TEXT,
                       "memory would have reached its limit of %s in %s, while the load went on",
                       limit, unit_duration(left, left_s * (double)NS_PER_S));
    }
    return true;
}

/* Looking often is free here: the chance that it is ever reached without a leak has one bound for
 * all looks together. */
static bool is_proven(struct provisional *provisional, char ended[PROVISIONAL_TEXT])
{
    struct pairs_finding finding;
    if (provisional->proven || (!provisional->stop_early && !provisional->calls)) {
        return false;
    }
    judge_pairs(&provisional->series, &provisional->options, &finding);
    if (finding.reached) {
        provisional->proven = true;
        (void)snprintf(provisional->called, sizeof provisional->called,
                       "in %zu of %zu pairs of dwells memory grew more with what was asked for",
                       finding.n_more, finding.n_pairs);
        (void)snprintf(ended, PROVISIONAL_TEXT, "%.200s (judge.stop_early)", provisional->called);
    }
    return finding.reached && provisional->stop_early;
}

bool provisional_second(struct provisional *provisional, const struct fleet_second *second,
                        char ended[PROVISIONAL_TEXT])
{
    char why[PROVISIONAL_TEXT] = "";
    if (provisional->series.n == 0) {
        return true;
    }
    tell(provisional, second);
    bool over = is_proven(provisional, why);
    if (!over && is_heading_for_limit(provisional, second, why)) {
        (void)str_copy(provisional->called, sizeof provisional->called, why);
        over = true;
    }
    if (over) {
        (void)str_copy(ended, PROVISIONAL_TEXT, why);
    }
    return !over;
}

const char *provisional_called(const struct provisional *provisional)
{
    return provisional->called;
}
