/* A GET over plain HTTP against a socket that answers exactly what the test says. */
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "net/fetch_plain.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_NS (60 * NS_PER_S)

/* Takes one connection, reads a head, and answers; NULL: never. */
struct answerer {
    int fd;
    const char *answer;
    char head[512];
    pthread_t thread;
};

static void *answer(void *argument)
{
    struct answerer *a = argument;
    int fd = accept(a->fd, NULL, NULL);
    size_t len = 0;
    char rest[64];

    while (strstr(a->head, "\r\n\r\n") == NULL) {
        ssize_t n = read(fd, a->head + len, sizeof a->head - 1 - len);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    if (a->answer != NULL) {
        (void)!write(fd, a->answer, strlen(a->answer));
    } else {
        (void)!read(fd, rest, sizeof rest); /* until the other side gives up */
    }
    (void)close(fd);
    return NULL;
}

static struct addr listen_anywhere(int *ret_fd)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct addr addr = {.len = sizeof sa};
    socklen_t len = sizeof sa;

    *ret_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*ret_fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(listen(*ret_fd, 4), 0);
    assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&sa, &len), 0);
    memcpy(&addr.sa, &sa, sizeof sa);
    return addr;
}

static char path[] = "/debug?gc=1", host[] = "127.0.0.1:6060";
static const struct plan_target target = {.url_path = path, .host_header = host};
static char body[16], why[128];
static size_t body_len;

static int fetch(const char *text, struct answerer *a, uint64_t span_ns, int stop_fd)
{
    int fd;
    struct addr addrs[2] = {[1] = listen_anywhere(&fd)};
    struct fetch_plain job = {.target = &target,
                              .addrs = addrs,
                              .n_addrs = 2,
                              .until_ns = mono_now_ns() + span_ns,
                              .stop_fd = stop_fd,
                              .body = body,
                              .body_size = sizeof body};
    int nobody;

    /* the first address refuses, the second answers */
    addrs[0] = listen_anywhere(&nobody);
    (void)close(nobody);
    memset(body, 0, sizeof body);
    why[0] = '\0';
    body_len = 0;
    *a = (struct answerer){.fd = fd, .answer = text};
    assert_int_equal(pthread_create(&a->thread, NULL, answer, a), 0);
    int status = fetch_plain(&job, &body_len, why, sizeof why);
    assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(a->thread, NULL), 0);
    (void)close(fd);
    return status;
}

static void gets_a_body(void **state)
{
    struct answerer a;

    (void)state;
    assert_int_equal(fetch("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", &a, LONG_NS, -1),
                     200);
    assert_int_equal(body_len, 5);
    assert_memory_equal(body, "12345", 5);
    assert_true(str_has_prefix(a.head, "GET /debug?gc=1 HTTP/1.1\r\nHost: 127.0.0.1:6060\r\n"));
    assert_int_equal(
        fetch("HTTP/1.0 404 Not Found\r\n\r\na body that its end delimits", &a, LONG_NS, -1), 404);
    assert_int_equal(body_len, sizeof body);
    assert_memory_equal(body, "a body that its ", 16);
}

static void says_what_went_wrong(void **state)
{
    struct answerer a;

    (void)state;
    assert_int_equal(fetch("SSH-2.0-OpenSSH\r\n", &a, LONG_NS, -1), 0);
    assert_true(why[0] != '\0');
    assert_int_equal(fetch("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n123", &a, LONG_NS, -1), 0);
    assert_true(why[0] != '\0');
    struct fetch_plain nowhere = {
        .target = &target, .until_ns = mono_now_ns() + LONG_NS, .stop_fd = -1};
    int fd;
    struct addr addr = listen_anywhere(&fd);
    (void)close(fd);
    nowhere.addrs = &addr;
    nowhere.n_addrs = 1;
    assert_int_equal(fetch_plain(&nowhere, NULL, why, sizeof why), 0);
    assert_string_equal(why, "Connection refused");
}

static void does_not_wait_for_ever(void **state)
{
    struct answerer a;
    int stop_fd = eventfd(1, 0);

    (void)state;
    assert_int_equal(fetch(NULL, &a, 100 * NS_PER_MS, -1), 0);
    assert_string_equal(why, "no answer before the deadline");
    assert_int_equal(fetch(NULL, &a, LONG_NS, stop_fd), 0);
    (void)close(stop_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gets_a_body),
        cmocka_unit_test(says_what_went_wrong),
        cmocka_unit_test(does_not_wait_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
