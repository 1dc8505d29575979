#include "base/mono.h"
#include "net/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct origin here = {"test.ini", 3};

static void test_literals(void **state)
{
    struct addr addr;
    char text[ADDR_TEXT];
    struct diag *diag = diag_new();

    (void)state;
    assert_int_equal(addr_resolve("127.0.0.1", 8443, 0, here, &addr, 1, diag), 1);
    assert_string_equal(addr_text(&addr, text), "127.0.0.1:8443");
    assert_true(addr_is_loopback(&addr));
    assert_int_equal(addr_resolve("::1", 65535, 0, here, &addr, 1, diag), 1);
    assert_string_equal(addr_text(&addr, text), "[::1]:65535");
    assert_true(addr_is_loopback(&addr));
    assert_int_equal(addr_resolve("192.0.2.7", 1, 0, here, &addr, 1, diag), 1);
    assert_string_equal(addr_text(&addr, text), "192.0.2.7:1");
    assert_false(addr_is_loopback(&addr));
    assert_int_equal(addr_resolve("2001:db8::1", 443, 0, here, &addr, 1, diag), 1);
    assert_false(addr_is_loopback(&addr));
    assert_int_equal(diag_count(diag), 0);
    diag_free(diag);
}

/* /etc/hosts has it everywhere; DNS is not asked. */
static void test_localhost(void **state)
{
    struct addr addrs[4];
    struct diag *diag = diag_new();
    size_t n = addr_resolve("localhost", 8443, 5 * NS_PER_S, here, addrs, 4, diag);

    (void)state;
    assert_true(n >= 1 && n <= 4);
    for (size_t i = 0; i < n; i++) {
        char text[ADDR_TEXT];

        assert_true(addr_is_loopback(&addrs[i]));
        assert_non_null(strstr(addr_text(&addrs[i], text), ":8443"));
    }
    assert_int_equal(addr_resolve("localhost", 8443, 5 * NS_PER_S, here, addrs, 1, diag), 1);
    diag_free(diag);
}

/* Whether or not there is a DNS server: RFC 6761 says that no name ends in .invalid. */
static void test_no_such_name(void **state)
{
    struct addr addr;
    struct diag *diag = diag_new();

    (void)state;
    assert_int_equal(addr_resolve("no-such-host.invalid", 1, 100 * NS_PER_MS, here, &addr, 1, diag),
                     0);
    assert_int_equal(addr_resolve("not a name", 1, 100 * NS_PER_MS, here, &addr, 1, diag), 0);
    assert_int_equal(diag_count(diag), 2);
    assert_non_null(
        strstr(diag_text(diag, 0), "test.ini:3: cannot resolve no-such-host.invalid: "));
    diag_free(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_localhost),
        cmocka_unit_test(test_no_such_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
