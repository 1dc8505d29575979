#include "net/raw.h"

#include "base/bug.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* border[i]: length of the longest proper prefix of the first i + 1 bytes that ends them, too. */
static uint32_t *make_borders(const char *bytes, size_t len)
{
    uint32_t *border = xcalloc(len, sizeof *border);

    for (size_t i = 1, n = 0; i < len; i++) {
        while (n > 0 && bytes[i] != bytes[n]) {
            n = border[n - 1];
        }
        n += bytes[i] == bytes[n];
        border[i] = (uint32_t)n;
    }
    return border;
}

void raw_reply_init(struct raw_reply *reply, enum raw_kind kind, const char *bytes, uint64_t len)
{
    BUG_ON(kind != RAW_NOTHING && len == 0);
    *reply = (struct raw_reply){.kind = kind, .bytes = bytes, .len = len};
    if (kind == RAW_UNTIL) {
        reply->border = make_borders(bytes, len);
    }
}

void raw_reply_clear(struct raw_reply *reply)
{
    free(reply->border);
    *reply = (struct raw_reply){.kind = RAW_NOTHING};
}

void raw_begin(struct raw *raw, const struct raw_reply *reply)
{
    raw->reply = reply;
    raw->n_bytes = 0;
    raw->n_matched = 0;
    raw->outcome = OUTCOME_OK;
}

static enum raw_status failed(struct raw *raw, enum outcome outcome)
{
    raw->outcome = outcome;
    return RAW_FAILED;
}

/* RAW_EXACT and RAW_LENGTH. */
static enum raw_status feed_known(struct raw *raw, const char *data, size_t len, size_t *ret_used)
{
    const struct raw_reply *reply = raw->reply;
    uint64_t left = reply->len - raw->n_bytes;
    size_t n = len < left ? len : (size_t)left;

    for (size_t i = 0; reply->kind == RAW_EXACT && i < n; i++) {
        if (data[i] != reply->bytes[raw->n_bytes + i]) {
            raw->n_bytes += i;
            return failed(raw, OUTCOME_REPLY_MISMATCH);
        }
    }
    raw->n_bytes += n;
    *ret_used = n;
    return n == left ? RAW_DONE : RAW_MORE;
}

static enum raw_status feed_until(struct raw *raw, const char *data, size_t len, size_t *ret_used)
{
    const struct raw_reply *reply = raw->reply;
    size_t n = raw->n_matched;

    for (size_t i = 0; i < len; i++) {
        while (n > 0 && data[i] != reply->bytes[n]) {
            n = reply->border[n - 1];
        }
        n += data[i] == reply->bytes[n];
        raw->n_bytes++;
        if (n == reply->len) {
            *ret_used = i + 1;
            return RAW_DONE;
        }
        if (raw->n_bytes == RAW_REPLY_MAX) {
            return failed(raw, OUTCOME_REPLY_LIMIT);
        }
    }
    raw->n_matched = n;
    *ret_used = len;
    return RAW_MORE;
}

enum raw_status raw_feed(struct raw *raw, const char *data, size_t len, size_t *ret_used)
{
    BUG_ON(raw->reply->kind == RAW_NOTHING);
    return raw->reply->kind == RAW_UNTIL ? feed_until(raw, data, len, ret_used)
                                         : feed_known(raw, data, len, ret_used);
}

bool raw_greet(struct raw *raw, const char *data, size_t len)
{
    if (len > RAW_GREETING_MAX - raw->greeting_len) {
        return false;
    }
    if (raw->greeting == NULL) {
        raw->greeting = xmalloc(RAW_GREETING_MAX);
    }
    memcpy(raw->greeting + raw->greeting_len, data, len);
    raw->greeting_len += len;
    return true;
}

void raw_forget_greeting(struct raw *raw)
{
    free(raw->greeting);
    raw->greeting = NULL;
    raw->greeting_len = 0;
}
