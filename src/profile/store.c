#include "profile/store.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>

struct note {
    const void *field;
    struct origin origin;
    const char *written;
    bool is_idle;
};

struct plan_store {
    char **texts;
    size_t n_texts, texts_capacity;
    struct note *notes; /* in the order of their addresses */
    size_t n_notes, notes_capacity;
    struct origin sections[SECTION_COUNT + 1];
};

struct plan_store *store_new(void)
{
    return xcalloc(1, sizeof(struct plan_store));
}

void store_free(struct plan_store *store)
{
    if (store == NULL) {
        return;
    }
    for (size_t i = 0; i < store->n_texts; i++) {
        free(store->texts[i]);
    }
    free(store->texts);
    free(store->notes);
    free(store);
}

char *store_keep(struct plan_store *store, char *text)
{
    ARRAY_RESERVE(store->texts, store->n_texts, store->texts_capacity);
    store->texts[store->n_texts++] = text;
    return text;
}

/* Index of the first note at or behind the address. */
static size_t place(const struct plan_store *store, const void *field)
{
    size_t low = 0, high = store->n_notes;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)store->notes[middle].field < (uintptr_t)field) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The field's note, made when there is none. */
static struct note *note_for(struct plan_store *store, const void *field)
{
    size_t at = place(store, field);

    if (at == store->n_notes || store->notes[at].field != field) {
        ARRAY_RESERVE(store->notes, store->n_notes, store->notes_capacity);
        for (size_t i = store->n_notes++; i > at; i--) {
            store->notes[i] = store->notes[i - 1];
        }
        store->notes[at] = (struct note){.field = field, .origin = {.file = "default"}};
    }
    return &store->notes[at];
}

void store_note(struct plan_store *store, const void *field, struct origin origin,
                const char *written)
{
    struct note *note = note_for(store, field);

    note->origin = origin;
    note->written = written;
}

void store_note_idle(struct plan_store *store, const void *field)
{
    note_for(store, field)->is_idle = true;
}

static const struct note *find(const struct plan_store *store, const void *field)
{
    size_t at = store != NULL ? place(store, field) : 0;

    if (store == NULL || at == store->n_notes || store->notes[at].field != field) {
        return NULL;
    }
    return &store->notes[at];
}

const char *store_written(const struct plan_store *store, const void *field)
{
    const struct note *note = find(store, field);

    return note != NULL ? note->written : NULL;
}

bool store_is_idle(const struct plan_store *store, const void *field)
{
    const struct note *note = find(store, field);

    return note != NULL && note->is_idle;
}

void store_note_section(struct plan_store *store, enum section section, struct origin origin)
{
    store->sections[section] = origin;
}

struct origin store_section(const struct plan_store *store, enum section section)
{
    const struct origin *origin = &store->sections[section];

    return origin->file != NULL ? *origin : store->sections[SECTION_COUNT];
}

bool store_is_default(struct origin origin)
{
    return origin.line == 0 && str_equal(origin.file, "default");
}

struct origin plan_origin(const struct plan *plan, const void *field)
{
    const struct note *note = find(plan->store, field);

    return note != NULL ? note->origin : (struct origin){.file = "default"};
}

bool plan_is_reference(const struct plan *plan, const void *field)
{
    return store_written(plan->store, field) != NULL;
}

const char *plan_written(const struct plan *plan, const void *field)
{
    return store_written(plan->store, field);
}

void plan_free(struct plan *plan)
{
    if (plan == NULL) {
        return;
    }
    for (size_t i = 0; i < plan->n_requests; i++) {
        free(plan->requests[i].headers);
    }
    free(plan->certs);
    free(plan->apikeys);
    free(plan->jwts);
    free(plan->identities);
    free(plan->refuses);
    free(plan->misuses);
    free(plan->requests);
    free(plan->memories);
    free(plan->phases);
    store_free(plan->store);
    free(plan);
}
