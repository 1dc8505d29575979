/* Open-loop truth on a clock of the test's own: when starts fall due, what the generator's own delay
 * is, and what was waited for. */
#include "load/worker_clock.h"
#include "load/worker_inside.h"

#include "base/mem.h"
#include "base/mono.h"
#include "load_bench.h"

static uint64_t fake_ns;

static uint64_t fake_now_ns(void)
{
    return fake_ns;
}

#define ZERO_NS (1000 * NS_PER_S)

struct clock_bench {
    struct bench *bench;
    struct mint *mint;
    struct schedule schedule;
    struct worker *worker;
};

static const char *const open_loop[] = {"pace.mode=open", "pace.rate=1k/s", "run.threads=1", NULL};

static void begin(struct clock_bench *cb, const char *const *sets)
{
    cb->bench = bench_new();
    target_start(&cb->bench->target);
    load_plan(cb->bench, sets);
    cb->mint = bench_mint(cb->bench);
    schedule_init(&cb->schedule, cb->bench->plan);
    const struct worker_job job = {.plan = cb->bench->plan,
                                   .schedule = &cb->schedule,
                                   .addrs = &cb->bench->addr,
                                   .n_addrs = 1,
                                   .mint = cb->mint,
                                   .n_workers = 1,
                                   .tick_ns = NS_PER_S};
    cb->worker = worker_new(&job, cb->bench->diag);
    assert_non_null(cb->worker);
    cb->worker->zero_ns = ZERO_NS;
    mono_replace(fake_now_ns);
}

static void end(struct clock_bench *cb)
{
    mono_replace(NULL);
    worker_free(cb->worker);
    schedule_clear(&cb->schedule);
    mint_free(cb->mint);
    target_stop(&cb->bench->target);
    bench_free(cb->bench);
}

/* The worker looks at the clock at these times and no others. */
static void look_at(struct clock_bench *cb, uint64_t at_us)
{
    fake_ns = ZERO_NS + at_us * NS_PER_US;
    worker_clock_stop(cb->worker);
}

static uint64_t counted(const struct clock_bench *cb, enum counter counter)
{
    return cb->worker->interval->count[counter];
}

static void what_is_due_is_the_plans(void **state)
{
    (void)state;
    struct clock_bench cb;
    begin(&cb, open_loop);
    const struct hist *delay = &cb.worker->interval->latency[LATENCY_OWN_DELAY];
    look_at(&cb, 0);
    assert_int_equal(counted(&cb, COUNTER_DUE), 1);
    assert_int_equal(delay->max_ns, 0);
    look_at(&cb, 999);
    assert_int_equal(counted(&cb, COUNTER_DUE), 1);
    /* Nine fell due at 1 to 9 ms, seen at 9.5 ms. */
    look_at(&cb, 9500);
    assert_int_equal(counted(&cb, COUNTER_DUE), 10);
    assert_int_equal(cb.worker->backlog.n, 10);
    assert_int_equal(delay->n, 10);
    assert_int_equal(delay->max_ns, 8500 * NS_PER_US);
    assert_int_equal(hist_above(delay, NS_PER_MS), 8);
    assert_int_equal(delay->sum_ns, (8500 * 9 - 1000 * 36) * NS_PER_US);
    end(&cb);
}

/* Whoever waits for a connection is late by no fault of the generator's. */
static void waiting_is_not_its_own_delay(void **state)
{
    (void)state;
    struct clock_bench cb;
    begin(&cb, open_loop);
    const struct hist *delay = &cb.worker->interval->latency[LATENCY_OWN_DELAY];
    for (uint64_t ms = 0; ms < 100; ms++) {
        look_at(&cb, ms * 1000);
    }
    assert_int_equal(delay->max_ns, 0);
    assert_int_equal(counted(&cb, COUNTER_LATE), 0);
    assert_int_equal(worker_clock_waited_ns(cb.worker, fake_ns), 99 * NS_PER_MS);
    assert_int_equal(worker_clock_take(cb.worker), ZERO_NS);
    assert_int_equal(worker_clock_take(cb.worker), ZERO_NS + NS_PER_MS);
    assert_int_equal(counted(&cb, COUNTER_LATE), 2);
    assert_int_equal(worker_clock_waited_ns(cb.worker, fake_ns), 99 * NS_PER_MS);
    /* What was made is over; the oldest is now the one of 2 ms. */
    assert_int_equal(worker_clock_waited_ns(cb.worker, fake_ns), 97 * NS_PER_MS);
    for (int i = 0; i < 97; i++) {
        (void)worker_clock_take(cb.worker);
    }
    assert_int_equal(counted(&cb, COUNTER_LATE), 98); /* that of 98 ms was 1 ms late, no more */
    assert_int_equal(worker_clock_take(cb.worker), ZERO_NS + 99 * NS_PER_MS);
    (void)worker_clock_waited_ns(cb.worker, fake_ns);
    assert_int_equal(worker_clock_waited_ns(cb.worker, fake_ns), 0);
    end(&cb);
}

/* The load is the same function of the plan however late the generator looks. */
static void looking_late_changes_nothing(void **state)
{
    (void)state;
    uint64_t due_ns[2][500];
    for (int late = 0; late < 2; late++) {
        struct clock_bench cb;
        begin(&cb, (const char *const[]){"pace.mode=open", "pace.rate=1k/s", "run.threads=1",
                                         "pace.arrivals=poisson", "run.seed=7", NULL});
        for (uint64_t us = 0; us < 900000; us += late ? 50000 : 100) {
            look_at(&cb, us);
        }
        assert_true(cb.worker->backlog.n > 500);
        for (int i = 0; i < 500; i++) {
            due_ns[late][i] = worker_clock_take(cb.worker);
        }
        end(&cb);
    }
    assert_memory_equal(due_ns[0], due_ns[1], sizeof due_ns[0]);
}

/* However much is due, the loop has its turn after a part of it, and at the end nothing is lost. */
static void a_turn_is_bounded(void **state)
{
    (void)state;
    struct clock_bench cb;
    begin(&cb, (const char *const[]){"pace.mode=open", "pace.rate=1000k/s", "run.threads=1", NULL});
    fake_ns = ZERO_NS + 100 * NS_PER_MS;
    worker_clock_heed(cb.worker);
    assert_in_range(counted(&cb, COUNTER_DUE), 1000, 10000);
    worker_clock_heed(cb.worker);
    assert_in_range(counted(&cb, COUNTER_DUE), 2000, 20000);
    look_at(&cb, 100000);
    assert_int_equal(counted(&cb, COUNTER_DUE), 100001);
    end(&cb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_due_is_the_plans),
        cmocka_unit_test(waiting_is_not_its_own_delay),
        cmocka_unit_test(looking_late_changes_nothing),
        cmocka_unit_test(a_turn_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
