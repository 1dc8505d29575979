/* Outcomes: every way in which a dial, a handshake or an exchange can end.  A closed list: one row
 * of the table in outcome.c gives name, class and text.  Outcomes are counted, never fatal, and
 * carry no strings on the request path.  What the client itself lacked (ports, descriptors) is
 * never booked as the server's fault. */
#ifndef RECORD_OUTCOME_H
#define RECORD_OUTCOME_H

#include <stdbool.h>

enum outcome_class {
    OUTCOME_CLASS_OK,
    OUTCOME_CLASS_CLIENT, /* our side: no ports, no descriptors, stopped */
    OUTCOME_CLASS_DIAL,
    OUTCOME_CLASS_TLS,
    OUTCOME_CLASS_HTTP,
    OUTCOME_CLASS_TIMEOUT,
    OUTCOME_CLASS_COUNT
};

enum outcome {
    OUTCOME_OK,
    /* client */
    OUTCOME_NO_DESCRIPTORS, /* EMFILE, ENFILE */
    OUTCOME_NO_PORTS,       /* EADDRNOTAVAIL */
    OUTCOME_STOPPED,        /* still in flight when the drain deadline passed */
    OUTCOME_CLIENT_ERROR,   /* any other local failure */
    /* dial */
    OUTCOME_REFUSED,
    OUTCOME_UNREACHABLE,
    OUTCOME_DIAL_RESET,
    /* TLS: alerts that the server sent */
    OUTCOME_ALERT_HANDSHAKE_FAILURE,
    OUTCOME_ALERT_BAD_CERTIFICATE,
    OUTCOME_ALERT_UNSUPPORTED_CERTIFICATE,
    OUTCOME_ALERT_CERTIFICATE_REVOKED,
    OUTCOME_ALERT_CERTIFICATE_EXPIRED,
    OUTCOME_ALERT_CERTIFICATE_UNKNOWN,
    OUTCOME_ALERT_UNKNOWN_CA,
    OUTCOME_ALERT_ACCESS_DENIED,
    OUTCOME_ALERT_PROTOCOL_VERSION,
    OUTCOME_ALERT_CERTIFICATE_REQUIRED,
    OUTCOME_ALERT_INTERNAL_ERROR,
    OUTCOME_ALERT_NO_APPLICATION_PROTOCOL, /* it speaks none of those that target.alpn offers */
    OUTCOME_ALERT_OTHER,
    /* TLS: what we found */
    OUTCOME_NOT_TLS,             /* the server spoke something else, such as plain HTTP */
    OUTCOME_NO_COMMON_SIGNATURE, /* the server takes no signature of our key's kind */
    OUTCOME_TLS_ERROR,
    OUTCOME_TLS_RESET,
    OUTCOME_TLS_CLOSED, /* end of stream inside the handshake */
    OUTCOME_SERVER_CERT_EXPIRED,
    OUTCOME_SERVER_CERT_NOT_YET_VALID,
    OUTCOME_SERVER_CERT_UNTRUSTED,
    OUTCOME_SERVER_CERT_WRONG_HOST,
    OUTCOME_SERVER_CERT_INVALID,
    OUTCOME_NO_H2, /* target.alpn = h2, and the server did not select it */
    /* HTTP */
    OUTCOME_STATUS,         /* a complete response with a status that was not expected */
    OUTCOME_HTTP_GARBAGE,   /* not HTTP, or HTTP that no parser may accept */
    OUTCOME_HTTP_LIMIT,     /* header or chunk beyond our limits */
    OUTCOME_HTTP_RESET,     /* this and the next two also of raw exchanges */
    OUTCOME_HTTP_CLOSED,    /* closed before the first byte of a response */
    OUTCOME_HTTP_TRUNCATED, /* closed inside a response */
    /* raw exchanges */
    OUTCOME_REPLY_MISMATCH, /* other bytes than those expected */
    OUTCOME_REPLY_EXTRA,    /* bytes behind the reply, or between two exchanges */
    OUTCOME_REPLY_LIMIT,    /* what is to end it did not come in as many bytes as we take */
    /* HTTP/2 (RFC 9113) */
    OUTCOME_H2_GOAWAY,         /* GOAWAY, and the connection ended before the response */
    OUTCOME_H2_REFUSED_STREAM, /* RST_STREAM that says so; nothing was done */
    OUTCOME_H2_CANCEL,
    OUTCOME_H2_INTERNAL_ERROR,
    OUTCOME_H2_ENHANCE_YOUR_CALM,
    OUTCOME_H2_STREAM_RESET, /* with any other code */
    OUTCOME_H2_PROTOCOL,     /* frames, settings or compression that are not allowed */
    OUTCOME_H2_FLOW_CONTROL, /* more data than the window */
    OUTCOME_H2_FLOOD,        /* frames without end that carry nothing */
    OUTCOME_H2_PING_TIMEOUT, /* silent, and a PING was not answered */
    /* timeouts, by the deadline that passed */
    OUTCOME_TIMEOUT_CONNECT,
    OUTCOME_TIMEOUT_HANDSHAKE,
    OUTCOME_TIMEOUT_FIRST_BYTE,
    OUTCOME_TIMEOUT_EXCHANGE,
    OUTCOME_COUNT
};

struct outcome_info {
    const char *name; /* "alert_unknown_ca": in CSV and JSON */
    enum outcome_class class;
    const char *text; /* one plain sentence without full stop */
};

const struct outcome_info *outcome_info(enum outcome outcome);
/* False for an unknown name. */
bool outcome_from_name(const char *name, enum outcome *ret_outcome)
    __attribute__((warn_unused_result));
const char *outcome_class_name(enum outcome_class class);
/* The outcome for a TLS alert description that the server sent (RFC 8446 section 6). */
enum outcome outcome_from_alert(int description);
/* The name of an alert description ("unknown_ca"), or "alert N". Thread-local text for unknowns. */
const char *outcome_alert_name(int description);
/* The outcome for errno of connect, read or write. `dialing`: before the connection stood. */
enum outcome outcome_from_errno(int error, bool dialing);

#endif
