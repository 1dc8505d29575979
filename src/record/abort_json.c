#include "record/abort_json.h"

#include "base/str.h"
#include "record/limit.h"

void abort_json_write(struct jsonw *w, const struct run_abort *abort)
{
    struct limit limit;

    if (!limit_from_key(abort->limit, &limit)) {
        return;
    }
    jsonw_object(w, "ended_by");
    jsonw_string(w, "limit", abort->limit);
    jsonw_number(w, "measured", limit_number(&limit, abort->measured));
    jsonw_number(w, "from_s", abort->from_s);
    jsonw_number(w, "to_s", abort->to_s);
    jsonw_end(w);
}

void abort_json_load(const struct json *json, struct run_abort *ret_abort)
{
    const struct json *by = json_get(json, "ended_by");
    struct limit limit;

    if (!limit_from_key(json_get_string(by, "limit", ""), &limit)) {
        return;
    }
    (void)str_copy(ret_abort->limit, sizeof ret_abort->limit, limit.key);
    ret_abort->measured = limit_from_number(&limit, json_get_number(by, "measured", 0));
    ret_abort->from_s = json_get_number(by, "from_s", 0);
    ret_abort->to_s = json_get_number(by, "to_s", 0);
}
