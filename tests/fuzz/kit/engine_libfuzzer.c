/* With libFuzzer.  `--words` and `--about` as the only argument print the target's, for
 * campaign.py. */
#include "engine.h"
#include "fuzz.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

void engine_failed(const char *what)
{
    fprintf(stderr, "fuzz_%s: %s\n", fuzz_target.name, what);
    abort();
}

/* A line of a dictionary of libFuzzer's. */
static void print_word(const char *word)
{
    putchar('"');
    for (; *word != '\0'; word++) {
        unsigned char c = (unsigned char)*word;
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            printf("\\x%02X", c);
        } else {
            putchar(c);
        }
    }
    printf("\"\n");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *asked = *argc == 2 ? (*argv)[1] : "";
    if (str_equal(asked, "--about")) {
        printf("%s\n", fuzz_target.about);
        exit(0);
    }
    if (str_equal(asked, "--words")) {
        for (size_t i = 0; fuzz_target.words[i] != NULL; i++) {
            print_word(fuzz_target.words[i]);
        }
        exit(0);
    }
    log_quiet(true);
    if (fuzz_target.start != NULL) {
        fuzz_target.start();
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *copy = xmalloc(len + 1);
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    (void)fuzz_target.run(copy, len);
    free(copy);
    return 0;
}
