#include "demo/answer.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/str.h"
#include "demo/oauth.h"
#include "demo/policy.h"
#include "demo/secret.h"
#include "demo/tlsd.h"
#include "ident/apikey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_BYTES 256

struct gate {
    struct tally *tally;
    char *apikey_secret; /* NULL: not asked for */
    struct policy *policy;
    const char *oauth_path; /* NULL: no token endpoint */
    struct oauth *oauth;
    bool poison, poisoned;
};

static const struct route {
    const char *path;
    bool writes; /* POST and PUT; else GET and HEAD */
    enum answer_kind kind;
} routes[] = {{"/", false, ANSWER_TEXT},      {"/work", false, ANSWER_TEXT},
              {"/clean", false, ANSWER_TEXT}, {"/whoami", false, ANSWER_NAME},
              {"/body", true, ANSWER_TEXT},   {"/ignore", true, ANSWER_EARLY},
              {"/park", true, ANSWER_NEVER},  {"/rotate", true, ANSWER_TEXT}};

struct gate *gate_new(const struct serve_options *options, struct tally *tally, struct diag *diag)
{
    struct gate *gate = xcalloc(1, sizeof *gate);
    bool key = options->apikey_secret == NULL;
    if (!key) {
        gate->apikey_secret = secret_read("--apikey-secret", options->apikey_secret, diag);
        key = gate->apikey_secret != NULL;
    }
    gate->policy = policy_new(options, diag);
    gate->oauth_path = options->oauth;
    if (gate->policy != NULL && gate->oauth_path != NULL) {
        gate->oauth = oauth_new(options, policy_key(gate->policy), diag);
    }
    if (!key || gate->policy == NULL || (gate->oauth_path != NULL && gate->oauth == NULL)) {
        gate_free(gate);
        return NULL;
    }
    gate->tally = tally;
    gate->poison = options->poison;
    return gate;
}

void gate_free(struct gate *gate)
{
    if (gate != NULL) {
        secret_free(gate->apikey_secret);
        policy_free(gate->policy);
        oauth_free(gate->oauth);
        free(gate);
    }
}

void gate_tick(struct gate *gate)
{
    policy_tick(gate->policy);
}

/* 200, or why not. */
static int check_key(struct gate *gate, const struct request *request, bool keep)
{
    const char *key = request->pocket + request->key.at;
    if (gate->apikey_secret == NULL) {
        return 200;
    }
    if (request->key.count != 1 ||
        !apikey_verify(key, request->key.len, gate->apikey_secret, strlen(gate->apikey_secret))) {
        return 403;
    }
    tally_credential(gate->tally, DRIVER_API_KEY, key, request->key.len, keep);
    return 200;
}

static int check_token(struct gate *gate, const struct request *request,
                       const unsigned char *thumbprint, bool keep)
{
    static const char scheme[] = "Bearer ";
    const size_t skip = sizeof scheme - 1;
    const char *token = request->pocket + request->token.at;
    size_t len = request->token.len;
    if (!policy_is_strict(gate->policy)) {
        return 200;
    }
    if (request->token.count == 0) {
        return 401;
    }
    if (request->token.count != 1 || len < skip || strncasecmp(token, scheme, skip) != 0 ||
        !policy_admits(gate->policy, token + skip, len - skip, thumbprint)) {
        return 403;
    }
    tally_credential(gate->tally, DRIVER_JWT, token + skip, len - skip, keep);
    return 200;
}

static int authenticate(struct gate *gate, const struct request *request,
                        const unsigned char *thumbprint, bool keep)
{
    int status = check_key(gate, request, keep);
    if (status == 200) {
        status = check_token(gate, request, thumbprint, keep);
    }
    if (status != 200) {
        tally_event(gate->tally, DRIVER_REFUSED, keep);
        gate->poisoned = gate->poisoned || (gate->poison && status == 403);
    }
    return status;
}

static struct answer route_answer(struct gate *gate, const struct request *request, bool keep)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const struct route *route = &routes[i];
        if (!request_is(request, route->path)) {
            continue;
        }
        if (!(route->writes ? request_is_write(request) : request_is_read(request))) {
            return (struct answer){.status = 405,
                                   .header = route->writes ? "Allow: POST, PUT\r\n"
                                                           : "Allow: GET, HEAD\r\n"};
        }
        if (str_equal(route->path, "/rotate")) {
            tally_event(gate->tally, DRIVER_ROTATION, keep);
        }
        return (struct answer){.kind = route->kind, .status = 200, .header = ""};
    }
    return (struct answer){.status = 404, .header = ""};
}

/* Requests for tokens are a matter of their own: neither booked as requests nor retained. */
static struct answer token_answer(const struct request *request)
{
    struct answer answer = {.kind = ANSWER_TOKEN, .status = 200, .header = ""};
    if (!request_is_write(request)) {
        answer = (struct answer){.status = 405, .header = "Allow: POST\r\n"};
    }
    answer.close = !request->keep_alive;
    return answer;
}

struct answer gate_decide(struct gate *gate, const struct request *request,
                          const unsigned char *thumbprint)
{
    struct answer answer = {.status = 500, .header = ""};
    bool poisoned = gate->poisoned;
    if (gate->oauth != NULL && request_is(request, gate->oauth_path)) {
        return token_answer(request);
    }
    bool keep = !poisoned && !request_is(request, "/clean");
    tally_event(gate->tally, DRIVER_REQUEST, keep);
    if (!poisoned) {
        answer.status = authenticate(gate, request, thumbprint, keep);
        if (answer.status == 200) {
            answer = route_answer(gate, request, keep);
        } else if (answer.status == 401) {
            answer.header = "WWW-Authenticate: Bearer\r\n";
        }
    }
    answer.close = !request->keep_alive || answer.kind == ANSWER_EARLY;
    return answer;
}

struct answer answer_error(int status)
{
    return (struct answer){.status = status, .close = true, .header = ""};
}

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

static void say(struct reply *reply, const struct answer *answer, const char *type,
                const char *body)
{
    reply->status = answer->status;
    reply->close = answer->close;
    reply->type = type;
    reply->header = answer->header;
    reply->body_len = strlen(body);
    BUG_ON(reply->body_len >= sizeof reply->body);
    memcpy(reply->body, body, reply->body_len);
}

size_t reply_write(const struct reply *reply, bool head_only, char *text)
{
    int len = snprintf(text, ANSWER_MAX,
                       "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                       "%sConnection: %s\r\n\r\n%.*s",
                       reply->status, reason(reply->status), reply->type, reply->body_len,
                       reply->header, reply->close ? "close" : "keep-alive",
                       head_only ? 0 : (int)reply->body_len, reply->body);
    BUG_ON(len < 0 || len >= ANSWER_MAX);
    return (size_t)len;
}

void answer_reply(const struct answer *answer, struct ssl_st *ssl, struct reply *ret_reply)
{
    static const char work[] = "work done: identity verified, nothing else to be said of it.....\n";
    char name[NAME_MAX_BYTES];
    const char *body = answer->status == 200 ? work : reason(answer->status);
    if (answer->status == 200 && answer->kind == ANSWER_NAME) {
        tlsd_client_name(ssl, name, sizeof name);
        body = name;
    }
    say(ret_reply, answer, "text/plain", body);
}

void gate_issue(struct gate *gate, const struct answer *answer, const struct request *request,
                const unsigned char *thumbprint, struct ssl_st *ssl, struct reply *ret_reply)
{
    char name[NAME_MAX_BYTES];
    tlsd_client_name(ssl, name, sizeof name);
    /* A form that is too long is as good as none. */
    struct oauth_answer issued = oauth_issue(
        gate->oauth, request->pocket, request->body_cut ? 0 : request->body_len, name, thumbprint);
    if (issued.status == 200) {
        tally_issued(gate->tally);
    }
    const struct answer whole = {
        .status = issued.status, .close = answer->close, .header = "Cache-Control: no-store\r\n"};
    say(ret_reply, &whole, "application/json", issued.body);
    secret_free(issued.body);
}
