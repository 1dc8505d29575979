#include "profile/check_run.h"

#include "base/mono.h"
#include "base/unit.h"

#include <string.h>

#define EVERY_NS (30 * NS_PER_S)

static void check_process(const struct checker *c, char *const *field, const char *key)
{
    if (*field != NULL && strstr(*field, "{pid}") != NULL && c->plan->n_memories == 0) {
        diag_add(c->diag, plan_origin(c->plan, field),
                 "hook.%s: {pid} is the process of the first [memory], and there is none (write "
                 "[memory server])",
                 key);
    }
}

static void check_every(const struct checker *c, struct plan_hook *hook)
{
    const struct plan_attribution *a = &c->plan->attribution;
    bool designed = a->mode != ATTRIBUTION_OFF;
    uint64_t duration_ns = c->plan->run.duration_ns;
    char text[UNIT_TEXT];

    if (!check_is_given(c, &hook->every_ns)) {
        hook->every_ns = designed && a->dwell_ns / 4 < EVERY_NS ? a->dwell_ns / 4 : EVERY_NS;
    }
    struct origin origin =
        check_origin(c, &hook->every_ns, check_origin(c, &hook->rotate, (struct origin){0}));
    if (designed && hook->every_ns > a->dwell_ns / 2) {
        diag_add(c->diag, origin,
                 "hook.every: a dwell of the experiment needs two rotations at least (write every "
                 "= %s, or a longer attribution.dwell)",
                 unit_duration(text, (double)a->dwell_ns / 4));
    } else if (duration_ns > 0 && hook->every_ns / 2 >= duration_ns) {
        diag_add(c->diag, origin,
                 "hook.every: the first rotation comes after half of it, and run.duration is over "
                 "then (write every = %s)",
                 unit_duration(text, (double)duration_ns / 4));
    }
}

void check_hooks(const struct checker *c)
{
    struct plan_hook *hook = &c->plan->hook;

    check_process(c, &hook->rotate, "rotate");
    check_process(c, &hook->on_start, "on_start");
    check_process(c, &hook->on_leak, "on_leak");
    check_process(c, &hook->on_end, "on_end");
    if (hook->rotate == NULL) {
        check_unused(c, SECTION_HOOK, hook, CHECK_KEYS("every"), "without hook.rotate");
    } else {
        check_every(c, hook);
    }
    if (hook->on_leak != NULL && c->plan->n_memories == 0) {
        diag_add(c->diag, plan_origin(c->plan, &hook->on_leak),
                 "hook.on_leak: without a [memory] no leak is ever called");
    }
    if (hook->rotate == NULL && hook->on_start == NULL && hook->on_leak == NULL &&
        hook->on_end == NULL) {
        check_unused(c, SECTION_HOOK, hook, CHECK_KEYS("deadline"), "without a command");
    }
}
