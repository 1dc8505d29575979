/* For the tests of TLS below the connection: a CA with servers, and handshakes by hand. */
#ifndef TESTS_TLS_KIT_H
#define TESTS_TLS_KIT_H

#include "base/mem.h"
#include "net/tls.h"
#include "net_server.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct identity ca, other_ca, server, other;
    char ca_path[64];
    struct plan plan;
};

static inline int set_up(void **state)
{
    static char verify_name[] = "localhost";
    struct fixture *f = xcalloc(1, sizeof *f);
    int fd;

    f->ca = identity_make("test CA", NULL, NULL, -DAY_S, DAY_S);
    f->other_ca = identity_make("other CA", NULL, NULL, -DAY_S, DAY_S);
    f->server = identity_make("server", &f->ca, "DNS:localhost", -DAY_S, DAY_S);
    f->other = identity_make("other", &f->other_ca, "DNS:localhost", -DAY_S, DAY_S);
    (void)snprintf(f->ca_path, sizeof f->ca_path, "/tmp/tlsoak-net-XXXXXX");
    fd = mkstemp(f->ca_path);
    assert_true(fd >= 0);
    (void)close(fd);
    identity_save(&f->ca, f->ca_path);
    f->plan.target.verify = VERIFY_CACHED;
    f->plan.target.tls_min = TLS_VERSION_1_2;
    f->plan.target.tls_max = TLS_VERSION_1_3;
    f->plan.target.server_ca = f->ca_path;
    f->plan.target.verify_name = verify_name;
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;

    identity_free(&f->ca);
    identity_free(&f->other_ca);
    identity_free(&f->server);
    identity_free(&f->other);
    (void)unlink(f->ca_path);
    free(f);
    return 0;
}

static inline int connect_to(const struct server *server)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons(server->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static inline void wait_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&wait, 1, 20000), 1);
}

/* With a certificate and a session, or NULL. */
static inline struct tls *handshake_as(struct tls_client *client, int fd, const struct cert *cert,
                                       struct tls_session *session)
{
    struct tls *tls = tls_open(client, fd, cert, session);
    enum tls_status status;

    assert_non_null(tls);
    while ((status = tls_handshake(tls)) == TLS_WANT_READ) {
        wait_readable(fd);
    }
    assert_int_equal(status, TLS_DONE);
    return tls;
}

static inline struct tls *handshake(struct tls_client *client, int fd)
{
    return handshake_as(client, fd, NULL, NULL);
}

static inline void write_request(struct tls *tls)
{
    size_t written = 0;

    assert_int_equal(tls_write(tls, "GET / HTTP/1.1\r\n\r\n", 18, &written), TLS_DONE);
    assert_int_equal(written, 18);
}

/* Reads until `len` bytes came; each is an x. */
static inline void read_all(struct tls *tls, int fd, size_t len)
{
    while (len > 0) {
        const char *data;
        size_t n;
        enum tls_status status = tls_read(tls, &data, &n);

        if (status == TLS_WANT_READ) {
            wait_readable(fd);
            continue;
        }
        assert_int_equal(status, TLS_DONE);
        assert_true(n <= len);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(data[i], 'x');
        }
        len -= n;
    }
}

#endif
