#include "cmd/judging.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "profile/profile.h"

#include <stdlib.h>
#include <string.h>

static void note_column(const char *text, void *context)
{
    (void)context;
    log_note("%s", text);
}

/* Judges the best series of `path` and shows the others: the verdict is taken on the first. */
static bool judge_file(const char *path, const struct judge_options *options, const char *source,
                       struct verdict *verdict, struct diag *diag)
{
    struct series *series = NULL;
    size_t n = series_load(path, &series, note_column, NULL, diag);

    for (size_t i = 0; i < n && i < 1 && verdict->n_memory < VERDICT_FINDINGS; i++) {
        struct memory_finding *finding = &verdict->memory[verdict->n_memory++];
        judge_series(&series[i], options, finding);
        if (source != NULL) {
            (void)str_copy(finding->source, sizeof finding->source, source);
        }
    }
    free(series);
    return n > 0;
}

static struct judge_options options_of(const struct plan *plan, size_t source)
{
    struct judge_options options = {.judge = plan->judge};

    if (source < plan->n_memories) {
        options.limit_bytes = plan->memories[source].limit_bytes;
    }
    options.designed = plan->attribution.mode != ATTRIBUTION_OFF;
    options.warmup_s = (double)plan->attribution.warmup_ns / 1e9;
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
                            struct diag *diag)
{
    struct verdict *verdict = xcalloc(1, sizeof *verdict);
    bool ok = true;

    verdict->generator_healthy = stored->meta.healthy;
    (void)str_copy(verdict->generator_reason, sizeof verdict->generator_reason,
                   stored->meta.health);
    judge_refusals(stored, verdict);
    for (int i = 0; i < stored->meta.n_sources; i++) {
        CLEANUP_FREE char *path = series_path(stored, i);
        struct judge_options options = options_of(plan, (size_t)i);
        ok = judge_file(path, &options, stored->meta.source[i], verdict, diag) && ok;
    }
    if (!ok) {
        free(verdict);
        return NULL;
    }
    verdict_decide(verdict, stored->meta.invalid[0] != '\0' ? stored->meta.invalid : NULL,
                   stored->meta.interrupted || !stored->meta.finished, false);
    return verdict;
}

struct verdict *judging_series(const char *path, const struct judge_options *options,
                               struct diag *diag)
{
    struct verdict *verdict = xcalloc(1, sizeof *verdict);

    verdict->generator_healthy = true;
    if (!judge_file(path, options, NULL, verdict, diag)) {
        free(verdict);
        return NULL;
    }
    verdict_decide(verdict, NULL, false, false);
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
