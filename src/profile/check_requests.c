#include "profile/check_parts.h"

#include "base/mem.h"
#include "base/str.h"
#include "profile/build.h"
#include "profile/url.h"

#include <string.h>
#include <strings.h>

/* Headers that frame a message or name its server are tlsoak's to write. */
static const char *own_header(const char *name)
{
    static const char *const framing[] = {
        "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "TE", "Trailer"};

    if (strcasecmp(name, "Host") == 0) {
        return "write it as target.host";
    }
    for (size_t i = 0; i < sizeof framing / sizeof framing[0]; i++) {
        if (strcasecmp(name, framing[i]) == 0) {
            return "tlsoak writes it";
        }
    }
    return NULL;
}

static const char *taken_header(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->n_apikeys; i++) {
        const char *header = plan->apikeys[i].header;
        if (header != NULL && strcasecmp(name, header) == 0) {
            return "[apikey] writes it";
        }
    }
    for (size_t i = 0; i < plan->n_jwts; i++) {
        const char *header = plan->jwts[i].header;
        if (header != NULL && strcasecmp(name, header) == 0) {
            return "[jwt] writes it";
        }
    }
    return own_header(name);
}

static void check_headers(const struct checker *c, const struct plan_request *request)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct plan_header *header = &request->headers[i];
        const char *taken = taken_header(c->plan, header->name);
        struct origin origin = plan_origin(c->plan, &header->name);
        CLEANUP_FREE char *shown = build_shown(header->name);
        if (!check_is_token(header->name)) {
            diag_add(c->diag, origin, "request.header.%s: not the name of a header", shown);
        } else if (taken != NULL) {
            diag_add(c->diag, origin, "request.header.%s: %s", shown, taken);
        }
    }
}

static void check_request(const struct checker *c, const struct plan_request *request)
{
    if (request->method != NULL && !check_is_token(request->method)) {
        CLEANUP_FREE char *shown = build_shown(request->method);
        diag_add(c->diag, plan_origin(c->plan, &request->method),
                 "request.method: \"%s\" is not a method (write GET, POST)", shown);
    } else if (request->method != NULL && str_equal(request->method, "CONNECT")) {
        diag_add(c->diag, plan_origin(c->plan, &request->method),
                 "request.method: CONNECT asks for a tunnel, not for a response");
    }
    if (request->path != NULL && (request->path[0] != '/' || !url_is_path(request->path))) {
        CLEANUP_FREE char *shown = build_shown(request->path);
        diag_add(c->diag, plan_origin(c->plan, &request->path),
                 "request.path: \"%s\" is not a path (begins with /; spaces are written as %%20)",
                 shown);
    }
    check_headers(c, request);
}

void check_requests(const struct checker *c)
{
    for (size_t i = 0; i < c->plan->n_requests && !c->plan->target.raw; i++) {
        check_request(c, &c->plan->requests[i]);
    }
}
