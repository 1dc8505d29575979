/* The ceiling: a run ends early enough for its server to stay below memory.stop_at. */
#include "base/mono.h"
#include "cmd/ceiling.h"
#include "profile/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB         (1024.0 * 1024)
#define GROWS_PER_S (1.0 * MIB)

/* What a server that grows evenly has when the run is ended, bytes: read each `apart_s`. */
static double bytes_at_end(const struct plan *plan, double apart_s)
{
    struct ceiling ceiling;

    ceiling_init(&ceiling, plan);
    for (double t_s = apart_s; t_s < 10000; t_s += apart_s) {
        struct reading reading = {.ok = true, .incarnation = 1};
        for (int i = 0; i < MEMORY_METRIC_COUNT; i++) {
            reading.value[i] = -1;
        }
        reading.value[MEMORY_ANON] = (int64_t)(GROWS_PER_S * t_s);
        ceiling_reading(&ceiling, &reading, t_s);
        if (ceiling.ended[0] != '\0') {
            return GROWS_PER_S * t_s;
        }
    }
    fail_msg("the run was not ended");
    return 0;
}

static void the_next_reading_is_below_it_too(void **state)
{
    char name[] = "server", settle[] = "true";
    struct plan_memory memory = {.name = name, .every_ns = NS_PER_S, .stop_at_bytes = 1000 * MIB};
    struct plan plan = {.memories = &memory,
                        .n_memories = 1,
                        .run = {.drain_ns = 5 * NS_PER_S},
                        .attribution = {.mode = ATTRIBUTION_CROSSOVER, .dwell_ns = 60 * NS_PER_S}};

    (void)state;
    double at_end = bytes_at_end(&plan, 1);
    assert_true(at_end < 995 * MIB && at_end > 980 * MIB);
    memory.settle = settle; /* read once a dwell */
    at_end = bytes_at_end(&plan, 60);
    assert_true(at_end + 65 * GROWS_PER_S < 1000 * MIB && at_end > 700 * MIB);
    plan.attribution.mode = ATTRIBUTION_OFF;
    at_end = bytes_at_end(&plan, 1);
    assert_true(at_end > 980 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_next_reading_is_below_it_too)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
