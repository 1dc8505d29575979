/* Drivers: the events that a server's memory may grow with.  A closed list, in the order in which
 * it is printed; names and columns are contracts (verdict.json, series CSV, profiles).  One row
 * of the table in driver.c declares a driver. */
#ifndef RECORD_DRIVER_H
#define RECORD_DRIVER_H

#include <stdbool.h>

enum driver {
    DRIVER_TIME, /* seconds; grows with no traffic */
    DRIVER_REQUEST,
    DRIVER_CONNECTION,         /* full handshakes */
    DRIVER_RESUMPTION,         /* resumed handshakes */
    DRIVER_CLIENT_CERTIFICATE, /* distinct first uses */
    DRIVER_API_KEY,            /* distinct first uses */
    DRIVER_JWT,                /* distinct first uses */
    DRIVER_REFUSED,            /* bad identities presented on purpose and refused */
    DRIVER_ABORTED,            /* misuses */
    DRIVER_ROTATION,           /* the profile's hook on the server */
    DRIVER_COUNT
};

struct driver_info {
    const char *name;   /* "client_certificate" */
    const char *column; /* "client_certificates": cumulative counter in a series CSV */
    const char *alias;  /* "unique_certs": accepted for recorded traces; NULL when there is none */
    const char *event;  /* for sentences: "new client certificate" */
    double floor_bytes; /* growth per event below this is never blamed (time: bytes per second) */
};

const struct driver_info *driver_info(enum driver driver);
/* False for an unknown name. */
bool driver_from_name(const char *name, enum driver *ret_driver)
    __attribute__((warn_unused_result));
/* By column or alias. */
bool driver_from_column(const char *column, enum driver *ret_driver)
    __attribute__((warn_unused_result));

#endif
