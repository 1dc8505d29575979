#include "demo/secret.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "ident/crypt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_MAX (1u << 20)

char *secret_read(const char *option, const char *path, struct diag *diag)
{
    size_t len;
    char *text = file_read(path, SECRET_MAX, &len);
    if (text == NULL) {
        diag_add(diag, (struct origin){option, 0}, "cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    char *copy = xstrdup(str_trim(text));
    crypt_wipe(text, len);
    free(text);
    if (copy[0] == '\0') {
        diag_add(diag, (struct origin){option, 0}, "%s is empty", path);
        free(copy);
        return NULL;
    }
    return copy;
}

void secret_free(char *secret)
{
    if (secret != NULL) {
        crypt_wipe(secret, strlen(secret));
        free(secret);
    }
}
