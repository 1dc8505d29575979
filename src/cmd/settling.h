/* Settling: has the server's memory come to rest since the load stopped?  Keeps the readings of the
 * first memory source since then, a bounded number however long that is, and asks the judge. */
#ifndef CMD_SETTLING_H
#define CMD_SETTLING_H

#include "record/reading.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTLING_READINGS 2048

struct settling {
    double t[SETTLING_READINGS], y[SETTLING_READINGS]; /* seconds since the start, bytes */
    size_t n;
    unsigned every, skipped; /* one reading in so many is kept */
    uint64_t incarnation;    /* of the server */
};

void settling_init(struct settling *settling);
/* Takes note of a reading, `t_s` after the start of the load. */
void settling_reading(struct settling *settling, const struct reading *reading, double t_s);
/* Of the readings since `since_s`; those before are forgotten. */
bool settling_done(struct settling *settling, double since_s);

#endif
