#include "ident/source_files.h"

#include "ident/cert.h"
#include "ident/crypt.h"
#include "ident/jwt_parts.h"
#include "ident/mint_events.h"
#include "ident/source_inside.h"

#include "base/bug.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/str.h"

#include <openssl/pool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_FILES  1000 /* in one look */
#define LOOK_NS     (5 * NS_PER_MS)
#define ROUND_NS    NS_PER_S /* in which each file is looked at once */
#define PAUSE_MIN   (100 * NS_PER_MS)
#define TRIES_MAX   3 /* looks that a file gets to become whole */
#define EXPIRED_MAX 5 /* named one by one at a time */

/* What stat(2) tells a file by. */
struct stamp {
    struct timespec changed;
    off_t size;
    ino_t inode;
};

struct watched {
    struct stamp cert, key;
    unsigned tries; /* failed readings of what is there now */
};

struct source_files {
    struct source *source;
    struct events *events;
    char *name;
    struct cert_file text; /* of keys and tokens: the one file */
    const struct cert_file *files;
    struct watched *watched;
    size_t n_files;
    size_t at;     /* the next to look at */
    int64_t *ends; /* when each credential does; 0: never */
    size_t n;
    int64_t told_s; /* expiries up to then were told */
    uint64_t *changed;
    size_t n_changed, n_done, capacity;
};

static struct stamp stamp_of(const char *path)
{
    struct stat status;
    if (path == NULL || stat(path, &status) != 0) {
        return (struct stamp){.size = -1};
    }
    return (struct stamp){status.st_mtim, status.st_size, status.st_ino};
}

static bool is_same(const struct stamp *a, const struct stamp *b)
{
    return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
           a->size == b->size && a->inode == b->inode;
}

static int64_t end_of(const struct source *source, size_t i)
{
    if (source->kind == CREDENTIAL_CERT) {
        return source->list.certs[i]->not_after_s;
    }
    const char *text = source->texts.texts[i];
    return source->kind == CREDENTIAL_JWT ? jwt_expiry_s(text, strlen(text)) : 0;
}

struct source_files *source_files_new(struct source *source, struct events *events)
{
    if (!source_is_loaded(source)) {
        return NULL;
    }
    struct source_files *files = xcalloc(1, sizeof *files);
    files->source = source;
    files->events = events;
    files->name = source_name(source);
    files->n = source->count;
    files->told_s = source->loaded_s;
    files->files = source->list.files;
    files->n_files = source->list.n_files;
    if (source->kind != CREDENTIAL_CERT) {
        files->text.path =
            source->kind == CREDENTIAL_JWT ? source->jwt->path : source->apikey->path;
        files->text.n = files->n;
        files->files = &files->text;
        files->n_files = 1;
    }
    files->ends = xcalloc(files->n, sizeof *files->ends);
    for (size_t i = 0; i < files->n; i++) {
        files->ends[i] = end_of(source, i);
    }
    files->watched = xcalloc(files->n_files, sizeof *files->watched);
    for (size_t i = 0; i < files->n_files; i++) {
        struct watched *watched = &files->watched[i];
        watched->cert = stamp_of(files->files[i].path);
        watched->key = stamp_of(files->files[i].key_path);
        if (watched->cert.changed.tv_sec >= source->loaded_s ||
            watched->key.changed.tv_sec >= source->loaded_s) {
            watched->tries = 1; /* it may have changed since it was read */
        }
    }
    return files;
}

void source_files_free(struct source_files *files)
{
    if (files != NULL) {
        free(files->name);
        free(files->ends);
        free(files->watched);
        free(files->changed);
        free(files);
    }
}

static void note_changed(struct source_files *files, size_t i)
{
    files->ends[i] = end_of(files->source, i);
    ARRAY_RESERVE(files->changed, files->n_changed, files->capacity);
    files->changed[files->n_changed++] = i + 1;
}

static bool is_same_chain(const struct cert *a, const struct cert *b)
{
    bool same = a->n_chain == b->n_chain;
    for (size_t i = 0; same && i < a->n_chain; i++) {
        size_t len = CRYPTO_BUFFER_len(a->chain[i]);
        same = len == CRYPTO_BUFFER_len(b->chain[i]) &&
               memcmp(CRYPTO_BUFFER_data(a->chain[i]), CRYPTO_BUFFER_data(b->chain[i]), len) == 0;
    }
    return same;
}

static bool reload_certs(struct source_files *files, const struct cert_file *file,
                         char error[SOURCE_ERROR])
{
    struct source *source = files->source;
    char why[DER_ERROR] = "";
    struct cert **certs = cert_file_reload(file, source->cert, why);
    if (certs == NULL) {
        (void)str_copy(error, SOURCE_ERROR, why);
        return false;
    }
    for (size_t i = 0; i < file->n; i++) {
        struct cert **place = &source->list.certs[file->first + i];
        if (is_same_chain(*place, certs[i])) {
            cert_free(certs[i]);
            continue;
        }
        BUG_ON(pthread_mutex_lock(&source->lock) != 0);
        struct cert *old = *place;
        *place = certs[i];
        BUG_ON(pthread_mutex_unlock(&source->lock) != 0);
        cert_free(old);
        note_changed(files, file->first + i);
    }
    free(certs);
    return true;
}

static bool reload_texts(struct source_files *files, char error[SOURCE_ERROR])
{
    struct source *source = files->source;
    bool tokens = source->kind == CREDENTIAL_JWT;
    struct text_list list;
    if (!text_list_load(&list, files->text.path, tokens ? "token" : "key",
                        tokens ? JWT_TOKEN_MAX : APIKEY_MAX, error)) {
        return false;
    }
    if (list.n < files->n) {
        (void)snprintf(error, SOURCE_ERROR, "%s holds %zu %s and not %zu, as before",
                       files->text.path, list.n, tokens ? "tokens" : "keys", files->n);
        text_list_free(&list);
        return false;
    }
    for (size_t i = 0; i < files->n; i++) {
        char **place = &source->texts.texts[i];
        if (str_equal(*place, list.texts[i])) {
            continue;
        }
        BUG_ON(pthread_mutex_lock(&source->lock) != 0);
        char *old = *place;
        *place = list.texts[i];
        BUG_ON(pthread_mutex_unlock(&source->lock) != 0);
        list.texts[i] = old;
        note_changed(files, i);
    }
    text_list_free(&list);
    return true;
}

/* A reading counts when the file stayed the same meanwhile. */
static void look_at(struct source_files *files, size_t i)
{
    const struct cert_file *file = &files->files[i];
    struct watched *watched = &files->watched[i];
    struct stamp cert = stamp_of(file->path), key = stamp_of(file->key_path);
    char error[SOURCE_ERROR] = "";
    bool same = is_same(&cert, &watched->cert) && is_same(&key, &watched->key);
    if (same && watched->tries == 0) {
        return;
    }
    watched->tries = same ? watched->tries : 0;
    watched->cert = cert;
    watched->key = key;
    size_t before = files->n_changed;
    bool read = files->source->kind == CREDENTIAL_CERT ? reload_certs(files, file, error)
                                                       : reload_texts(files, error);
    size_t n = files->n_changed - before;
    if (read && n > 0) {
        events_add(files->events, EVENT_FILE_READ, "%s: %s changed; %zu of it %s new", files->name,
                   file->path, n, n == 1 ? "is" : "are");
    }
    watched->tries = read ? 0 : watched->tries + 1;
    if (watched->tries == TRIES_MAX) {
        watched->tries = 0;
        events_add(files->events, EVENT_FILE_KEPT, "%s: %s; what was read before is kept",
                   files->name, error);
    }
    struct stamp cert_now = stamp_of(file->path), key_now = stamp_of(file->key_path);
    if (!is_same(&cert_now, &cert) || !is_same(&key_now, &key)) {
        watched->tries = 1;
    }
}

/* Of what file a credential is. */
static const char *path_of(const struct source_files *files, size_t place)
{
    size_t i = 0;
    while (i + 1 < files->n_files && files->files[i + 1].first <= place) {
        i++;
    }
    return files->files[i].path;
}

static void tell_expired(struct source_files *files, int64_t now_s)
{
    const char *noun = files->source->kind == CREDENTIAL_CERT ? "certificate" : "token";
    size_t n = 0;
    for (size_t i = 0; files->told_s < now_s && i < files->n; i++) {
        if (files->ends[i] == 0 || files->ends[i] > now_s || files->ends[i] <= files->told_s) {
            continue;
        }
        n++;
        if (n <= EXPIRED_MAX) {
            events_add(files->events, EVENT_EXPIRED,
                       "%s: %s %zu of %s has expired; it is presented all the same", files->name,
                       noun, i + 1, path_of(files, i));
        }
    }
    if (n > EXPIRED_MAX) {
        events_add(files->events, EVENT_EXPIRED, "%s: and %zu more %ss have expired", files->name,
                   n - EXPIRED_MAX, noun);
    }
    files->told_s = now_s;
}

uint64_t source_files_look(struct source_files *files, int64_t now_s)
{
    uint64_t start_ns = mono_now_ns();
    size_t n = 0, most = files->n_files < LOOK_FILES ? files->n_files : LOOK_FILES;
    tell_expired(files, now_s);
    while (n < most && (n == 0 || mono_now_ns() - start_ns < LOOK_NS)) {
        look_at(files, files->at);
        files->at = (files->at + 1) % files->n_files;
        n++;
    }
    uint64_t pause_ns = (uint64_t)((double)ROUND_NS * (double)n / (double)files->n_files);
    return pause_ns < PAUSE_MIN ? PAUSE_MIN : pause_ns;
}

size_t source_files_changed(const struct source_files *files, const uint64_t **ret_numbers)
{
    *ret_numbers = files->changed + files->n_done;
    return files->n_changed - files->n_done;
}

void source_files_done(struct source_files *files, size_t n)
{
    files->n_done += n;
    if (files->n_done == files->n_changed) {
        files->n_done = 0;
        files->n_changed = 0;
    }
}
