#include "load/watch.h"

#include "base/mono.h"
#include "base/unit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_WITHIN_NS (10 * NS_PER_S)
#define LOST_AFTER_S     3
#define LOST_MIN         3
#define LOST_AFTER_NS    (LOST_AFTER_S * NS_PER_S)

void watch_init(struct watch *watch, const struct plan *plan)
{
    *watch = (struct watch){.plan = plan};
    for (size_t i = 0; i < plan->limit.n; i++) {
        watch->tolerates = watch->tolerates || plan->limit.list[i].metric == LIMIT_ERRORS;
    }
}

/* The first reason stays: what follows is mostly its consequence. */
__attribute__((format(printf, 2, 3))) static void say(char text[WATCH_TEXT], const char *format,
                                                      ...)
{
    va_list args;
    if (text[0] != '\0') {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, WATCH_TEXT, format, args);
    va_end(args);
}

static bool is_ours(enum outcome outcome)
{
    return outcome == OUTCOME_OK || outcome == OUTCOME_STOPPED;
}

/* The most frequent way in which things went wrong; OUTCOME_OK when nothing did. */
static enum outcome dominant(const struct interval *total)
{
    enum outcome worst = OUTCOME_OK;
    for (enum outcome outcome = OUTCOME_OK; outcome < OUTCOME_COUNT; outcome++) {
        bool more = worst == OUTCOME_OK || total->outcome[outcome] > total->outcome[worst];
        if (!is_ours(outcome) && total->outcome[outcome] > 0 && more) {
            worst = outcome;
        }
    }
    return worst;
}

/* The same for a sentence that needs a reason: without any other, we ended it. */
static const char *failure_text(const struct interval *total)
{
    enum outcome outcome = dominant(total);
    return outcome_info(outcome != OUTCOME_OK ? outcome : OUTCOME_STOPPED)->text;
}

static uint64_t less(uint64_t n, uint64_t by)
{
    return n - (by < n ? by : n);
}

static struct watch_mark mark_of(const struct interval *total)
{
    const uint64_t *n = total->count;
    /* What we stopped ourselves at the end is nobody's failure. */
    uint64_t stopped = total->outcome[OUTCOME_STOPPED];
    uint64_t failed = less(n[COUNTER_FAILED], stopped);
    return (struct watch_mark){
        .n_completed = n[COUNTER_COMPLETED],
        .n_failing = failed + n[COUNTER_UNEXPECTED],
        .n_ended = n[COUNTER_COMPLETED] + failed,
        .n_dial_failed = less(n[COUNTER_DIAL_FAILED], less(stopped, n[COUNTER_FAILED])),
        .n_ready = n[COUNTER_HANDSHAKE_FULL] + n[COUNTER_HANDSHAKE_RESUMED],
        .n_undone = n[COUNTER_FAILED] + n[COUNTER_DIAL_FAILED],
    };
}

static void never_answered(struct watch *watch, const struct interval *total)
{
    enum outcome outcome = dominant(total);
    uint64_t n_failed = total->count[COUNTER_DIAL_FAILED];
    if (outcome == OUTCOME_OK) {
        say(watch->invalid, "the target never answered: no handshake was completed");
    } else {
        say(watch->invalid, "the target never answered: %s (%llu of %llu dials failed)",
            outcome_info(outcome)->text, (unsigned long long)n_failed,
            (unsigned long long)total->count[COUNTER_DIALED]);
    }
}

/* Elsewhere a dial that fails is only one more on the way to an exchange. */
static bool connections_fall_due(const struct plan *plan)
{
    return plan->pace.mode == PACE_HANDSHAKE || plan->pace.mode == PACE_CHURN;
}

static void judge_span(struct watch *watch, const struct interval *total,
                       const struct watch_mark *from, const struct watch_mark *to, const char *span)
{
    /* those that we stopped are taken from the sums, so that these may fall */
    uint64_t n_failing = less(to->n_failing, from->n_failing);
    uint64_t n_ended = less(to->n_ended, from->n_ended);
    uint64_t n_dial_failed = less(to->n_dial_failed, from->n_dial_failed);
    uint64_t n_connected = to->n_ready - from->n_ready + n_dial_failed;
    if (2 * n_failing > n_ended && !watch->tolerates) {
        say(watch->invalid, "more than half of the exchanges of %s failed (%llu of %llu): %s", span,
            (unsigned long long)n_failing, (unsigned long long)n_ended, failure_text(total));
    } else if (to->n_completed == from->n_completed && to->n_ready == from->n_ready &&
               n_dial_failed > 0) {
        say(watch->invalid, "the target did not answer for %s: %s", span, failure_text(total));
    } else if (connections_fall_due(watch->plan) && 2 * n_dial_failed > n_connected &&
               !watch->tolerates) {
        say(watch->invalid, "more than half of the connections of %s failed (%llu of %llu): %s",
            span, (unsigned long long)n_dial_failed, (unsigned long long)n_connected,
            failure_text(total));
    }
}

/* Whoever is gone for the last seconds of the load is not seen in the sums of the run.  One failure
 * where little is ever asked is none: enough must have failed, or be usual in that time. */
static void judge_end(struct watch *watch, const struct interval *total,
                      const struct watch_mark *now)
{
    if (watch->n_seconds <= LOST_AFTER_S) {
        return;
    }
    const struct watch_mark *from =
        &watch->ring[(watch->n_seconds - LOST_AFTER_S - 1) % WATCH_MINUTE];
    /* Who was slower than that before is no less so at the end: what we stopped says nothing. */
    bool slow = total->latency[LATENCY_SERVICE].max_ns >= LOST_AFTER_NS;
    uint64_t n_undone =
        less(now->n_undone - from->n_undone, slow ? total->outcome[OUTCOME_STOPPED] : 0);
    uint64_t usual =
        (from->n_completed + from->n_ready) * LOST_AFTER_S / (watch->n_seconds - LOST_AFTER_S);
    if (now->n_completed == from->n_completed && now->n_ready == from->n_ready && n_undone > 0 &&
        n_undone + usual >= LOST_MIN) {
        say(watch->invalid, "the target did not answer at the end of the run, for %d s or more: %s",
            LOST_AFTER_S, failure_text(total));
    }
}

/* Who answers only errors from some moment on, such as behind a lock that was never released, may
 * have done well for most of the run; a second in which nothing ended says nothing. */
static void count_bad(struct watch *watch, const struct watch_mark *now)
{
    static const struct watch_mark begin;
    const struct watch_mark *from =
        watch->n_seconds > 0 ? &watch->ring[(watch->n_seconds - 1) % WATCH_MINUTE] : &begin;

    if (now->n_ended > from->n_ended) {
        uint64_t n_failing = less(now->n_failing, from->n_failing);
        bool bad = n_failing >= now->n_ended - from->n_ended;
        if (watch->n_bad == 0) {
            watch->bad_since_s = watch->n_seconds;
        }
        watch->n_bad = bad ? watch->n_bad + n_failing : 0;
    }
}

void watch_second(struct watch *watch, const struct interval *total, uint64_t elapsed_ns)
{
    struct watch_mark now = mark_of(total);
    struct watch_mark *slot = &watch->ring[watch->n_seconds % WATCH_MINUTE];
    count_bad(watch, &now);
    if (now.n_ready == 0 && total->count[COUNTER_DIALED] > 0 && elapsed_ns >= ANSWER_WITHIN_NS) {
        never_answered(watch, total);
        watch->over = true;
    } else if (watch->n_seconds >= WATCH_MINUTE) {
        judge_span(watch, total, slot, &now, "a minute");
    }
    *slot = now;
    watch->n_seconds++;
}

static const char *loss_of(const struct plan_memory *memory)
{
    return memory->source != MEMORY_SOURCE_PROCESS ? "nothing tells the server's memory any more"
           : memory->settle_by != SETTLE_NOT
               ? "the server's process is gone, or does not settle any more"
               : "the server's process is gone";
}

void watch_reading(struct watch *watch, const struct reading *reading)
{
    uint64_t *since_ns = &watch->lost_since_ns[reading->source];
    if (!reading->lost) {
        *since_ns = 0;
    } else if (*since_ns == 0) {
        *since_ns = reading->t_ns;
    } else if (reading->t_ns - *since_ns > LOST_AFTER_NS) {
        const struct plan_memory *memory = &watch->plan->memories[reading->source];
        say(watch->invalid, "%s: memory source %s is lost", loss_of(memory), memory->name);
        watch->over = true;
    }
}

void watch_disk(struct watch *watch, int error)
{
    say(watch->invalid, "the run directory could not be written: %s",
        error != 0 ? strerror(error) : "the disk refused");
}

void watch_finish(struct watch *watch, const struct interval *total, bool interrupted,
                  const char *unhealthy)
{
    struct watch_mark begin = {0}, now = mark_of(total);
    if (now.n_ready == 0 &&
        !(interrupted && total->outcome[OUTCOME_STOPPED] == total->count[COUNTER_DIAL_FAILED])) {
        never_answered(watch, total);
    } else if (!interrupted && total->count[COUNTER_STARTED] > 0 && now.n_completed == 0) {
        say(watch->invalid, "the target answered none of %llu requests: %s",
            (unsigned long long)total->count[COUNTER_STARTED], failure_text(total));
    }
    if (now.n_ready > 0 && watch->n_seconds <= WATCH_MINUTE) {
        judge_span(watch, total, &begin, &now, "the run");
    }
    if (!interrupted && watch->plan->search.to_per_s <= 0) { /* a search ends in a rest */
        judge_end(watch, total, &now);
        uint64_t bad_s = watch->n_seconds - watch->bad_since_s;
        if (watch->n_bad >= LOST_MIN && bad_s >= LOST_AFTER_S && !watch->tolerates) {
            say(watch->invalid, "all exchanges of the last %llu s of the load failed: %s",
                (unsigned long long)bad_s, failure_text(total));
        }
    }
    if (unhealthy != NULL) {
        say(watch->invalid, "%s", unhealthy);
    }
}
