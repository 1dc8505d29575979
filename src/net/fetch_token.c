#include "net/fetch_token.h"

#include "base/mem.h"
#include "base/str.h"
#include "ident/crypt.h"
#include "net/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct endpoint {
    const struct plan_target *target; /* borrows from the plan */
    struct fetch *fetch;
};

static void *endpoint_open(const struct plan *plan, const struct plan_jwt *section,
                           struct diag *diag)
{
    struct fetch *fetch = fetch_new(plan, &section->token_target, diag);
    struct endpoint *endpoint;

    if (fetch == NULL) {
        return NULL;
    }
    endpoint = xcalloc(1, sizeof *endpoint);
    endpoint->target = &section->token_target;
    endpoint->fetch = fetch;
    return endpoint;
}

static char *head_of(const struct plan_target *target, size_t form_len)
{
    return xasprintf("POST %s HTTP/1.1\r\n"
                     "Host: %s\r\n"
                     "User-Agent: tlsoak/%s\r\n"
                     "Accept: application/json\r\n"
                     "Content-Type: application/x-www-form-urlencoded\r\n"
                     "Content-Length: %zu\r\n"
                     "Connection: close\r\n\r\n",
                     target->url_path, target->host_header, TLSOAK_VERSION, form_len);
}

/* Bodies of errors may repeat what was sent, so they stay out of it. */
static void say_why(const struct fetch_answer *answer, char error[TOKEN_ERROR])
{
    if (answer->outcome == OUTCOME_OK) {
        (void)snprintf(error, TOKEN_ERROR, "status %d", answer->status);
    } else {
        (void)str_copy(error, TOKEN_ERROR, outcome_info(answer->outcome)->text);
    }
}

static bool endpoint_fetch(void *state, const struct cert *cert, const char *form, size_t form_len,
                           char **ret_body, char error[TOKEN_ERROR])
{
    struct endpoint *endpoint = state;
    CLEANUP_FREE char *head = head_of(endpoint->target, form_len);
    struct fetch_answer answer;

    fetch_perform(endpoint->fetch, cert, head, strlen(head), form, form_len, &answer);
    if (answer.outcome != OUTCOME_OK || answer.status != 200) {
        say_why(&answer, error);
        crypt_wipe(answer.body, answer.body_len);
        free(answer.body);
        return false;
    }
    *ret_body = answer.body;
    return true;
}

static void endpoint_close(void *state)
{
    struct endpoint *endpoint = state;

    if (endpoint != NULL) {
        fetch_free(endpoint->fetch);
        free(endpoint);
    }
}

const struct token_fetcher *fetch_token(void)
{
    static const struct token_fetcher fetcher = {
        .open = endpoint_open, .fetch = endpoint_fetch, .close = endpoint_close};

    return &fetcher;
}
