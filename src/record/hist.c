#include "record/hist.h"

#include "base/bug.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define HALF       (HIST_SUB_BUCKETS / 2)
#define HALF_SHIFT 10u
_Static_assert(1u << HALF_SHIFT == HALF, "the layout depends on it");

static void forget(struct hist *hist)
{
    hist->n = 0;
    hist->n_clipped = 0;
    hist->sum_ns = 0;
    hist->min_ns = UINT64_MAX;
    hist->max_ns = 0;
    hist->first = HIST_SLOTS;
    hist->last = 0;
}

void hist_init(struct hist *hist)
{
    memset(hist->slots, 0, sizeof hist->slots);
    forget(hist);
}

void hist_clear(struct hist *hist)
{
    if (hist->first <= hist->last) {
        memset(&hist->slots[hist->first], 0, (hist->last - hist->first + 1) * sizeof *hist->slots);
    }
    forget(hist);
}

static uint64_t saturated(uint64_t a, uint64_t b)
{
    uint64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* Every bucket above the first holds the upper half of the sub-buckets only: its lower half is the
 * bucket below at twice the resolution. */
uint32_t hist_slot(uint64_t value_ns)
{
    unsigned bits = 64u - (unsigned)__builtin_clzll(value_ns | (HIST_SUB_BUCKETS - 1));
    unsigned bucket = bits - (HALF_SHIFT + 1);

    return (uint32_t)(((uint64_t)(bucket + 1) << HALF_SHIFT) + (value_ns >> bucket) - HALF);
}

uint64_t hist_slot_low(uint32_t slot, uint64_t *ret_width)
{
    BUG_ON(slot >= HIST_SLOTS);
    unsigned bucket = slot < HIST_SUB_BUCKETS ? 0 : (slot >> HALF_SHIFT) - 1;
    uint64_t sub = slot < HIST_SUB_BUCKETS ? slot : (slot & (HALF - 1)) + HALF;

    *ret_width = 1ULL << bucket;
    return sub << bucket;
}

void hist_record(struct hist *hist, uint64_t value_ns)
{
    if (value_ns > HIST_MAX_NS) {
        value_ns = HIST_MAX_NS;
        hist->n_clipped++;
    }
    uint32_t slot = hist_slot(value_ns);

    hist->slots[slot]++;
    hist->n++;
    hist->sum_ns = saturated(hist->sum_ns, value_ns);
    hist->min_ns = value_ns < hist->min_ns ? value_ns : hist->min_ns;
    hist->max_ns = value_ns > hist->max_ns ? value_ns : hist->max_ns;
    hist->first = slot < hist->first ? slot : hist->first;
    hist->last = slot > hist->last ? slot : hist->last;
}

void hist_add(struct hist *to, const struct hist *from)
{
    if (from->n == 0) {
        return;
    }
    for (uint32_t i = from->first; i <= from->last; i++) {
        to->slots[i] += from->slots[i];
    }
    to->n += from->n;
    to->n_clipped += from->n_clipped;
    to->sum_ns = saturated(to->sum_ns, from->sum_ns);
    to->min_ns = from->min_ns < to->min_ns ? from->min_ns : to->min_ns;
    to->max_ns = from->max_ns > to->max_ns ? from->max_ns : to->max_ns;
    to->first = from->first < to->first ? from->first : to->first;
    to->last = from->last > to->last ? from->last : to->last;
}

/* 1-based rank of the value at quantile q.  0.07 * 100 is a little more than 7 in binary, and must
 * not be taken for the 8th value: HdrHistogram steps q down by one bit too. */
static uint64_t rank_at(uint64_t n, double q)
{
    double rank = ceil(nextafter(q, 0.0) * (double)n);

    if (!(rank > 1.0)) {
        return 1;
    }
    return rank >= (double)n ? n : (uint64_t)rank;
}

uint64_t hist_quantile(const struct hist *hist, double q)
{
    if (hist->n == 0) {
        return 0;
    }
    uint64_t rank = rank_at(hist->n, q), seen = 0;

    for (uint32_t i = hist->first; i <= hist->last; i++) {
        seen += hist->slots[i];
        if (seen >= rank) {
            uint64_t width, low = hist_slot_low(i, &width);
            uint64_t high = low + width - 1;
            return high < hist->max_ns ? high : hist->max_ns;
        }
    }
    return hist->max_ns;
}

uint64_t hist_above(const struct hist *hist, uint64_t ns)
{
    uint64_t n = 0;

    for (uint32_t i = hist_slot(ns) + 1; hist->n > 0 && i <= hist->last; i++) {
        n += hist->slots[i];
    }
    return n;
}

double hist_mean_ns(const struct hist *hist)
{
    if (hist->n == 0) {
        return 0.0;
    }
    if (hist->sum_ns < UINT64_MAX) {
        return (double)hist->sum_ns / (double)hist->n;
    }
    double sum = 0.0;
    for (uint32_t i = hist->first; i <= hist->last; i++) {
        uint64_t width, low = hist_slot_low(i, &width);
        sum += (double)hist->slots[i] * ((double)low + (double)(width / 2));
    }
    return sum / (double)hist->n;
}
