#include "report/headline.h"

#include "base/unit.h"
#include "judge/reason.h"

bool headline_leak(struct sink *sink, const struct memory_finding *finding)
{
    const struct driver_finding *blamed[DRIVER_COUNT];
    size_t n = finding->class == MEMORY_LEAK ? reason_blamed(finding, blamed) : 0;

    for (size_t k = 0; k < n; k++) {
        const struct driver_finding *driver = blamed[k];
        char size[UNIT_TEXT], low[UNIT_TEXT], high[UNIT_TEXT];

        sink_printf(sink, "%s %s per %s (95 %% %s to %s)", k == 0 ? "the server keeps" : " and",
                    unit_bytes(size, driver->bytes_per_event), driver_info(driver->driver)->event,
                    unit_bytes(low, driver->low), unit_bytes(high, driver->high));
    }
    return n > 0;
}

/* The first that leaks is the one that the judge trusts most; the others show the same leak. */
static bool name_leak(struct sink *sink, const struct verdict *verdict)
{
    for (size_t i = 0; i < verdict->n_memory; i++) {
        if (headline_leak(sink, &verdict->memory[i])) {
            return true;
        }
    }
    return false;
}

static bool is_leak(const struct verdict *verdict)
{
    bool leak = false;

    for (size_t i = 0; i < verdict->n_memory; i++) {
        leak |= verdict->memory[i].class == MEMORY_LEAK;
    }
    return leak && verdict->kind == VERDICT_FAIL && verdict->n_let_in == 0;
}

const char *headline_word(const struct verdict *verdict)
{
    static const char *const words[] = {
        [VERDICT_PASS] = "PASS",
        [VERDICT_FAIL] = "FAIL",
        [VERDICT_INCONCLUSIVE] = "INCONCLUSIVE",
        [VERDICT_INVALID] = "INVALID",
        [VERDICT_REFUSED] = "REFUSED",
        [VERDICT_INTERRUPTED] = "INTERRUPTED",
    };

    if (verdict->kind == VERDICT_FAIL && verdict->n_let_in > 0) {
        return "LET IN";
    }
    return is_leak(verdict) ? "LEAK" : words[verdict->kind];
}

bool headline_write(struct sink *sink, const struct verdict *verdict)
{
    if (is_leak(verdict) && name_leak(sink, verdict)) {
        return true;
    }
    sink_printf(sink, "%s", verdict->reason);
    return false;
}
