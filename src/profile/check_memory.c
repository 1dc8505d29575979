#include "profile/check_memory.h"
#include "profile/check_parts.h"

#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "base/unit.h"
#include "profile/build.h"
#include "profile/store.h"
#include "profile/url.h"

#include <stdlib.h>
#include <string.h>

#define SHORT_RUN_NS     (300 * NS_PER_S)
#define PERIOD_READINGS  8
#define READINGS_KEPT    2000
#define DWELLS_KEPT      128
#define READINGS_A_DWELL 10 /* at least: what a dwell does must be seen in it */

static int ways_given(const struct plan_memory *memory)
{
    return (memory->pid != 0) + (memory->pid_file != NULL) + (memory->process != NULL) +
           (memory->port != 0) + (memory->exec != NULL) + (memory->path != NULL);
}

static void check_source(const struct checker *c, const struct plan_memory *memory)
{
    if (ways_given(memory) > 1) {
        diag_add(c->diag, memory->origin,
                 "[memory %s]: only one of pid, pid_file, name, port, exec and path says which "
                 "process",
                 memory->name);
    }
    if (memory->source == MEMORY_SOURCE_COMMAND) {
        check_needed(c, &memory->command, memory->command, "memory.command",
                     check_origin(c, &memory->source, memory->origin),
                     "source = command runs it (write command = ...)");
    } else {
        check_unused(c, SECTION_MEMORY, memory, CHECK_KEYS("command"),
                     "without memory.source = command");
    }
}

/* Asking takes a process, or a connection. */
static bool is_slow(const struct plan_memory *memory)
{
    return memory->source == MEMORY_SOURCE_COMMAND || memory->source == MEMORY_SOURCE_PROMETHEUS;
}

static void check_every(const struct checker *c, struct plan_memory *memory)
{
    const struct plan_attribution *design = &c->plan->attribution;
    uint64_t duration_ns = c->plan->run.duration_ns;

    if (memory->every_ns == 0) {
        memory->every_ns = memory->settle != NULL       ? 5 * NS_PER_S
                           : is_slow(memory)            ? NS_PER_S
                           : duration_ns < SHORT_RUN_NS ? 200 * NS_PER_MS
                                                        : NS_PER_S;
        if (memory->settle == NULL && design->mode != ATTRIBUTION_OFF) {
            uint64_t most_ns = design->dwell_ns / READINGS_A_DWELL;
            memory->every_ns = memory->every_ns < most_ns ? memory->every_ns : most_ns;
        }
    }
    if (memory->every_ns < NS_PER_MS || (duration_ns > 0 && memory->every_ns > duration_ns)) {
        diag_add(c->diag, check_origin(c, &memory->every_ns, memory->origin),
                 "memory.every: not between 1ms and run.duration");
    }
}

/* The judge holds some two thousand readings apart; of longer runs it keeps means, which must still
 * show what each dwell does. */
static void check_pairs_seen(const struct checker *c, const struct plan_memory *memory)
{
    const struct plan_attribution *design = &c->plan->attribution;
    uint64_t span_ns = c->plan->run.duration_ns;
    char text[UNIT_TEXT];

    if (design->mode != ATTRIBUTION_PAIRS || memory->settle != NULL || memory->every_ns == 0) {
        return;
    }
    if (memory->every_ns > design->dwell_ns / READINGS_A_DWELL) {
        diag_add(c->diag, check_origin(c, &memory->every_ns, memory->origin),
                 "memory.every: too seldom to see what a dwell does (write %s or less, or a longer "
                 "attribution.dwell)",
                 unit_duration(text, (double)(design->dwell_ns / READINGS_A_DWELL)));
    }
    if (span_ns / memory->every_ns > READINGS_KEPT && span_ns / design->dwell_ns > DWELLS_KEPT) {
        diag_add(c->diag, plan_origin(c->plan, &design->dwell_ns),
                 "attribution.dwell: too short for pairs in so long a run (write %s or more)",
                 unit_duration(text, (double)(span_ns / DWELLS_KEPT)));
    }
}

static void check_period(const struct checker *c, const struct plan_memory *memory)
{
    const struct plan_judge *judge = &c->plan->judge;

    if (judge->period_ns > 0 && judge->period_ns < PERIOD_READINGS * memory->every_ns) {
        diag_add(c->diag, plan_origin(c->plan, &judge->period_ns),
                 "judge.period: shorter than %d readings of memory.every, which do not show it",
                 PERIOD_READINGS);
    }
}

/* A reading that lasts longer than the time to the next would push all later ones away. */
static void check_deadline(const struct checker *c, struct plan_memory *memory)
{
    const struct plan_attribution *design = &c->plan->attribution;
    uint64_t most_ns = memory->every_ns;
    const char *what = "memory.every";
    char text[UNIT_TEXT];

    if (memory->settle == NULL && !is_slow(memory)) {
        memory->deadline_ns = memory->deadline_ns != 0 ? memory->deadline_ns : NS_PER_S;
        return;
    }
    if (memory->settle != NULL && design->mode != ATTRIBUTION_OFF && design->dwell_ns < most_ns) {
        most_ns = design->dwell_ns;
        what = "attribution.dwell";
    }
    if (memory->deadline_ns == 0) {
        memory->deadline_ns = most_ns < 10 * NS_PER_S ? most_ns : 10 * NS_PER_S;
    } else if (memory->deadline_ns > most_ns) {
        diag_add(c->diag, plan_origin(c->plan, &memory->deadline_ns),
                 "memory.deadline: longer than %s (%s); such a reading would not be over when the "
                 "next is due",
                 what, unit_duration(text, (double)most_ns));
    }
}

void check_plain_page(const struct checker *c, char *const *url, const char *key,
                      struct plan_target *ret_target)
{
    struct plan_store *store = c->plan->store;
    struct url parsed;
    const char *wrong = url_parse_plain(*url, &parsed);

    if (wrong != NULL) {
        CLEANUP_FREE char *shown =
            strchr(*url, '@') != NULL ? xstrdup("...@...") : build_shown(*url);
        diag_add(c->diag, plan_origin(c->plan, url), "%s: \"%s\" %s", key, shown, wrong);
        return;
    }
    *ret_target = (struct plan_target){
        .url = *url,
        .url_host = store_keep(store, parsed.host),
        .url_path = store_keep(store, parsed.path),
        .dial_port = parsed.port,
        .host_header =
            store_keep(store, xasprintf("%s%s%s:%u", parsed.is_ipv6 ? "[" : "", parsed.host,
                                        parsed.is_ipv6 ? "]" : "", (unsigned)parsed.port)),
    };
    ret_target->dial_host = ret_target->url_host;
}

static void check_settle(const struct checker *c, struct plan_memory *memory)
{
    if (memory->settle == NULL) {
        memory->settle_by = SETTLE_NOT;
    } else if (str_equal(memory->settle, "command")) {
        memory->settle_by = SETTLE_ITSELF;
        if (memory->source != MEMORY_SOURCE_COMMAND) {
            diag_add(c->diag, plan_origin(c->plan, &memory->settle),
                     "memory.settle: no command collects without memory.source = command");
        }
    } else if (str_has_prefix(memory->settle, "http://")) {
        memory->settle_by = SETTLE_HTTP;
        check_plain_page(c, &memory->settle, "memory.settle", &memory->settle_target);
    } else if (str_has_prefix(memory->settle, "https://")) {
        memory->settle_by = SETTLE_HTTPS;
        check_secure_page(c, memory, &memory->settle, "memory.settle", &memory->settle_target);
    } else {
        memory->settle_by = SETTLE_COMMAND;
    }
}

void check_memories(const struct checker *c)
{
    for (size_t i = 0; i < c->plan->n_memories; i++) {
        struct plan_memory *memory = &c->plan->memories[i];
        check_source(c, memory);
        check_every(c, memory);
        check_pairs_seen(c, memory);
        check_period(c, memory);
        check_deadline(c, memory);
        check_settle(c, memory);
        check_metric(c, memory);
    }
}
