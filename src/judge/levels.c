#include "judge/levels.h"

#include "judge/numeric.h"

#include <math.h>

#define MIN_BLOCKS      8
#define COARSE_BLOCKS   32
#define COARSE_READINGS 3 /* in a block, at least */
#define FINE_READINGS   2
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

static void make_blocks(const struct window *w, size_t n, struct levels *l)
{
    l->n = n;
    for (size_t j = 0; j < n; j++) {
        level_of_block(w, w->n * j / n, w->n * (j + 1) / n, l->n_falls > 0, &l->level[j], &l->x[j]);
    }
}

bool levels_make(const struct window *window, struct levels *ret_coarse, struct levels *ret_fine)
{
    size_t cycle;
    size_t most = window->n;
    ret_coarse->n_falls = count_falls(window->smooth, window->n, &cycle);
    ret_fine->n_falls = ret_coarse->n_falls;
    if (ret_coarse->n_falls > 0) {
        most = (size_t)((double)window->n / (CYCLES_PER_BLOCK * (double)cycle + 1));
    }
    size_t coarse = window->n / COARSE_READINGS;
    size_t fine = window->n / FINE_READINGS;
    coarse = coarse < COARSE_BLOCKS ? coarse : COARSE_BLOCKS;
    fine = fine < LEVELS_MAX ? fine : LEVELS_MAX;
    make_blocks(window, coarse < most ? coarse : most, ret_coarse);
    make_blocks(window, fine < most ? fine : most, ret_fine);
    return ret_coarse->n >= MIN_BLOCKS;
}
