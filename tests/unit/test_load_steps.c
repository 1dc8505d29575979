/* Steps of a search as main goes through them, on invented ticks: what of them counts, whose fault
 * it is when one does not hold, and the timeline that workers follow meanwhile. */
#include "load/phase.h"
#include "load/phases.h"
#include "load/steps.h"

#include "base/mono.h"
#include "run_kit.h"

#include <math.h>

#define TICK_NS (200 * NS_PER_MS)

/* Steps of 4 s after a ramp of 1 s; rests of 1 s. */
static struct plan search_plan(void)
{
    struct plan plan = {
        .run.duration_ns = 600 * NS_PER_S,
        .pace = {.mode = PACE_OPEN, .connections = 4, .rate_per_s = 8000},
        .search = {.from_per_s = 100,
                   .to_per_s = 8000,
                   .step_ns = 4 * NS_PER_S,
                   .ramp_ns = NS_PER_S,
                   .rest_ns = NS_PER_S,
                   .precision = 0.05},
        .limit.n = 2,
    };
    assert_true(limit_from_key("latency.response.p99.max", &plan.limit.list[0]));
    assert_true(limit_from_key("errors.ratio.max", &plan.limit.list[1]));
    plan.limit.list[0].bound = 25 * (double)NS_PER_MS;
    plan.limit.list[1].bound = 0.01;
    (void)str_copy(plan.limit.list[0].rule, LIMIT_RULE_TEXT, "latency.response.p99.max = 25ms");
    (void)str_copy(plan.limit.list[1].rule, LIMIT_RULE_TEXT, "errors.ratio.max = 1%");
    return plan;
}

/* What each of two workers measures in a tick of the load. */
struct like {
    double due, ended; /* shares of what was asked for */
    uint64_t response_ms, own_ms;
    double errors; /* share of those that ended */
    double cpu, wait;
};

static const struct like good = {.due = 1, .ended = 1, .response_ms = 5, .cpu = 0.1};

struct setting {
    struct plan plan;
    struct run *run;
    struct interval *total, *tick;
    struct steps steps;
    struct machine_reading machine;
    uint64_t t_ns; /* since the start */
};

static void open_setting(struct setting *s)
{
    struct run_meta meta = example_meta();
    *s = (struct setting){.plan = search_plan(), .total = interval_new(), .tick = interval_new()};
    s->run = create(&meta);
    steps_init(&s->steps, &s->plan, s->run, 2, TICK_NS, s->total);
    s->steps.zero_ns = START_NS;
    s->total->gauge[GAUGE_OPEN] = 4;
}

static void close_setting(struct setting *s)
{
    steps_clear(&s->steps);
    run_free(s->run);
    interval_free(s->total);
    interval_free(s->tick);
}

static void record(struct hist *hist, uint64_t n, uint64_t ns)
{
    for (uint64_t i = 0; i < n; i++) {
        hist_record(hist, ns);
    }
}

/* One tick of both workers, `late_ns` behind its time. */
static void pass_tick(struct setting *s, const struct like *like, uint64_t late_ns)
{
    uint64_t n = (uint64_t)(s->steps.asked_per_s * (double)TICK_NS / (double)NS_PER_S / 2);
    for (unsigned w = 0; w < 2; w++) {
        struct interval *tick = s->tick;
        uint64_t n_ended = (uint64_t)((double)n * like->ended);
        uint64_t n_bad = (uint64_t)((double)n_ended * like->errors);
        interval_clear(tick);
        tick->start_ns = START_NS + s->t_ns + late_ns;
        tick->end_ns = tick->start_ns + TICK_NS;
        tick->count[COUNTER_DUE] = (uint64_t)((double)n * like->due);
        tick->count[COUNTER_COMPLETED] = n_ended;
        tick->count[COUNTER_UNEXPECTED] = n_bad;
        tick->outcome[OUTCOME_OK] = n_ended - n_bad;
        tick->outcome[OUTCOME_STATUS] = n_bad;
        tick->count[COUNTER_CPU_NS] = (uint64_t)(like->cpu * (double)TICK_NS);
        tick->count[COUNTER_WAIT_NS] = (uint64_t)(like->wait * (double)TICK_NS);
        tick->gauge[GAUGE_BACKLOG_NS] = like->ended < 1 ? NS_PER_S : 0;
        record(&tick->latency[LATENCY_RESPONSE], n_ended, like->response_ms * NS_PER_MS);
        record(&tick->latency[LATENCY_SERVICE], n_ended, like->response_ms * NS_PER_MS / 2);
        record(&tick->latency[LATENCY_OWN_DELAY], n, like->own_ms * NS_PER_MS);
        steps_interval(&s->steps, w, tick);
    }
    s->t_ns += TICK_NS;
    if (s->t_ns % NS_PER_S == 0) {
        steps_second(&s->steps, &s->machine, s->t_ns);
    }
}

static void pass(struct setting *s, uint64_t until_ns, const struct like *like)
{
    while (s->t_ns < until_ns) {
        pass_tick(s, like, NS_PER_MS);
    }
}

/* The next step begins, and its load has gone by; the rest behind it has not. */
static const struct run_step *perform_step(struct setting *s, const struct like *like)
{
    static const struct like none = {.due = 0};
    size_t n = s->steps.n;
    uint64_t rest_ns = s->t_ns, at_ns;
    while ((at_ns = steps_follow(&s->steps, rest_ns, s->t_ns, s->t_ns + TICK_NS)) == 0) {
        assert_true(s->t_ns < rest_ns + 20 * NS_PER_S);
        pass_tick(s, &none, 0);
    }
    assert_true(at_ns >= rest_ns + NS_PER_S && at_ns % TICK_NS == 0);
    pass(s, at_ns, &none);
    /* the ramp counts for nothing */
    pass(s, at_ns + NS_PER_S, &(struct like){.due = 1, .ended = 0.1, .response_ms = 900});
    pass(s, at_ns + 5 * NS_PER_S, like);
    assert_true(s->steps.n == n && s->steps.under_way);
    rest_ns = s->t_ns;
    pass(s, rest_ns + NS_PER_S, &none);
    steps_end(&s->steps, s->t_ns);
    assert_int_equal(s->steps.n, n + 1);
    return &s->steps.step[n];
}

static void a_step_that_holds(void **state)
{
    struct setting s;

    (void)state;
    open_setting(&s);
    const struct run_step *step = perform_step(&s, &good);
    assert_int_equal(step->result, STEP_HELD);
    assert_true(step->asked_per_s == 100 && fabs(step->reached_per_s - 100) < 1);
    assert_true(fabs(step->measured[0] / 5000 - 1) < 1e-3 && step->measured[1] == 0);
    assert_string_equal(step->reason, "");
    assert_true(s.steps.n_due == 400 && !s.steps.over);
    assert_true(perform_step(&s, &good)->asked_per_s == 200);
    close_setting(&s);
}

static void expect(const struct like *like, enum step_result result, const char *reason)
{
    struct setting s;
    open_setting(&s);
    s.steps.answer.next_per_s = 400;
    (void)perform_step(&s, &good);
    const struct run_step *step = perform_step(&s, like);
    assert_true(step->asked_per_s == 800);
    if (step->result != result || strstr(step->reason, reason) == NULL) {
        fail_msg("%s: %s", step_result_name(step->result), step->reason);
    }
    close_setting(&s);
    assert_int_equal(remove_run(NULL), 0);
}

static void steps_that_do_not_hold(void **state)
{
    struct like slow = good, shedding = good, behind = good, noted = good;

    (void)state;
    slow.response_ms = 31;
    expect(&slow, STEP_BROKEN, "broke latency.response.p99.max = 25ms with 31 ms");
    shedding.errors = 0.05;
    expect(&shedding, STEP_BROKEN, "broke errors.ratio.max = 1% with 5 %");
    behind.ended = 0.95;
    expect(&behind, STEP_BROKEN, "was not reached: 760.0/s");
    noted.response_ms = 25;
    expect(&noted, STEP_HELD, "");
}

static void what_the_generator_spoils(void **state)
{
    struct like starved = good, late = good, delayed = good, uncounted = good, slow = good;
    struct like missing = good;

    (void)state;
    starved.ended = 0.8;
    starved.cpu = 0.5;
    starved.wait = 0.5;
    expect(&starved, STEP_GENERATOR,
           "and the generator may be why: the load generator could not keep up");
    /* 26 ms, of which 3 are its own: without them the limit holds */
    delayed.response_ms = 26;
    delayed.own_ms = 3;
    expect(&delayed, STEP_GENERATOR, "its own delay was up to 3.0 ms");
    /* 80 of 3200 are missing, of which 68 may be; in 40 ms 32 fall due */
    missing.ended = 0.975;
    expect(&missing, STEP_BROKEN, "was not reached");
    missing.own_ms = 40;
    expect(&missing, STEP_GENERATOR, "may be its own delay");
    slow.response_ms = 200;
    slow.own_ms = 10;
    expect(&slow, STEP_BROKEN, "with 200 ms");
    late.response_ms = 200;
    late.own_ms = 150;
    expect(&late, STEP_GENERATOR, "the load generator could not keep up");
    uncounted.due = uncounted.ended = 0.5;
    expect(&uncounted, STEP_GENERATOR, "its own delay was up to 0");
}

/* Slow answers that are in flight when the step ends come home in the rest. */
static void what_comes_home_in_the_rest_counts(void **state)
{
    static const struct like none = {.due = 0};
    struct setting s;

    (void)state;
    open_setting(&s);
    pass(&s, NS_PER_S, &none);
    uint64_t at_ns = steps_follow(&s.steps, 0, s.t_ns, s.t_ns);
    pass(&s, at_ns + NS_PER_S, &none);
    pass(&s, at_ns + 5 * NS_PER_S, &good);
    uint64_t rest_ns = s.t_ns;
    pass_tick(&s, &(struct like){.ended = 1, .response_ms = 500}, 0);
    pass(&s, rest_ns + NS_PER_S, &none);
    s.total->gauge[GAUGE_IN_FLIGHT] = 1;
    assert_true(steps_follow(&s.steps, rest_ns, s.t_ns, s.t_ns) == 0 && s.steps.n == 0);
    s.total->gauge[GAUGE_IN_FLIGHT] = 0;
    assert_true(steps_follow(&s.steps, rest_ns, s.t_ns, s.t_ns) > 0 && s.steps.n == 1);
    assert_int_equal(s.steps.step[0].result, STEP_BROKEN);
    assert_true(fabs(s.steps.step[0].measured[0] / 500e3 - 1) < 1e-3);
    assert_true(fabs(s.steps.step[0].reached_per_s - 100) < 1); /* but not for the rate */
    close_setting(&s);
}

/* What never comes home is not waited for without end, nor is a connection that never stands. */
static void a_rest_has_an_end(void **state)
{
    struct setting s;

    (void)state;
    open_setting(&s);
    s.total->gauge[GAUGE_OPEN] = 3;
    assert_true(steps_follow(&s.steps, 0, 10 * NS_PER_S, 10 * NS_PER_S) == 0);
    assert_true(steps_follow(&s.steps, 0, 11 * NS_PER_S, 11 * NS_PER_S) > 0);
    close_setting(&s);
}

static void no_step_begins_that_has_no_time(void **state)
{
    struct setting s;

    (void)state;
    open_setting(&s);
    uint64_t late_ns = s.plan.run.duration_ns - 4 * NS_PER_S;
    assert_true(steps_follow(&s.steps, 0, late_ns, late_ns) == 0);
    assert_true(s.steps.over && s.steps.answer.so_far.end == SEARCH_GOES_ON);
    close_setting(&s);
}

/* Main and a worker go through the same phases; the rate is there before the worker is told. */
static void main_and_workers_go_the_same_way(void **state)
{
    struct setting s;
    struct phases phases;
    struct timeline worker;
    struct schedule none = {.cooldown_ns = UINT64_MAX};
    char name[TIMELINE_NAME], text[PHASE_TEXT];

    (void)state;
    open_setting(&s);
    phases_init(&phases, &s.plan, s.run);
    phases.zero_ns = START_NS;
    phases.steps = &s.steps;
    phases.timeline.rates = &s.steps.rates;
    timeline_init(&worker, &s.plan);
    worker.rates = &s.steps.rates;
    assert_true(timeline_phase(&worker)->idle && course_value(&worker.rate, 0) == 0);
    assert_true(course_value(&worker.connections, 0) == 4);
    assert_true(phases_follow(&phases, NS_PER_S / 2) == 0);
    uint64_t at_ns = phases_follow(&phases, NS_PER_S);
    assert_true(at_ns >= NS_PER_S + TICK_NS && at_ns < 2 * NS_PER_S);
    assert_true(phases_follow(&phases, NS_PER_S + TICK_NS) == 0);
    timeline_cut(&worker, at_ns);
    assert_true(worker.end_ns == at_ns && worker.run_end_ns == s.plan.run.duration_ns);
    timeline_next(&worker);
    assert_string_equal(timeline_name(&worker, name), "search 100/s");
    assert_true(worker.end_ns == at_ns + 5 * NS_PER_S);
    assert_true(course_value(&worker.rate, (double)at_ns + 0.5e9) == 50);
    assert_true(course_value(&worker.rate, (double)at_ns + 2e9) == 100);
    assert_true(phases_follow(&phases, at_ns + TICK_NS) == 0);
    assert_true(phases.timeline.i == 1 && phases.timeline.end_ns == worker.end_ns);
    assert_string_equal(phase_text(&phases.timeline, &none, at_ns, true, false, text),
                        "step 1, search 100/s");
    timeline_next(&worker);
    assert_true(timeline_phase(&worker)->idle && course_value(&worker.rate, 7e9) == 0);
    timeline_cut(&worker, at_ns); /* which ended the rest before */
    assert_true(worker.end_ns == s.plan.run.duration_ns);
    timeline_next(&worker);
    assert_true(worker.i == worker.n); /* the time is over */
    phases_end(&phases, 7 * NS_PER_S);
    close_setting(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_step_that_holds),
        TEST(steps_that_do_not_hold),
        TEST(what_the_generator_spoils),
        TEST(what_comes_home_in_the_rest_counts),
        TEST(a_rest_has_an_end),
        TEST(no_step_begins_that_has_no_time),
        TEST(main_and_workers_go_the_same_way),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
