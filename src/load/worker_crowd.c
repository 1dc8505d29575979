/* How many connections a worker holds at any time: slot k of worker w of n is connection number
 * w + k n of all, and it is wanted while the phase's course of connections is above that number.
 * Only the first of each worker does not wait for its number where it is to come: what falls due
 * is dealt to all workers from the first moment, and one without a connection would keep it
 * waiting. */
#include "load/slot.h"
#include "load/worker_clock.h"
#include "load/worker_inside.h"

#include "base/mono.h"

#include <math.h>

static double passes_ns(const struct worker *worker, size_t slot)
{
    const struct course *course = &worker->timeline.connections;
    double number = (double)worker->job.index + (double)slot * worker->job.n_workers;
    bool comes = course->from < course->to && number < course->to;
    return course_passes(course, slot == 0 && comes ? 0 : number);
}

static bool is_growing(const struct worker *worker)
{
    return worker->timeline.connections.to > worker->timeline.connections.from;
}

static bool is_wanted(const struct worker *worker, size_t slot, uint64_t t_ns)
{
    return (passes_ns(worker, slot) <= (double)t_ns) == is_growing(worker);
}

/* When the next slot joins or leaves; INFINITY: none does. */
static double next_ns(const struct worker *worker)
{
    if (is_growing(worker)) {
        return worker->n_wanted < worker->n_slots ? passes_ns(worker, worker->n_wanted) : INFINITY;
    }
    return worker->n_wanted > 0 ? passes_ns(worker, worker->n_wanted - 1) : INFINITY;
}

void worker_crowd_follow(struct worker *worker)
{
    uint64_t t_ns = worker_since_zero_ns(worker, mono_now_ns());
    while (worker->n_wanted < worker->n_slots && is_wanted(worker, worker->n_wanted, t_ns)) {
        slot_want(&worker->slots[worker->n_wanted++], true);
    }
    while (worker->n_wanted > 0 && !is_wanted(worker, worker->n_wanted - 1, t_ns)) {
        slot_want(&worker->slots[--worker->n_wanted], false);
    }
    double at_ns = next_ns(worker);
    ev_timer_stop(worker->loop, &worker->crowd);
    if (worker->state == WORKER_RUNNING && at_ns < 0x1p63) {
        worker_timer_at(worker, &worker->crowd, worker->zero_ns + (uint64_t)ceil(at_ns));
    }
}

static void on_crowd(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    worker_crowd_follow(timer->data);
}

void worker_crowd_init(struct worker *worker)
{
    ev_init(&worker->crowd, on_crowd);
    worker->crowd.data = worker;
}
