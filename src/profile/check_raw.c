#include "profile/check_raw.h"

#include "base/mem.h"
#include "base/str.h"
#include "profile/build.h"
#include "profile/store.h"

#include <string.h>

#define PROTOCOL_NAME_MAX 255 /* RFC 7301, section 3.1 */

/* What ALPN offers. */

/* Without the blanks around the commas. */
static char *compact(const char *text)
{
    char *compacted = xstrdup(text), *to = compacted;

    for (const char *from = text; *from != '\0'; from++) {
        if (*from != ' ') {
            *to++ = *from;
        }
    }
    *to = '\0';
    return compacted;
}

/* Blanks are around names, none is in one. */
static bool are_names(const char *list)
{
    while (true) {
        list += strspn(list, " ");
        size_t len = strcspn(list, " ,");
        if (len == 0 || len > PROTOCOL_NAME_MAX) {
            return false;
        }
        list += len;
        list += strspn(list, " ");
        if (*list != ',') {
            return *list == '\0';
        }
        list++;
    }
}

void check_protocols(const struct checker *c)
{
    static const char *const lists[] = {[ALPN_H1] = "http/1.1",
                                        [ALPN_H2] = "h2",
                                        [ALPN_H2_H1] = "h2,http/1.1",
                                        [ALPN_H1_H2] = "http/1.1,h2"};
    static char usual[] = "http/1.1";
    struct plan_target *t = &c->plan->target;

    if (t->alpn_text == NULL) {
        t->alpn_text = t->raw ? NULL : usual;
        return;
    }
    CLEANUP_FREE char *list = compact(t->alpn_text);
    CLEANUP_FREE char *shown = build_shown(t->alpn_text);
    int i = str_index(list, lists, sizeof lists / sizeof lists[0]);
    if (!t->raw && i < 0) {
        diag_add(c->diag, plan_origin(c->plan, &t->alpn_text),
                 "target.alpn: \"%s\" is not a list of protocols (write h2, http/1.1)", shown);
    } else if (t->raw && !are_names(t->alpn_text)) {
        diag_add(c->diag, plan_origin(c->plan, &t->alpn_text),
                 "target.alpn: \"%s\" is not a list of names (write mqtt, or two with a comma)",
                 shown);
    }
    t->alpn = t->raw || i < 0 ? ALPN_H1 : (enum alpn)i;
}

/* What https has no use for. */

static void check_https_request(const struct checker *c, struct plan_request *request)
{
    check_unused(c, SECTION_REQUEST, request,
                 CHECK_KEYS("send", "expect", "expect_until", "expect_bytes"),
                 "with https (write url = tls://HOST:PORT where the server does not speak HTTP)");
}

/* What tls:// has no use for. */

static const char no_http[] = "with tls://, which is not HTTP";

static void check_raw_headers(const struct checker *c, const struct plan_request *request)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct plan_header *header = &request->headers[i];
        CLEANUP_FREE char *shown = build_shown(header->name);
        diag_add(c->diag, plan_origin(c->plan, &header->name), "request.header.%s: of no use %s",
                 shown, no_http);
    }
}

static void check_raw_target(const struct checker *c)
{
    const struct plan *plan = c->plan;

    check_unused(c, SECTION_TARGET, &plan->target, CHECK_KEYS("host", "timeout.ping", "early_data"),
                 no_http);
    check_unused(c, SECTION_PACE, &plan->pace, CHECK_KEYS("streams"), no_http);
    for (size_t i = 0; i < plan->n_apikeys; i++) {
        check_unused(c, SECTION_APIKEY, &plan->apikeys[i], CHECK_KEYS("header", "scheme", "query"),
                     no_http);
    }
    for (size_t i = 0; i < plan->n_jwts; i++) {
        check_unused(c, SECTION_JWT, &plan->jwts[i], CHECK_KEYS("header", "scheme"), no_http);
    }
}

/* Where the credentials go. */

static const char *const place_names[] = {"{apikey}", "{jwt}"};

/* The first place at or behind `from`; false: there is none. */
static bool find_place(const struct plan_request *request, size_t from,
                       struct plan_place *ret_place)
{
    bool found = false;

    for (size_t kind = 0; kind < 2; kind++) {
        const char *name = place_names[kind];
        const char *hit =
            memmem(request->send + from, request->send_len - from, name, strlen(name));
        size_t at = hit != NULL ? (size_t)(hit - request->send) : 0;
        if (hit != NULL && (!found || at < ret_place->at)) {
            *ret_place = (struct plan_place){.at = at, .len = strlen(name), .jwt = kind == 1};
            found = true;
        }
    }
    return found;
}

static void check_place(const struct checker *c, const struct plan_request *request,
                        const struct plan_place *place)
{
    for (size_t i = 0; i < c->plan->n_identities; i++) {
        const struct plan_identity *identity = &c->plan->identities[i];
        bool has = place->jwt ? identity->with_jwt != NULL : identity->with_apikey != NULL;
        if (!has) {
            diag_add(c->diag, plan_origin(c->plan, &request->send),
                     "request.send: %s is in it, and [identity %s] has no [%s]",
                     place_names[place->jwt], identity->name, place->jwt ? "jwt" : "apikey");
        }
    }
}

static void find_places(const struct checker *c, struct plan_request *request, bool ret_found[2])
{
    struct plan_place place;
    size_t from = 0;

    while (request->send != NULL && find_place(request, from, &place)) {
        if (request->n_places == REQUEST_PLACES) {
            diag_add(c->diag, plan_origin(c->plan, &request->send),
                     "request.send: more than %d credentials", REQUEST_PLACES);
            return;
        }
        check_place(c, request, &place);
        request->places[request->n_places++] = place;
        ret_found[place.jwt] = true;
        from = place.at + place.len;
    }
}

static void check_all_placed(const struct checker *c, const bool found[2])
{
    const struct plan *plan = c->plan;

    for (size_t i = 0; i < plan->n_apikeys && !found[0]; i++) {
        diag_add(c->diag, plan->apikeys[i].origin,
                 "[apikey %s]: tls:// has no headers to put it in (write {apikey} where it belongs "
                 "in request.send)",
                 plan->apikeys[i].name);
    }
    for (size_t i = 0; i < plan->n_jwts && !found[1]; i++) {
        diag_add(c->diag, plan->jwts[i].origin,
                 "[jwt %s]: tls:// has no headers to put it in (write {jwt} where it belongs in "
                 "request.send)",
                 plan->jwts[i].name);
    }
}

/* What an exchange is. */

static void check_expectation(const struct checker *c, const struct plan_request *request)
{
    const void *fields[] = {&request->expect, &request->expect_until, &request->expect_bytes};
    const char *const keys[] = {"expect", "expect_until", "expect_bytes"};
    const bool said[] = {request->expect != NULL, request->expect_until != NULL,
                         request->expect_bytes > 0};
    const char *first = NULL;

    for (size_t i = 0; i < 3; i++) {
        if (said[i] && first != NULL) {
            diag_add(c->diag, plan_origin(c->plan, fields[i]),
                     "request.%s: request.%s says already how the reply ends", keys[i], first);
        }
        first = said[i] && first == NULL ? keys[i] : first;
    }
}

/* Rightly or wrongly. */
static bool says_what_it_expects(const struct checker *c, const struct plan_request *request)
{
    return check_is_given(c, &request->expect) || check_is_given(c, &request->expect_until) ||
           check_is_given(c, &request->expect_bytes);
}

static void check_raw_request(const struct checker *c, struct plan_request *request)
{
    bool asks = c->plan->pace.mode != PACE_HANDSHAKE;
    struct origin origin =
        store_is_default(request->origin) ? check_section(c, SECTION_TARGET) : request->origin;

    check_unused(c, SECTION_REQUEST, request, CHECK_KEYS("method", "path", "body", "expect_status"),
                 no_http);
    check_raw_headers(c, request);
    check_expectation(c, request);
    if (request->send == NULL && !check_is_given(c, &request->send) &&
        !says_what_it_expects(c, request) && asks) {
        diag_add(c->diag, origin,
                 "request.send is missing; tls:// needs a [request] (write send = PING\\r\\n and "
                 "expect = +PONG\\r\\n)");
    } else if (!says_what_it_expects(c, request) && c->plan->n_refuses > 0) {
        diag_add(c->diag, origin,
                 "[request %s]: a [refuse] shows by the reply that does not come (write expect, "
                 "expect_until or expect_bytes)",
                 request->name);
    }
}

static void check_raw_refuse(const struct checker *c, const struct plan_refuse *refuse)
{
    if (refuse->expect.n_status > 0) {
        diag_add(c->diag, plan_origin(c->plan, &refuse->expect_text),
                 "refuse.expect: tls:// has no statuses (write any, alert or alert unknown_ca)");
    }
}

static void check_raw_misuse(const struct checker *c, const struct plan_misuse *misuse)
{
    switch (misuse->kind) {
    case MISUSE_HALF_OPEN:
    case MISUSE_HANDSHAKE_STOP:
    case MISUSE_ABANDON_RESPONSE:
    case MISUSE_EARLY_CLOSE:
    case MISUSE_RESET:
    case MISUSE_NO_CLOSE_NOTIFY:
    case MISUSE_SLOW_READ:
    case MISUSE_PLAIN_HTTP:
        break;
    default:
        diag_add(c->diag, check_origin(c, &misuse->kind, misuse->origin),
                 "misuse.kind: of HTTP, which tls:// does not speak (write half-open, "
                 "handshake-stop, abandon-response, early-close, reset, no-close-notify, slow-read "
                 "or plain-http)");
    }
}

static bool carries(const struct plan_request *request, bool jwt)
{
    for (size_t i = 0; i < request->n_places; i++) {
        if (request->places[i].jwt == jwt) {
            return true;
        }
    }
    return false;
}

/* What is counted as used was sent, and a bad one that was never sent would seem to be let in. */
static void check_each_carries(const struct checker *c, bool jwt)
{
    const struct plan *plan = c->plan;
    const struct plan_request *one = NULL;

    for (size_t i = 0; i < plan->n_requests && one == NULL; i++) {
        one = carries(&plan->requests[i], jwt) ? &plan->requests[i] : NULL;
    }
    for (size_t i = 0; i < plan->n_requests && one != NULL; i++) {
        const struct plan_request *request = &plan->requests[i];
        bool silent = !check_is_given(c, &request->send) && says_what_it_expects(c, request);
        if ((request->send != NULL || silent) && !carries(request, jwt)) {
            diag_add(c->diag, check_origin(c, &request->send, request->origin),
                     "[request %s]: %s is missing, which [request %s] has (requests are drawn at "
                     "random, so that each must carry it)",
                     request->name, place_names[jwt], one->name);
        }
    }
}

void check_raw(const struct checker *c)
{
    struct plan *plan = c->plan;
    bool found[2] = {false, false};

    for (size_t i = 0; i < plan->n_requests; i++) {
        if (!plan->target.raw) {
            check_https_request(c, &plan->requests[i]);
            continue;
        }
        check_raw_request(c, &plan->requests[i]);
        find_places(c, &plan->requests[i], found);
    }
    if (!plan->target.raw) {
        return;
    }
    check_raw_target(c);
    check_all_placed(c, found);
    check_each_carries(c, false);
    check_each_carries(c, true);
    for (size_t i = 0; i < plan->n_refuses; i++) {
        check_raw_refuse(c, &plan->refuses[i]);
    }
    for (size_t i = 0; i < plan->n_misuses; i++) {
        check_raw_misuse(c, &plan->misuses[i]);
    }
}
