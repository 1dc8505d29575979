#include "judge/staircase.h"

#include "judge/numeric.h"

#include <math.h>

#define MAX_CELLS  512
#define MAX_STEPS  32
#define MIN_STEP   (256.0 * 1024)
#define PAGE       4096.0
#define SMALL_STEP 0.18 /* of the largest; smaller ones are forgotten */
#define RATIO_LOW  1.85 /* of successive distances; noise and the cell width allow this much */
#define RATIO_HIGH 2.2
#define SIZE_SLACK 0.2 /* of a step, by which it may miss twice the one before */
#define CLEAR      5.0 /* times the noise, the smallest of the three */
#define OVERDUE    2.4 /* distances without a next step */
/* What was added before a step is what the steps before it made room for, so a step comes no later
 * after the beginning than so many times its distance from the step before, doubled. */
#define BEGUN 1.15

struct cells {
    double level[MAX_CELLS];
    double x[MAX_CELLS]; /* at the cell's end */
    size_t n;
    double drift; /* median rise over two cells */
    double noise; /* upper quartile of the departures from it */
};

struct steps {
    double size[MAX_STEPS];
    double x[MAX_STEPS];
    size_t at[MAX_STEPS];
    size_t n;
};

static void make_cells(const struct window *w, struct cells *c)
{
    double rise[MAX_CELLS];
    c->n = w->n < MAX_CELLS ? w->n : MAX_CELLS;
    for (size_t i = 0; i < c->n; i++) {
        size_t from = w->n * i / c->n;
        size_t to = w->n * (i + 1) / c->n;
        c->level[i] = numeric_median(w->y + from, to - from);
        c->x[i] = w->x[to - 1];
    }
    for (size_t i = 2; i < c->n; i++) {
        rise[i - 2] = c->level[i] - c->level[i - 2];
    }
    c->drift = numeric_median(rise, c->n - 2);
    for (size_t i = 0; i < c->n - 2; i++) {
        rise[i] = fabs(rise[i] - c->drift);
    }
    c->noise = numeric_quantile(rise, c->n - 2, 0.75) + PAGE;
}

/* Level of three cells that begin, or end, at cell i. */
static double level_from(const struct cells *c, size_t i)
{
    return numeric_median3(c->level[i], c->level[i + 1], c->level[i + 2]);
}

static double level_until(const struct cells *c, size_t i)
{
    return numeric_median3(c->level[i], c->level[i - 1], c->level[i - 2]);
}

static void find_steps(const struct cells *c, struct steps *s)
{
    double largest = 0;
    size_t kept = 0;
    s->n = 0;
    for (size_t i = 3; i + 2 < c->n && s->n < MAX_STEPS; i++) {
        double size = level_from(c, i) - level_until(c, i - 1) - 1.5 * c->drift;
        if (size > 4 * c->noise && size > MIN_STEP && c->level[i] - c->level[i - 1] > 0.5 * size) {
            s->size[s->n] = size;
            s->x[s->n] = c->x[i];
            s->at[s->n++] = i;
            largest = fmax(largest, size);
            i += 2;
        }
    }
    for (size_t i = 0; i < s->n; i++) {
        if (s->size[i] >= SMALL_STEP * largest) {
            s->size[kept] = s->size[i];
            s->x[kept] = s->x[i];
            s->at[kept++] = s->at[i];
        }
    }
    s->n = kept;
}

static bool is_double(double step, double before, double noise)
{
    return fabs(step - 2 * before) <= SIZE_SLACK * step + 2 * noise;
}

/* Between the last three steps the level is flat, or grows at one rate in both gaps. */
static bool is_even_between(const struct cells *c, const struct steps *s)
{
    size_t last = s->n - 1;
    double first_gap = level_until(c, s->at[last - 1] - 1) - level_from(c, s->at[last - 2]);
    double second_gap = level_until(c, s->at[last] - 1) - level_from(c, s->at[last - 1]);
    double stepped = s->size[last] + s->size[last - 1];
    if (first_gap < -0.1 * stepped) {
        return false;
    }
    return first_gap + second_gap <= 0.15 * stepped ||
           (second_gap >= 1.6 * first_gap && second_gap <= 2.6 * first_gap);
}

/* Records of a noise come at doubling times too, but its greatest are as likely to come early. */
static bool grew_less_before(const struct steps *s)
{
    size_t first = s->n - 3;
    for (size_t i = 0; i < first; i++) {
        if (s->size[i] > s->size[first]) {
            return false;
        }
    }
    return true;
}

bool staircase_find(const struct window *window, double *ret_slope)
{
    struct cells c;
    struct steps s;
    if (window->n < 8) {
        return false;
    }
    make_cells(window, &c);
    find_steps(&c, &s);
    if (s.n < 3) {
        return false;
    }
    size_t last = s.n - 1;
    double distance = s.x[last] - s.x[last - 1];
    double ratio = distance / (s.x[last - 1] - s.x[last - 2]);
    if (ratio < RATIO_LOW || ratio > RATIO_HIGH || s.size[last - 2] < CLEAR * c.noise) {
        return false;
    }
    if (!is_double(s.size[last], s.size[last - 1], c.noise) ||
        !is_double(s.size[last - 1], s.size[last - 2], c.noise) || !is_even_between(&c, &s) ||
        !grew_less_before(&s)) {
        return false;
    }
    if (window->x[window->n - 1] - s.x[last] > OVERDUE * distance ||
        s.x[last] - window->x[0] > BEGUN * 2 * distance) {
        return false;
    }
    *ret_slope = s.size[last] / (2 * distance);
    return true;
}
