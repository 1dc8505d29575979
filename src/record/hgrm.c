#include "record/hgrm.h"

#include "base/mono.h"

#include <inttypes.h>
#include <math.h>

#define ROWS_PER_HALVING 5

static double in_ms(double ns)
{
    return ns / (double)NS_PER_MS;
}

/* The first slot at which so many values are no larger; `ret_count` says how many there. */
static uint32_t slot_of(const struct hist *hist, uint64_t wanted, uint32_t slot,
                        uint64_t *ret_count)
{
    while (*ret_count + hist->slots[slot] < wanted && slot < hist->last) {
        *ret_count += hist->slots[slot++];
    }
    return slot;
}

static double deviation_ns(const struct hist *hist)
{
    double mean = hist_mean_ns(hist), squares = 0;

    for (uint32_t slot = hist->first; slot <= hist->last && hist->n > 0; slot++) {
        uint64_t width, low = hist_slot_low(slot, &width);
        double off = (double)(low + width / 2) - mean;
        squares += off * off * (double)hist->slots[slot];
    }
    return hist->n > 0 ? sqrt(squares / (double)hist->n) : 0;
}

/* Steps are in percent, as those of the reference: so they are exact, and 0.1 + 0.1 + 0.1 is not
 * asked for more values than 0.3 holds. */
static void put_rows(struct sink *sink, const struct hist *hist)
{
    uint32_t slot = hist->first;
    uint64_t below = 0; /* in the slots before it */

    for (double percent = 0;;) {
        uint64_t wanted =
            percent < 100 ? (uint64_t)fmax(1, ceil(percent * (double)hist->n / 100)) : hist->n;
        slot = slot_of(hist, wanted, slot, &below);
        uint64_t width, low = hist_slot_low(slot, &width), top = low + width - 1;
        uint64_t count = below + hist->slots[slot];
        double value = in_ms((double)(top < hist->max_ns ? top : hist->max_ns));
        if (count >= hist->n) {
            sink_printf(sink, "%12.3f %14.12f %10" PRIu64 "\n", value, 1.0, count);
            return;
        }
        sink_printf(sink, "%12.3f %14.12f %10" PRIu64 " %14.2f\n", value, percent / 100, count,
                    100 / (100 - percent));
        double next =
            percent + 100 / (ROWS_PER_HALVING * exp2(floor(log2(100 / (100 - percent))) + 1));
        percent = next > percent ? next : 100; /* of more values than a double tells apart */
    }
}

void hgrm_write(struct sink *sink, const struct hist *hist)
{
    sink_printf(sink, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
                "1/(1-Percentile)");
    if (hist->n > 0) {
        put_rows(sink, hist);
    }
    sink_printf(sink, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", in_ms(hist_mean_ns(hist)),
                in_ms(deviation_ns(hist)));
    sink_printf(sink, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n",
                in_ms((double)hist->max_ns), hist->n);
    sink_printf(sink, "#[Buckets = %12u, SubBuckets     = %12u]\n", HIST_BUCKETS, HIST_SUB_BUCKETS);
}
