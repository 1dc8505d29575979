#include "judge/levels.h"

#include "judge/numeric.h"

#include <math.h>

#define MIN_BLOCKS         8
#define READINGS_PER_BLOCK 3
/* A sudden move is at least this share of the range within two readings. */
#define SUDDEN_SHARE 0.4
/* A block of floors is this much longer than the longest cycle. */
#define CYCLES_PER_BLOCK 1.15

struct window window_tail(const struct window *window, size_t skip)
{
    return (struct window){.y = window->y + skip,
                           .y_min = window->y_min + skip,
                           .smooth = window->smooth + skip,
                           .x = window->x + skip,
                           .n = window->n - skip};
}

/* Counts sudden falls and the longest stretch between them.  Sudden rises to match mean noise or
 * spikes rather than a collector, and then there is no saw-tooth. */
static int count_falls(const double *y, size_t n, size_t *ret_longest)
{
    double range = numeric_quantile(y, n, 0.95) - numeric_quantile(y, n, 0.05);
    int falls = 0;
    int rises = 0;
    size_t last_fall = 0;
    size_t last_rise = 0;
    *ret_longest = 0;
    for (size_t i = 2; i < n && range > 0; i++) {
        double change = y[i] - y[i - 2];
        if (change < -SUDDEN_SHARE * range) {
            if (falls == 0 || i - last_fall > 3) {
                size_t gap = falls > 0 ? i - last_fall : 0;
                *ret_longest = gap > *ret_longest ? gap : *ret_longest;
                falls++;
            }
            last_fall = i;
        }
        if (change > SUDDEN_SHARE * range) {
            rises += rises == 0 || i - last_rise > 3;
            last_rise = i;
        }
    }
    if (falls < 2 || rises * 3 > falls) {
        return 0;
    }
    *ret_longest = n - last_fall > *ret_longest ? n - last_fall : *ret_longest;
    return falls;
}

static void level_of_block(const struct window *w, size_t from, size_t to, bool floors,
                           double *ret_level, double *ret_x)
{
    if (!floors) {
        *ret_level = numeric_median(w->y + from, to - from);
        *ret_x = numeric_median(w->x + from, to - from);
        return;
    }
    size_t lowest = from;
    for (size_t i = from; i < to; i++) {
        lowest = w->y_min[i] < w->y_min[lowest] ? i : lowest;
    }
    *ret_level = w->y_min[lowest];
    *ret_x = w->x[lowest];
}

bool levels_make(const struct window *window, struct levels *ret_levels)
{
    size_t cycle;
    size_t n = window->n / READINGS_PER_BLOCK;
    n = n < LEVELS_MAX ? n : LEVELS_MAX;
    ret_levels->n_falls = count_falls(window->smooth, window->n, &cycle);
    if (ret_levels->n_falls > 0) {
        size_t whole = (size_t)((double)window->n / (CYCLES_PER_BLOCK * (double)cycle + 1));
        n = whole < n ? whole : n;
    }
    ret_levels->n = n;
    if (n < MIN_BLOCKS) {
        return false;
    }
    for (size_t j = 0; j < n; j++) {
        level_of_block(window, window->n * j / n, window->n * (j + 1) / n, ret_levels->n_falls > 0,
                       &ret_levels->level[j], &ret_levels->x[j]);
    }
    return true;
}
