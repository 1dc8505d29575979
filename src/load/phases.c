#include "load/phases.h"

#include "base/mono.h"
#include "base/unit.h"
#include "load/steps.h"

#include <errno.h>
#include <stdio.h>

/* In which the workers hear of it. */
#define LEAD_NS (200 * NS_PER_MS)

void phases_init(struct phases *phases, const struct plan *plan, struct run *run)
{
    *phases = (struct phases){.run = run};
    timeline_init(&phases->timeline, plan);
}

static void note_written(struct phases *phases, bool written)
{
    if (!written && phases->disk_error == 0) {
        phases->disk_error = errno != 0 ? errno : EIO;
    }
}

static void note_begin(struct phases *phases)
{
    const struct timeline *timeline = &phases->timeline;
    char name[TIMELINE_NAME];
    phases->n_noted++;
    note_written(phases,
                 run_phase(phases->run, phases->zero_ns + timeline->start_ns, timeline->i + 1,
                           timeline_name(timeline, name), timeline_phase(timeline)->idle));
}

static void tell(struct phases *phases, uint64_t at_ns, const char *what)
{
    const struct timeline *timeline = &phases->timeline;
    char text[160], span[UNIT_TEXT];
    (void)snprintf(text, sizeof text, "phase %s (%zu of %zu): %s after %s",
                   timeline_phase(timeline)->name, timeline->i + 1, timeline->n, what,
                   unit_duration(span, (double)(at_ns - timeline->start_ns)));
    note_written(phases, run_event(phases->run, phases->zero_ns + at_ns, "phase", text));
}

static bool has_settled(const struct phases *phases)
{
    return phases->settled != NULL &&
           phases->settled((double)phases->timeline.start_ns * 1e-9, phases->context);
}

static uint64_t cut(struct phases *phases, uint64_t at_ns)
{
    timeline_cut(&phases->timeline, at_ns);
    phases->cut = true;
    return at_ns;
}

/* When the rest of a search ends; 0: it goes on. */
static uint64_t end_rest(struct phases *phases, uint64_t t_ns)
{
    const struct timeline *timeline = &phases->timeline;
    if (phases->cut || timeline->i == timeline->n || !timeline_phase(timeline)->idle) {
        return 0;
    }
    uint64_t at_ns = steps_follow(phases->steps, timeline->start_ns, t_ns, t_ns + LEAD_NS);
    return at_ns > 0 ? cut(phases, at_ns) : 0;
}

uint64_t phases_follow(struct phases *phases, uint64_t t_ns)
{
    struct timeline *timeline = &phases->timeline;
    if (timeline->plan->n_phases == 0 && phases->steps == NULL) {
        return 0;
    }
    if (phases->n_noted == 0) {
        note_begin(phases);
    }
    while (timeline->end_ns <= t_ns && timeline->i < timeline->n) {
        if (phases->steps == NULL && !phases->cut &&
            timeline_phase(timeline)->until == PHASE_UNTIL_SETTLED) {
            tell(phases, timeline->end_ns, "memory had not settled");
        }
        timeline_next(timeline);
        phases->cut = false;
        if (timeline->i < timeline->n) {
            note_begin(phases);
        }
    }
    if (phases->steps != NULL) {
        return end_rest(phases, t_ns);
    }
    uint64_t at_ns = t_ns + LEAD_NS;
    if (timeline->i == timeline->n || timeline_phase(timeline)->until != PHASE_UNTIL_SETTLED ||
        phases->cut || at_ns >= timeline->end_ns || !has_settled(phases)) {
        return 0;
    }
    tell(phases, at_ns, "memory has settled");
    return cut(phases, at_ns);
}

void phases_end(struct phases *phases, uint64_t t_ns)
{
    if (phases->n_noted > 0 && !phases->ended) {
        if (t_ns >= phases->timeline.run_end_ns) {
            (void)!phases_follow(phases, t_ns);
        }
        uint64_t end_ns = phases->timeline.run_end_ns;
        uint64_t at_ns = t_ns < end_ns ? t_ns : end_ns;
        note_written(phases, run_phase(phases->run, phases->zero_ns + at_ns, 0, NULL, false));
        phases->ended = true;
    }
}
