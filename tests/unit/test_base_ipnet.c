#include "base/ipnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

static struct ipnet net_of(const char *text)
{
    struct ipnet net;

    assert_true(ipnet_parse(text, strlen(text), &net));
    return net;
}

static bool holds(const char *network, const char *address)
{
    struct ipnet net = net_of(network), one = net_of(address);

    assert_int_equal(one.bits, 128);
    return ipnet_contains(&net, one.bytes);
}

static void parsed(void **state)
{
    static const char *const wrong[] = {
        "",   "10.0.0",       "10.0.0.1/33", "10.0.0.1/", "::/129",    "10.0.0.0/-1",
        "/8", "example.test", "1.2.3.4/8/8", "[::1]",     "10.0.0.1 ", "::1%lo"};
    struct ipnet net = {.bits = 7};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(ipnet_parse(wrong[i], strlen(wrong[i]), &net));
        assert_int_equal(net.bits, 7);
    }
    assert_int_equal(net_of("10.1.2.3/8").bits, 104);
    assert_int_equal(net_of("fd00::/8").bits, 8);
    assert_true(ipnet_parse("10.0.0.1:443", 8, &net)); /* a part of a text */
}

static void contained(void **state)
{
    (void)state;
    assert_true(holds("10.0.0.0/8", "10.255.255.255"));
    assert_false(holds("10.0.0.0/8", "11.0.0.0"));
    assert_true(holds("172.16.0.0/12", "172.31.255.255"));
    assert_false(holds("172.16.0.0/12", "172.32.0.0"));
    assert_true(holds("10.1.2.3/8", "10.9.9.9")); /* what is behind the prefix has no say */
    assert_true(holds("10.0.0.5", "10.0.0.5"));
    assert_false(holds("10.0.0.5", "10.0.0.4"));
    assert_true(holds("10.0.0.0/8", "::ffff:10.1.1.1"));
    assert_true(holds("::ffff:10.0.0.0/104", "10.1.1.1"));
    assert_false(holds("10.0.0.0/8", "::10.1.1.1"));
    assert_true(holds("0.0.0.0/0", "192.0.2.1"));
    assert_false(holds("0.0.0.0/0", "2001:db8::1"));
    assert_true(holds("::/0", "192.0.2.1"));
    assert_true(holds("fe80::/10", "febf::1"));
    assert_false(holds("fe80::/10", "fec0::1"));
}

static const char *host(const char *network, uint64_t i)
{
    static char text[INET6_ADDRSTRLEN];
    unsigned char bytes[IPNET_BYTES];
    struct ipnet net = net_of(network);
    bool v4 = ipnet_is_v4(net.bytes);

    ipnet_host(&net, i, bytes);
    return inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? bytes + 12 : bytes, text, sizeof text);
}

static uint64_t n_hosts(const char *network)
{
    struct ipnet net = net_of(network);

    return ipnet_n_hosts(&net);
}

static void hosts(void **state)
{
    (void)state;
    assert_int_equal(n_hosts("127.0.0.0/28"), 14);
    assert_string_equal(host("127.0.0.0/28", 0), "127.0.0.1");
    assert_string_equal(host("127.0.0.0/28", 13), "127.0.0.14");
    assert_int_equal(n_hosts("10.0.0.0/30"), 2);
    assert_int_equal(n_hosts("10.0.0.0/31"), 2);
    assert_string_equal(host("10.0.0.0/31", 0), "10.0.0.0");
    assert_int_equal(n_hosts("10.0.0.7"), 1);
    assert_string_equal(host("10.0.0.7", 0), "10.0.0.7");
    assert_string_equal(host("10.0.0.0/8", 256), "10.0.1.1");
    assert_int_equal(n_hosts("fd00::/120"), 256);
    assert_string_equal(host("fd00::/120", 255), "fd00::ff");
    assert_true(n_hosts("fd00::/8") == UINT64_MAX);
    assert_true(n_hosts("::/0") == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsed),
        cmocka_unit_test(contained),
        cmocka_unit_test(hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
