#include "net/policy.h"
#include "profile/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct origin here = {"test.ini", 3};
static char before[] = "before", url[] = "https://x/";

static struct addr addr_at(const char *host)
{
    struct diag *diag = diag_new();
    struct addr addr;

    assert_int_equal(addr_resolve(host, 443, 0, here, &addr, 1, diag), 1);
    diag_free(diag);
    return addr;
}

static void classes(void **state)
{
    static const struct {
        const char *host;
        enum policy_class class;
    } cases[] = {
        {"127.0.0.1", POLICY_LOOPBACK},
        {"127.255.255.254", POLICY_LOOPBACK},
        {"::1", POLICY_LOOPBACK},
        {"::ffff:127.0.0.1", POLICY_LOOPBACK},
        {"126.255.255.255", POLICY_PUBLIC},
        {"128.0.0.1", POLICY_PUBLIC},
        {"::2", POLICY_PUBLIC},
        {"::127.0.0.1", POLICY_PUBLIC}, /* compatible, not mapped: no loopback */
        /* RFC 1918 */
        {"10.0.0.0", POLICY_PRIVATE},
        {"10.255.255.255", POLICY_PRIVATE},
        {"9.255.255.255", POLICY_PUBLIC},
        {"11.0.0.0", POLICY_PUBLIC},
        {"172.15.255.255", POLICY_PUBLIC},
        {"172.16.0.1", POLICY_PRIVATE},
        {"172.31.255.255", POLICY_PRIVATE},
        {"172.32.0.0", POLICY_PUBLIC},
        {"192.168.0.1", POLICY_PRIVATE},
        {"192.169.0.1", POLICY_PUBLIC},
        {"::ffff:192.168.1.1", POLICY_PRIVATE},
        /* link local, carriers (RFC 6598), benchmarks (RFC 2544) */
        {"169.254.169.254", POLICY_PRIVATE},
        {"fe80::1", POLICY_PRIVATE},
        {"100.63.255.255", POLICY_PUBLIC},
        {"100.64.0.1", POLICY_PRIVATE},
        {"100.127.255.255", POLICY_PRIVATE},
        {"100.128.0.0", POLICY_PUBLIC},
        {"198.18.0.1", POLICY_PRIVATE},
        {"198.20.0.1", POLICY_PUBLIC},
        /* RFC 4193 */
        {"fc00::1", POLICY_PRIVATE},
        {"fdff:ffff::1", POLICY_PRIVATE},
        {"fbff::1", POLICY_PUBLIC},
        {"fec0::1", POLICY_PUBLIC},
        /* documentation, translation, public */
        {"192.0.2.2", POLICY_PUBLIC},
        {"198.51.100.1", POLICY_PUBLIC},
        {"203.0.113.1", POLICY_PUBLIC},
        {"2001:db8::1", POLICY_PUBLIC},
        {"64:ff9b::a00:1", POLICY_PUBLIC},
        {"8.8.8.8", POLICY_PUBLIC},
        {"2606:4700::1", POLICY_PUBLIC},
        /* nobody's */
        {"0.0.0.0", POLICY_NO_HOST},
        {"0.1.2.3", POLICY_NO_HOST},
        {"::", POLICY_NO_HOST},
        {"::ffff:0.0.0.0", POLICY_NO_HOST},
        {"224.0.0.1", POLICY_NO_HOST},
        {"239.255.255.255", POLICY_NO_HOST},
        {"240.0.0.1", POLICY_NO_HOST},
        {"255.255.255.255", POLICY_NO_HOST},
        {"ff02::1", POLICY_NO_HOST},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr addr = addr_at(cases[i].host);
        if (policy_classify(&addr) != cases[i].class) {
            fail_msg("%s is of class %d", cases[i].host, (int)policy_classify(&addr));
        }
    }
}

/* A plan for https://HOST/, with one line of target.allow. */
static struct plan plan_for(const char *host)
{
    return (struct plan){
        .target = {.dial_host = (char *)(uintptr_t)host, .dial_port = 443, .url = url},
        .pace = {.connections = 16}};
}

static void allow(struct plan *plan, const char *net, const char *name, uint16_t port)
{
    struct plan_allowed *line = &plan->target.allowed[plan->target.n_allowed++];

    *line = (struct plan_allowed){.name = (char *)(uintptr_t)name, .port = port};
    assert_true(net == NULL || ipnet_parse(net, strlen(net), &line->net));
    plan->target.allow = before;
}

static enum policy_answer judge(const struct plan *plan, const char *host)
{
    struct addr addr = addr_at(host);

    return policy_judge(plan, &addr);
}

static void judged(void **state)
{
    struct plan none = plan_for("test.example"), by_address = none, by_name = none, port = none;

    (void)state;
    allow(&by_address, "10.0.0.0/24", NULL, 0);
    allow(&by_address, "203.0.113.7", NULL, 443);
    allow(&by_name, NULL, "TEST.example", 443);
    allow(&port, "10.0.0.0/24", NULL, 8443);
    assert_int_equal(judge(&none, "127.0.0.1"), POLICY_FREE);
    assert_int_equal(judge(&none, "::ffff:127.0.0.1"), POLICY_FREE);
    assert_int_equal(judge(&none, "10.0.0.5"), POLICY_CONSENT);
    assert_int_equal(judge(&none, "203.0.113.7"), POLICY_REFUSED);
    assert_int_equal(judge(&none, "0.0.0.0"), POLICY_REFUSED);
    assert_int_equal(judge(&by_address, "10.0.0.5"), POLICY_FREE);
    assert_int_equal(judge(&by_address, "::ffff:10.0.0.5"), POLICY_FREE);
    assert_int_equal(judge(&by_address, "10.0.1.5"), POLICY_CONSENT);
    assert_int_equal(judge(&by_address, "203.0.113.7"), POLICY_CONSENT); /* needs both */
    assert_int_equal(judge(&by_address, "203.0.113.8"), POLICY_REFUSED);
    assert_int_equal(judge(&by_address, "255.255.255.255"), POLICY_REFUSED);
    /* What a name will resolve to tomorrow nobody knows today. */
    assert_int_equal(judge(&by_name, "10.0.0.5"), POLICY_CONSENT);
    assert_int_equal(judge(&by_name, "203.0.113.8"), POLICY_CONSENT);
    assert_int_equal(judge(&by_name, "224.0.0.1"), POLICY_REFUSED);
    assert_int_equal(judge(&port, "10.0.0.5"), POLICY_CONSENT);
}

/* The mistakes of a plan, one a line; they are all the policy's. */
static char *refusal_of(const struct plan *plan)
{
    struct policy_ruling ruling;
    struct diag *diag = diag_new();
    bool permitted = policy_permit(plan, &ruling, diag);
    char *text = permitted ? NULL : strdup(diag_text(diag, 0));

    assert_true(permitted || ruling.refused);
    assert_int_equal(diag_count(diag), permitted ? 0 : 1);
    diag_free(diag);
    return text;
}

static void check_refusal(const struct plan *plan, const char *ending)
{
    char *text = refusal_of(plan);

    assert_non_null(text);
    if (strlen(text) < strlen(ending) ||
        strcmp(text + strlen(text) - strlen(ending), ending) != 0) {
        fail_msg("%s", text);
    }
    free(text);
}

static void lines_to_add(void **state)
{
    struct plan v4 = plan_for("203.0.113.7"), v6 = plan_for("2001:db8::7"), some = v4;
    struct plan nobody = plan_for("224.0.0.1"), loopback = plan_for("127.0.0.9");

    (void)state;
    check_refusal(&v4, "203.0.113.7:443 is a public address; if you may load it, add to [target]: "
                       "allow = 203.0.113.7:443");
    check_refusal(&v6, "allow = [2001:db8::7]:443");
    allow(&some, "10.0.0.0/8", NULL, 0);
    check_refusal(&some, "allow = before, 203.0.113.7:443");
    check_refusal(&nobody, "224.0.0.1:443 is an address that no server can have");
    assert_null(refusal_of(&loopback));
}

/* Nothing asks them for consent, so they must be loopback or be named. */
static void other_endpoints(void **state)
{
    struct plan plan = plan_for("127.0.0.1");
    struct plan_jwt jwt = {.token_url = (char[]){"https://10.0.0.5/"},
                           .token_target = {.dial_host = (char[]){"10.0.0.5"}, .dial_port = 443}};
    struct plan_memory memory = {
        .settle = (char[]){"http://10.0.0.6:6060/"},
        .settle_by = SETTLE_HTTP,
        .settle_target = {.dial_host = (char[]){"10.0.0.6"}, .dial_port = 6060}};

    (void)state;
    plan.jwts = &jwt;
    plan.n_jwts = 1;
    check_refusal(&plan, "allow = 10.0.0.5:443");
    allow(&plan, "10.0.0.5", NULL, 443);
    assert_null(refusal_of(&plan));
    plan.memories = &memory;
    plan.n_memories = 1;
    check_refusal(&plan, "allow = before, 10.0.0.6:6060");
    memory.settle_by = SETTLE_COMMAND;
    assert_null(refusal_of(&plan));
    memory.settle_by = SETTLE_HTTP;
    allow(&plan, "10.0.0.6", NULL, 6060);
    assert_null(refusal_of(&plan));
}

static void check_ceiling(const struct plan *plan, const char *says)
{
    struct policy_ruling ruling;
    struct diag *diag = diag_new();

    assert_true(policy_permit(plan, &ruling, diag));
    assert_int_equal(policy_ceilings(plan, &ruling, diag), says == NULL);
    assert_int_equal(diag_count(diag), says != NULL);
    if (says != NULL && strstr(diag_text(diag, 0), says) == NULL) {
        fail_msg("%s", diag_text(diag, 0));
    }
    diag_free(diag);
}

/* What is replayed is blamed as such, for its busiest second. */
static void ceiling_of_a_replay(void **state)
{
    uint64_t times_ns[] = {0};
    struct plan plan = plan_for("127.0.0.1");
    struct policy_ruling ruling;
    struct diag *diag = diag_new();

    (void)state;
    plan.store = store_new();
    store_note(plan.store, &plan.pace.replay, here, NULL);
    plan.pace.mode = PACE_OPEN;
    plan.pace.connections = 1;
    plan.pace.replay_ns = times_ns;
    plan.pace.n_replay = 1;
    plan.pace.rate_per_s = 1;
    plan.pace.replay_peak_per_s = 200;
    plan.target.max_rate_per_s = 100;
    assert_true(policy_permit(&plan, &ruling, diag));
    assert_false(policy_ceilings(&plan, &ruling, diag));
    assert_int_equal(diag_count(diag), 1);
    assert_non_null(strstr(diag_text(diag, 0), "test.ini:3: 200/s are above the ceiling"));
    diag_free(diag);
    store_free(plan.store);
}

static void ceilings(void **state)
{
    struct plan_refuse refuses[] = {{.share = 0.1}, {.share = 0.1}};
    struct plan_misuse misuses[] = {{.share = 0.1}};
    struct plan plan = plan_for("10.0.0.5"), loopback = plan_for("127.0.0.1");

    (void)state;
    plan.pace.mode = loopback.pace.mode = PACE_OPEN;
    plan.pace.rate_per_s = 1000;
    plan.pace.connections = 1000;
    check_ceiling(&plan, NULL);
    plan.pace.rate_per_s = 1000.5;
    check_ceiling(&plan, "write in [target]: max_rate = 1001/s");
    plan.target.max_rate_per_s = 1001;
    check_ceiling(&plan, NULL);
    plan.pace.connections = 1001;
    check_ceiling(&plan, "write in [target]: max_connections = 1001");
    plan.target.max_connections = 1001;
    check_ceiling(&plan, NULL);
    plan.refuses = refuses;
    plan.n_refuses = 2;
    check_ceiling(&plan, NULL);
    plan.misuses = misuses;
    plan.n_misuses = 1;
    check_ceiling(&plan, "write in [target]: max_misuse = 30%");
    plan.target.max_misuse = 0.3;
    check_ceiling(&plan, NULL);
    /* Loopback has those only that the profile sets. */
    loopback.pace.rate_per_s = 50000;
    loopback.pace.connections = 50000;
    loopback.refuses = refuses;
    loopback.n_refuses = 2;
    check_ceiling(&loopback, NULL);
    loopback.target.max_connections = 40000;
    check_ceiling(&loopback, "50000 connections are above the ceiling of 40000");
}

/* It asks as fast as it is answered, so only its pauses bound its rate. */
static void ceiling_of_a_closed_loop(void **state)
{
    struct plan plan = plan_for("10.0.0.5");

    (void)state;
    plan.pace.mode = PACE_CLOSED;
    check_ceiling(&plan, NULL);
    plan.target.max_rate_per_s = 100;
    check_ceiling(&plan, "add to [pace]: think_time = 160ms");
    plan.pace.think_time_ns = 160000000;
    check_ceiling(&plan, NULL);
    plan.pace.think_time_ns = 100000000;
    check_ceiling(&plan, "160/s are above the ceiling of 100/s");
}

static void told(void **state)
{
    struct plan plan = plan_for("10.0.0.5");
    struct policy_ruling ruling;
    struct diag *diag = diag_new();
    struct sink *sink = sink_new();

    (void)state;
    assert_true(policy_permit(&plan, &ruling, diag));
    assert_true(ruling.consent[0]);
    policy_show(&plan, &ruling, sink);
    assert_string_equal(sink_text(sink, NULL),
                        "10.0.0.5:443 is a private address: may be loaded once it has asked for a "
                        "client certificate, accepted ours and answered a request\n");
    sink_free(sink);
    diag_free(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes),
        cmocka_unit_test(judged),
        cmocka_unit_test(lines_to_add),
        cmocka_unit_test(other_endpoints),
        cmocka_unit_test(ceiling_of_a_replay),
        cmocka_unit_test(ceilings),
        cmocka_unit_test(ceiling_of_a_closed_loop),
        cmocka_unit_test(told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
