#include "ident/credential.h"

#include "ident/cert_parts.h"
#include "ident/crypt.h"

#include "base/bug.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Of several workers' copies of one credential: together they are new once. */
struct first_use {
    atomic_uint refs; /* copies */
    atomic_bool seen;
};

/* A credential as it is allocated; the rest of the tool sees the front. */
struct holder {
    struct credential front;
    enum credential_kind kind;
    int64_t renew_at_s; /* from then on it is stale; 0: never */
    int64_t dead_at_s;  /* from then on it must not be given; 0: never */
    uint64_t n_uses;
    struct first_use *first; /* NULL: not shared, front.used alone tells */
};

static const struct holder *holder_of(const struct credential *credential)
{
    return (const struct holder *)credential;
}

struct credential *credential_new(enum credential_kind kind, uint64_t n)
{
    struct holder *holder = xcalloc(1, sizeof *holder);
    holder->kind = kind;
    holder->front.n = n;
    holder->front.refs = 1;
    return &holder->front;
}

void credential_set_end(struct credential *credential, int64_t not_after_s)
{
    credential->not_after_s = not_after_s;
}

void credential_set_life(struct credential *credential, int64_t not_after_s, int64_t now_s,
                         int64_t renew_before_s)
{
    struct holder *holder = (struct holder *)credential;
    int64_t life_s = not_after_s - now_s;
    int64_t before_s = renew_before_s < life_s / 2 ? renew_before_s : life_s / 2;
    credential->not_after_s = not_after_s;
    holder->renew_at_s = not_after_s != 0 ? not_after_s - before_s : 0;
    holder->dead_at_s = not_after_s;
}

static void take_earlier(int64_t *at_s, int64_t other_s)
{
    if (other_s != 0 && (*at_s == 0 || other_s < *at_s)) {
        *at_s = other_s;
    }
}

void credential_add_part(struct credential *persona, struct credential *part)
{
    struct holder *holder = (struct holder *)persona;
    const struct holder *added = holder_of(part);
    BUG_ON(holder->kind != CREDENTIAL_PERSONA || persona->part[added->kind] != NULL);
    persona->part[added->kind] = part;
    take_earlier(&persona->not_after_s, part->not_after_s);
    take_earlier(&holder->renew_at_s, added->renew_at_s);
    take_earlier(&holder->dead_at_s, added->dead_at_s);
}

void credential_complete(struct credential *credential, struct credential *old)
{
    ((struct holder *)credential)->n_uses = holder_of(old)->n_uses;
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        if (credential->part[kind] == NULL && old->part[kind] != NULL) {
            old->part[kind]->refs++;
            credential_add_part(credential, old->part[kind]);
        }
    }
}

/* Of one that is no persona. */
static struct credential *share_part(struct credential *credential)
{
    struct holder *original = (struct holder *)credential;
    struct credential *copy = credential_new(original->kind, credential->n);
    struct holder *holder = (struct holder *)copy;
    if (original->first == NULL) {
        original->first = xcalloc(1, sizeof *original->first);
        atomic_store(&original->first->refs, 1);
    }
    atomic_fetch_add(&original->first->refs, 1);
    holder->first = original->first;
    holder->renew_at_s = original->renew_at_s;
    holder->dead_at_s = original->dead_at_s;
    copy->not_after_s = credential->not_after_s;
    copy->cert = credential->cert != NULL ? cert_copy(credential->cert) : NULL;
    if (credential->text != NULL) {
        copy->text = xstrndup(credential->text, credential->text_len);
        copy->text_len = credential->text_len;
    }
    return copy;
}

struct credential *credential_share(struct credential *credential)
{
    if (holder_of(credential)->kind != CREDENTIAL_PERSONA) {
        return share_part(credential);
    }
    struct credential *copy = credential_new(CREDENTIAL_PERSONA, credential->n);
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        if (credential->part[kind] != NULL) {
            credential_add_part(copy, share_part(credential->part[kind]));
        }
    }
    return copy;
}

void credential_release(struct credential *credential)
{
    if (credential == NULL) {
        return;
    }
    BUG_ON(credential->refs == 0);
    if (--credential->refs > 0) {
        return;
    }
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        credential_release(credential->part[kind]);
    }
    cert_free(credential->cert);
    crypt_wipe(credential->text, credential->text_len);
    free(credential->text);
    struct first_use *first = holder_of(credential)->first;
    if (first != NULL && atomic_fetch_sub(&first->refs, 1) == 1) {
        free(first);
    }
    free((struct holder *)credential);
}

bool credential_is_stale(const struct credential *credential, int64_t now_s)
{
    int64_t renew_at_s = holder_of(credential)->renew_at_s;
    return renew_at_s != 0 && renew_at_s <= now_s;
}

bool credential_is_dead(const struct credential *credential, int64_t now_s)
{
    int64_t dead_at_s = holder_of(credential)->dead_at_s;
    return dead_at_s != 0 && dead_at_s <= now_s;
}

uint64_t *credential_uses(struct credential *credential)
{
    return &((struct holder *)credential)->n_uses;
}

bool credential_claim(struct credential *part)
{
    const struct holder *holder = holder_of(part);
    if (part->used) {
        return false;
    }
    part->used = true;
    return holder->first == NULL ||
           !atomic_exchange_explicit(&holder->first->seen, true, memory_order_relaxed);
}

void credential_unclaim(struct credential *credential)
{
    const struct holder *holder = holder_of(credential);
    credential->used = false;
    if (holder->first != NULL) {
        atomic_store_explicit(&holder->first->seen, false, memory_order_relaxed);
    }
}
