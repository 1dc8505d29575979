#include "record/outcome.h"

#include "base/bug.h"
#include "base/str.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#define OK      OUTCOME_CLASS_OK
#define CLIENT  OUTCOME_CLASS_CLIENT
#define DIAL    OUTCOME_CLASS_DIAL
#define TLS     OUTCOME_CLASS_TLS
#define HTTP    OUTCOME_CLASS_HTTP
#define TIMEOUT OUTCOME_CLASS_TIMEOUT

static const struct outcome_info outcomes[OUTCOME_COUNT] = {
    [OUTCOME_OK] = {"ok", OK, "the exchange succeeded"},
    [OUTCOME_NO_DESCRIPTORS] = {"no_descriptors", CLIENT,
                                "this machine ran out of file descriptors for tlsoak"},
    [OUTCOME_NO_PORTS] = {"no_ports", CLIENT,
                          "this machine ran out of local ports towards the server"},
    [OUTCOME_STOPPED] = {"stopped", CLIENT, "the run ended before the server had answered"},
    [OUTCOME_CLIENT_ERROR] = {"client_error", CLIENT,
                              "tlsoak's own side failed, and the server is not to blame"},
    [OUTCOME_REFUSED] = {"refused", DIAL,
                         "the server refused the connection: nothing listens on that port"},
    [OUTCOME_UNREACHABLE] = {"unreachable", DIAL, "the network has no way to the server"},
    [OUTCOME_DIAL_RESET] = {"dial_reset", DIAL,
                            "the connection was reset before it was established"},
    [OUTCOME_ALERT_HANDSHAKE_FAILURE] = {"alert_handshake_failure", TLS,
                                         "the server found no TLS parameters in common, or "
                                         "refused the client without saying why"},
    [OUTCOME_ALERT_BAD_CERTIFICATE] = {"alert_bad_certificate", TLS,
                                       "the server found the client certificate to be broken"},
    [OUTCOME_ALERT_UNSUPPORTED_CERTIFICATE] = {"alert_unsupported_certificate", TLS,
                                               "the server does not support this kind of client "
                                               "certificate"},
    [OUTCOME_ALERT_CERTIFICATE_REVOKED] = {"alert_certificate_revoked", TLS,
                                           "the server says that the client certificate was "
                                           "revoked"},
    [OUTCOME_ALERT_CERTIFICATE_EXPIRED] = {"alert_certificate_expired", TLS,
                                           "the server says that the client certificate has "
                                           "expired"},
    [OUTCOME_ALERT_CERTIFICATE_UNKNOWN] = {"alert_certificate_unknown", TLS,
                                           "the server did not accept the client certificate and "
                                           "gave no reason"},
    [OUTCOME_ALERT_UNKNOWN_CA] = {"alert_unknown_ca", TLS,
                                  "the server does not trust the CA of the client certificate"},
    [OUTCOME_ALERT_ACCESS_DENIED] = {"alert_access_denied", TLS,
                                     "the server knows the client certificate and denies it "
                                     "access"},
    [OUTCOME_ALERT_PROTOCOL_VERSION] = {"alert_protocol_version", TLS,
                                        "the server does not speak the TLS versions that were "
                                        "offered"},
    [OUTCOME_ALERT_CERTIFICATE_REQUIRED] = {"alert_certificate_required", TLS,
                                            "the server requires a client certificate and got "
                                            "none"},
    [OUTCOME_ALERT_INTERNAL_ERROR] = {"alert_internal_error", TLS,
                                      "the server reported an internal error in TLS"},
    [OUTCOME_ALERT_NO_APPLICATION_PROTOCOL] = {"alert_no_application_protocol", TLS,
                                               "the server speaks none of the protocols that "
                                               "target.alpn offers"},
    [OUTCOME_ALERT_OTHER] = {"alert_other", TLS, "the server ended TLS with another alert"},
    [OUTCOME_NOT_TLS] = {"not_tls", TLS,
                         "the server answered in plain HTTP or another protocol, not TLS"},
    [OUTCOME_NO_COMMON_SIGNATURE] = {"no_common_signature", TLS,
                                     "the server takes no signature of the kind that the client "
                                     "certificate's key makes"},
    [OUTCOME_TLS_ERROR] = {"tls_error", TLS, "the server broke the TLS protocol"},
    [OUTCOME_TLS_RESET] = {"tls_reset", TLS,
                           "the server reset the connection inside the TLS handshake"},
    [OUTCOME_TLS_CLOSED] = {"tls_closed", TLS,
                            "the server closed the connection inside the TLS handshake"},
    [OUTCOME_SERVER_CERT_EXPIRED] = {"server_cert_expired", TLS,
                                     "the server's certificate has expired"},
    [OUTCOME_SERVER_CERT_NOT_YET_VALID] = {"server_cert_not_yet_valid", TLS,
                                           "the server's certificate is not valid yet"},
    [OUTCOME_SERVER_CERT_UNTRUSTED] = {"server_cert_untrusted", TLS,
                                       "the server's certificate was not issued by the CA of the "
                                       "profile"},
    [OUTCOME_SERVER_CERT_WRONG_HOST] = {"server_cert_wrong_host", TLS,
                                        "the server's certificate is for another host name"},
    [OUTCOME_SERVER_CERT_INVALID] = {"server_cert_invalid", TLS,
                                     "the server's certificate can not be verified"},
    [OUTCOME_NO_H2] = {"no_h2", TLS,
                       "the server did not select HTTP/2, and target.alpn offers nothing else"},
    [OUTCOME_STATUS] = {"status", HTTP, "the server answered with a status that was not expected"},
    [OUTCOME_HTTP_GARBAGE] = {"http_garbage", HTTP, "the server's answer is not valid HTTP"},
    [OUTCOME_HTTP_LIMIT] = {"http_limit", HTTP,
                            "the server's answer has a header or a chunk that is too large"},
    [OUTCOME_HTTP_RESET] = {"http_reset", HTTP,
                            "the server reset the connection during an exchange"},
    [OUTCOME_HTTP_CLOSED] = {"http_closed", HTTP,
                             "the server closed the connection without an answer"},
    [OUTCOME_HTTP_TRUNCATED] = {"http_truncated", HTTP,
                                "the server closed the connection in the middle of an answer"},
    [OUTCOME_REPLY_MISMATCH] = {"reply_mismatch", HTTP,
                                "the server's reply has other bytes than request.expect"},
    [OUTCOME_REPLY_EXTRA] = {"reply_extra", HTTP,
                             "the server sent bytes that belong to no expected reply"},
    [OUTCOME_REPLY_LIMIT] = {"reply_limit", HTTP,
                             "the server's reply went on for 16 MiB without request.expect_until"},
    [OUTCOME_H2_GOAWAY] = {"h2_goaway", HTTP,
                           "the server sent GOAWAY and ended the connection without an answer"},
    [OUTCOME_H2_REFUSED_STREAM] = {"h2_refused_stream", HTTP,
                                   "the server refused the stream (RST_STREAM, REFUSED_STREAM)"},
    [OUTCOME_H2_CANCEL] = {"h2_cancel", HTTP, "the server gave the stream up (RST_STREAM, CANCEL)"},
    [OUTCOME_H2_INTERNAL_ERROR] = {"h2_internal_error", HTTP,
                                   "the server failed inside (RST_STREAM, INTERNAL_ERROR)"},
    [OUTCOME_H2_ENHANCE_YOUR_CALM] = {"h2_enhance_your_calm", HTTP,
                                      "the server asks for less load (RST_STREAM, "
                                      "ENHANCE_YOUR_CALM)"},
    [OUTCOME_H2_STREAM_RESET] = {"h2_stream_reset", HTTP,
                                 "the server reset the stream with another error code"},
    [OUTCOME_H2_PROTOCOL] = {"h2_protocol", HTTP, "the server broke the HTTP/2 protocol"},
    [OUTCOME_H2_FLOW_CONTROL] = {"h2_flow_control", HTTP,
                                 "the server sent more than the flow-control window"},
    [OUTCOME_H2_FLOOD] = {"h2_flood", HTTP,
                          "the server sent HTTP/2 frames without end that carry nothing"},
    [OUTCOME_H2_PING_TIMEOUT] = {"h2_ping_timeout", TIMEOUT,
                                 "the server was silent and did not answer a PING in time"},
    [OUTCOME_TIMEOUT_CONNECT] = {"timeout_connect", TIMEOUT,
                                 "the connection was not established in time"},
    [OUTCOME_TIMEOUT_HANDSHAKE] = {"timeout_handshake", TIMEOUT,
                                   "the TLS handshake did not end in time"},
    [OUTCOME_TIMEOUT_FIRST_BYTE] = {"timeout_first_byte", TIMEOUT,
                                    "the answer did not begin in time"},
    [OUTCOME_TIMEOUT_EXCHANGE] = {"timeout_exchange", TIMEOUT, "the answer did not end in time"},
};

static const char *const class_names[OUTCOME_CLASS_COUNT] = {
    [OUTCOME_CLASS_OK] = "ok",     [OUTCOME_CLASS_CLIENT] = "client",
    [OUTCOME_CLASS_DIAL] = "dial", [OUTCOME_CLASS_TLS] = "tls",
    [OUTCOME_CLASS_HTTP] = "http", [OUTCOME_CLASS_TIMEOUT] = "timeout",
};

/* The IANA registry "TLS Alerts"; alerts that have no outcome of their own are `alert_other`. */
static const struct alert {
    const char *name;
    enum outcome outcome;
} alerts[] = {
    [0] = {"close_notify", OUTCOME_ALERT_OTHER},
    [10] = {"unexpected_message", OUTCOME_ALERT_OTHER},
    [20] = {"bad_record_mac", OUTCOME_ALERT_OTHER},
    [21] = {"decryption_failed", OUTCOME_ALERT_OTHER},
    [22] = {"record_overflow", OUTCOME_ALERT_OTHER},
    [30] = {"decompression_failure", OUTCOME_ALERT_OTHER},
    [40] = {"handshake_failure", OUTCOME_ALERT_HANDSHAKE_FAILURE},
    [41] = {"no_certificate", OUTCOME_ALERT_OTHER},
    [42] = {"bad_certificate", OUTCOME_ALERT_BAD_CERTIFICATE},
    [43] = {"unsupported_certificate", OUTCOME_ALERT_UNSUPPORTED_CERTIFICATE},
    [44] = {"certificate_revoked", OUTCOME_ALERT_CERTIFICATE_REVOKED},
    [45] = {"certificate_expired", OUTCOME_ALERT_CERTIFICATE_EXPIRED},
    [46] = {"certificate_unknown", OUTCOME_ALERT_CERTIFICATE_UNKNOWN},
    [47] = {"illegal_parameter", OUTCOME_ALERT_OTHER},
    [48] = {"unknown_ca", OUTCOME_ALERT_UNKNOWN_CA},
    [49] = {"access_denied", OUTCOME_ALERT_ACCESS_DENIED},
    [50] = {"decode_error", OUTCOME_ALERT_OTHER},
    [51] = {"decrypt_error", OUTCOME_ALERT_OTHER},
    [60] = {"export_restriction", OUTCOME_ALERT_OTHER},
    [70] = {"protocol_version", OUTCOME_ALERT_PROTOCOL_VERSION},
    [71] = {"insufficient_security", OUTCOME_ALERT_OTHER},
    [80] = {"internal_error", OUTCOME_ALERT_INTERNAL_ERROR},
    [86] = {"inappropriate_fallback", OUTCOME_ALERT_OTHER},
    [90] = {"user_canceled", OUTCOME_ALERT_OTHER},
    [100] = {"no_renegotiation", OUTCOME_ALERT_OTHER},
    [109] = {"missing_extension", OUTCOME_ALERT_OTHER},
    [110] = {"unsupported_extension", OUTCOME_ALERT_OTHER},
    [111] = {"certificate_unobtainable", OUTCOME_ALERT_OTHER},
    [112] = {"unrecognized_name", OUTCOME_ALERT_OTHER},
    [113] = {"bad_certificate_status_response", OUTCOME_ALERT_OTHER},
    [114] = {"bad_certificate_hash_value", OUTCOME_ALERT_OTHER},
    [115] = {"unknown_psk_identity", OUTCOME_ALERT_OTHER},
    [116] = {"certificate_required", OUTCOME_ALERT_CERTIFICATE_REQUIRED},
    [120] = {"no_application_protocol", OUTCOME_ALERT_NO_APPLICATION_PROTOCOL},
    [121] = {"ech_required", OUTCOME_ALERT_OTHER},
};

const struct outcome_info *outcome_info(enum outcome outcome)
{
    BUG_ON((unsigned)outcome >= OUTCOME_COUNT);
    return &outcomes[outcome];
}

bool outcome_from_name(const char *name, enum outcome *ret_outcome)
{
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        if (str_equal(outcomes[i].name, name)) {
            *ret_outcome = (enum outcome)i;
            return true;
        }
    }
    return false;
}

const char *outcome_class_name(enum outcome_class class)
{
    BUG_ON((unsigned)class >= OUTCOME_CLASS_COUNT);
    return class_names[class];
}

static const struct alert *known_alert(int description)
{
    if (description < 0 || (size_t)description >= sizeof alerts / sizeof *alerts) {
        return NULL;
    }
    return alerts[description].name != NULL ? &alerts[description] : NULL;
}

enum outcome outcome_from_alert(int description)
{
    const struct alert *alert = known_alert(description);

    return alert != NULL ? alert->outcome : OUTCOME_ALERT_OTHER;
}

const char *outcome_alert_name(int description)
{
    static _Thread_local char unknown[24];
    const struct alert *alert = known_alert(description);

    if (alert != NULL) {
        return alert->name;
    }
    (void)snprintf(unknown, sizeof unknown, "alert %d", description);
    return unknown;
}

enum outcome outcome_from_errno(int error, bool dialing)
{
    switch (error) {
    case 0:
        return OUTCOME_OK;
    case EMFILE:
    case ENFILE:
        return OUTCOME_NO_DESCRIPTORS;
    case EADDRNOTAVAIL:
    case EADDRINUSE: /* from a bound source address: its ports are all taken */
        return OUTCOME_NO_PORTS;
    case ECONNREFUSED:
        return OUTCOME_REFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
        return OUTCOME_UNREACHABLE;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return dialing ? OUTCOME_DIAL_RESET : OUTCOME_HTTP_RESET;
    case ETIMEDOUT: /* TCP itself gave up */
        return dialing ? OUTCOME_TIMEOUT_CONNECT : OUTCOME_TIMEOUT_EXCHANGE;
    default:
        return OUTCOME_CLIENT_ERROR;
    }
}
