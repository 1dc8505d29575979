#include "ident/mint_events.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const cause_nouns[EVENT_CAUSES] = {
    [EVENT_FILE_READ] = "files that were read again",
    [EVENT_FILE_KEPT] = "files that were not",
    [EVENT_EXPIRED] = "that expired",
    [EVENT_FETCH] = "of token endpoints",
    [EVENT_KEYS] = "of signing keys",
};

struct cause_state {
    uint64_t since_ns; /* the window began; 0: never */
    unsigned n_told;   /* in it */
    uint64_t n_left_out;
};

struct events {
    _Atomic(struct mint_event *) list; /* newest first: the reader takes all at once */
    atomic_uint n_unread;
    atomic_ullong n_dropped; /* since the last reading */
    pthread_mutex_t lock;    /* of the causes, among the making threads */
    struct cause_state causes[EVENT_CAUSES];
};

struct events *events_new(void)
{
    struct events *events = xcalloc(1, sizeof *events);
    BUG_ON(pthread_mutex_init(&events->lock, NULL) != 0);
    return events;
}

void events_free(struct events *events)
{
    if (events == NULL) {
        return;
    }
    for (struct mint_event *event = atomic_load(&events->list), *next; event != NULL;
         event = next) {
        next = event->next;
        free(event);
    }
    BUG_ON(pthread_mutex_destroy(&events->lock) != 0);
    free(events);
}

/* An event whose text is yet to be written. */
static struct mint_event *event_new(uint64_t now_ns)
{
    struct mint_event *event = xcalloc(1, sizeof *event);
    event->at_ns = now_ns;
    return event;
}

static void push(struct events *events, struct mint_event *event)
{
    if (atomic_fetch_add(&events->n_unread, 1) >= EVENTS_UNREAD_MAX) {
        atomic_fetch_sub(&events->n_unread, 1);
        atomic_fetch_add(&events->n_dropped, 1);
        free(event);
        return;
    }
    event->next = atomic_load(&events->list);
    while (!atomic_compare_exchange_weak(&events->list, &event->next, event)) {
    }
}

/* Says what the window that is over left out, if it did. */
static void close_window(struct events *events, enum event_cause cause, uint64_t now_ns)
{
    struct cause_state *state = &events->causes[cause];
    if (state->n_left_out > 0) {
        struct mint_event *event = event_new(now_ns);
        (void)snprintf(event->text, sizeof event->text, "and %llu more events, %s",
                       (unsigned long long)state->n_left_out, cause_nouns[cause]);
        push(events, event);
    }
    *state = (struct cause_state){.since_ns = now_ns};
}

void events_add(struct events *events, enum event_cause cause, const char *format, ...)
{
    struct cause_state *state = &events->causes[cause];
    uint64_t now_ns = mono_now_ns();
    BUG_ON(pthread_mutex_lock(&events->lock) != 0);
    if (state->since_ns == 0 || now_ns - state->since_ns >= EVENTS_WINDOW_NS) {
        close_window(events, cause, now_ns);
    }
    if (state->n_told < EVENTS_BURST) {
        struct mint_event *event = event_new(now_ns);
        va_list args;
        va_start(args, format);
        (void)vsnprintf(event->text, sizeof event->text, format, args);
        va_end(args);
        push(events, event);
        state->n_told++;
    } else {
        state->n_left_out++;
    }
    BUG_ON(pthread_mutex_unlock(&events->lock) != 0);
}

/* Windows end by the clock, also when nothing more happens. */
static void close_windows(struct events *events)
{
    uint64_t now_ns = mono_now_ns();
    BUG_ON(pthread_mutex_lock(&events->lock) != 0);
    for (int cause = 0; cause < EVENT_CAUSES; cause++) {
        const struct cause_state *state = &events->causes[cause];
        if (state->n_left_out > 0 && now_ns - state->since_ns >= EVENTS_WINDOW_NS) {
            close_window(events, (enum event_cause)cause, now_ns);
        }
    }
    BUG_ON(pthread_mutex_unlock(&events->lock) != 0);
}

struct mint_event *events_take(struct events *events)
{
    struct mint_event *oldest = NULL, **end = &oldest;
    if (atomic_load_explicit(&events->list, memory_order_relaxed) == NULL) {
        close_windows(events);
    }
    struct mint_event *event = atomic_exchange(&events->list, NULL);
    for (struct mint_event *next; event != NULL; event = next) {
        next = event->next;
        event->next = oldest;
        oldest = event;
        atomic_fetch_sub(&events->n_unread, 1);
    }
    while (*end != NULL) {
        end = &(*end)->next;
    }
    unsigned long long n_dropped = atomic_exchange(&events->n_dropped, 0);
    if (n_dropped > 0) {
        *end = event_new(mono_now_ns());
        (void)snprintf((*end)->text, sizeof(*end)->text, "and %llu more events", n_dropped);
    }
    return oldest;
}
