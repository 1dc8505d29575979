#include "load/slot_queue.h"

#include "load/slot.h"
#include "load/worker_inside.h"

static struct slot_queue *queue_of(const struct slot *slot)
{
    return slot->starves_as != NULL ? &slot->starves_as->starved[slot->place]
                                    : &slot->worker->queue[slot->place];
}

static void take_out(struct slot *slot)
{
    if (slot->place != SLOT_NOWHERE) {
        struct slot_queue *from = queue_of(slot);
        *(slot->prev != NULL ? &slot->prev->next : &from->first) = slot->next;
        *(slot->next != NULL ? &slot->next->prev : &from->last) = slot->prev;
    }
    slot->worker->n_starving -= slot->starves_as != NULL;
    slot->place = SLOT_NOWHERE;
    slot->starves_as = NULL;
    slot->prev = slot->next = NULL;
}

static void append(struct slot *slot)
{
    struct slot_queue *to = queue_of(slot);
    slot->prev = to->last;
    *(to->last != NULL ? &to->last->next : &to->first) = slot;
    to->last = slot;
}

void slot_put(struct slot *slot, enum slot_place place)
{
    take_out(slot);
    slot->place = place;
    if (place != SLOT_NOWHERE) {
        append(slot);
    }
}

void slot_put_first(struct slot *slot, enum slot_place place)
{
    struct slot_queue *to = &slot->worker->queue[place];
    take_out(slot);
    slot->place = place;
    slot->next = to->first;
    *(to->first != NULL ? &to->first->prev : &to->last) = slot;
    to->first = slot;
}

void slot_starve(struct slot *slot, struct worker_identity *identity)
{
    enum slot_place place = slot->place;
    identity->blocked[place] = true;
    if (slot->starves_as == NULL) { /* else it keeps its turn */
        take_out(slot);
        slot->place = place;
        slot->starves_as = identity;
        slot->worker->n_starving++;
        append(slot);
    }
}

struct slot *slot_next(const struct worker *worker, enum slot_place place)
{
    for (size_t i = 0; worker->n_starving > 0 && i < worker->job.plan->n_identities; i++) {
        const struct worker_identity *identity = &worker->identities[i];
        if (identity->starved[place].first != NULL && !identity->blocked[place]) {
            return identity->starved[place].first;
        }
    }
    return worker->queue[place].first;
}
