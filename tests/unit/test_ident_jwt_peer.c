/* Every token before another implementation (Debian's python3-jwt): the good are accepted, also by
 * the key set of a run whose keys rotated, and each kind of bad one is refused for its own
 * reason. */
#include "ident/crypt.h"

#include "base/file.h"
#include "base/sink.h"

#include <inttypes.h>
#include <spawn.h>
#include <sys/wait.h>

#include "jwt_kit.h"

#include <cmocka.h>

extern char **environ;

static const struct {
    enum bad_jwt bad;
    const char *name;
} kinds[] = {{BAD_JWT_NOT, "good"},
             {BAD_JWT_EXPIRED, "expired"},
             {BAD_JWT_WRONG_SIGNATURE, "wrong-signature"},
             {BAD_JWT_ALG_NONE, "alg-none"},
             {BAD_JWT_WRONG_AUDIENCE, "wrong-audience"},
             {BAD_JWT_HS256_PUBLIC_KEY, "hs256-public-key"},
             {BAD_JWT_OTHER_CERTIFICATE, "other-certificate"}};

static const unsigned char thumbprint[32] = {1, 2, 3, 250, 251};

static void put(const struct kit *kit, const char *name, const char *text)
{
    CLEANUP_FREE char *path = kit_path(kit, name);
    assert_true(file_write(path, text, strlen(text), 0600));
}

/* Lines "ALG KIND TOKEN" for the peer. */
static void put_tokens(struct sink *lines, const char *alg, const struct jwt_signer *signer)
{
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (uint64_t n = 1; n <= 5; n++) {
            struct jwt_order order = {.n = n,
                                      .run_id = "run",
                                      .now_s = (int64_t)mono_wall_s(),
                                      .thumbprint = thumbprint,
                                      .bad = kinds[k].bad};
            size_t len;
            int64_t exp_s;
            CLEANUP_FREE char *token = jwt_mint(signer, &order, &len, &exp_s);
            if (token != NULL) {
                sink_printf(lines, "%s %s %s\n", alg, kinds[k].name, token);
            }
        }
    }
}

static void run_peer(const struct kit *kit)
{
    char script[] = TEST_SOURCE "/tests/unit/jwt_peer.py", program[] = "/usr/bin/python3";
    CLEANUP_FREE char *dir = xstrdup(kit->dir);
    char *arguments[] = {program, script, dir, NULL};
    pid_t pid;
    int status;
    assert_int_equal(posix_spawn(&pid, program, NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void put_thumbprint(const struct kit *kit)
{
    char text[CRYPT_BASE64(32) + 1];
    text[crypt_base64url_to(text, thumbprint, sizeof thumbprint)] = '\0';
    put(kit, "thumbprint", text);
}

static void another_implementation_agrees(void **state)
{
    struct kit *kit = *state;
    struct sink *lines = sink_new();
    char claims[] = "{\"sub\":\"user-{n}\",\"aud\":[\"api\"],\"text\":\"\\u00e9\"}";
    char jose[] = "{\"cty\":\"x\"}";
    for (size_t i = 0; i < JWT_ALGS; i++) {
        struct jwt_kit one;
        struct plan_jwt more = {.claims = claims, .jose = jose, .claim_size = 500 * i};
        struct sink *public = sink_new();
        jwt_kit_open(&one, i, &more);
        put_tokens(lines, jwt_algs[i].name, one.signer);
        if (one.pair != NULL) {
            pem_write_public(public, one.pair);
        } else {
            sink_printf(public, "%s", one.key);
        }
        put(kit, jwt_algs[i].name, sink_text(public, NULL));
        sink_free(public);
        jwt_kit_close(&one);
    }
    put(kit, "tokens", sink_text(lines, NULL));
    sink_free(lines);
    put_thumbprint(kit);
    run_peer(kit);
}

static void another_implementation_reads_the_key_set(void **state)
{
    struct kit *kit = *state;
    struct sink *lines = sink_new();
    char claims[] = "{\"sub\":\"user-{n}\",\"aud\":\"api\"}";
    for (size_t i = JWT_HMACS; i < JWT_ALGS; i++) {
        CLEANUP_FREE char *name = xasprintf("%s.jwks", jwt_algs[i].name);
        CLEANUP_FREE char *path = kit_path(kit, name);
        struct plan_jwt section = kit_jwt(2, PICK_SEQUENTIAL, 600);
        char error[256];
        uint64_t number;
        section.alg = jwt_algs[i].alg;
        section.key = NULL;
        section.claims = claims;
        section.jwks = path;
        section.key_rotate_ns = 100 * NS_PER_S;
        struct jwt_signer *signer = jwt_kit_signer(&section);
        for (int turn = 0; turn < 3; turn++) {
            assert_true(jwt_signer_turn(signer, JWT_NOW + 100 * turn, &number, error));
            assert_int_equal(number, 1 + turn);
            put_tokens(lines, jwt_algs[i].name, signer);
        }
        jwt_signer_free(signer);
    }
    put(kit, "tokens", sink_text(lines, NULL));
    sink_free(lines);
    put_thumbprint(kit);
    run_peer(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_implementation_agrees, kit_set_up, kit_tear_down),
        cmocka_unit_test_setup_teardown(another_implementation_reads_the_key_set, kit_set_up,
                                        kit_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
