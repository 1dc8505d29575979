#include "demo/answer.h"

#include "base/bug.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"
#include "demo/tlsd.h"
#include "ident/apikey.h"
#include "ident/jwt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SECRET_MAX     65536
#define NAME_MAX_BYTES 256

struct gate {
    struct tally *tally;
    char *apikey_secret, *jwt_secret; /* NULL: not asked for */
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

/* True when the file is not asked for, or was read. */
static bool secret_read(const char *option, const char *path, char **ret_secret, struct diag *diag)
{
    struct origin origin = {option, 0};
    if (path == NULL) {
        return true;
    }
    CLEANUP_FREE char *text = file_read(path, SECRET_MAX, NULL);
    if (text == NULL) {
        diag_add(diag, origin, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    const char *secret = str_trim(text);
    if (*secret == '\0') {
        diag_add(diag, origin, "%s is empty", path);
        return false;
    }
    *ret_secret = xstrdup(secret);
    return true;
}

struct gate *gate_new(const struct serve_options *options, struct tally *tally, struct diag *diag)
{
    struct gate *gate = xcalloc(1, sizeof *gate);
    bool key = secret_read("--apikey-secret", options->apikey_secret, &gate->apikey_secret, diag);
    bool jwt = secret_read("--jwt-secret", options->jwt_secret, &gate->jwt_secret, diag);
    if (!key || !jwt) {
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
        free(gate->apikey_secret);
        free(gate->jwt_secret);
        free(gate);
    }
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

static int check_token(struct gate *gate, const struct request *request, bool keep)
{
    static const char scheme[] = "Bearer ";
    const size_t skip = sizeof scheme - 1;
    const char *token = request->pocket + request->token.at;
    size_t len = request->token.len;
    char sub[64];
    if (gate->jwt_secret == NULL) {
        return 200;
    }
    if (request->token.count == 0) {
        return 401;
    }
    if (request->token.count != 1 || len < skip || strncasecmp(token, scheme, skip) != 0 ||
        !jwt_verify_hs256(token + skip, len - skip, gate->jwt_secret, strlen(gate->jwt_secret),
                          (int64_t)mono_wall_s(), sub, sizeof sub)) {
        return 403;
    }
    tally_credential(gate->tally, DRIVER_JWT, token + skip, len - skip, keep);
    return 200;
}

static int authenticate(struct gate *gate, const struct request *request, bool keep)
{
    int status = check_key(gate, request, keep);
    if (status == 200) {
        status = check_token(gate, request, keep);
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

struct answer gate_decide(struct gate *gate, const struct request *request)
{
    struct answer answer = {.status = 500, .header = ""};
    bool poisoned = gate->poisoned;
    bool keep = !poisoned && !request_is(request, "/clean");
    tally_event(gate->tally, DRIVER_REQUEST, keep);
    if (!poisoned) {
        answer.status = authenticate(gate, request, keep);
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

size_t answer_write(const struct answer *answer, bool head_only, struct ssl_st *ssl, char *text)
{
    static const char work[] = "work done: identity verified, nothing else to be said of it.....\n";
    char name[NAME_MAX_BYTES];
    const char *body = answer->status == 200 ? work : reason(answer->status);
    if (answer->status == 200 && answer->kind == ANSWER_NAME) {
        tlsd_client_name(ssl, name, sizeof name);
        body = name;
    }
    int len = snprintf(text, ANSWER_MAX,
                       "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                       "%sConnection: %s\r\n\r\n%s",
                       answer->status, reason(answer->status), strlen(body), answer->header,
                       answer->close ? "close" : "keep-alive", head_only ? "" : body);
    BUG_ON(len < 0 || len >= ANSWER_MAX);
    return (size_t)len;
}
