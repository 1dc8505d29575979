/* Secrets and keys that the server reads from files, blanks around them left out. */
#ifndef DEMO_SECRET_H
#define DEMO_SECRET_H

#include "base/diag.h"

/* The file's text; NULL with a mistake of that option when it cannot be read or is empty. */
char *secret_read(const char *option, const char *path, struct diag *diag)
    __attribute__((warn_unused_result));
/* Wipes and frees; NULL is fine. */
void secret_free(char *secret);

#endif
