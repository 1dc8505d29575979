/* A good server whose bytes stop or break off after every byte that it puts on the wire, of
 * handshake, session tickets and records, and after every byte of every kind of answer; resets and
 * damage come to every third byte of the wire. */
#include "fault_answers.h"

#include "base/rng.h"

/* Short, so that thousands of them pass soon; where the machine is slow they are made longer. */
#define DEADLINE_NS (100 * NS_PER_MS)

/* The answer's bytes are counted here, so that each end comes between two of them. */
static void answers(const enum fault_end *ends, size_t n_ends, uint64_t deadline_ns)
{
    struct fault_row row = {.deadline_ns = deadline_ns};

    for (size_t i = 0; i < N_GOOD_ANSWERS; i++) {
        const struct good_answer *answer = &good_answers[i];

        for (size_t n = 0; n <= answer->len; n++) {
            for (size_t e = 0; e < n_ends; e++) {
                struct fault *fault = row_answer(&row, answer, n % 2 == 0 ? TLS1_2_VERSION : 0);

                (void)snprintf(fault->name, sizeof fault->name, "%s, %s after %zu bytes",
                               answer->name, fault_end_names[ends[e]], n);
                fault->len = n;
                fault->piece = n % 3; /* all at once, byte by byte, two by two */
                fault->end = ends[e];
                fault->expect = outcome_of_beginning(answer, n, ends[e]);
            }
        }
    }
    row_good(&row);
    row_meet(&row);
    row_clear(&row);
}

static void test_answers_that_break_off(void **state)
{
    static const enum fault_end ends[] = {FAULT_NOTIFY, FAULT_FIN, FAULT_RESET};

    (void)state;
    answers(ends, 3, 0);
}

static void test_answers_that_stall(void **state)
{
    static const enum fault_end ends[] = {FAULT_STALL};

    (void)state;
    answers(ends, 1, DEADLINE_NS);
}

/* The wire. */

/* A handshake is the same whatever is spoken after it, so its bytes are gone through once. */
static const struct pair {
    uint16_t version;
    unsigned answer;
    bool handshake;
} pairs[] = {
    {TLS1_2_VERSION, 0, true},
    {TLS1_3_VERSION, 3, true},
    {TLS1_2_VERSION, 3, false},
    {TLS1_3_VERSION, 0, false},
};
enum { N_PAIRS = sizeof pairs / sizeof *pairs };

#define PIECE     20  /* bytes a record: several an answer */
#define OVERLAP   100 /* bytes before the answer that all pairs go through */
#define TIME_STEP 3   /* bytes between two faults, where every one would take too long */
#define SIGNATURE 4   /* bytes by which the lengths of two ECDSA signatures differ */

static struct fault *row_pair(struct fault_row *row, size_t pair)
{
    struct fault *fault = row_answer(row, &good_answers[pairs[pair].answer], pairs[pair].version);

    fault->piece = PIECE;
    return fault;
}

/* How many bytes there are, by asking. */
static void measure(size_t ret_from[N_PAIRS], size_t ret_to[N_PAIRS])
{
    struct fault_row row = {.n = 0};

    for (size_t i = 0; i < N_PAIRS; i++) {
        (void)row_pair(&row, i);
    }
    row_meet(&row);
    for (size_t i = 0; i < N_PAIRS; i++) {
        const struct fault_seen *seen = &row.faults[i].seen;

        ret_from[i] = pairs[i].handshake ? 0 : seen->hello_wire - OVERLAP;
        ret_to[i] = seen->answer_wire + SIGNATURE;
    }
    row_clear(&row);
}

/* A row of one fault for every `step`-th byte; `what` writes it down. */
static void each_byte(struct fault_row *row, size_t step,
                      void (*what)(struct fault *fault, size_t at))
{
    size_t from[N_PAIRS], to[N_PAIRS];

    measure(from, to);
    for (size_t i = 0; i < N_PAIRS; i++) {
        for (size_t at = from[i]; at < to[i]; at += step) {
            struct fault *fault = row_pair(row, i);

            fault->at = at;
            what(fault, at);
        }
    }
    row_meet(row);
    row_clear(row);
}

static void name_of_cut(struct fault *fault, const char *what)
{
    (void)snprintf(fault->name, sizeof fault->name, "TLS 1.%c, %s, %s after %zu bytes",
                   fault->version == TLS1_2_VERSION ? '2' : '3', good_answers[fault->code].name,
                   what, fault->at);
}

/* By what the server had said when it was cut off. */
static uint64_t outcome_of_cut(const struct fault *fault)
{
    unsigned last = fault->version == TLS1_2_VERSION ? 2 : 1; /* flight of the handshake */
    const struct fault_seen *seen = &fault->seen;
    uint64_t set;

    if (seen->flight < last || (seen->flight == last && !seen->whole)) {
        return OF(fault->end == FAULT_STALL   ? OUTCOME_TIMEOUT_HANDSHAKE
                  : fault->end == FAULT_RESET ? OUTCOME_TLS_RESET
                                              : OUTCOME_TLS_CLOSED);
    }
    set = outcome_of_beginning(&good_answers[fault->code], seen->plain, fault->end);
    if (fault->end == FAULT_RESET && seen->flight == last) {
        set |= OF(OUTCOME_TLS_RESET); /* it overtook the end of the handshake */
    }
    return set;
}

static void cut_by_fin(struct fault *fault, size_t at)
{
    (void)at;
    fault->cuts = true;
    fault->end = FAULT_FIN;
    name_of_cut(fault, "FIN");
}

static void cut_by_reset(struct fault *fault, size_t at)
{
    (void)at;
    fault->cuts = true;
    fault->end = FAULT_RESET;
    name_of_cut(fault, "RST");
}

static void cut_by_silence(struct fault *fault, size_t at)
{
    (void)at;
    fault->cuts = true;
    fault->end = FAULT_STALL;
    name_of_cut(fault, "silence");
}

static void test_fin_after_every_byte(void **state)
{
    struct fault_row row = {.expect = outcome_of_cut};

    (void)state;
    each_byte(&row, 1, cut_by_fin);
}

static void test_reset_after_every_third_byte(void **state)
{
    struct fault_row row = {.expect = outcome_of_cut};

    (void)state;
    each_byte(&row, TIME_STEP, cut_by_reset);
}

static void test_silence_after_every_byte(void **state)
{
    struct fault_row row = {.expect = outcome_of_cut, .deadline_ns = DEADLINE_NS};

    (void)state;
    each_byte(&row, 1, cut_by_silence);
}

/* Whatever TLS says of it, or nothing in time where it was a length; but never a success, where TLS
 * protects the byte. */
static uint64_t outcome_of_damage(const struct fault *fault)
{
    bool touched = fault->seen.answer_wire == 0 || fault->at < fault->seen.answer_wire;
    uint64_t set = OF(OUTCOME_HTTP_CLOSED) | OF(OUTCOME_HTTP_TRUNCATED) | OF(OUTCOME_HTTP_RESET);

    for (int i = 0; i < OUTCOME_COUNT; i++) {
        enum outcome_class class = outcome_info((enum outcome)i)->class;

        set |= class == OUTCOME_CLASS_TLS || class == OUTCOME_CLASS_TIMEOUT ? OF(i) : 0;
    }
    return set | (fault->seen.open || !touched ? OF(OUTCOME_OK) : 0);
}

/* The same damage in every run. */
static void damage(struct fault *fault, size_t at)
{
    struct rng rng;

    rng_init(&rng, 1, "damage", at);
    fault->flips = true;
    fault->flip = (unsigned char)(1 + rng_below(&rng, 255));
    name_of_cut(fault, "damage");
}

static void test_damage_to_every_third_byte(void **state)
{
    struct fault_row row = {.expect = outcome_of_damage, .deadline_ns = DEADLINE_NS};

    (void)state;
    each_byte(&row, TIME_STEP, damage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_that_break_off),
        cmocka_unit_test(test_answers_that_stall),
        cmocka_unit_test(test_fin_after_every_byte),
        cmocka_unit_test(test_reset_after_every_third_byte),
        cmocka_unit_test(test_silence_after_every_byte),
        cmocka_unit_test(test_damage_to_every_third_byte),
    };

    return cmocka_run_group_tests(tests, fault_setup, fault_teardown);
}
