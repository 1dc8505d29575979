/* The live view: on a terminal a picture that is redrawn in place each second, elsewhere one
 * line each ten seconds.  NO_COLOR is respected; nothing is drawn with --quiet. */
#ifndef REPORT_LIVE_H
#define REPORT_LIVE_H

#include "record/interval.h"
#include "record/reading.h"

#include <stdbool.h>
#include <stdint.h>

struct live;

struct live_frame {
    double elapsed_s, planned_s;
    const char *phase;             /* "warm-up", "dwell 7 of 32: fresh certificates", "draining" */
    double rate_asked;             /* 0: closed loop */
    const struct interval *second; /* the last second */
    const struct interval *total;
    const struct reading *memory; /* newest good one of the first source; NULL: none */
};

/* `quiet`: draws nothing.  stderr decides whether it is a terminal. */
struct live *live_new(bool quiet, const char *target) __attribute__((warn_unused_result));
void live_show(struct live *live, const struct live_frame *frame); /* once a second */
void live_free(struct live *live); /* leaves the last picture standing */

#endif
