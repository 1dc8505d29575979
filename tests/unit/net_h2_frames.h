/* Types and flags of HTTP/2's frames (RFC 9113, section 6). */
#ifndef TESTS_NET_H2_FRAMES_H
#define TESTS_NET_H2_FRAMES_H

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, PRIORITIZED = 0x20 };

#endif
