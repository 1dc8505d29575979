/* The responder against clients of every manner: those that ask well are answered at once, whatever
 * the others do. */
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "net/responder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE (4u << 20)

struct scene {
    struct responder *responder;
    struct sockaddr_in to;
};

static int answer(const char *path, const char *accept, struct sink *body, const char **ret_type,
                  void *context)
{
    (void)context;
    *ret_type = "text/x-test";
    if (str_equal(path, "/large")) {
        CLEANUP_FREE char *text = xmalloc(LARGE);
        memset(text, 'x', LARGE);
        sink_write(body, text, LARGE);
        return 200;
    }
    sink_printf(body, "accept %s\n", accept);
    return str_equal(path, "/here") ? 200 : str_equal(path, "/soon") ? 503 : 404;
}

static int set_up(void **state)
{
    struct scene *scene = xcalloc(1, sizeof *scene);
    socklen_t len = sizeof scene->to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    scene->to.sin_family = AF_INET;
    scene->to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&scene->to, len), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&scene->to, &len), 0);
    scene->responder = responder_start(fd, answer, NULL);
    assert_non_null(scene->responder);
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;

    responder_stop(scene->responder);
    free(scene);
    return 0;
}

static int dial(const struct scene *scene)
{
    const struct timeval patience = {.tv_sec = 30};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&scene->to, sizeof scene->to), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that comes until the end of the connection, which is closed; NUL-terminated. */
static char *hear(int fd)
{
    size_t size = LARGE + 4096, len = 0;
    char *text = xmalloc(size);

    for (ssize_t n; len < size - 1 && (n = recv(fd, text + len, size - 1 - len, 0)) > 0;) {
        len += (size_t)n;
    }
    text[len] = '\0';
    (void)close(fd);
    return text;
}

static char *ask(const struct scene *scene, const char *request)
{
    int fd = dial(scene);

    say(fd, request);
    return hear(fd);
}

static void expect(const struct scene *scene, const char *request, const char *begin,
                   const char *end)
{
    CLEANUP_FREE char *text = ask(scene, request);

    assert_true(str_has_prefix(text, begin));
    assert_true(strlen(text) >= strlen(end));
    assert_string_equal(text + strlen(text) - strlen(end), end);
}

static void expect_well(const struct scene *scene)
{
    expect(scene, "GET /here HTTP/1.1\r\nHost: x\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Type: text/x-test\r\nContent-Length: 8\r\n",
           "\r\nConnection: close\r\n\r\naccept \n");
}

static void requests_are_answered(void **state)
{
    const struct scene *scene = *state;

    expect_well(scene);
    expect(scene, "GET /here?a=b HTTP/1.0\r\nACCEPT:  text/plain \r\nAccept: a/b\r\n\r\n",
           "HTTP/1.1 200 ", "\r\n\r\naccept text/plain,a/b,\n");
    expect(scene, "HEAD /here HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK", "\r\n\r\n");
    expect(scene, "GET /nowhere HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "Not Found\n");
    expect(scene, "GET /soon HTTP/1.1\r\n\r\n", "HTTP/1.1 503 ", "Service Unavailable\n");
    expect(scene, "POST /here HTTP/1.1\r\nAccept: x\r\n\r\nabc\r\n\r\n", "HTTP/1.1 405 ",
           "Method Not Allowed\n");
    CLEANUP_FREE char *large = ask(scene, "GET /large HTTP/1.1\r\n\r\n");
    assert_non_null(strstr(large, "Content-Length: 4194304\r\n"));
    assert_int_equal(strlen(strstr(large, "\r\n\r\n") + 4), LARGE);
}

static void a_request_may_come_in_parts(void **state)
{
    static const char request[] = "GET /here HTTP/1.1\r\nAccept: z\r\n\r\n";
    int fd = dial(*state);

    for (size_t i = 0; i < sizeof request - 1; i++) {
        assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
    }
    CLEANUP_FREE char *text = hear(fd);
    assert_non_null(strstr(text, "\r\n\r\naccept z,\n"));
}

static void what_is_no_request_is_refused(void **state)
{
    const struct scene *scene = *state;
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    int fd = dial(scene);

    assert_int_equal(send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL), sizeof hello - 1);
    CLEANUP_FREE char *text = hear(fd);
    assert_true(str_has_prefix(text, "HTTP/1.1 400 "));
    expect(scene, "hello\r\n\r\n", "HTTP/1.1 400 ", "Bad Request\n");
    expect(scene, "GET /here SPDY/3\r\n\r\n", "HTTP/1.1 400 ", "Bad Request\n");
    expect(scene, "\r\n\r\n", "HTTP/1.1 400 ", "Bad Request\n");
    expect(scene, "  \r\n\r\n", "HTTP/1.1 400 ", "Bad Request\n");
    expect_well(scene);
}

static void a_head_without_end_is_refused(void **state)
{
    const struct scene *scene = *state;
    CLEANUP_FREE char *line = xmalloc(RESPONDER_HEAD_MAX + 1);
    int fd = dial(scene);

    memset(line, 'a', RESPONDER_HEAD_MAX);
    memcpy(line, "GET /here HTTP/1.1\r\nX: ", 22);
    line[RESPONDER_HEAD_MAX] = '\0';
    say(fd, line);
    /* and goes on for as long as it is let; the socket may be gone in its midst */
    for (int i = 0; i < 1000 && send(fd, line, RESPONDER_HEAD_MAX, MSG_NOSIGNAL) > 0; i++) {
    }
    (void)close(fd);
    CLEANUP_FREE char *text = ask(scene, line);
    assert_true(str_has_prefix(text, "HTTP/1.1 431 "));
    expect_well(scene);
}

static uint64_t slow_clock(void)
{
    static atomic_uint_fast64_t now_ns = NS_PER_S;

    return atomic_fetch_add(&now_ns, 1);
}

static int set_up_slow(void **state)
{
    mono_replace(slow_clock);
    return set_up(state);
}

static int tear_down_slow(void **state)
{
    (void)tear_down(state);
    mono_replace(NULL);
    return 0;
}

/* The clock hardly moves, so none of them is dropped for its time. */
static void who_says_nothing_makes_room(void **state)
{
    enum { SILENT = 2 * RESPONDER_SLOTS };
    const struct scene *scene = *state;
    int fds[SILENT];
    char byte;

    for (int i = 0; i < SILENT; i++) {
        fds[i] = dial(scene);
        if (i % 2 == 0) {
            say(fds[i], "GET /here HTTP/1.1\r\nX: ");
        }
    }
    expect_well(scene);
    assert_true(recv(fds[0], &byte, 1, 0) <= 0);
    assert_int_equal(recv(fds[SILENT - 1], &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    for (int i = 0; i < SILENT; i++) {
        (void)close(fds[i]);
    }
}

/* More than are let in at one time come in turn. */
static void a_crowd_is_answered(void **state)
{
    for (int i = 0; i < 250; i++) {
        expect_well(*state);
    }
}

/* Its connection is closed in the time of an exchange, though it never asked for anything. */
static void who_waits_too_long_is_dropped(void **state)
{
    const struct scene *scene = *state;
    int silent = dial(scene), deaf = dial(scene);
    int small = 4096;
    char byte;

    assert_int_equal(setsockopt(deaf, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    say(deaf, "GET /large HTTP/1.1\r\n\r\n");
    assert_int_equal(recv(silent, &byte, 1, 0), 0);
    (void)close(silent);
    CLEANUP_FREE char *part = hear(deaf);
    assert_true(strlen(part) < LARGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_are_answered),
        TEST(a_request_may_come_in_parts),
        TEST(what_is_no_request_is_refused),
        TEST(a_head_without_end_is_refused),
        cmocka_unit_test_setup_teardown(who_says_nothing_makes_room, set_up_slow, tear_down_slow),
        TEST(a_crowd_is_answered),
        TEST(who_waits_too_long_is_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
