#include "net/conn_deadline.h"

#include "base/bug.h"
#include "base/mono.h"

/* The timer fires a little late rather than a little early, when it would only have to be set
 * again. */
#define SLACK_S 0.0005

static const struct conn_deadline_info kinds[CONN_DEADLINE_COUNT] = {
    [CONN_DEADLINE_CONNECT] = {"connect", OUTCOME_TIMEOUT_CONNECT},
    [CONN_DEADLINE_HANDSHAKE] = {"handshake", OUTCOME_TIMEOUT_HANDSHAKE},
    [CONN_DEADLINE_FIRST_BYTE] = {"first_byte", OUTCOME_TIMEOUT_FIRST_BYTE},
    [CONN_DEADLINE_EXCHANGE] = {"exchange", OUTCOME_TIMEOUT_EXCHANGE},
    [CONN_DEADLINE_PING] = {"ping", OUTCOME_H2_PING_TIMEOUT},
};

const struct conn_deadline_info *conn_deadline_info(enum conn_deadline kind)
{
    BUG_ON((unsigned)kind >= CONN_DEADLINE_COUNT);
    return &kinds[kind];
}

static void set_timer(struct conn_env *env, struct conn_deadline_list *list, uint64_t remaining_ns)
{
    ev_timer_stop(env->loop, &list->timer);
    ev_timer_set(&list->timer, (double)remaining_ns / (double)NS_PER_S + SLACK_S, 0.);
    ev_timer_start(env->loop, &list->timer);
}

/* A timer is never moved when its first link is disarmed: it fires early, finds that, and is set
 * for the next one.  So arming and disarming cost a few pointers. */
static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct conn_env *env = timer->data;
    enum conn_deadline kind = CONN_DEADLINE_CONNECT;
    struct conn_deadline_list *list;
    uint64_t now_ns = mono_now_ns(); /* ev_now is as old as the loop turn */

    (void)loop;
    (void)revents;
    while (timer != &env->deadline[kind].timer) {
        kind++;
        BUG_ON(kind == CONN_DEADLINE_COUNT);
    }
    list = &env->deadline[kind];
    while (list->first != NULL && list->first->expires_ns <= now_ns) {
        struct conn_link *link = list->first;

        conn_deadline_disarm(env, link);
        conn_expire(link, kind);
    }
    if (list->first != NULL) {
        set_timer(env, list, list->first->expires_ns - now_ns);
    }
}

void conn_deadline_init(struct conn_env *env)
{
    const struct plan_target *target = env->target;

    env->deadline[CONN_DEADLINE_CONNECT].length_ns = target->timeout_connect_ns;
    env->deadline[CONN_DEADLINE_HANDSHAKE].length_ns = target->timeout_handshake_ns;
    env->deadline[CONN_DEADLINE_FIRST_BYTE].length_ns = target->timeout_first_byte_ns;
    env->deadline[CONN_DEADLINE_EXCHANGE].length_ns = target->timeout_exchange_ns;
    env->deadline[CONN_DEADLINE_PING].length_ns = target->timeout_ping_ns;
    for (size_t i = 0; i < CONN_DEADLINE_COUNT; i++) {
        ev_init(&env->deadline[i].timer, on_timer);
        env->deadline[i].timer.data = env;
    }
}

void conn_deadline_stop(struct conn_env *env)
{
    for (size_t i = 0; i < CONN_DEADLINE_COUNT; i++) {
        BUG_ON(env->deadline[i].first != NULL);
        ev_timer_stop(env->loop, &env->deadline[i].timer);
    }
}

void conn_deadline_arm(struct conn_env *env, struct conn_link *link, enum conn_deadline kind,
                       uint64_t from_ns)
{
    struct conn_deadline_list *list = &env->deadline[kind];

    if (list->length_ns == 0) {
        return;
    }
    BUG_ON(link->armed != CONN_DEADLINE_NONE);
    link->armed = kind;
    link->expires_ns = from_ns + list->length_ns;
    link->next = NULL;
    link->prev = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = link;
    list->last = link;
    if (!ev_is_active(&list->timer)) {
        set_timer(env, list, list->length_ns);
    }
}

void conn_deadline_disarm(struct conn_env *env, struct conn_link *link)
{
    struct conn_deadline_list *list;

    if (link->armed == CONN_DEADLINE_NONE) {
        return;
    }
    list = &env->deadline[link->armed];
    *(link->prev != NULL ? &link->prev->next : &list->first) = link->next;
    *(link->next != NULL ? &link->next->prev : &list->last) = link->prev;
    *link = (struct conn_link){.armed = CONN_DEADLINE_NONE};
}
