#include "profile/check_names.h"

#include "base/str.h"
#include "profile/doc.h"

#include <string.h>

void *check_nth(const struct checker *c, enum section kind, size_t i, const char **ret_name,
                struct origin *ret_origin)
{
    const struct section_info *info = section_info(kind);
    size_t n;
    char *items = section_items(info, c->plan, &n);

    if (i >= n) {
        return NULL;
    }
    char *item = items + i * info->item_size;
    memcpy(ret_name, item + info->name_offset, sizeof *ret_name);
    memcpy(ret_origin, item + info->origin_offset, sizeof *ret_origin);
    return item;
}

void *check_named(const struct checker *c, enum section kind, const char *name, const void *field,
                  const char *key)
{
    const char *names[DOC_SECTIONS_MAX];
    const char *section = section_info(kind)->name;
    struct origin origin;
    size_t n = 0;
    void *item;

    while ((item = check_nth(c, kind, n, &names[n], &origin)) != NULL) {
        if (str_equal(names[n], name)) {
            return item;
        }
        n++;
    }
    const char *near = str_nearest(name, names, n);
    if (near != NULL) {
        diag_add(c->diag, plan_origin(c->plan, field),
                 "%s: there is no [%s %.60s]; did you mean %s?", key, section, name, near);
    } else {
        diag_add(c->diag, plan_origin(c->plan, field), "%s: there is no [%s %.60s]", key, section,
                 name);
    }
    return NULL;
}
