#include "load/request.h"

#include "base/mem.h"
#include "base/sink.h"
#include "base/str.h"
#include "net/conn.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool has_header(const struct plan_request *request, const char *name)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_one_of(const char *method, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (str_equal(method, *names)) {
            return true;
        }
    }
    return false;
}

/* A method that says something of a body announces its length even when that is 0 (RFC 9110,
 * 8.6). */
static void write_length(const struct plan_request *from, struct sink *head)
{
    static const char *const with_content[] = {"POST", "PUT", "PATCH", NULL};
    bool announces = from->body != NULL || is_one_of(from->method, with_content);
    if (announces && !has_header(from, "Content-Length")) {
        sink_printf(head, "Content-Length: %zu\r\n", from->body != NULL ? from->body_len : 0);
    }
}

static void write_head(const struct plan_target *target, const struct plan_request *from,
                       const char *run_id, struct sink *head)
{
    sink_printf(head, "%s %s HTTP/1.1\r\n", from->method,
                from->path != NULL ? from->path : target->url_path);
    if (!has_header(from, "Host")) {
        sink_printf(head, "Host: %s\r\n", target->host_header);
    }
    if (!has_header(from, "User-Agent")) {
        sink_printf(head, "User-Agent: tlsoak/%s\r\n", TLSOAK_VERSION);
    }
    if (run_id != NULL && !has_header(from, "Tlsoak-Run")) {
        sink_printf(head, "Tlsoak-Run: %s\r\n", run_id);
    }
    for (size_t i = 0; i < from->n_headers; i++) {
        sink_printf(head, "%s: %s\r\n", from->headers[i].name, from->headers[i].value);
    }
    write_length(from, head);
}

static void prepare_fields(struct request *request, const struct plan_request *from)
{
    h2_fields_init(&request->fields, request->head, request->head_len);
    for (size_t i = 0; i < from->n_headers; i++) {
        if (from->headers[i].secret) {
            h2_fields_hide(&request->fields, from->headers[i].name);
        }
    }
}

static void expect_reply(struct raw_reply *reply, const struct plan_request *from)
{
    if (from->expect != NULL) {
        raw_reply_init(reply, RAW_EXACT, from->expect, from->expect_len);
    } else if (from->expect_until != NULL) {
        raw_reply_init(reply, RAW_UNTIL, from->expect_until, from->expect_until_len);
    } else if (from->expect_bytes >= 1) {
        raw_reply_init(reply, RAW_LENGTH, NULL, (uint64_t)from->expect_bytes);
    } else {
        raw_reply_init(reply, RAW_NOTHING, NULL, 0);
    }
}

static void request_init_raw(struct request *request, const struct plan *plan,
                             const struct plan_request *from)
{
    request->raw = true;
    request->head_len = from->send != NULL ? from->send_len : 0;
    request->head = xmalloc(request->head_len + 1);
    memcpy(request->head, from->send != NULL ? from->send : "", request->head_len);
    request->places = from->places;
    request->n_places = from->n_places;
    request->secret = from->n_places > 0 || plan_is_reference(plan, &from->send);
    expect_reply(&request->reply, from);
}

static void request_init(struct request *request, const struct plan_target *target,
                         const struct plan_request *from, const char *run_id)
{
    static const char *const idempotent[] = {"GET",     "HEAD",  "PUT", "DELETE",
                                             "OPTIONS", "TRACE", NULL};
    struct sink *head = sink_new();
    write_head(target, from, run_id, head);
    const char *text = sink_text(head, &request->head_len);
    request->head = xstrndup(text, request->head_len);
    sink_free(head);
    if (target->alpn != ALPN_H1) {
        prepare_fields(request, from);
    }
    request->target_len = (size_t)(strstr(request->head, " HTTP/1.1\r\n") - request->head);
    request->has_query = memchr(request->head, '?', request->target_len) != NULL;
    request->body = from->body;
    request->body_len = from->body != NULL ? from->body_len : 0;
    request->expect_status = from->expect_status;
    request->head_request = str_equal(from->method, "HEAD");
    request->idempotent = is_one_of(from->method, idempotent);
    request->may_be_early =
        request->body_len == 0 && (request->head_request || str_equal(from->method, "GET"));
}

static struct request_prefix in_header(const char *header, const char *scheme)
{
    bool plain = scheme == NULL || *scheme == '\0';
    char *text = xasprintf("%s: %s%s", header, plain ? "" : scheme, plain ? "" : " ");
    char *name = xstrdup(header);
    for (char *p = name; *p != '\0'; p++) {
        *p = (char)tolower((unsigned char)*p);
    }
    return (struct request_prefix){
        .text = text, .len = strlen(text), .name = name, .name_len = strlen(name)};
}

static struct request_prefix in_query(const char *name)
{
    char *text = xasprintf("%s=", name);
    return (struct request_prefix){.text = text, .len = strlen(text), .in_query = true};
}

static void prefix_identity(struct request_prefix prefix[CREDENTIAL_PARTS],
                            const struct plan_identity *identity)
{
    const struct plan_apikey *key = identity->with_apikey;
    const struct plan_jwt *jwt = identity->with_jwt;
    if (key != NULL) {
        prefix[CREDENTIAL_APIKEY] =
            key->query != NULL ? in_query(key->query) : in_header(key->header, key->scheme);
    }
    if (jwt != NULL) {
        prefix[CREDENTIAL_JWT] = in_header(jwt->header, jwt->scheme);
    }
}

void request_set_init(struct request_set *set, const struct plan *plan, const char *run_id)
{
    size_t most = 0;
    *set = (struct request_set){.n_requests = plan->n_requests};
    set->requests = xcalloc(plan->n_requests, sizeof *set->requests);
    for (size_t i = 0; i < plan->n_requests; i++) {
        if (plan->target.raw) {
            request_init_raw(&set->requests[i], plan, &plan->requests[i]);
        } else {
            request_init(&set->requests[i], &plan->target, &plan->requests[i], run_id);
        }
        set->weight += plan->requests[i].weight;
        set->requests[i].upto = set->weight;
        most = set->requests[i].fields.n > most ? set->requests[i].fields.n : most;
    }
    set->fields = xcalloc(most + CREDENTIAL_PARTS, sizeof *set->fields);
    set->n_identities = plan->n_identities;
    set->prefix = xcalloc(plan->n_identities, sizeof *set->prefix);
    for (size_t i = 0; i < plan->n_identities; i++) {
        prefix_identity(set->prefix[i], &plan->identities[i]);
    }
}

void request_set_clear(struct request_set *set)
{
    for (size_t i = 0; i < set->n_requests; i++) {
        free(set->requests[i].head);
        h2_fields_clear(&set->requests[i].fields);
        raw_reply_clear(&set->requests[i].reply);
    }
    free(set->fields);
    free(set->requests);
    for (size_t i = 0; i < set->n_identities; i++) {
        for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
            free(set->prefix[i][kind].text);
            free(set->prefix[i][kind].name);
        }
    }
    free(set->prefix);
    *set = (struct request_set){.n_requests = 0};
}

const struct request *request_pick(const struct request_set *set, struct rng *rng)
{
    if (set->n_requests == 1) {
        return set->requests;
    }
    double at = rng_double(rng) * set->weight;
    size_t i = 0;
    while (i + 1 < set->n_requests && at >= set->requests[i].upto) {
        i++;
    }
    return &set->requests[i];
}

static const struct credential *at_place(const struct plan_place *place,
                                         struct credential *const credentials[CREDENTIAL_PARTS])
{
    return credentials[place->jwt ? CREDENTIAL_JWT : CREDENTIAL_APIKEY];
}

size_t request_size(const struct request_set *set, size_t identity, const struct request *request,
                    struct credential *const credentials[CREDENTIAL_PARTS])
{
    const struct request_prefix *prefix = set->prefix[identity];
    size_t size = request->head_len + 2;
    for (size_t i = 0; i < request->n_places; i++) {
        const struct credential *credential = at_place(&request->places[i], credentials);
        size += credential != NULL ? credential->text_len : 0;
    }
    if (request->raw) {
        return size;
    }
    for (int kind = CREDENTIAL_APIKEY; kind < CREDENTIAL_PARTS; kind++) {
        if (credentials[kind] != NULL) {
            size += prefix[kind].len + credentials[kind]->text_len + 2;
        }
    }
    return size;
}

static char *put(char *to, const char *from, size_t len)
{
    memcpy(to, from, len);
    return to + len;
}

static char *put_credential(char *to, const struct request_prefix *prefix,
                            const struct credential *credential)
{
    return put(put(to, prefix->text, prefix->len), credential->text, credential->text_len);
}

static size_t write_raw(const struct request *request,
                        struct credential *const credentials[CREDENTIAL_PARTS], char *to)
{
    const char *from = request->head;
    char *at = to;
    for (size_t i = 0; i < request->n_places; i++) {
        const struct plan_place *place = &request->places[i];
        const struct credential *credential = at_place(place, credentials);
        at = put(at, from, (size_t)(request->head + place->at - from));
        at = credential != NULL ? put(at, credential->text, credential->text_len) : at;
        from = request->head + place->at + place->len;
    }
    return (size_t)(put(at, from, (size_t)(request->head + request->head_len - from)) - to);
}

size_t request_write(const struct request_set *set, size_t identity, const struct request *request,
                     struct credential *const credentials[CREDENTIAL_PARTS], char *to)
{
    const struct request_prefix *prefix = set->prefix[identity];
    const struct credential *key = credentials[CREDENTIAL_APIKEY];
    if (request->raw) {
        return write_raw(request, credentials, to);
    }
    char *at = put(to, request->head, request->target_len);
    if (key != NULL && prefix[CREDENTIAL_APIKEY].in_query) {
        *at++ = request->has_query ? '&' : '?';
        at = put_credential(at, &prefix[CREDENTIAL_APIKEY], key);
    }
    at = put(at, request->head + request->target_len, request->head_len - request->target_len);
    for (int kind = CREDENTIAL_APIKEY; kind < CREDENTIAL_PARTS; kind++) {
        if (credentials[kind] != NULL && !prefix[kind].in_query) {
            at = put(put_credential(at, &prefix[kind], credentials[kind]), "\r\n", 2);
        }
    }
    return (size_t)(put(at, "\r\n", 2) - to);
}

/* Where the value stands in `to`; returns its end. */
static char *make_field(char *to, const struct request_prefix *prefix,
                        const struct credential *credential, struct h2_field *field)
{
    size_t skip = prefix->name_len + 2; /* "Authorization: " */
    char *end = put(to, prefix->text + skip, prefix->len - skip);
    end = put(end, credential->text, credential->text_len);
    *field = (struct h2_field){.name = prefix->name,
                               .name_len = prefix->name_len,
                               .value = to,
                               .value_len = (size_t)(end - to),
                               .secret = true};
    return end;
}

static char *make_path(char *to, const struct request *request, const struct request_prefix *prefix,
                       const struct credential *key, struct h2_field *path)
{
    char *end = put(to, path->value, path->value_len);
    *end++ = request->has_query ? '&' : '?';
    end = put_credential(end, prefix, key);
    path->value = to;
    path->value_len = (size_t)(end - to);
    path->secret = true;
    return end;
}

static size_t make_fields(const struct request_set *set, size_t identity,
                          const struct request *request,
                          struct credential *const credentials[CREDENTIAL_PARTS], char *to)
{
    const struct request_prefix *prefix = set->prefix[identity];
    size_t n = request->fields.n;
    memcpy(set->fields, request->fields.fields, n * sizeof *set->fields);
    for (int kind = CREDENTIAL_APIKEY; kind < CREDENTIAL_PARTS; kind++) {
        if (credentials[kind] == NULL) {
            continue;
        }
        if (prefix[kind].in_query) {
            to = make_path(to, request, &prefix[kind], credentials[kind], &set->fields[H2_PATH]);
        } else {
            to = make_field(to, &prefix[kind], credentials[kind], &set->fields[n++]);
        }
    }
    return n;
}

void request_make(const struct request_set *set, size_t identity, const struct request *request,
                  struct credential *const credentials[CREDENTIAL_PARTS], bool h2, char *to,
                  struct conn_request *ret_made)
{
    *ret_made = (struct conn_request){.body = request->body,
                                      .body_len = request->body_len,
                                      .reply = request->raw ? &request->reply : NULL,
                                      .secret = request->secret,
                                      .head_request = request->head_request};
    if (h2) {
        ret_made->fields = set->fields;
        ret_made->n_fields = make_fields(set, identity, request, credentials, to);
    } else {
        ret_made->head = to;
        ret_made->head_len = request_write(set, identity, request, credentials, to);
    }
}

bool request_expects(const struct request *request, int status)
{
    if (request->raw) {
        return true;
    }
    return request->expect_status == 0 ? status >= 200 && status <= 299
                                       : (uint64_t)status == request->expect_status;
}
