#include "cmd/settling.h"

#include "judge/settled.h"

#include <string.h>

void settling_init(struct settling *settling)
{
    settling->n = 0;
    settling->every = 1;
    settling->skipped = 0;
    settling->incarnation = 0;
}

/* Every second one goes, and of those to come too. */
static void thin_out(struct settling *settling)
{
    for (size_t i = 0; i < settling->n / 2; i++) {
        settling->t[i] = settling->t[2 * i + 1];
        settling->y[i] = settling->y[2 * i + 1];
    }
    settling->n /= 2;
    settling->every *= 2;
}

void settling_reading(struct settling *settling, const struct reading *reading, double t_s)
{
    if (!reading->ok || reading->source != 0) {
        return;
    }
    if (reading->incarnation != settling->incarnation) { /* another process, another memory */
        settling_init(settling);
        settling->incarnation = reading->incarnation;
    }
    if (++settling->skipped < settling->every) {
        return;
    }
    settling->skipped = 0;
    if (settling->n == SETTLING_READINGS) {
        thin_out(settling);
    }
    settling->t[settling->n] = t_s;
    settling->y[settling->n++] = (double)reading->value[reading_metric(reading)];
}

bool settling_done(struct settling *settling, double since_s)
{
    struct settled settled;
    size_t before = 0;

    while (before < settling->n && settling->t[before] < since_s) {
        before++;
    }
    if (before > 0) {
        size_t left = settling->n - before;
        memmove(settling->t, settling->t + before, left * sizeof *settling->t);
        memmove(settling->y, settling->y + before, left * sizeof *settling->y);
        settling->n = left;
        settling->every = 1;
    }
    judge_settled(settling->t, settling->y, settling->n, &settled);
    return settled.settled;
}
