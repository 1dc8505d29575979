#include "report/headline.h"

#include "judge/reason.h"

bool headline_leak(struct sink *sink, const struct memory_finding *finding)
{
    return finding->class == MEMORY_LEAK && reason_say_blamed(sink, "the server keeps", finding);
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
