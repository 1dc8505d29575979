#include "ident/mint_inside.h"

#include "base/bug.h"
#include "base/mono.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define IDLE_NS NS_PER_S
#define TURN_NS (NS_PER_S / 4) /* key turns and lives count in seconds */

static void take_earlier(uint64_t *until_ns, uint64_t at_ns)
{
    *until_ns = at_ns < *until_ns ? at_ns : *until_ns;
}

static void look_at_files(struct stock *stock, uint64_t now_ns, uint64_t *until_ns)
{
    for (int kind = 0; kind < CREDENTIAL_PARTS; kind++) {
        if (stock->files[kind] == NULL) {
            continue;
        }
        if (now_ns >= stock->look_ns[kind]) {
            stock->look_ns[kind] =
                mono_now_ns() + source_files_look(stock->files[kind], (int64_t)mono_wall_s());
        }
        take_earlier(until_ns, stock->look_ns[kind]);
    }
}

/* Only signing stocks have keys to turn. */
static void turn_keys(const struct hand *hand)
{
    char error[SOURCE_ERROR];
    for (size_t i = 0; i < hand->n_stocks; i++) {
        const struct persona_maker *maker = &hand->stocks[i]->maker;
        struct source *token = maker->refuse == NULL ? maker->part[CREDENTIAL_JWT] : NULL;
        if (token != NULL && !source_turn(token, (int64_t)mono_wall_s(), error)) {
            events_add(hand->mint->events, EVENT_KEYS, "signing keys do not turn: %s", error);
        }
    }
}

/* What the clock asks for; returns when it does next. */
static uint64_t do_chores(struct hand *hand)
{
    uint64_t now_ns = mono_now_ns(), until_ns = now_ns + IDLE_NS;
    if (now_ns >= hand->turn_ns) {
        turn_keys(hand);
        hand->turn_ns = mono_now_ns() + TURN_NS;
    }
    take_earlier(&until_ns, hand->turn_ns);
    for (size_t i = 0; i < hand->n_stocks; i++) {
        struct stock *stock = hand->stocks[i];
        look_at_files(stock, now_ns, &until_ns);
        if (stock->retry_ns > now_ns) {
            take_earlier(&until_ns, stock->retry_ns);
        }
    }
    return until_ns;
}

static bool serve_all(const struct hand *hand)
{
    bool worked = false;
    for (size_t i = 0; i < hand->n_stocks && !atomic_load(&hand->mint->stop); i++) {
        worked = stock_serve(hand->mint, hand->stocks[i]) || worked;
    }
    return worked;
}

static void sleep_until(const struct hand *hand, uint64_t until_ns)
{
    struct pollfd wake = {.fd = hand->wake_fd, .events = POLLIN};
    uint64_t now_ns = mono_now_ns(), unused;
    uint64_t left_ms = until_ns > now_ns ? (until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
    (void)poll(&wake, 1, (int)left_ms);
    BUG_ON(read(hand->wake_fd, &unused, sizeof unused) < 0 && errno != EAGAIN && errno != EINTR);
}

void *hand_main(void *argument)
{
    static const char *const names[HANDS] = {"tlsoak-mint", "tlsoak-fetch"};
    struct hand *hand = argument;
    (void)pthread_setname_np(pthread_self(), names[hand->kind]);
    while (!atomic_load(&hand->mint->stop)) {
        uint64_t until_ns = do_chores(hand);
        if (!serve_all(hand)) {
            sleep_until(hand, until_ns);
        }
    }
    hand->cpu_ns = mono_thread_cpu_ns();
    return NULL;
}
