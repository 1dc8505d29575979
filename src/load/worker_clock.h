/* When things fall due in a worker: exchanges or connections by the pacer, dwells, phases, and
 * how many connections there shall be.  All of it happens in the order of the nominal times,
 * however late the worker is, so the load is the same function of plan and seed on every machine.
 * Private to the worker's files. */
#ifndef LOAD_WORKER_CLOCK_H
#define LOAD_WORKER_CLOCK_H

#include <stdint.h>

struct worker;

/* Lets slots join and leave as the phase wants it at this time (worker_crowd.c). */
void worker_crowd_init(struct worker *worker);
void worker_crowd_follow(struct worker *worker);

/* What the clock asks for (worker_clock.c): due times, dwells and phases.  Stopping first does all
 * that is due; heeding takes note of what main said of the phase. */
void worker_clock_init(struct worker *worker);
void worker_clock_start(struct worker *worker);
void worker_clock_stop(struct worker *worker);
void worker_clock_heed(struct worker *worker);
/* The oldest start that is due and was not made, which is made now: its due time (monotonic).  Not
 * without a backlog. */
uint64_t worker_clock_take(struct worker *worker);
/* The longest that a start has waited since this was last asked, made by now or not. */
uint64_t worker_clock_waited_ns(struct worker *worker, uint64_t now_ns);

#endif
