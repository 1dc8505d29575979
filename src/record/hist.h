/* A histogram of durations from 1 ns to 1 h with three significant digits at every magnitude, in
 * fixed memory: the bucket layout of HdrHistogram (lowest 1 ns, highest 3.6e12 ns, 3 digits), so
 * that its tools read our logs.  Longer values are counted in the last bucket and in `n_clipped`.
 * Adding is a few nanoseconds and touches one line; merging walks only the range in use.
 *
 * More than eight functions: beside filling and asking, the layout itself, which the logs share. */
#ifndef RECORD_HIST_H
#define RECORD_HIST_H

#include <stdint.h>

#define HIST_SUB_BUCKETS 2048u
#define HIST_BUCKETS     32u
#define HIST_SLOTS       ((HIST_BUCKETS + 1) * (HIST_SUB_BUCKETS / 2))
#define HIST_MAX_NS      3600000000000ULL

struct hist {
    uint64_t n;
    uint64_t n_clipped;
    uint64_t sum_ns; /* saturates */
    uint64_t min_ns; /* UINT64_MAX when empty */
    uint64_t max_ns;
    uint32_t first; /* slots in use: [first, last]; first > last when empty */
    uint32_t last;
    uint64_t slots[HIST_SLOTS];
};

void hist_clear(struct hist *hist); /* clears only the range in use; first call: hist_init */
void hist_init(struct hist *hist);
void hist_record(struct hist *hist, uint64_t value_ns);
/* to += from. */
void hist_add(struct hist *to, const struct hist *from);
/* The value at quantile q in 0..1, as HdrHistogram gives it (highest equivalent value of the slot
 * that holds the ceil(q n)-th smallest), but never above max_ns; 0 when empty. */
uint64_t hist_quantile(const struct hist *hist, double q);
double hist_mean_ns(const struct hist *hist);
/* How many are longer than `ns`, to within the slot that it falls in. */
uint64_t hist_above(const struct hist *hist, uint64_t ns);
uint32_t hist_slot(uint64_t value_ns);
/* Lowest value of a slot, and the number of values that share it. */
uint64_t hist_slot_low(uint32_t slot, uint64_t *ret_width);

#endif
