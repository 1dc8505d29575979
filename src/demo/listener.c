#include "demo/listener.h"

#include "base/mem.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse(const char *listen, union address *ret_address)
{
    bool bare = listen[0] != '\0' && listen[strspn(listen, "0123456789")] == '\0';
    CLEANUP_FREE char *text = xasprintf("%s%s", bare ? "127.0.0.1:" : "", listen);
    char *colon = strrchr(text, ':'), *host = text;
    uint64_t port;
    if (colon == NULL || !str_to_u64(colon + 1, &port) || port > UINT16_MAX) {
        return false;
    }
    *colon = '\0';
    memset(ret_address, 0, sizeof *ret_address);
    if (*host == '[' && colon > host + 1 && colon[-1] == ']') {
        colon[-1] = '\0';
        ret_address->v6.sin6_family = AF_INET6;
        ret_address->v6.sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, host + 1, &ret_address->v6.sin6_addr) == 1;
    }
    ret_address->v4.sin_family = AF_INET;
    ret_address->v4.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, str_equal(host, "localhost") ? "127.0.0.1" : host,
                     &ret_address->v4.sin_addr) == 1;
}

static bool describe(int fd, char text[LISTENER_TEXT])
{
    union address address;
    socklen_t len = sizeof address;
    char host[INET6_ADDRSTRLEN];
    if (getsockname(fd, &address.any, &len) != 0) {
        return false;
    }
    if (address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof host);
        snprintf(text, LISTENER_TEXT, "[%s]:%u", host, ntohs(address.v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof host);
        snprintf(text, LISTENER_TEXT, "%s:%u", host, ntohs(address.v4.sin_port));
    }
    return true;
}

static bool is_good(const char *listen, union address *ret_address, struct origin origin,
                    struct diag *diag)
{
    bool ok = parse(listen, ret_address);
    if (!ok) {
        diag_add(diag, origin, "\"%s\" is not an address and a port (write 127.0.0.1:0 or [::1]:0)",
                 listen);
    }
    return ok;
}

void listener_check(const char *listen, struct origin origin, struct diag *diag)
{
    union address address;
    (void)is_good(listen, &address, origin, diag);
}

int listener_open(const char *listen_text, struct origin origin, char ret_text[LISTENER_TEXT],
                  struct diag *diag)
{
    const int on = 1;
    union address address;
    if (!is_good(listen_text, &address, origin, diag)) {
        return -1;
    }
    bool v6 = address.any.sa_family == AF_INET6;
    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, &address.any, v6 ? sizeof address.v6 : sizeof address.v4) != 0 ||
        listen(fd, BACKLOG) != 0 || !describe(fd, ret_text)) {
        diag_add(diag, origin, "cannot listen on %s: %s", listen_text, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}
