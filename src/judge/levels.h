/* Levels: a window of readings condensed to block levels.  A block's level is its median; where
 * memory is a saw-tooth (a collector or a sweep gives back at once what had gathered) it is the
 * minimum, the floor after collection, and every block is long enough to hold a whole cycle.  Up to
 * 64 fine blocks are what the trend is fitted on; up to 32 coarse ones, which vary less, show the
 * shape of the growth. */
#ifndef JUDGE_LEVELS_H
#define JUDGE_LEVELS_H

#include <stdbool.h>
#include <stddef.h>

#define LEVELS_MAX 64

/* A stretch of readings along one exposure axis (seconds, or bytes that blamed events explain).
 * Borrows its arrays. */
struct window {
    const double *y;      /* bytes */
    const double *y_min;  /* lowest reading of each bucket */
    const double *smooth; /* y through a running median of three */
    const double *x;      /* not falling */
    size_t n;
};

struct levels {
    double level[LEVELS_MAX];
    double x[LEVELS_MAX];
    size_t n;
    int n_falls; /* sudden falls seen: above 0 the levels are floors */
};

/* The rest of a window, without its first `skip` readings. */
struct window window_tail(const struct window *window, size_t skip);
/* False when the window is too short for eight coarse blocks (with floors: holds too few cycles);
 * n_falls is set either way. */
bool levels_make(const struct window *window, struct levels *ret_coarse, struct levels *ret_fine)
    __attribute__((warn_unused_result));

#endif
