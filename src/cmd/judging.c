#include "cmd/judging.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/unit.h"
#include "cmd/limiting.h"
#include "load/schedule.h"
#include "profile/profile.h"
#include "report/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note_column(const char *text, void *context)
{
    (void)context;
    log_note("%s", text);
}

static bool moves(const struct series *series, int driver)
{
    const double *x = series->x[driver];

    for (size_t i = 1; i < series->n; i++) {
        if (x[i] != x[0]) {
            return true;
        }
    }
    return false;
}

static void tell_drivers(struct sink *sink, const struct series *series, bool moving,
                         const char *before)
{
    for (int d = DRIVER_TIME + 1; d < DRIVER_COUNT; d++) {
        if (series->has[d] && moves(series, d) == moving) {
            sink_printf(sink, "%s%s", before, driver_info((enum driver)d)->column);
            before = ", ";
        }
    }
}

/* "1,800 readings of anon_bytes over 30m 0s with requests, jwts; left out: foo" for the
 * first of `n` series of one source. */
static void tell(struct sink *told, const struct series *series, size_t n, const char *plan)
{
    struct sink *line = sink_new();
    char count[UNIT_TEXT], span[UNIT_TEXT];
    double seconds = series->n > 0 ? series->t[series->n - 1] - series->t[0] : 0;

    sink_printf(line, "%s readings of %s of %s over %s", unit_grouped(count, series->n_readings),
                series->metric, series->source, unit_duration(span, 1e9 * seconds));
    tell_drivers(line, series, true, " with ");
    /* a load that never happened shows nothing */
    tell_drivers(line, series, false, "; standing still: ");
    for (size_t i = 1; i < n; i++) {
        sink_printf(line, "%s%s", i == 1 ? "; not judged: " : ", ", series[i].metric);
    }
    if (series->left_out[0] != '\0') {
        sink_printf(line, "; left out: %s", series->left_out);
    }
    if (plan != NULL) {
        sink_printf(line, "; plan: %s", plan);
    }
    text_prose(told, "read ", sink_text(line, NULL));
    sink_free(line);
}

/* How many of `n` series are of the first one's source. */
static size_t same_source(const struct series *series, size_t n)
{
    size_t same = 1;

    while (same < n && str_equal(series[same].source, series[0].source)) {
        same++;
    }
    return same;
}

/* A file to judge. */
struct hearing {
    const char *path;
    struct judge_options options;
    const char *source;        /* what it is called; NULL: as the file says */
    const char *plan;          /* path; NULL: none */
    const struct plan *limits; /* whose limits on memory are judged; NULL: none */
    struct sink *told;         /* may be NULL */
};

/* Killed before the first reading, a run holds the head of the table, or a part of that: its load
 * was recorded all the same. */
static bool holds_no_reading(const char *path)
{
    CLEANUP_FREE char *text = file_read(path, 4096, NULL); /* a longer one holds some */
    char *rest = text, *line;
    int n_lines = 0;

    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL && rest != NULL) {
        n_lines += line[0] != '#';
    }
    return text != NULL && n_lines <= 1;
}

static bool judge_nothing(const struct hearing *h, struct verdict *verdict)
{
    struct series *empty = xcalloc(1, sizeof *empty);

    (void)str_copy(empty->source, sizeof empty->source, h->source);
    (void)str_copy(empty->metric, sizeof empty->metric, "memory");
    judge_series(empty, &h->options, &verdict->memory[verdict->n_memory++]);
    log_note("%s: no reading was stored", h->path);
    free(empty);
    return true;
}

/* Judges the best series of each source: the others would show the same growth, less well. */
static bool judge_file(const struct hearing *h, struct verdict *verdict, struct diag *diag)
{
    struct series *series = NULL;
    size_t n = series_load(h->path, &series, note_column, NULL, diag);

    for (size_t i = 0; i < n && verdict->n_memory < VERDICT_FINDINGS;) {
        size_t same = same_source(series + i, n - i);
        struct memory_finding *finding = &verdict->memory[verdict->n_memory++];
        if (h->source != NULL) {
            (void)str_copy(series[i].source, sizeof series[i].source, h->source);
        }
        struct judge_options options = h->options;
        options.floors |= series[i].floors;
        if (options.limit_bytes <= 0) {
            options.limit_bytes = series[i].limit_bytes;
        }
        judge_series(&series[i], &options, finding);
        if (h->limits != NULL) {
            limiting_series(h->limits, &series[i], &options, verdict->n_memory == 1, verdict);
        }
        if (h->told != NULL) {
            tell(h->told, &series[i], same, h->plan);
        } else if (series[i].left_out[0] != '\0') {
            log_note("%s: left out: %s", h->path, series[i].left_out);
        }
        i += same;
    }
    free(series);
    return n > 0;
}

/* What the command line gave goes before what the profile says. */
static void adopt(const struct judge_options *given, struct judge_options *options)
{
    for (int d = 0; d < DRIVER_COUNT; d++) {
        if (given->judge.budget[d] >= 0) {
            options->judge.budget[d] = given->judge.budget[d];
        }
        if (given->judge.expect_bound[d] > 0) {
            options->judge.expect_bound[d] = given->judge.expect_bound[d];
        }
    }
    if (given->judge.expect_ttl_ns > 0) {
        options->judge.expect_ttl_ns = given->judge.expect_ttl_ns;
    }
    if (given->limit_bytes > 0) {
        options->limit_bytes = given->limit_bytes;
    }
    if (given->period_s > 0) {
        options->period_s = given->period_s;
    }
    options->designed |= given->designed;
}

/* The load's own schedule says what came first in each pair. */
static void tell_pairs(const struct plan *plan, struct judge_options *options)
{
    struct schedule schedule;

    schedule_init(&schedule, plan);
    size_t n = schedule.n_dwells / 2;
    uint8_t *on_first = xcalloc(n + 1, sizeof *on_first);
    for (size_t pair = 0; pair < n; pair++) {
        on_first[pair] = schedule_on_first(&schedule, pair);
    }
    options->pairs = (struct judge_pairs){
        .start_s = (double)schedule.start_ns / 1e9,
        .dwell_s = (double)schedule.dwell_ns / 1e9,
        .n = n,
        .fresh_first = on_first,
        .factor = plan->attribution.factor,
    };
    schedule_clear(&schedule);
}

void judging_options_clear(struct judge_options *options)
{
    free((void *)options->pairs.fresh_first);
    options->pairs = (struct judge_pairs){.n = 0};
}

struct judge_options judging_options(const struct plan *plan, size_t source)
{
    struct judge_options options = {.judge = plan->judge};

    if (source < plan->n_memories) {
        options.limit_bytes = plan->memories[source].limit_bytes;
    }
    options.period_s = (double)plan->judge.period_ns / 1e9;
    options.designed = plan->attribution.mode != ATTRIBUTION_OFF;
    if (options.designed) {
        options.warmup_s = (double)plan->attribution.warmup_ns / 1e9;
        options.dwell_s = (double)plan->attribution.dwell_ns / 1e9;
    }
    if (plan->attribution.mode == ATTRIBUTION_PAIRS) {
        tell_pairs(plan, &options);
    }
    return options;
}

/* Connections that were held open in a phase. */
static uint64_t held_in(const struct plan *plan, const struct run_phase *phase)
{
    return plan->n_phases > 0 ? plan->phases[(phase->number - 1) % plan->n_phases].connections : 0;
}

/* Idle phases are compared where they held as many connections as the first; of too many, some
 * from the first to the last. */
static void tell_idles(const struct stored_run *stored, const struct plan *plan,
                       struct judge_options *options)
{
    size_t idles[RUN_PHASES_MAX], n = 0;

    for (size_t i = 0; i < stored->n_phases; i++) {
        const struct run_phase *phase = &stored->phases[i];
        if (phase->idle && phase->number > 0 &&
            (n == 0 || held_in(plan, phase) == held_in(plan, &stored->phases[idles[0]]))) {
            idles[n++] = i;
        }
    }
    options->n_idles = n < JUDGE_IDLES ? n : JUDGE_IDLES;
    for (size_t i = 0; i < options->n_idles; i++) {
        size_t from = n <= JUDGE_IDLES ? i : i * (n - 1) / (JUDGE_IDLES - 1);
        const struct run_phase *phase = &stored->phases[idles[from]];
        options->idle[i] = (struct judge_idle){phase->from_s, phase->to_s};
    }
}

static struct judge_options options_of(const struct plan *plan, size_t source,
                                       const struct judge_options *given)
{
    struct judge_options options = judging_options(plan, source);

    if (given != NULL) {
        adopt(given, &options);
    }
    return options;
}

/* memory.csv belongs to the first source, memory.NAME.csv to each other. */
static char *series_path(const struct stored_run *stored, int source)
{
    if (source == 0) {
        return xasprintf("%s/memory.csv", stored->dir);
    }
    return xasprintf("%s/memory.%s.csv", stored->dir, stored->meta.source[source]);
}

static void judge_refusals(const struct stored_run *stored, struct verdict *verdict)
{
    verdict->n_let_in = stored->total->count[COUNTER_LET_IN];
    verdict->n_refusals = (size_t)stored->meta.n_refusals;
    for (size_t i = 0; i < verdict->n_refusals; i++) {
        verdict->refusals[i].what = stored->meta.refusal[i];
        verdict->refusals[i].tally = stored->total->refusal[i];
    }
}

struct verdict *judging_run(const struct stored_run *stored, const struct plan *plan,
                            const struct judge_options *given, struct sink *told, struct diag *diag)
{
    struct verdict *verdict = xcalloc(1, sizeof *verdict);
    CLEANUP_FREE char *profile = xasprintf("%s/profile.ini", stored->dir);
    verdict->generator_healthy = stored->meta.healthy;
    (void)str_copy(verdict->generator_reason, sizeof verdict->generator_reason,
                   stored->meta.health);
    verdict->generator_mint_waits = stored->total->count[COUNTER_MINT_WAIT];
    (void)str_copy(verdict->ended, sizeof verdict->ended, stored->meta.ended);
    judge_refusals(stored, verdict);
    bool ok = limiting_judge(stored, plan, verdict, diag);
    /* the load of a search never stays as it is */
    int n_judged = plan->search.to_per_s > 0 ? 0 : stored->meta.n_sources;
    for (int i = 0; i < n_judged; i++) {
        CLEANUP_FREE char *path = series_path(stored, i);
        struct hearing h = {.path = path,
                            .options = options_of(plan, (size_t)i, given),
                            .source = stored->meta.source[i],
                            .plan = profile,
                            .limits = plan,
                            .told = told};
        tell_idles(stored, plan, &h.options);
        ok =
            (holds_no_reading(path) ? judge_nothing(&h, verdict) : judge_file(&h, verdict, diag)) &&
            ok;
        judging_options_clear(&h.options);
    }
    if (!ok) {
        free(verdict);
        return NULL;
    }
    verdict_decide(verdict, stored->meta.invalid[0] != '\0' ? stored->meta.invalid : NULL,
                   stored->meta.interrupted || !stored->meta.finished);
    return verdict;
}

bool judging_calls(const char *dir, const struct plan *plan)
{
    struct diag *diag = diag_new();
    struct stored_run *stored = run_load(dir, diag);
    struct verdict *verdict = stored != NULL ? judging_run(stored, plan, NULL, NULL, diag) : NULL;
    bool leak = false;

    for (size_t i = 0; verdict != NULL && i < verdict->n_memory; i++) {
        leak = leak || verdict->memory[i].class == MEMORY_LEAK;
    }
    free(verdict);
    run_unload(stored);
    diag_free(diag);
    return leak;
}

bool judging_takes(const struct plan *plan, const struct reading *reading)
{
    enum memory_source source = plan->memories[reading->source].source;

    return source == MEMORY_SOURCE_PROCESS ||
           reading->value[source == MEMORY_SOURCE_COMMAND ? MEMORY_COMMAND : MEMORY_CHOSEN] >= 0;
}

/* The profile beside the memory.csv or memory.NAME.csv of a stored run; NULL beside anything else.
 * The caller frees it. */
static char *plan_beside(const char *path)
{
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *run = file_beside(path, "run.json");
    char *profile = file_beside(path, "profile.ini");

    if (!str_has_prefix(slash != NULL ? slash + 1 : path, "memory.") || access(run, F_OK) != 0 ||
        access(profile, F_OK) != 0) {
        free(profile);
        return NULL;
    }
    return profile;
}

/* Which source of the plan memory.NAME.csv is of; the first one's is memory.csv. */
static size_t source_of(const char *path, const struct plan *plan)
{
    const char *slash = strrchr(path, '/');

    for (size_t i = 1; i < plan->n_memories; i++) {
        CLEANUP_FREE char *name = xasprintf("memory.%s.csv", plan->memories[i].name);
        if (str_equal(slash != NULL ? slash + 1 : path, name)) {
            return i;
        }
    }
    return 0;
}

struct verdict *judging_series(const char *path, const struct judge_options *given,
                               struct sink *told, struct diag *diag)
{
    CLEANUP_FREE char *profile = plan_beside(path);
    struct hearing h = {.path = path, .options = *given, .plan = profile, .told = told};

    if (profile != NULL) {
        struct plan *plan = profile_load_stored(profile, diag);
        if (plan == NULL) {
            return NULL;
        }
        h.options = options_of(plan, source_of(path, plan), given);
        plan_free(plan);
    }
    struct verdict *verdict = xcalloc(1, sizeof *verdict);
    verdict->generator_healthy = true;
    bool ok = judge_file(&h, verdict, diag);
    judging_options_clear(&h.options);
    if (!ok) {
        free(verdict);
        return NULL;
    }
    verdict_decide(verdict, NULL, false);
    return verdict;
}

struct stored_run *judging_load(const char *dir, struct plan **ret_plan, struct diag *diag)
{
    struct stored_run *stored = run_load(dir, diag);

    if (stored == NULL) {
        return NULL;
    }
    CLEANUP_FREE char *profile = xasprintf("%s/profile.ini", dir);
    struct plan *plan = profile_load_stored(profile, diag);
    if (plan == NULL) {
        run_unload(stored);
        return NULL;
    }
    *ret_plan = plan;
    return stored;
}
