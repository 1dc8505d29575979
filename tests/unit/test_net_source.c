#include "base/mono.h"
#include "net/source_addr.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct origin here = {"test.ini", 3};

static struct addr addr_at(const char *host, uint16_t port)
{
    struct diag *diag = diag_new();
    struct addr addr;

    assert_int_equal(addr_resolve(host, port, 0, here, &addr, 1, diag), 1);
    diag_free(diag);
    return addr;
}

static void add(struct plan_target *target, const char *net)
{
    assert_true(ipnet_parse(net, strlen(net), &target->sources[target->n_sources++]));
}

/* A socket that listens on loopback; its address. */
static int listener(struct addr *ret_addr)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *ret_addr = addr_at("127.0.0.1", 1);
    ((struct sockaddr_in *)&ret_addr->sa)->sin_port = 0;
    assert_int_equal(bind(fd, (struct sockaddr *)&ret_addr->sa, ret_addr->len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ret_addr->sa, &ret_addr->len), 0);
    return fd;
}

/* Where a connection came from, in words; both its ends are in fds. */
static const char *connect_from(struct source_addr *source, int listening, const struct addr *to,
                                int fds[2])
{
    static char text[ADDR_TEXT];
    struct addr from = {.len = sizeof from.sa};

    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(source_addr_bind(source, fds[0], to), 0);
    assert_int_equal(connect(fds[0], (const struct sockaddr *)&to->sa, to->len), 0);
    fds[1] = accept(listening, (struct sockaddr *)&from.sa, &from.len);
    assert_true(fds[1] >= 0);
    *strchr(addr_text(&from, text), ':') = '\0';
    return text;
}

static void in_turn(void **state)
{
    struct plan_target target = {.n_sources = 0};
    struct source_addr source = {.target = &target};
    static const char *const expected[] = {"127.0.0.9", "127.7.0.1", "127.7.0.2", "127.9.0.9",
                                           "127.0.0.9"};
    struct addr to;
    int listening = listener(&to), fds[2];

    (void)state;
    add(&target, "127.0.0.9");
    add(&target, "::1"); /* not for this one */
    add(&target, "127.7.0.0/30");
    add(&target, "127.9.0.9");
    assert_int_equal(source_addr_count(&target, &to), 4);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(connect_from(&source, listening, &to, fds), expected[i]);
        source_addr_close(&source, fds[0]);
        (void)close(fds[1]);
    }
    (void)close(listening);
}

static void the_systems_choice(void **state)
{
    struct plan_target target = {.n_sources = 0};
    struct source_addr source = {.target = &target, .n_open = 1000000}; /* ports may run low */
    struct addr to;
    int listening = listener(&to), fds[2];

    (void)state;
    assert_int_equal(source_addr_count(&target, &to), 1);
    assert_string_equal(connect_from(&source, listening, &to, fds), "127.0.0.1");
    source_addr_close(&source, fds[0]);
    assert_int_equal(read(fds[1], &fds[0], 1), 0); /* a FIN */
    (void)close(fds[1]);
    target.reset_on_close = true;
    assert_string_equal(connect_from(&source, listening, &to, fds), "127.0.0.1");
    source_addr_close(&source, fds[0]);
    assert_int_equal(read(fds[1], &fds[0], 1), -1);
    assert_int_equal(errno, ECONNRESET);
    (void)close(fds[1]);
    (void)close(listening);
    assert_int_equal(source.n_open, 1000000);
}

/* The dial goes on to an address of the other family, if the target has one. */
static void of_another_family(void **state)
{
    struct plan_target target = {.n_sources = 0};
    struct source_addr source = {.target = &target};
    struct addr to = addr_at("::1", 443);

    (void)state;
    add(&target, "127.0.0.0/28");
    assert_int_equal(source_addr_count(&target, &to), 0);
    assert_int_equal(source_addr_bind(&source, 0, &to), ENETUNREACH);
}

static void mistakes(void **state)
{
    struct plan plan = {.target = {.n_sources = 0}};
    struct addr v4 = addr_at("127.0.0.1", 443), v6 = addr_at("::1", 443);
    struct diag *diag = diag_new();

    (void)state;
    source_addr_check(&plan, &v4, 1, diag);
    add(&plan.target, "127.3.0.0/28");
    source_addr_check(&plan, &v4, 1, diag);
    assert_int_equal(diag_count(diag), 0);
    source_addr_check(&plan, &v6, 1, diag);
    assert_int_equal(diag_count(diag), 1);
    assert_non_null(strstr(diag_text(diag, 0), "target.source: the target has no address of that"));
    add(&plan.target, "203.0.113.77");
    source_addr_check(&plan, &v4, 1, diag);
    assert_int_equal(diag_count(diag), 2);
    assert_non_null(strstr(diag_text(diag, 1), "target.source: cannot connect from 203.0.113.77: "
                                               "it is no address of this machine"));
    diag_free(diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_turn),
        cmocka_unit_test(the_systems_choice),
        cmocka_unit_test(of_another_family),
        cmocka_unit_test(mistakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
