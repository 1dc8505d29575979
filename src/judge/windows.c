#include "judge/windows.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "record/hist.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows come about a second apart, and each belongs where most of its second was. */
#define HALF_ROW_S 0.5

struct pair {
    uint32_t slot, n;
};

/* What is kept of a part while it is in the window. */
struct part {
    struct limit_counts counts;
    uint64_t n, sum_ns, max_ns;
    struct pair *pairs; /* owns: slots of the histogram that hold anything */
    size_t n_pairs;
    bool idle;
};

struct windows {
    struct limit limit;
    double part_s;
    int64_t first, last; /* parts that count; last: INT64_MAX where there is no end */
    size_t length;       /* parts of a window */
    struct part *ring;   /* of that length */
    size_t n;            /* parts in it */
    size_t at;           /* of the next */
    size_t n_idle;
    struct limit_counts counts; /* of those in the ring */
    struct hist *sum;           /* NULL but of latencies */
    int64_t number;             /* of the part that is being filled */
    struct part open;
    struct hist *open_hist;
    struct worst_window worst;
};

static struct hist *new_hist(void)
{
    struct hist *hist = xmalloc(sizeof *hist);

    hist_init(hist);
    return hist;
}

struct windows *windows_new(const struct limit *limit, uint64_t part_ns, double from_s, double to_s)
{
    struct windows *w = xcalloc(1, sizeof *w);
    const double tiny = 1e-6;

    BUG_ON(limit->window_ns < part_ns || limit_is_of_memory(limit));
    w->limit = *limit;
    w->part_s = (double)part_ns / (double)NS_PER_S;
    w->first = (int64_t)ceil(from_s / w->part_s - tiny);
    w->last = to_s < 1e12 ? (int64_t)floor(to_s / w->part_s + tiny) - 1 : INT64_MAX;
    w->length = (size_t)(limit->window_ns / part_ns);
    w->ring = xcalloc(w->length, sizeof *w->ring);
    w->number = -1;
    w->worst.value = NAN;
    if (limit->metric == LIMIT_LATENCY) {
        w->sum = new_hist();
        w->open_hist = new_hist();
    }
    return w;
}

void windows_free(struct windows *w)
{
    if (w == NULL) {
        return;
    }
    for (size_t i = 0; i < w->length; i++) {
        free(w->ring[i].pairs);
    }
    free(w->ring);
    free(w->sum);
    free(w->open_hist);
    free(w);
}

static void add_counts(struct limit_counts *to, const struct limit_counts *from)
{
    to->n_done += from->n_done;
    to->n_errors += from->n_errors;
    to->n_unexpected += from->n_unexpected;
}

static void take_counts(struct limit_counts *to, const struct limit_counts *from)
{
    to->n_done -= from->n_done;
    to->n_errors -= from->n_errors;
    to->n_unexpected -= from->n_unexpected;
}

static void pack(const struct hist *hist, struct part *part)
{
    size_t n = 0;

    part->n = hist->n;
    part->sum_ns = hist->sum_ns;
    part->max_ns = hist->max_ns;
    for (uint32_t slot = hist->first; hist->n > 0 && slot <= hist->last; slot++) {
        n += hist->slots[slot] > 0;
    }
    part->pairs = n > 0 ? xmalloc(n * sizeof *part->pairs) : NULL;
    for (uint32_t slot = hist->first; part->n_pairs < n; slot++) {
        uint64_t count = hist->slots[slot];
        if (count > 0) {
            part->pairs[part->n_pairs++] =
                (struct pair){slot, count < UINT32_MAX ? (uint32_t)count : UINT32_MAX};
        }
    }
}

/* The oldest part leaves.  The range in use stays as wide as it was, which costs time alone. */
static void drop(struct windows *w, struct part *part)
{
    take_counts(&w->counts, &part->counts);
    w->n_idle -= part->idle;
    for (size_t i = 0; i < part->n_pairs; i++) {
        w->sum->slots[part->pairs[i].slot] -= part->pairs[i].n;
        w->sum->n -= part->pairs[i].n;
    }
    if (w->sum != NULL) {
        w->sum->sum_ns -= part->sum_ns;
    }
    free(part->pairs);
    *part = (struct part){.n = 0};
}

static void enter(struct windows *w, const struct part *part)
{
    add_counts(&w->counts, &part->counts);
    w->n_idle += part->idle;
    for (size_t i = 0; i < part->n_pairs; i++) {
        uint32_t slot = part->pairs[i].slot;
        w->sum->slots[slot] += part->pairs[i].n;
        w->sum->n += part->pairs[i].n;
        w->sum->first = slot < w->sum->first ? slot : w->sum->first;
        w->sum->last = slot > w->sum->last ? slot : w->sum->last;
    }
    if (w->sum != NULL) {
        w->sum->sum_ns += part->sum_ns;
    }
}

static void find_largest(struct windows *w)
{
    w->sum->max_ns = 0;
    for (size_t i = 0; i < w->length; i++) {
        uint64_t max_ns = w->ring[i].max_ns;
        w->sum->max_ns = max_ns > w->sum->max_ns ? max_ns : w->sum->max_ns;
    }
}

/* The window that ends with part `number`. */
static void measure(struct windows *w, int64_t number)
{
    double to_s = (double)(number + 1) * w->part_s, seconds = (double)w->length * w->part_s, value;
    bool is_rate = w->limit.metric == LIMIT_RATE;

    if (w->n < w->length || (is_rate && w->n_idle > 0)) {
        return;
    }
    if (w->sum != NULL) {
        find_largest(w);
    }
    if (!limit_measure_span(&w->limit, w->sum, &w->counts, seconds, &value)) {
        return;
    }
    if (isnan(w->worst.value) || (is_rate ? value < w->worst.value : value > w->worst.value)) {
        w->worst = (struct worst_window){.value = value, .from_s = to_s - seconds, .to_s = to_s};
    }
}

static void close_part(struct windows *w, int64_t number, struct part *part)
{
    struct part *place = &w->ring[w->at];

    if (w->n == w->length) {
        drop(w, place);
    } else {
        w->n++;
    }
    *place = *part;
    enter(w, place);
    *part = (struct part){.n = 0};
    w->at = (w->at + 1) % w->length;
    measure(w, number);
}

/* The part that is being filled is over, and the next begins. */
static void go_on(struct windows *w)
{
    if (w->open_hist != NULL) {
        pack(w->open_hist, &w->open);
        hist_clear(w->open_hist);
    }
    close_part(w, w->number, &w->open);
    w->number++;
}

/* In which part most of the last second before `end_s` lies. */
static int64_t part_of(const struct windows *w, double end_s)
{
    double number = ceil((end_s - HALF_ROW_S) / w->part_s) - 1;

    return number < (double)w->last ? (int64_t)number : w->last;
}

/* Beyond this many parts without a word, those between have left every window. */
static void skip_to(struct windows *w, int64_t number)
{
    int64_t far = (int64_t)w->length + 1;

    for (int64_t i = 0; i < far && w->number < number; i++) {
        go_on(w);
    }
    w->number = number;
}

static uint64_t share(uint64_t all, uint64_t parts, uint64_t i)
{
    return all * (i + 1) / parts - all * i / parts;
}

/* What came of a late row in the i-th of so many parts: evenly for a rate, which nothing would be
 * else; a ratio is that of the last, beside which the others say nothing. */
static struct limit_counts share_of(const struct windows *w, const struct limit_counts *all,
                                    int64_t parts, int64_t i)
{
    uint64_t n = (uint64_t)parts, at = (uint64_t)i;

    if (w->limit.metric != LIMIT_RATE) {
        return i + 1 == parts ? *all : (struct limit_counts){.n_done = 0};
    }
    return (struct limit_counts){.n_done = share(all->n_done, n, at),
                                 .n_errors = share(all->n_errors, n, at),
                                 .n_unexpected = share(all->n_unexpected, n, at)};
}

/* Parts that no window holds any more. */
static void forget(struct windows *w)
{
    for (size_t i = 0; i < w->length; i++) {
        drop(w, &w->ring[i]);
    }
    w->n = 0;
    w->at = 0;
}

/* A row that came late stands for all the parts since the row before, of which so many as a window
 * has say all. */
static int64_t begin_row(struct windows *w, int64_t number)
{
    bool first = w->number < 0;
    int64_t from = first ? w->first : w->number + 1;

    w->number = first ? from : w->number;
    if (number - from > (int64_t)w->length) {
        if (!first) {
            go_on(w);
        }
        forget(w);
        w->number = number - (int64_t)w->length;
    }
    return from < number ? from : number;
}

void windows_add(struct windows *w, double end_s, const struct hist *hist,
                 const struct limit_counts *counts, bool idle)
{
    int64_t number = part_of(w, end_s);

    if (number < w->first || w->last < w->first) {
        return;
    }
    int64_t from = begin_row(w, number);
    for (int64_t i = from > w->number ? from : w->number; i <= number; i++) {
        struct limit_counts part = share_of(w, counts, number - from + 1, i - from);
        if (i > w->number) {
            go_on(w);
        }
        add_counts(&w->open.counts, &part);
        w->open.idle = w->open.idle || idle;
    }
    if (w->open_hist != NULL && hist != NULL) {
        hist_add(w->open_hist, hist);
    }
}

void windows_end(struct windows *w)
{
    if (w->last < w->first) {
        return;
    }
    if (w->number < 0) {
        w->number = w->first;
    }
    if (w->last < INT64_MAX) {
        skip_to(w, w->last);
    }
    go_on(w);
}

struct worst_window windows_worst(const struct windows *w)
{
    return w->worst;
}
