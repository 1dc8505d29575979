#include "probe/procfs.h"

#include "base/mem.h"
#include "base/str.h"
#include "probe/process.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTION_NAMES_MAX (1u << 20)

static bool read_at(int fd, uint64_t offset, void *bytes, size_t len)
{
    return offset <= INT64_MAX && pread(fd, bytes, len, (off_t)offset) == (ssize_t)len;
}

/* The table of section names holds a name that only Go's linker writes. */
static bool has_go_section(int fd, const Elf64_Ehdr *header)
{
    Elf64_Shdr names;
    uint64_t at = header->e_shoff + (uint64_t)header->e_shstrndx * sizeof names;

    if (header->e_shoff == 0 || header->e_shentsize != sizeof names ||
        !read_at(fd, at, &names, sizeof names) || names.sh_size > SECTION_NAMES_MAX) {
        return false;
    }
    CLEANUP_FREE char *text = xmalloc(names.sh_size + 1);
    static const char build_id[] = ".note.go.buildid", build_info[] = ".go.buildinfo";
    return read_at(fd, names.sh_offset, text, names.sh_size) &&
           (memmem(text, names.sh_size, build_id, sizeof build_id) != NULL ||
            memmem(text, names.sh_size, build_info, sizeof build_info) != NULL);
}

/* For a binary without section headers: a note of owner "Go", at the start of its segment. */
static bool has_go_note(int fd, const Elf64_Ehdr *header)
{
    Elf64_Phdr segment;

    if (header->e_phentsize != sizeof segment) {
        return false;
    }
    for (uint64_t i = 0; i < header->e_phnum; i++) {
        struct {
            Elf64_Nhdr head;
            char owner[4];
        } note;
        if (read_at(fd, header->e_phoff + i * sizeof segment, &segment, sizeof segment) &&
            segment.p_type == PT_NOTE && read_at(fd, segment.p_offset, &note, sizeof note) &&
            note.head.n_namesz == 4 && memcmp(note.owner, "Go\0", 4) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_go(const char *root, int64_t pid)
{
    CLEANUP_FREE char *path = xasprintf("%s/%lld/exe", root, (long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    Elf64_Ehdr header;

    if (fd < 0) {
        return false;
    }
    bool go = read_at(fd, 0, &header, sizeof header) &&
              memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
              header.e_ident[EI_CLASS] == ELFCLASS64 &&
              (has_go_section(fd, &header) || has_go_note(fd, &header));
    (void)close(fd);
    return go;
}

/* Which runtime's library is mapped; NULL: none that we know. */
static const char *runtime_of_maps(const char *root, int64_t pid)
{
    static const struct {
        const char *library;
        const char *runtime;
    } libraries[] = {{"/libjvm.so", "jvm"},
                     {"/libcoreclr.so", "dotnet"},
                     /* where .NET maps its code twice; all that tells an app in a single file */
                     {"/memfd:doublemapper", "dotnet"},
                     {"/libnode.so", "node"}};
    CLEANUP_FREE char *path = xasprintf("%s/%lld/maps", root, (long long)pid);
    CLEANUP_FREE char *line = NULL;
    const char *runtime = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");

    while (file != NULL && runtime == NULL && getline(&line, &size, file) > 0) {
        for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
            runtime = strstr(line, libraries[i].library) != NULL ? libraries[i].runtime : runtime;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return runtime;
}

/* NULL: none that we know. */
static const char *runtime_of(const char *root, int64_t pid)
{
    const char *runtime = runtime_of_maps(root, pid);
    char exe[256];

    if (runtime != NULL) {
        return runtime;
    }
    if (process_exe(root, pid, exe, sizeof exe) &&
        (str_equal(exe, "node") || str_equal(exe, "nodejs"))) {
        return "node";
    }
    return is_go(root, pid) ? "go" : NULL;
}

const char *procfs_runtime(const char *root, int64_t pid)
{
    CLEANUP_FREE struct process *tree = NULL;
    size_t n = process_tree(root, pid, &tree);
    const char *runtime = NULL;

    /* a shell or an init may have started what matters */
    for (size_t i = 0; i < n && runtime == NULL; i++) {
        runtime = runtime_of(root, tree[i].pid);
    }
    return runtime != NULL ? runtime : "native";
}
