#include "record/driver.h"

#include "base/bug.h"
#include "base/str.h"

#include <stddef.h>

static const struct driver_info drivers[DRIVER_COUNT] = {
    [DRIVER_TIME] = {"time", "time_s", NULL, "second", 1024},
    [DRIVER_REQUEST] = {"request", "requests", "requests_done", "request", 16},
    [DRIVER_CONNECTION] = {"connection", "connections", NULL, "new connection", 64},
    [DRIVER_RESUMPTION] = {"resumption", "resumptions", NULL, "resumed connection", 16},
    [DRIVER_CLIENT_CERTIFICATE] = {"client_certificate", "client_certificates", "unique_certs",
                                   "new client certificate", 64},
    [DRIVER_API_KEY] = {"api_key", "api_keys", "unique_keys", "new API key", 16},
    [DRIVER_JWT] = {"jwt", "jwts", "unique_jwts", "new JWT", 16},
    [DRIVER_REFUSED] = {"refused", "refused", NULL, "refused identity", 16},
    [DRIVER_ABORTED] = {"aborted", "aborted", NULL, "aborted exchange", 16},
    [DRIVER_ROTATION] = {"rotation", "rotations", NULL, "rotation", 16},
};

const struct driver_info *driver_info(enum driver driver)
{
    BUG_ON((unsigned)driver >= DRIVER_COUNT);
    return &drivers[driver];
}

bool driver_from_name(const char *name, enum driver *ret_driver)
{
    for (int i = 0; i < DRIVER_COUNT; i++) {
        if (str_equal(name, drivers[i].name)) {
            *ret_driver = (enum driver)i;
            return true;
        }
    }
    return false;
}

bool driver_from_column(const char *column, enum driver *ret_driver)
{
    for (int i = 0; i < DRIVER_COUNT; i++) {
        const char *alias = drivers[i].alias;
        if (str_equal(column, drivers[i].column) || (alias != NULL && str_equal(column, alias))) {
            *ret_driver = (enum driver)i;
            return true;
        }
    }
    return false;
}
