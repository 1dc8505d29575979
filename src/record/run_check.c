#include "record/run_check.h"

void run_checks_write(struct jsonw *w, const struct run_check *checks, size_t n)
{
    jsonw_array(w, "checks");
    for (size_t i = 0; i < n; i++) {
        jsonw_object(w, NULL);
        jsonw_string(w, "check", checks[i].check);
        jsonw_string(w, "state", checks[i].state);
        jsonw_string(w, "measured", checks[i].measured);
        jsonw_string(w, "remedy", checks[i].remedy[0] != '\0' ? checks[i].remedy : NULL);
        jsonw_end(w);
    }
    jsonw_end(w);
}
