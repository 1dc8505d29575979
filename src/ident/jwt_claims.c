#include "ident/jwt_claims.h"

#include "ident/crypt.h"
#include "ident/template.h"

#include "base/bug.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/sink.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRED_FOR_S  3600
#define NUMBER_ROOM    21
#define THUMBPRINT     32
#define PAD_BEGIN      ",\"pad\":\""
#define PAD_END        "\""
#define WRONG_AUDIENCE "tlsoak-wrong-audience"

/* Fields of ours stand in a form as control characters, which no JSON has but in white space that
 * is none of these. */
enum mark { MARK_FROM = 1, MARK_EXP, MARK_UUID, MARK_THUMBPRINT, MARK_END };

enum piece_kind {
    PIECE_TEXT,
    PIECE_N,
    PIECE_UUID,
    PIECE_RUN,
    PIECE_RANDOM,
    PIECE_FROM, /* iat, nbf */
    PIECE_EXP,
    PIECE_THUMBPRINT
};

struct piece {
    enum piece_kind kind;
    uint32_t at, len; /* PIECE_TEXT: in the form's text */
};

enum variant { VARIANT_GOOD, VARIANT_EXPIRED, VARIANT_AUDIENCE, VARIANT_COUNT };

struct form {
    char *text;
    struct piece *pieces;
    size_t n_pieces;
    size_t room; /* without {run} */
    size_t n_runs;
};

struct jwt_claims {
    struct form forms[VARIANT_COUNT][2]; /* [bound] */
    uint64_t size;                       /* to be padded to */
    int64_t lifetime_s;
    int64_t fixed_exp_s;
};

/* A member at the top of the template, as it stands there. */
struct member {
    const char *text;
    size_t len;
    const char *name; /* without quotes */
    size_t name_len;
};

struct members {
    struct member *items;
    size_t n, capacity;
};

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* The end of a string whose quote is at `at`, behind its closing quote. */
static const char *string_end(const char *at)
{
    for (at++; *at != '"' && *at != '\0'; at++) {
        at += *at == '\\' && at[1] != '\0';
    }
    return at + (*at == '"');
}

/* The end of a member: its comma, or the brace that closes the object. */
static const char *member_end(const char *at)
{
    int depth = 0;
    while (*at != '\0' && (depth > 0 || (*at != ',' && *at != '}'))) {
        if (*at == '"') {
            at = string_end(at);
            continue;
        }
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at++;
    }
    return at;
}

/* The text is known to be an object once its fields are filled in; fields hold neither quotes nor
 * commas, and their braces are in balance. */
static void members_read(struct members *members, const char *text)
{
    const char *at = skip_space(text) + 1;
    for (at = skip_space(at); *at == '"'; at = skip_space(at)) {
        const char *end = member_end(at);
        struct member member = {.text = at, .name = at + 1};
        member.name_len = (size_t)(string_end(at) - at) - 2;
        member.len = (size_t)(end - at);
        while (strchr(" \t\r\n", member.text[member.len - 1]) != NULL) {
            member.len--;
        }
        ARRAY_RESERVE(members->items, members->n, members->capacity);
        members->items[members->n++] = member;
        at = end + (*end == ',');
    }
}

static bool member_is(const struct member *member, const char *name)
{
    return strlen(name) == member->name_len && memcmp(name, member->name, member->name_len) == 0;
}

static const struct member *members_find(const struct members *members, const char *name)
{
    for (size_t i = 0; i < members->n; i++) {
        if (member_is(&members->items[i], name)) {
            return &members->items[i];
        }
    }
    return NULL;
}

struct form_wish {
    const struct members *members;
    const struct json *sample;
    enum variant variant;
    bool bound;
};

static void put_name(struct sink *text, const char *name)
{
    size_t len;
    sink_text(text, &len);
    sink_printf(text, "%s\"%s\":", len > 1 ? "," : "", name);
}

static bool can_bind(const struct json *sample)
{
    const struct json *cnf = json_get(sample, "cnf");
    return cnf == NULL || (json_is_map(cnf) && json_get(cnf, "x5t#S256") == NULL);
}

/* RFC 8705 section 3.1, beside what the template's own cnf says. */
static void put_binding(struct sink *text, const struct form_wish *wish)
{
    const struct member *own = members_find(wish->members, "cnf");
    put_name(text, "cnf");
    sink_printf(text, "{");
    if (own != NULL && can_bind(wish->sample)) {
        const char *inner = strchr(own->name + own->name_len, '{') + 1;
        size_t len = (size_t)(own->text + own->len - 1 - inner);
        sink_write(text, inner, len);
        sink_printf(text, "%s", json_size(json_get(wish->sample, "cnf")) > 0 ? "," : "");
    }
    sink_printf(text, "\"x5t#S256\":\"%c\"}", MARK_THUMBPRINT);
}

static bool is_dropped(const struct member *member, const struct form_wish *wish)
{
    if (wish->variant == VARIANT_EXPIRED) {
        return member_is(member, "exp") || member_is(member, "iat") || member_is(member, "nbf");
    }
    return wish->variant == VARIANT_AUDIENCE && member_is(member, "aud");
}

static char *form_text(const struct form_wish *wish)
{
    static const struct {
        const char *name, *quote;
        char mark;
    } added[] = {{"iat", "", MARK_FROM},
                 {"nbf", "", MARK_FROM},
                 {"exp", "", MARK_EXP},
                 {"jti", "\"", MARK_UUID}};
    struct sink *text = sink_new();
    sink_printf(text, "{");
    for (size_t i = 0; i < wish->members->n; i++) {
        const struct member *member = &wish->members->items[i];
        if (!is_dropped(member, wish) && !(wish->bound && member_is(member, "cnf"))) {
            size_t len;
            sink_text(text, &len);
            sink_printf(text, "%s", len > 1 ? "," : "");
            sink_write(text, member->text, member->len);
        }
    }
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        const struct member *own = members_find(wish->members, added[i].name);
        if (own == NULL || is_dropped(own, wish)) {
            put_name(text, added[i].name);
            sink_printf(text, "%s%c%s", added[i].quote, added[i].mark, added[i].quote);
        }
    }
    if (wish->variant == VARIANT_AUDIENCE) {
        put_name(text, "aud");
        sink_printf(text, "\"" WRONG_AUDIENCE "\"");
    }
    if (wish->bound) {
        put_binding(text, wish);
    }
    sink_printf(text, "}");
    char *copy = xstrdup(sink_text(text, NULL));
    sink_free(text);
    return copy;
}

static size_t piece_room(enum piece_kind kind, size_t len)
{
    switch (kind) {
    case PIECE_TEXT:
        return len;
    case PIECE_N:
    case PIECE_FROM:
    case PIECE_EXP:
        return NUMBER_ROOM;
    case PIECE_UUID:
    case PIECE_RANDOM:
        return 37; /* with the NUL that is written behind it */
    case PIECE_THUMBPRINT:
        return CRYPT_BASE64(THUMBPRINT);
    case PIECE_RUN:
        break;
    }
    return 0;
}

/* Text that follows text is one piece with it. */
static void form_add(struct form *form, size_t *capacity, enum piece_kind kind, const char *at,
                     size_t len)
{
    form->room += piece_room(kind, len);
    form->n_runs += kind == PIECE_RUN;
    struct piece piece = {kind, (uint32_t)(at - form->text), (uint32_t)len};
    struct piece *last = form->n_pieces > 0 ? &form->pieces[form->n_pieces - 1] : NULL;
    if (kind == PIECE_TEXT && last != NULL && last->kind == PIECE_TEXT &&
        last->at + last->len == piece.at) {
        last->len += piece.len;
        return;
    }
    ARRAY_RESERVE(form->pieces, form->n_pieces, *capacity);
    form->pieces[form->n_pieces++] = piece;
}

/* A stretch of text with our own marks in it. */
static void form_add_marked(struct form *form, size_t *capacity, const char *at, size_t len)
{
    static const enum piece_kind kinds[MARK_END] = {[MARK_FROM] = PIECE_FROM,
                                                    [MARK_EXP] = PIECE_EXP,
                                                    [MARK_UUID] = PIECE_UUID,
                                                    [MARK_THUMBPRINT] = PIECE_THUMBPRINT};
    const char *end = at + len;
    while (at < end) {
        const char *plain = at;
        while (at < end && ((unsigned char)*at >= MARK_END)) {
            at++;
        }
        if (at > plain) {
            form_add(form, capacity, PIECE_TEXT, plain, (size_t)(at - plain));
        }
        if (at < end) {
            form_add(form, capacity, kinds[(unsigned char)*at], at, 1);
            at++;
        }
    }
}

static void form_compile(struct form *form, const struct form_wish *wish)
{
    static const enum piece_kind kinds[TEMPLATE_FIELDS] = {[TEMPLATE_N] = PIECE_N,
                                                           [TEMPLATE_UUID] = PIECE_UUID,
                                                           [TEMPLATE_RUN] = PIECE_RUN,
                                                           [TEMPLATE_RANDOM] = PIECE_RANDOM};
    size_t capacity = 0;
    form->text = form_text(wish);
    struct template_reader reader = template_reader(form->text);
    struct template_piece piece;
    while (template_next(&reader, &piece)) {
        if (piece.field == TEMPLATE_TEXT) {
            form_add_marked(form, &capacity, piece.text, piece.len);
        } else {
            form_add(form, &capacity, kinds[piece.field], piece.text, 0);
        }
    }
}

static bool refuse(char *error, const char *what)
{
    (void)str_copy(error, JWT_CLAIMS_ERROR, what);
    return false;
}

/* What we look for by name must be written plainly. */
static bool names_are_plain(const struct members *members, const struct json *sample, char *error)
{
    static const char *const names[] = {"iat", "nbf", "exp", "jti", "aud", "cnf", "pad"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((json_get(sample, names[i]) != NULL) != (members_find(members, names[i]) != NULL)) {
            (void)snprintf(error, JWT_CLAIMS_ERROR, "write the member %s without escapes",
                           names[i]);
            return false;
        }
    }
    return true;
}

static bool sample_is_good(const struct plan_jwt *section, const struct members *members,
                           const struct json *sample, char *error)
{
    if (!names_are_plain(members, sample, error)) {
        return false;
    }
    if (json_get(sample, "exp") != NULL && json_get_number(sample, "exp", 0) < 1) {
        return refuse(error, "exp is not a time");
    }
    if (section->claim_size > 0 && json_get(sample, "pad") != NULL) {
        return refuse(error, "has a member pad, which claim_size adds");
    }
    if (section->bind_certificate && !can_bind(sample)) {
        return refuse(error, "cnf must be an object without x5t#S256, which bind_certificate adds");
    }
    return true;
}

static struct json *sample_parse(const char *text, char *error)
{
    char why[160] = "";
    size_t len;
    struct sink *expanded = sink_new();
    template_expand(expanded, text, 1, "run");
    const char *json = sink_text(expanded, &len);
    struct json *sample = json_parse(json, len, why, sizeof why);
    if (!json_is_map(sample)) {
        (void)snprintf(error, JWT_CLAIMS_ERROR, "is not a JSON object%s%s",
                       sample == NULL ? ": " : "", why);
        json_free(sample);
        sample = NULL;
    }
    sink_free(expanded);
    return sample;
}

struct jwt_claims *jwt_claims_new(const struct plan_jwt *section, char error[JWT_CLAIMS_ERROR])
{
    const char *text = section->claims != NULL ? section->claims : "{}";
    struct json *sample = sample_parse(text, error);
    if (sample == NULL) {
        return NULL;
    }
    struct members members = {0};
    struct jwt_claims *claims = NULL;
    members_read(&members, text);
    if (sample_is_good(section, &members, sample, error)) {
        claims = xcalloc(1, sizeof *claims);
        claims->size = section->claim_size;
        claims->lifetime_s = (int64_t)(section->lifetime_ns / NS_PER_S);
        claims->lifetime_s += claims->lifetime_s == 0 ? 1 : 0;
        claims->fixed_exp_s = (int64_t)json_get_number(sample, "exp", 0);
        for (int i = 0; i < 2 * VARIANT_COUNT; i++) {
            struct form_wish wish = {&members, sample, (enum variant)(i / 2), i % 2 != 0};
            form_compile(&claims->forms[i / 2][i % 2], &wish);
        }
    }
    free(members.items);
    json_free(sample);
    return claims;
}

void jwt_claims_free(struct jwt_claims *claims)
{
    if (claims == NULL) {
        return;
    }
    for (int i = 0; i < 2 * VARIANT_COUNT; i++) {
        free(claims->forms[i / 2][i % 2].text);
        free(claims->forms[i / 2][i % 2].pieces);
    }
    free(claims);
}

int64_t jwt_claims_fixed_exp_s(const struct jwt_claims *claims)
{
    return claims->fixed_exp_s;
}

static const struct form *form_of(const struct jwt_claims *claims, const struct jwt_order *order)
{
    enum variant variant = order->bad == BAD_JWT_EXPIRED          ? VARIANT_EXPIRED
                           : order->bad == BAD_JWT_WRONG_AUDIENCE ? VARIANT_AUDIENCE
                                                                  : VARIANT_GOOD;
    bool bound = order->thumbprint != NULL || order->bad == BAD_JWT_OTHER_CERTIFICATE;
    return &claims->forms[variant][bound];
}

size_t jwt_claims_room(const struct jwt_claims *claims, const struct jwt_order *order)
{
    const struct form *form = form_of(claims, order);
    size_t room = form->room + form->n_runs * strlen(order->run_id);
    return (room > claims->size ? room : claims->size) + sizeof PAD_BEGIN + sizeof PAD_END;
}

static char *put_number(char *to, uint64_t number)
{
    char digits[NUMBER_ROOM];
    char *at = digits + sizeof digits;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    size_t len = (size_t)(digits + sizeof digits - at);
    memcpy(to, at, len);
    return to + len;
}

static char *put_thumbprint(char *to, const struct jwt_order *order)
{
    unsigned char random[THUMBPRINT];
    if (order->bad == BAD_JWT_OTHER_CERTIFICATE) {
        crypt_random(random, sizeof random);
        return to + crypt_base64url_to(to, random, sizeof random);
    }
    return to + crypt_base64url_to(to, order->thumbprint, THUMBPRINT);
}

/* Until the claims are as long as was asked for; the brace is opened again. */
static char *put_pad(char *to, size_t len, uint64_t size)
{
    const size_t around = sizeof PAD_BEGIN - 1 + sizeof PAD_END - 1;
    size_t fill = size > len + around ? size - len - around : 0;
    to--;
    memcpy(to, PAD_BEGIN, sizeof PAD_BEGIN - 1);
    to += sizeof PAD_BEGIN - 1;
    memset(to, 'x', fill);
    to += fill;
    memcpy(to, PAD_END "}", sizeof PAD_END);
    return to + sizeof PAD_END;
}

struct times {
    int64_t from_s, exp_s;
};

static char *put_piece(char *to, const struct form *form, const struct piece *piece,
                       const struct jwt_order *order, const struct times *times)
{
    size_t len;
    switch (piece->kind) {
    case PIECE_TEXT:
        memcpy(to, form->text + piece->at, piece->len);
        return to + piece->len;
    case PIECE_N:
        return put_number(to, order->n);
    case PIECE_UUID:
        template_uuid(to);
        return to + 36;
    case PIECE_RUN:
        len = strlen(order->run_id);
        memcpy(to, order->run_id, len);
        return to + len;
    case PIECE_RANDOM:
        template_random(to);
        return to + 32;
    case PIECE_FROM:
        return put_number(to, (uint64_t)times->from_s);
    case PIECE_EXP:
        return put_number(to, (uint64_t)times->exp_s);
    case PIECE_THUMBPRINT:
        return put_thumbprint(to, order);
    }
    return to;
}

size_t jwt_claims_write(const struct jwt_claims *claims, const struct jwt_order *order, char *to,
                        int64_t *ret_exp_s)
{
    const struct form *form = form_of(claims, order);
    struct times times = {order->now_s, order->now_s + claims->lifetime_s};
    if (order->bad == BAD_JWT_EXPIRED) {
        times.exp_s = order->now_s > EXPIRED_FOR_S ? order->now_s - EXPIRED_FOR_S : 0;
        times.from_s = times.exp_s > claims->lifetime_s ? times.exp_s - claims->lifetime_s : 0;
    }
    char *at = to;
    for (size_t i = 0; i < form->n_pieces; i++) {
        at = put_piece(at, form, &form->pieces[i], order, &times);
    }
    if ((size_t)(at - to) < claims->size) {
        at = put_pad(at, (size_t)(at - to), claims->size);
    }
    bool fixed = claims->fixed_exp_s != 0 && order->bad != BAD_JWT_EXPIRED;
    *ret_exp_s = fixed ? claims->fixed_exp_s : times.exp_s;
    return (size_t)(at - to);
}

bool jwt_claims_is_distinct(const struct jwt_claims *claims)
{
    struct jwt_order one = {.n = 1, .run_id = "run", .now_s = 1}, two = one;
    int64_t unused_s;
    two.n = 2;
    CLEANUP_FREE char *first = xmalloc(jwt_claims_room(claims, &one));
    CLEANUP_FREE char *second = xmalloc(jwt_claims_room(claims, &two));
    size_t first_len = jwt_claims_write(claims, &one, first, &unused_s);
    return first_len != jwt_claims_write(claims, &two, second, &unused_s) ||
           memcmp(first, second, first_len) != 0;
}
