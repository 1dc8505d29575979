#include "profile/check.h"

#include "base/bug.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "profile/check_internal.h"
#include "profile/check_parts.h"
#include "profile/check_raw.h"
#include "profile/check_run.h"
#include "profile/store.h"
#include "profile/value.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DWELLS_MIN       4
#define THREADS_MAX_AUTO 1024

bool check_is_given(const struct checker *c, const void *field)
{
    return !store_is_default(plan_origin(c->plan, field));
}

struct origin check_origin(const struct checker *c, const void *field, struct origin fallback)
{
    return check_is_given(c, field) ? plan_origin(c->plan, field) : fallback;
}

struct origin check_section(const struct checker *c, enum section section)
{
    return store_section(c->plan->store, section);
}

bool check_is_token(const char *text)
{
    static const char letters[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz";

    return text[0] != '\0' && strspn(text, letters) == strlen(text);
}

void check_needed(const struct checker *c, const void *field, const char *value, const char *key,
                  struct origin section, const char *why)
{
    if (value == NULL && !check_is_given(c, field)) {
        diag_add(c->diag, section, "%s is missing; %s", key, why);
    }
}

void check_unused(const struct checker *c, enum section section, const void *item,
                  const char *const *keys, const char *why)
{
    for (; *keys != NULL; keys++) {
        const char *suffix;
        const struct option *option = option_find(section, *keys, &suffix);
        BUG_ON(option == NULL);
        const void *field = (const char *)item + option->offset;
        if (store_is_idle(c->plan->store, field)) {
            continue;
        }
        if (check_is_given(c, field)) {
            diag_add(c->diag, plan_origin(c->plan, field), "%s.%s: of no use %s",
                     section_info(section)->name, *keys, why);
        }
        store_note_idle(c->plan->store, field);
    }
}

static void check_url(const struct checker *c)
{
    if (c->plan->target.url == NULL && !check_is_given(c, &c->plan->target.url)) {
        diag_add(c->diag, check_section(c, SECTION_TARGET),
                 "target.url is missing (write url = https://HOST:PORT/ in [target])");
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The fewest connections that carry a load at any time. */
static uint64_t fewest_connections(const struct plan *plan)
{
    uint64_t fewest = plan->n_phases > 0 ? plan_peak(plan).connections : plan->pace.connections;

    for (size_t i = 0; i < plan->n_phases; i++) {
        const struct plan_phase *phase = &plan->phases[i];
        fewest =
            phase->idle || phase->connections == 0 ? fewest : least(fewest, phase->connections);
    }
    return fewest;
}

/* A worker without a connection would do nothing, and its share of the identities lie idle. */
static void check_threads(const struct checker *c)
{
    struct plan_run *run = &c->plan->run;
    uint64_t connections = fewest_connections(c->plan);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (run->threads == 0) {
        run->threads = least(least(cores < 1 ? 1 : (uint64_t)cores, THREADS_MAX_AUTO), connections);
    } else if (run->threads > connections) {
        diag_add(c->diag, plan_origin(c->plan, &run->threads),
                 "run.threads: %llu threads for %llu connections; each needs one at least",
                 (unsigned long long)run->threads, (unsigned long long)connections);
    }
}

/* A schedule that is replayed has a course of its own. */
static void check_alone(const struct checker *c)
{
    const struct plan *plan = c->plan;
    struct origin origin = plan_origin(plan, &plan->pace.arrivals);

    if (plan->pace.mode == PACE_CLOSED || plan->pace.mode == PACE_HOLD) {
        diag_add(c->diag, origin,
                 "pace.arrivals: of no use with pace.mode = %s (write mode = open)",
                 check_mode_word(c));
    }
    if (plan->n_phases > 0) {
        diag_add(c->diag, origin, "pace.arrivals: a replayed schedule has no phases");
    }
    if (plan->attribution.mode != ATTRIBUTION_OFF) {
        diag_add(
            c->diag, origin,
            "pace.arrivals: the experiment of attribution.mode varies the rate, and a replayed "
            "schedule has its own (write mode = off in [attribution])");
    }
}

static void check_pace(const struct checker *c)
{
    const struct plan_pace *pace = &c->plan->pace;
    bool has_rate = check_is_given(c, &pace->rate_per_s);
    struct origin section = check_section(c, SECTION_PACE);

    if (pace->arrivals == ARRIVALS_REPLAY) {
        check_needed(c, &pace->replay, pace->replay, "pace.replay", section,
                     "pace.arrivals = replay needs it (a file with a time in seconds a line)");
        check_unused(c, SECTION_PACE, pace, CHECK_KEYS("rate"), "with pace.arrivals = replay");
        check_alone(c);
    } else {
        check_unused(c, SECTION_PACE, pace, CHECK_KEYS("replay", "replay_every"),
                     "unless pace.arrivals = replay");
    }
    if (pace->mode != PACE_CLOSED && pace->mode != PACE_HOLD && !has_rate &&
        c->plan->n_phases == 0 && pace->arrivals != ARRIVALS_REPLAY) {
        diag_add(c->diag, check_origin(c, &pace->mode, section),
                 "pace.rate is missing; pace.mode = %s needs it (write rate = 200/s)",
                 check_mode_word(c));
    }
    /* a mode that was chosen, by --set perhaps, may leave the profile's rate unused */
    if (has_rate && !check_is_given(c, &pace->mode)) {
        diag_add(c->diag, plan_origin(c->plan, &pace->rate_per_s),
                 "pace.rate: of no use in a closed loop (write mode = open)");
    }
    if (pace->streams > 1 && c->plan->target.alpn == ALPN_H1 && !c->plan->target.raw) {
        diag_add(c->diag, plan_origin(c->plan, &pace->streams),
                 "pace.streams: of no use with HTTP/1.1 (write target.alpn = h2)");
    }
}

static void settle_dwells(const struct checker *c, struct plan_attribution *a)
{
    bool short_ones = a->mode == ATTRIBUTION_OFF || a->mode == ATTRIBUTION_CROSSOVER;

    if (!check_is_given(c, &a->dwell_ns)) {
        a->dwell_ns = (short_ones ? 2 : 10) * NS_PER_S;
    }
    if (!check_is_given(c, &a->warmup_ns)) {
        a->warmup_ns = (short_ones ? 6 : 15) * NS_PER_S;
    }
}

static void check_attribution(const struct checker *c)
{
    struct plan_attribution *a = &c->plan->attribution;
    uint64_t duration_ns = c->plan->run.duration_ns;

    settle_dwells(c, a);
    if (a->mode == ATTRIBUTION_OFF && a->cooldown_ns > 0) {
        diag_add(c->diag, plan_origin(c->plan, &a->cooldown_ns),
                 "attribution.cooldown: of no use with attribution.mode = off");
    }
    if (a->mode == ATTRIBUTION_OFF || duration_ns == 0) {
        return;
    }
    char text[UNIT_TEXT], least[UNIT_TEXT];
    if (a->duration_ns > 0 && a->duration_ns < DWELLS_MIN * a->dwell_ns) {
        diag_add(c->diag, plan_origin(c->plan, &a->duration_ns),
                 "attribution.duration: %s is less than %d dwells (write %s or more)",
                 unit_duration(text, (double)a->duration_ns), DWELLS_MIN,
                 unit_duration(least, (double)(DWELLS_MIN * a->dwell_ns)));
        return;
    }
    uint64_t dwells_ns = a->duration_ns > 0 ? a->duration_ns : DWELLS_MIN * a->dwell_ns;
    uint64_t needed_ns = a->warmup_ns + a->steady_ns + dwells_ns + a->cooldown_ns;
    if (needed_ns > duration_ns) {
        const void *blamed =
            check_is_given(c, &a->dwell_ns) ? (const void *)&a->dwell_ns : (const void *)&a->mode;
        if (a->duration_ns > 0) {
            blamed = &a->duration_ns;
        }
        diag_add(c->diag, check_origin(c, blamed, check_section(c, SECTION_ATTRIBUTION)),
                 "attribution.%s: run.duration has no room for warmup, steady load, %d dwells and "
                 "cooldown (%s)",
                 blamed == &a->duration_ns ? "duration" : "dwell", DWELLS_MIN,
                 unit_duration(text, (double)(needed_ns - dwells_ns + DWELLS_MIN * a->dwell_ns)));
    }
}

void check_values(struct plan *plan, struct diag *diag)
{
    const struct checker c = {.plan = plan, .diag = diag};

    check_url(&c);
    check_target(&c);
    check_modes(&c);
    check_limits(&c);
    check_search(&c);
    check_phases(&c);
    check_windows(&c);
    check_early_data(&c);
    check_threads(&c);
    check_pace(&c);
    check_identities(&c);
    check_refuses(&c);
    check_requests(&c);
    check_attribution(&c);
    check_misuses(&c);
    check_memories(&c);
    check_factor(&c);
    check_hooks(&c);
    check_raw(&c);
}

static void check_file(const struct checker *c, const struct option *option, const char *base)
{
    bool is_written = (option->flags & OPTION_WRITTEN) != 0;
    const char *path;

    memcpy(&path, base + option->offset, sizeof path);
    if (path == NULL) {
        return;
    }
    CLEANUP_FREE char *dir = is_written ? file_beside(path, ".") : NULL;
    if (access(is_written ? dir : path, is_written ? W_OK : R_OK) != 0) {
        diag_add(c->diag, plan_origin(c->plan, base + option->offset), "%s.%s: cannot %s %s: %s",
                 section_info(option->section)->name, option->key, is_written ? "write" : "read",
                 path, strerror(errno));
    }
}

void check_files(struct plan *plan, struct diag *diag)
{
    const struct checker c = {.plan = plan, .diag = diag};

    for (size_t i = 0; option_at(i) != NULL; i++) {
        const struct option *option = option_at(i);
        const struct section_info *section = section_info(option->section);
        size_t n;
        if ((option->flags & (OPTION_READABLE | OPTION_WRITTEN)) == 0) {
            continue;
        }
        const char *items = section_items(section, plan, &n);
        for (size_t item = 0; item < n; item++) {
            check_file(&c, option, items + item * section->item_size);
        }
    }
    check_replay(&c);
}
