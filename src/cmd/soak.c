#include "cmd/soak.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/rng.h"
#include "base/str.h"
#include "cmd/ceiling.h"
#include "cmd/descriptors.h"
#include "cmd/doctor.h"
#include "cmd/history.h"
#include "cmd/judging.h"
#include "cmd/limiting.h"
#include "cmd/presented.h"
#include "cmd/reports.h"
#include "cmd/provisional.h"
#include "cmd/scrape.h"
#include "cmd/settling.h"
#include "cmd/stopping.h"
#include "cmd/windowing.h"
#include "demo/listener.h"
#include "ident/mint.h"
#include "load/consent.h"
#include "load/fleet.h"
#include "load/once.h"
#include "load/selfcheck.h"
#include "net/fetch_token.h"
#include "net/policy.h"
#include "net/source_addr.h"
#include "net/tls.h"
#include "net/tls_speed.h"
#include "probe/hook.h"
#include "probe/sampler.h"
#include "profile/profile.h"
#include "record/run.h"
#include "report/live.h"
#include "report/renderer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* All that a soak holds between its steps. */
struct soak {
    const struct plan *plan;
    const struct soak_options *options;
    struct diag *diag;
    struct policy_ruling ruling;
    struct mint *mint;
    struct sampler *sampler;
    struct hook *hook;
    struct run *run;
    struct run_meta meta;
    struct tls_speed speed;
    struct doctor *doctor;
    struct live *live;
    struct provisional *provisional;
    struct aborting *aborting;
    struct scrape *scrape;    /* NULL: nobody may ask */
    struct settling settling; /* memory since the load stopped */
    struct ceiling ceiling;
    bool called; /* a leak, during the load */
    char *dir;
    bool refused;
};

/* Before any packet: where the load may go, and from where. */
static bool may_dial(struct soak *soak)
{
    bool ok = policy_permit(soak->plan, &soak->ruling, soak->diag);

    soak->refused = soak->refused || soak->ruling.refused;
    source_addr_check(soak->plan, soak->ruling.addrs, soak->ruling.n_addrs, soak->diag);
    return ok && diag_count(soak->diag) == 0;
}

static bool keeps_to_ceilings(struct soak *soak)
{
    bool ok = policy_ceilings(soak->plan, &soak->ruling, soak->diag);

    soak->refused = soak->refused || !ok;
    return ok;
}

static bool has_consent(struct soak *soak)
{
    bool ok = consent_ask(soak->plan, &soak->ruling, soak->mint, soak->diag);

    soak->refused = soak->refused || !ok;
    return ok;
}

static void name_run(struct run_meta *meta, uint64_t seed)
{
    struct rng rng;
    time_t now;
    struct tm tm;
    char stamp[24];

    meta->start_wall_s = mono_wall_s();
    now = (time_t)meta->start_wall_s;
    (void)gmtime_r(&now, &tm);
    (void)strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm);
    rng_init(&rng, seed ^ (uint64_t)getpid() ^ mono_now_ns(), "run id", 0);
    (void)snprintf(meta->id, sizeof meta->id, "%s-%04x", stamp, (unsigned)rng_below(&rng, 65536));
}

static void describe(struct soak *soak)
{
    const struct plan *plan = soak->plan;
    struct run_meta *meta = &soak->meta;
    static const char *const verify[] = {"always", "cached", "no"};

    name_run(meta, plan->run.seed);
    meta->duration_ns = plan->run.duration_ns;
    meta->tick_ns = NS_PER_S;
    meta->seed = plan->run.seed;
    meta->threads = (unsigned)plan->run.threads;
    (void)str_copy(meta->version, sizeof meta->version, TLSOAK_VERSION);
    (void)str_copy(meta->tls_library, sizeof meta->tls_library, tls_library());
    (void)str_copy(meta->target, sizeof meta->target, plan->target.url);
    (void)str_copy(meta->verify, sizeof meta->verify, verify[plan->target.verify]);
    meta->dials_due = plan->pace.mode == PACE_CHURN || plan->pace.mode == PACE_HANDSHAKE;
    meta->n_sources = (int)plan->n_memories;
    for (size_t i = 0; i < plan->n_memories; i++) {
        (void)str_copy(meta->source[i], sizeof meta->source[i], plan->memories[i].name);
    }
    meta->n_refusals = (int)plan->n_refuses;
    for (size_t i = 0; i < plan->n_refuses; i++) {
        presented_describe(&plan->refuses[i], &meta->refusal[i]);
    }
    meta->n_misuses = (int)plan->n_misuses;
    for (size_t i = 0; i < plan->n_misuses; i++) {
        presented_misuse(&plan->misuses[i], &meta->misuse[i]);
    }
}

static bool try_library(struct soak *soak)
{
    if (!tls_speed(&soak->speed)) {
        diag_add(soak->diag, (struct origin){"BoringSSL", 0},
                 "%s makes or verifies signatures wrongly: install another build", tls_library());
        return false;
    }
    soak->meta.p256_signs_per_s = soak->speed.signs_per_s;
    soak->meta.p256_verifies_per_s = soak->speed.verifies_per_s;
    return true;
}

static void show_minting(size_t done, size_t total)
{
    static uint64_t last_ns;
    uint64_t now_ns = mono_now_ns();

    if (now_ns - last_ns > 2 * NS_PER_S && done < total) {
        if (last_ns != 0) {
            log_note("making credentials: %zu of %zu", done, total);
        }
        last_ns = now_ns;
    }
}

static bool make_identities(struct soak *soak)
{
    struct mint_job job = {
        .plan = soak->plan,
        .n_workers = (unsigned)soak->plan->run.threads,
        .run_id = soak->meta.id,
        .fetcher = fetch_token(),
        .progress = show_minting,
    };

    soak->mint = mint_new(&job, soak->diag);
    return soak->mint != NULL;
}

/* What on this machine would spoil the run, seen before it begins. */
static bool is_fit(struct soak *soak)
{
    const struct doctor_patient patient = {
        .plan = soak->plan,
        .dir = soak->options->dir,
        .mint = soak->mint,
        .ruling = &soak->ruling,
        .speed = &soak->speed,
    };

    soak->doctor = doctor_examine(&patient);
    bool ok = doctor_permits(soak->doctor, soak->diag);
    soak->refused = soak->refused || !ok;
    return ok;
}

/* False when the endpoint lets clients without a certificate in: then nothing that the soak would
 * measure means what its reader thinks. */
static bool enforces_mtls(struct soak *soak)
{
    char text[SELFCHECK_TEXT] = "", found[SELFCHECK_TEXT + 64];
    enum selfcheck result = selfcheck_perform(soak->plan, soak->ruling.addrs, soak->ruling.n_addrs,
                                              soak->mint, text, soak->diag);

    (void)snprintf(found, sizeof found, "a connection without a certificate got %s",
                   result != SELFCHECK_NOT_ASKED ? text : "no chance: it was not tried");
    doctor_note(soak->doctor, "mutual TLS", result != SELFCHECK_UNCLEAR, found);
    switch (result) {
    case SELFCHECK_NOT_ENFORCED:
        log_warn("%s does not enforce mutual TLS: a connection without a certificate got %s; no "
                 "load was started (target.expect_mtls = no lets it pass)",
                 soak->plan->target.url, text);
        return false;
    case SELFCHECK_UNCLEAR:
        log_warn("whether %s enforces mutual TLS could not be told: a connection without a "
                 "certificate got %s",
                 soak->plan->target.url, text);
        break;
    case SELFCHECK_ENFORCED:
    case SELFCHECK_NOT_ASKED:
        break;
    }
    return true;
}

static bool find_server(struct soak *soak)
{
    if (soak->plan->n_memories == 0) {
        log_warn("no [memory] section: load is driven and measured, but no leak is judged");
        doctor_note(soak->doctor, "target", false, "no memory is watched, so no leak is judged");
        return true;
    }
    soak->sampler = sampler_new(soak->plan, soak->ruling.addrs, soak->ruling.n_addrs,
                                &soak->refused, soak->diag);
    if (soak->sampler == NULL) {
        return false;
    }
    (void)str_copy(soak->meta.server, sizeof soak->meta.server, sampler_describe(soak->sampler, 0));
    CLEANUP_FREE char *found = xasprintf("memory of %s can be read", soak->meta.server);
    doctor_note(soak->doctor, "target", true, found);
    for (size_t i = 0; i < soak->plan->n_memories; i++) {
        (void)str_copy(soak->meta.runtime[i], sizeof soak->meta.runtime[i],
                       sampler_runtime(soak->sampler, i));
        soak->meta.floors[i] = soak->plan->memories[i].settle != NULL;
        soak->meta.limit_bytes[i] = sampler_limit(soak->sampler, i);
        if (soak->plan->memories[i].column != NULL) {
            (void)str_copy(soak->meta.metric[i], sizeof soak->meta.metric[i],
                           soak->plan->memories[i].column);
        }
    }
    return true;
}

static bool make_run_directory(struct soak *soak)
{
    struct sink *profile = sink_new();

    if (soak->options->dir != NULL || soak->plan->run.dir != NULL) {
        soak->dir = xstrdup(soak->options->dir != NULL ? soak->options->dir : soak->plan->run.dir);
    } else {
        soak->dir = xasprintf("tlsoak-run-%s", soak->meta.id);
    }
    profile_print(soak->plan, true, profile);
    soak->meta.checks = doctor_rows(soak->doctor, &soak->meta.n_checks);
    soak->meta.start_ns = mono_now_ns();
    soak->run = run_create(soak->dir, &soak->meta, sink_text(profile, NULL), soak->diag);
    sink_free(profile);
    if (soak->run != NULL) {
        soak->hook = hook_new(soak->plan, soak->sampler, soak->dir, soak->diag);
    }
    return soak->hook != NULL;
}

static void note_hook(const struct soak *soak, const struct hook_event *event)
{
    if (!event->ok) {
        log_warn("%s", event->text);
        if (!run_event(soak->run, event->at_ns, "hook", event->text)) {
            log_warn("this could not be recorded: is the disk full?");
        }
    }
}

/* The load begins when it is over, however long that took. */
static void run_start_hook(struct soak *soak)
{
    struct hook_event event;
    bool any = hook_perform(soak->hook, HOOK_ON_START, stopping_fd(), &event);

    soak->meta.start_ns = mono_now_ns();
    run_start(soak->run, soak->meta.start_ns);
    if (any) {
        note_hook(soak, &event);
    }
}

static void note_event(const struct soak *soak, const char *kind, const char *text)
{
    if (!run_event(soak->run, mono_now_ns(), kind, text)) {
        log_warn("this could not be recorded: is the disk full?");
    }
}

/* A leak is sure while the load goes on: what shall be seen of it is there now. */
static void call_leak(struct soak *soak)
{
    const char *why = provisional_called(soak->provisional);

    if (soak->called || why[0] == '\0') {
        return;
    }
    soak->called = true;
    log_note("a leak is called: %s", why);
    note_event(soak, "leak", why);
    hook_begin_leak(soak->hook, stopping_fd());
}

/* Waits for the hook that was begun when a leak was called, or runs it where the verdict is the
 * first to call one. */
static void run_leak_hook(const struct soak *soak)
{
    struct hook_event event;

    if (soak->plan->hook.on_leak == NULL ||
        !(soak->called || judging_calls(soak->dir, soak->plan))) {
        return;
    }
    if (hook_perform(soak->hook, HOOK_ON_LEAK, stopping_next_fd(), &event)) {
        note_hook(soak, &event);
    }
}

/* After the load, however that ended: what on_start has set up may have to be taken down.  Only a
 * stop of its own ends it, the first one here or the second in all. */
static void run_end_hook(const struct soak *soak)
{
    struct hook_event event;

    if (hook_perform(soak->hook, HOOK_ON_END, stopping_next_fd(), &event)) {
        note_hook(soak, &event);
    }
}

/* False: a limit is broken that the profile lets end the run. */
static bool keeps_limits(struct soak *soak, const struct fleet_second *second)
{
    struct run_abort *abort = &soak->meta.abort;

    if (!aborting_row(soak->aborting, second->end_s, second->second, second->total, abort)) {
        return true;
    }
    limiting_ended(soak->plan, abort, soak->meta.ended, sizeof soak->meta.ended);
    return false;
}

/* From then on nothing ends the run, nor can it be broken: what is in flight comes home. */
static bool is_load_over(const struct fleet_second *second)
{
    return *stopping_flag() != 0 || second->end_s > second->planned_s;
}

static bool show_second(const struct fleet_second *second, void *context)
{
    struct soak *soak = context;
    struct live_frame frame = {
        .elapsed_s = second->elapsed_s,
        .planned_s = second->planned_s,
        .phase = second->phase,
        .rate_asked = second->rate_asked,
        .second = second->second,
        .total = second->total,
        .memory = second->memory,
    };

    live_show(soak->live, &frame);
    scrape_second(soak->scrape, second, provisional_finding(soak->provisional));
    if (soak->meta.ended[0] != '\0' || is_load_over(second)) {
        return true;
    }
    bool goes_on = soak->plan->search.to_per_s > 0 ||
                   (keeps_limits(soak, second) &&
                    provisional_second(soak->provisional, second, soak->meta.ended));
    call_leak(soak);
    if (goes_on && soak->ceiling.ended[0] == '\0') {
        return true;
    }
    if (goes_on) {
        (void)str_copy(soak->meta.ended, sizeof soak->meta.ended, soak->ceiling.ended);
    }
    log_note("ending the run: %s", soak->meta.ended);
    return false;
}

static void note_reading(const struct reading *reading, const struct interval *counts, double t_s,
                         void *context)
{
    struct soak *soak = context;
    struct reading shown = *reading;
    bool takes = judging_takes(soak->plan, reading);

    shown.ok = reading->ok && takes;
    scrape_reading(soak->scrape, &shown);
    if (!takes) {
        return;
    }
    settling_reading(&soak->settling, reading, t_s);
    provisional_reading(soak->provisional, reading, counts, t_s);
    ceiling_reading(&soak->ceiling, reading, t_s);
}

static bool has_settled(double since_s, void *context)
{
    struct soak *soak = context;

    return settling_done(&soak->settling, since_s);
}

static bool listens(struct soak *soak)
{
    if (soak->plan->output.listen == NULL) {
        return true;
    }
    soak->scrape = scrape_open(soak->plan, &soak->meta, soak->diag);
    return soak->scrape != NULL;
}

static bool perform(struct soak *soak)
{
    struct fleet_result result = {.total = NULL};

    stopping_begin();
    run_start_hook(soak);
    struct fleet_job job = {
        .plan = soak->plan,
        .addrs = soak->ruling.addrs,
        .n_addrs = soak->ruling.n_addrs,
        .mint = soak->mint,
        .sampler = soak->sampler,
        .hook = soak->hook,
        .run = soak->run,
        .start_ns = soak->meta.start_ns,
        .stop = stopping_flag(),
        .second = show_second,
        .reading = note_reading,
        .settled = has_settled,
        .context = soak,
    };

    soak->live = live_new(soak->options->quiet, soak->plan->target.url);
    settling_init(&soak->settling);
    ceiling_init(&soak->ceiling, soak->plan);
    soak->provisional =
        provisional_new(soak->plan, soak->meta.runtime[0], soak->meta.limit_bytes[0]);
    soak->aborting = aborting_new(soak->plan);
    bool ok = fleet_perform(&job, &result, soak->diag);
    provisional_free(soak->provisional);
    aborting_free(soak->aborting);
    live_free(soak->live);
    if (!ok) {
        run_end_hook(soak);
        return false;
    }
    soak->meta.finished = true;
    soak->meta.interrupted = result.interrupted;
    soak->meta.load_ns = result.load_ns;
    soak->meta.healthy = result.healthy;
    soak->meta.generator = result.generator;
    soak->meta.search = result.search;
    (void)str_copy(soak->meta.health, sizeof soak->meta.health, result.health);
    (void)str_copy(soak->meta.invalid, sizeof soak->meta.invalid, result.invalid);
    if (!run_finish(soak->run, &soak->meta, result.total)) {
        log_warn("the run directory %s could not be completed: is the disk full?", soak->dir);
    }
    interval_free(result.total);
    run_leak_hook(soak);
    run_end_hook(soak);
    return true;
}

static int judge_and_report(struct soak *soak)
{
    struct stored_run *stored = run_load(soak->dir, soak->diag);
    struct verdict *verdict =
        stored != NULL ? judging_run(stored, soak->plan, NULL, NULL, soak->diag) : NULL;

    if (verdict == NULL) {
        run_unload(stored);
        return 4;
    }
    reports_write(soak->plan, stored, verdict);
    history_append(soak->plan, stored, verdict);
    if (soak->options->quiet) {
        (void)printf("%s: %s\n", verdict_kind_name(verdict->kind), verdict->reason);
    } else {
        struct sink *sink = sink_new();
        renderer_find("text")->write(sink, stored, verdict);
        sink_print(sink, stdout);
        sink_free(sink);
    }
    reports_tell_github(stored, verdict, soak->options->profile);
    int code = verdict->exit_code;
    free(verdict);
    run_unload(stored);
    return code == 3 && soak->options->inconclusive_ok ? 0 : code;
}

static int perform_and_judge(struct soak *soak)
{
    return perform(soak) ? judge_and_report(soak) : 2;
}

static void finish(struct soak *soak)
{
    scrape_free(soak->scrape);
    hook_free(soak->hook);
    sampler_free(soak->sampler);
    run_free(soak->run);
    if (soak->mint != NULL) {
        mint_free(soak->mint);
    }
    doctor_free(soak->doctor);
    diag_free(soak->diag);
    free(soak->dir);
}

void soak_check(const struct plan *plan, struct diag *diag)
{
    reports_check(plan, diag);
    mint_check(plan, diag);
    tls_client_free(tls_client_new(plan, &plan->target, diag));
    if (plan->output.listen != NULL) {
        listener_check(plan->output.listen, plan_origin(plan, &plan->output.listen), diag);
    }
}

int soak_perform(const struct plan *plan, const struct soak_options *options)
{
    struct soak soak = {.plan = plan, .options = options, .diag = diag_new()};
    int code;

    log_quiet(options->quiet);
    descriptors_raise(plan, soak.diag);
    soak.refused = !doctor_library_is_ours(soak.diag) || diag_count(soak.diag) > 0;
    reports_check(plan, soak.diag);
    describe(&soak);
    if (!soak.refused && may_dial(&soak) && keeps_to_ceilings(&soak) && try_library(&soak) &&
        listens(&soak) && make_identities(&soak) && is_fit(&soak) && has_consent(&soak) &&
        find_server(&soak)) {
        code = !enforces_mtls(&soak) ? 1 : make_run_directory(&soak) ? perform_and_judge(&soak) : 2;
    } else {
        code = soak.refused ? 5 : 2;
    }
    diag_print(soak.diag, stderr);
    finish(&soak);
    return code;
}

int soak_once(const struct plan *plan, bool verbose)
{
    struct soak_options options = {.quiet = false};
    struct soak soak = {.plan = plan, .options = &options, .diag = diag_new()};
    struct sink *show = sink_new();
    enum outcome outcome = OUTCOME_OK;
    int code = 2;

    describe(&soak);
    if (may_dial(&soak) && make_identities(&soak)) {
        bool ok = once_perform(plan, soak.ruling.addrs, soak.ruling.n_addrs, soak.mint, show,
                               &outcome, soak.diag);
        code = ok && outcome == OUTCOME_OK ? 0 : ok ? 4 : 2;
        if (verbose) {
            sink_print(show, stdout);
        }
        if (ok) {
            (void)printf("%s: %s\n", outcome_info(outcome)->name, outcome_info(outcome)->text);
        }
    }
    code = soak.refused ? 5 : code;
    diag_print(soak.diag, stderr);
    sink_free(show);
    finish(&soak);
    return code;
}
