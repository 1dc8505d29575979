#include "profile/options.h"

#include "base/str.h"
#include "profile/options_rows.h"

#include <string.h>

/* A row is one option and reads as a line of a table, so the rows are not reflowed. */
/* clang-format off */
static const struct option options[] = {
    {.section = SECTION_RUN, .key = "extends", .type = TYPE_STRING, .flags = OPTION_NO_FIELD,
     .help = "A profile beside this one that gives every value not given here."},
    RUN("duration", TYPE_DURATION, duration_ns, .initial = "10m", BETWEEN(1 * S, 365 * DAY),
        .help = "Length of the run."),
    RUN("threads", TYPE_COUNT, threads, .initial = "0", BETWEEN(0, 1024),
        .help = "Worker threads; 0: as many as the machine has cores."),
    RUN("seed", TYPE_COUNT, seed, .initial = "1",
        .help = "Start of all randomness but that of keys: the same seed gives the same load."),
    RUN("max_in_flight_handshakes", TYPE_COUNT, max_in_flight_handshakes, .initial = "256",
        BETWEEN(1, 1e6), .help = "TLS handshakes under way at one time, all workers together."),
    RUN("drain", TYPE_DURATION, drain_ns, .initial = "2s", BETWEEN(0, H),
        .help = "Time that exchanges in flight get at the end."),
    RUN("repeat_phases", TYPE_COUNT, repeat_phases, .initial = "1", BETWEEN(1, 1e6),
        .help = "The phases are gone through that many times."),
    RUN("dir", TYPE_STRING, dir, .help = "Run directory; not given: tlsoak-run-DATE-ID."),

    TARGET("url", TYPE_STRING, url, .flags = OPTION_REQUIRED,
           .help = "https URL, whose path is what a request without one asks for; or "
                   "tls://HOST:PORT of a server that does not speak HTTP."),
    TARGET("connect_to", TYPE_STRING, connect_to,
           .help = "HOST:PORT or ADDRESS:PORT to dial instead of the URL's."),
    TARGET("host", TYPE_STRING, host, .help = "Host header; not given: the URL's host and port."),
    TARGET("sni", TYPE_STRING, sni, .flags = OPTION_EMPTY,
           .help = "Server name to send; not given: the URL's host name; empty: none."),
    TARGET("server_ca", TYPE_STRING, server_ca, .flags = OPTION_PATH | OPTION_READABLE,
           .help = "PEM file of the CA that signed the server; not given: the system's store."),
    TARGET("verify", TYPE_WORD, verify, .initial = "cached", .words = verify_words,
           .help = "Verify the server's chain at each handshake, once per chain, or not at all."),
    TARGET("tls_min", TYPE_WORD, tls_min, .initial = "1.2", .words = tls_words,
           .help = "Lowest version of TLS to offer."),
    TARGET("tls_max", TYPE_WORD, tls_max, .initial = "1.3", .words = tls_words,
           .help = "Highest version of TLS to offer."),
    TARGET("ciphers", TYPE_STRING, ciphers,
           .help = "Cipher list for TLS 1.2; not given: the library's."),
    TARGET("groups", TYPE_STRING, groups, .initial = "X25519:P-256",
           .help = "Key exchange groups in order of preference, between colons; a post-quantum "
                   "one, such as X25519MLKEM768, where this BoringSSL has it."),
    TARGET("ocsp", TYPE_BOOL, ocsp, .initial = "no",
           .help = "Ask for a stapled OCSP response (status_request); those that came are "
                   "counted."),
    TARGET("sct", TYPE_BOOL, sct, .initial = "no",
           .help = "Ask for signed certificate timestamps; those that came are counted."),
    TARGET("key_update", TYPE_BYTES, key_update_bytes, .initial = "0B", BETWEEN(0, 1e15),
           .help = "TLS 1.3: with the next request after so many bytes of a connection, sent and "
                   "received, update its keys and ask the server to; 1B: with each but the first; "
                   "0B: never."),
    TARGET("alpn", TYPE_STRING, alpn_text,
           .help = "Protocols to offer, the preferred first: http/1.1 (not given), h2, or both, "
                   "with a comma between; h2 alone: a connection on which the server does not "
                   "select it fails.  tls://: any names; not given: none."),
    TARGET("early_data", TYPE_BOOL, early_data, .initial = "no",
           .help = "0-RTT: on a connection that resumes a session of TLS 1.3 which allows it, the "
                   "first request leaves with the hello, if it is a GET or HEAD without a body "
                   "(HTTP/1.1)."),
    TARGET("expect_mtls", TYPE_BOOL, expect_mtls, .initial = "yes",
           .help = "Before the load, one connection without a certificate must be refused; asked "
                   "only where the profile has a [cert]."),
    TARGET("timeout.connect", TYPE_DURATION, timeout_connect_ns, .initial = "5s",
           BETWEEN(1 * MS, H), .help = "Time for a TCP connection to stand."),
    TARGET("timeout.handshake", TYPE_DURATION, timeout_handshake_ns, .initial = "10s",
           BETWEEN(1 * MS, H), .help = "Time for a TLS handshake."),
    TARGET("timeout.first_byte", TYPE_DURATION, timeout_first_byte_ns, .initial = "30s",
           BETWEEN(1 * MS, H), .help = "Time from the request to the first byte of its response."),
    TARGET("timeout.exchange", TYPE_DURATION, timeout_exchange_ns, .initial = "60s",
           BETWEEN(1 * MS, H), .help = "Time from the request to the end of its response."),
    TARGET("timeout.ping", TYPE_DURATION, timeout_ping_ns, .initial = "1m", BETWEEN(0, H),
           .help = "HTTP/2: a connection that was silent for this long is sent a PING, and ends "
                   "when that is not answered in the same time; 0: none."),
    TARGET("allow", TYPE_STRING, allow,
           .help = "Hosts that may be loaded beside loopback, with commas between: ADDRESS, "
                   "ADDRESS/BITS or NAME, each with :PORT or for all ports.  A private address "
                   "needs to be here or a handshake that shows consent (client certificate asked "
                   "for and accepted); a public one, or under a NAME any, needs both."),
    TARGET("max_rate", TYPE_RATE, max_rate_per_s, .initial = "0/s", BETWEEN(0, 1e7),
           .help = "Refuse to start above this rate; 0/s: 1000/s in the open loop, none on "
                   "loopback."),
    TARGET("max_connections", TYPE_COUNT, max_connections, .initial = "0", BETWEEN(0, 1e6),
           .help = "Refuse to start with more connections; 0: 1000, none on loopback."),
    TARGET("max_misuse", TYPE_RATIO, max_misuse, .initial = "0", BETWEEN(0, 1),
           .help = "Refuse to start with more attempts that are bad on purpose; 0: 20%, none on "
                   "loopback."),
    TARGET("source", TYPE_STRING, source,
           .help = "Addresses of this machine to connect from in turn, with commas between: "
                   "ADDRESS or ADDRESS/BITS, such as 127.0.0.0/28.  Each gives as many "
                   "connections as there are local ports (28,232)."),
    TARGET("reset_on_close", TYPE_BOOL, reset_on_close, .initial = "no",
           .help = "Close connections with a reset (SO_LINGER 0), which frees the local port at "
                   "once instead of after 60 s; servers may log it."),

    PACE("mode", TYPE_WORD, mode, .initial = "closed", .words = pace_words,
         .help = "closed: each connection asks again when answered; open: exchanges at a rate, "
                 "come what may; hold: connections are held and asked once in keepalive each; "
                 "churn: new connections at a rate, each for requests_per_connection; handshake: "
                 "handshakes at a rate, and no request."),
    PACE("rate", TYPE_RATE, rate_per_s, BETWEEN(1e-4, 1e7),
         .help = "open: exchanges; churn, handshake: new connections; all workers together."),
    PACE("keepalive", TYPE_DURATION, keepalive_ns, .initial = "30s", BETWEEN(1 * MS, DAY),
         .help = "hold: each connection carries one request in this time, evenly spread."),
    PACE("arrivals", TYPE_WORD, arrivals, .initial = "constant", .words = arrivals_words,
         .help = "open: evenly spaced, at random (exponential gaps), or as a file says."),
    PACE("replay", TYPE_STRING, replay, .flags = OPTION_PATH | OPTION_READABLE,
         .help = "replay: file with a due time a line, in seconds since the start of the load, or "
                 "with a + since the line before; # begins a comment."),
    PACE("replay_every", TYPE_DURATION, replay_every_ns, .initial = "0", BETWEEN(0, 366 * DAY),
         .help = "replay: the file begins again this often; 0: after its last time nothing is "
                 "due."),
    PACE("connections", TYPE_COUNT, connections, .initial = "16", BETWEEN(1, 1e6),
         .help = "Connections held open; churn, handshake: the most at one time; all workers "
                 "together."),
    PACE("connect_rate", TYPE_RATE, connect_rate_per_s, .initial = "0/s", BETWEEN(0, 1e6),
         .help = "New connections at the start, after one for each thread at once; 0/s: as fast as "
                 "handshakes allow."),
    PACE("think_time", TYPE_DURATION, think_time_ns, .initial = "0", BETWEEN(0, DAY),
         .help = "closed, churn: pause between two exchanges of a connection."),
    PACE("requests_per_connection", TYPE_COUNT, requests_per_connection, .initial = "0",
         .help = "Exchanges before a connection is closed and replaced; 0: as many as the server "
                 "allows, churn: one."),
    PACE("streams", TYPE_COUNT, streams, .initial = "1", BETWEEN(1, 1000),
         .help = "HTTP/2: exchanges at one time on a connection, as far as the server allows."),
    PACE("resume_ratio", TYPE_RATIO, resume_ratio, .initial = "0",
         .help = "Share of reconnects that offer to resume a TLS session, of a client "
                 "(certificate) that was connected before; of pick = fresh none ever was."),

    CERT("source", TYPE_WORD, source, .initial = "mint", .words = cert_source_words,
         .help = "Minted in memory from a CA, or read from PEM or PKCS #12 files."),
    CERT("path", TYPE_STRING, path, .flags = OPTION_PATH | OPTION_READABLE,
         .help = "files: a PEM file with chains and keys, or a directory of NAME.pem, or of "
                 "NAME.crt with NAME.key; pkcs12: a .p12 or .pfx file, or a directory of them.  A "
                 "file that changes during the run is read again."),
    CERT("password", TYPE_STRING, password, .flags = OPTION_SECRET,
         .help = "Passphrase of PKCS #12 files, or of encrypted PEM keys."),
    CERT("ca", TYPE_STRING, ca, .flags = OPTION_PATH | OPTION_READABLE,
         .help = "mint: PEM certificate of the issuer, which the server trusts for clients; files, "
                 "pkcs12: the CA, or several, that doctor holds the chains against."),
    CERT("ca_key", TYPE_STRING, ca_key, .flags = OPTION_PATH | OPTION_READABLE,
         .help = "mint: PEM key of the issuer."),
    CERT("chain", TYPE_STRING, chain, .flags = OPTION_PATH | OPTION_READABLE,
         .help = "mint: PEM file of intermediates above the issuer, sent with each certificate."),
    CERT("intermediates", TYPE_COUNT, intermediates, .initial = "0", BETWEEN(0, 8),
         .help = "mint: that many CAs, made for the run, stand between issuer and clients."),
    CERT("intermediate_subject", TYPE_STRING, intermediate_subject,
         .initial = "CN=intermediate-{n}", .help = "mint: their names."),
    CERT("key_type", TYPE_WORD, key_type, .initial = "ecdsa-p256", .words = key_type_words,
         .help = "mint: kind of the clients' keys."),
    CERT("key_per_cert", TYPE_BOOL, key_per_cert, .initial = "yes",
         .help = "mint: a key pair for each certificate, or one for all."),
    CERT("subject", TYPE_STRING, subject, .initial = "CN=client-{n}",
         .help = "mint: distinguished name; {n} the number, {uuid}, {run}, {random}."),
    CERT("san", TYPE_STRING, san,
         .help = "mint: alternative names, such as DNS:client-{n}.test, URI:spiffe://test/{n}, "
                 "IP:10.0.0.1, email:a@b.test."),
    CERT("key_usage", TYPE_STRING, key_usage, .initial = "digitalSignature, clientAuth",
         .help = "mint: key usages (RFC 5280 names) and extended ones, with commas between."),
    CERT("serial", TYPE_STRING, serial,
         .help = "mint: a number, such as {n} or 0x10{n}; not given: 128 random bits."),
    CERT("lifetime", TYPE_DURATION, lifetime_ns, .initial = "24h", BETWEEN(1 * S, 3650 * DAY),
         .help = "mint: how long a certificate is valid."),
    CERT("renew_before", TYPE_DURATION, renew_before_ns, BETWEEN(0, 3650 * DAY),
         .help = "mint: replaced this long before it expires; not given: a tenth of the lifetime."),
    CERT("count", TYPE_COUNT, count, .initial = "100", BETWEEN(1, 1e7),
         .help = "mint: size of the pool; pick = fresh has none."),
    CERT("rotate", TYPE_ROTATE, rotate, .initial = "connection",
         .help = "When a worker's connection takes the next certificate."),
    CERT("pick", TYPE_WORD, pick, .initial = "sequential", .words = pick_words, .help = PICK_HELP),
    CERT("exponent", TYPE_NUMBER, exponent, .initial = "1.1", BETWEEN(0.01, 10), .help = ZIPF_HELP),
    CERT("retire_after", TYPE_COUNT, retire_after, .initial = "0", .help = RETIRE_HELP),

    APIKEY("header", TYPE_STRING, header,
           .help = "Header that carries the key; not given: X-API-Key, or Authorization with a "
                   "scheme."),
    APIKEY("scheme", TYPE_STRING, scheme,
           .help = "Word before the key, such as ApiKey; not given: none."),
    APIKEY("query", TYPE_STRING, query,
           .help = "Query parameter that carries the key instead of a header."),
    APIKEY("path", TYPE_STRING, path, .flags = OPTION_PATH | OPTION_READABLE,
           .help = "File with a key on each line; not given: keys are generated."),
    APIKEY("template", TYPE_STRING, template,
           .help = "Form of generated keys: {n}, {uuid}, {run}, {random}, {hmac}; not given: "
                   "client-{n}.{hmac} with a secret, else client-{n}-{random}."),
    APIKEY("secret", TYPE_STRING, secret, .flags = OPTION_SECRET | OPTION_LINES,
           .help = "Key of {hmac}: HMAC-SHA256 over the text before it."),
    APIKEY("count", TYPE_COUNT, count, .initial = "100", BETWEEN(1, 1e8),
           .help = "Size of the pool of generated keys; pick = fresh has none."),
    APIKEY("rotate", TYPE_ROTATE, rotate, .initial = "request",
           .help = "When the next key is taken."),
    APIKEY("pick", TYPE_WORD, pick, .initial = "sequential", .words = pick_words,
           .help = PICK_HELP),
    APIKEY("exponent", TYPE_NUMBER, exponent, .initial = "1.1", BETWEEN(0.01, 10),
           .help = ZIPF_HELP),
    APIKEY("retire_after", TYPE_COUNT, retire_after, .initial = "0", .help = RETIRE_HELP),

    JWT("header", TYPE_STRING, header, .initial = "Authorization",
        .help = "Header that carries the token."),
    JWT("scheme", TYPE_STRING, scheme, .initial = "Bearer", .flags = OPTION_EMPTY,
        .help = "Word before the token; empty: none."),
    JWT("alg", TYPE_WORD, alg, .initial = "HS256", .words = alg_words,
        .help = "Signature algorithm."),
    JWT("key", TYPE_STRING, key, .flags = OPTION_SECRET | OPTION_LINES,
        .help = "HS256, HS384, HS512: the shared secret; else a private key in PEM; not given: a "
                "key pair made for the run, which the server learns from jwks."),
    JWT("kid", TYPE_STRING, kid,
        .help = "Key id in the token's header; {key} is the number of the signing key; not given: "
                "none, or key-{key} with jwks."),
    JWT("jose", TYPE_STRING, jose, .flags = OPTION_CONTENT | OPTION_LINES,
        .help = "JSON object: more members of the token's header."),
    JWT("claims", TYPE_STRING, claims, .initial = "{\"sub\":\"client-{n}\"}",
        .flags = OPTION_CONTENT | OPTION_LINES,
        .help = "JSON object with {n}, {uuid}, {run}; iat, nbf, exp and jti are added."),
    JWT("claim_size", TYPE_COUNT, claim_size, .initial = "0", BETWEEN(0, 65536),
        .help = "Claims are padded to this many bytes, by a member \"pad\"."),
    JWT("jwks", TYPE_STRING, jwks, .flags = OPTION_PATH | OPTION_WRITTEN,
        .help = "File to write the public keys to (RFC 7517), for the server."),
    JWT("key_rotate", TYPE_DURATION, key_rotate_ns, .initial = "0", BETWEEN(0, 365 * DAY),
        .help = "A new signing key this often, announced in jwks before its first use; 0: one."),
    JWT("bind_certificate", TYPE_BOOL, bind_certificate, .initial = "no",
        .help = "Tokens carry the thumbprint of their client's certificate (RFC 8705)."),
    JWT("path", TYPE_STRING, path, .flags = OPTION_PATH | OPTION_READABLE,
        .help = "File with a token on each line; not given: signed here, or fetched."),
    JWT("token_url", TYPE_STRING, token_url,
        .help = "OAuth 2 token endpoint: tokens are fetched by client credentials over mutual TLS "
                "with the identity's certificate."),
    JWT("client_id", TYPE_STRING, client_id, .initial = "client-{n}",
        .help = "token_url: who asks; {n}, {uuid}, {run}."),
    JWT("client_secret", TYPE_STRING, client_secret, .flags = OPTION_SECRET,
        .help = "token_url: not given: the certificate alone says who asks."),
    JWT("token_params", TYPE_STRING, token_params,
        .help = "token_url: more form parameters, such as scope=read&audience=x."),
    JWT("token_ca", TYPE_STRING, token_ca, .flags = OPTION_PATH | OPTION_READABLE,
        .help = "token_url: PEM file of the CA of its server; not given: target.server_ca."),
    JWT("lifetime", TYPE_DURATION, lifetime_ns, .initial = "1h", BETWEEN(1 * S, 3650 * DAY),
        .help = "How long a token is valid; token_url: where the endpoint does not say."),
    JWT("renew_before", TYPE_DURATION, renew_before_ns, BETWEEN(0, 3650 * DAY),
        .help = "Replaced this long before it expires; not given: a tenth of the lifetime."),
    JWT("count", TYPE_COUNT, count, .initial = "100", BETWEEN(1, 1e8),
        .help = "Size of the pool; pick = fresh has none."),
    JWT("rotate", TYPE_ROTATE, rotate, .initial = "request",
        .help = "When the next token is taken."),
    JWT("pick", TYPE_WORD, pick, .initial = "sequential", .words = pick_words, .help = PICK_HELP),
    JWT("exponent", TYPE_NUMBER, exponent, .initial = "1.1", BETWEEN(0.01, 10), .help = ZIPF_HELP),
    JWT("retire_after", TYPE_COUNT, retire_after, .initial = "0", .help = RETIRE_HELP),

    IDENTITY("cert", TYPE_STRING, cert, .help = "Name of a [cert NAME]; not given: none."),
    IDENTITY("apikey", TYPE_STRING, apikey, .help = "Name of an [apikey NAME]; not given: none."),
    IDENTITY("jwt", TYPE_STRING, jwt, .help = "Name of a [jwt NAME]; not given: none."),
    IDENTITY("weight", TYPE_NUMBER, weight, .initial = "1", BETWEEN(1e-6, 1e6),
             .help = "Share of the connections among the identities."),
    IDENTITY("bound", TYPE_BOOL, bound, .initial = "yes",
             .help = "Client n always presents certificate n, key n and token n; no: each rotates "
                     "for itself."),

    REQUEST("method", TYPE_STRING, method, .initial = "GET", .help = "HTTP method."),
    REQUEST("path", TYPE_STRING, path, .flags = OPTION_CONTENT,
            .help = "Path and query; not given: the URL's."),
    REQUEST("header.", TYPE_STRING, headers, .suffix = "NAME",
            .flags = OPTION_CONTENT | OPTION_EMPTY,
            .help = "A header of that name; values of Authorization, Cookie and the like are "
                    "secret."),
    REQUEST("body", TYPE_BODY, body, .flags = OPTION_CONTENT | OPTION_LINES,
            .help = "Body, its length is added; @FILE sends the file's bytes."),
    REQUEST("weight", TYPE_NUMBER, weight, .initial = "1", BETWEEN(1e-6, 1e6),
            .help = "Share among the requests."),
    REQUEST("expect_status", TYPE_STATUS, expect_status, .initial = "2xx",
            .help = "Status of a success."),
    REQUEST("send", TYPE_BYTE_TEXT, send, .flags = OPTION_CONTENT | OPTION_LINES,
            .help = "tls://: the bytes to send, with \\r \\n \\t \\\\ \\\" \\xHH, or @FILE; "
                    "{apikey} and {jwt} stand for the client's own.  Not given: the server "
                    "speaks first."),
    REQUEST("expect", TYPE_BYTE_TEXT, expect, .flags = OPTION_CONTENT | OPTION_LINES,
            .help = "tls://: the reply, byte for byte, written as send is.  With no expectation an "
                    "exchange is done when its bytes are sent."),
    REQUEST("expect_until", TYPE_BYTE_TEXT, expect_until, .flags = OPTION_CONTENT | OPTION_LINES,
            .help = "tls://: the bytes that end the reply, which may be anything before them, up "
                    "to 16MiB."),
    REQUEST("expect_bytes", TYPE_BYTES, expect_bytes, .initial = "0B", BETWEEN(0, 1099511627776.0),
            .help = "tls://: length of the reply, whatever its bytes are; 0B: not told."),

    REFUSE("cert", TYPE_WORD, cert, .initial = "good", .words = bad_cert_words,
           .help = "What is wrong with the certificate."),
    REFUSE("jwt", TYPE_WORD, jwt, .initial = "good", .words = bad_jwt_words,
           .help = "What is wrong with the token."),
    REFUSE("apikey", TYPE_WORD, apikey, .initial = "good", .words = bad_apikey_words,
           .help = "What is wrong with the API key."),
    REFUSE("identity", TYPE_STRING, identity,
           .help = "Whose other credentials go with it; not given: the first identity's."),
    REFUSE("path", TYPE_STRING, path, .flags = OPTION_PATH | OPTION_READABLE,
           .help = "PEM file of the bad certificate with its key, for cert = revoked and file."),
    REFUSE("share", TYPE_RATIO, share, .initial = "1%", BETWEEN(1e-6, 0.5),
           .help = "Of all attempts, exchanges and refusals together."),
    REFUSE("expect", TYPE_STRING, expect_text, .initial = "any",
           .help = "any, alert, alert NAME, or statuses such as 401, 403."),

    PHASE("duration", TYPE_DURATION, duration_ns, .flags = OPTION_REQUIRED,
          BETWEEN(100 * MS, 365 * DAY), .help = "Its length; with until = settled the longest."),
    PHASE("ramp", TYPE_RAMP, ramp_ns, .initial = "no",
          .help = "Rate and connections move evenly, within this time or the whole phase, from "
                  "what they were at the end of the phase before; of the first, from nothing, but "
                  "for one connection for each thread."),
    PHASE("idle", TYPE_BOOL, idle, .initial = "no",
          .help = "Nothing is asked for; connections are closed, but for those that "
                  "pace.connections holds."),
    PHASE("until", TYPE_WORD, until, .initial = "duration", .words = until_words,
          .help = "settled: an idle phase ends as soon as the first memory source has settled."),
    PHASE("pace.rate", TYPE_RATE, rate_per_s, BETWEEN(0, 1e7), .help = "pace.rate in this phase."),
    PHASE("pace.connections", TYPE_COUNT, connections, BETWEEN(0, 1e6),
          .help = "pace.connections; more are dialled, fewer are closed when they are idle."),
    PHASE("pace.connect_rate", TYPE_RATE, connect_rate_per_s, BETWEEN(0, 1e6),
          .help = "New connections where there shall be more, after one for each thread; 0/s: as "
                  "fast as handshakes allow."),
    PHASE("pace.think_time", TYPE_DURATION, think_time_ns, BETWEEN(0, DAY),
          .help = "pace.think_time in this phase."),
    PHASE("pace.requests_per_connection", TYPE_COUNT, requests_per_connection,
          .help = "pace.requests_per_connection in this phase."),
    PHASE("pace.resume_ratio", TYPE_RATIO, resume_ratio, .help = "pace.resume_ratio likewise."),

    MISUSE("kind", TYPE_WORD, kind, .words = misuse_words,
           .help = "What is done: half-open: connected, nothing is sent; handshake-stop: closed in "
                   "the handshake; abort-body: closed after half of a request's body; "
                   "abandon-response: closed before the response or as it begins; early-close: "
                   "close_notify and FIN right behind the request; reset: RST, and "
                   "no-close-notify: FIN alone, after a good exchange; slow-send: the head a few "
                   "bytes at a time; slow-read: so the response; oversized-header; plain-http: no "
                   "TLS; h2-disconnect: closed with requests of HTTP/2 in flight; h2-reset: such "
                   "requests, each reset right behind its HEADERS."),
    MISUSE("share", TYPE_RATIO, share, .initial = "1%", BETWEEN(1e-6, 0.5),
           .help = "Of all attempts, exchanges, refusals and misuses together."),
    MISUSE("hold", TYPE_DURATION, hold_ns, BETWEEN(10 * MS, H),
           .help = "The longest that one lasts once it is connected (half-open, slow-send and "
                   "slow-read until then); not given: 10s, with [attribution] a quarter of a "
                   "dwell."),
    MISUSE("stage", TYPE_WORD, stage, .initial = "each", .words = stage_words,
           .help = "Where to close.  handshake-stop: hello, server-flight or client-flight; "
                   "abandon-response: request or first-byte; each: one after the other."),
    MISUSE("end", TYPE_WORD, end, .initial = "reset", .words = end_words,
           .help = "How abort-body, abandon-response and h2-disconnect close, all without "
                   "close_notify."),
    MISUSE("size", TYPE_BYTES, size_bytes, .initial = "64KiB", BETWEEN(1024, 1048576),
           .help = "Of an oversized header."),
    MISUSE("streams", TYPE_COUNT, streams, .initial = "4", BETWEEN(1, 1000),
           .help = "h2-disconnect, h2-reset: requests on each connection; in flight at once no "
                   "more than the server allows."),

    MEMORY("source", TYPE_WORD, source, .words = memory_source_words, .initial = "process",
           .help = "What the kernel says of a process or a control group, or a command prints, or "
                   "a page of Prometheus metrics says (and the process, where it is known)."),
    MEMORY("pid", TYPE_PID, pid, BETWEEN(1, 4194304),
           .help = "The process; without pid, pid_file, name, port and exec: the one that listens "
                   "on the target's port."),
    MEMORY("pid_file", TYPE_STRING, pid_file, .flags = OPTION_PATH | OPTION_READABLE,
           .help = "File that holds the process id."),
    MEMORY("name", TYPE_STRING, process, .help = "Name of the process, as in /proc/PID/comm."),
    MEMORY("port", TYPE_PORT, port, BETWEEN(1, 65535),
           .help = "TCP port that the process listens on."),
    MEMORY("exec", TYPE_STRING, exec, .flags = OPTION_CONTENT,
           .help = "Command line that is started and ended with the run."),
    MEMORY("command", TYPE_STRING, command, .flags = OPTION_CONTENT,
           .help = "Prints the memory that the server uses, as 123456 or 1.5MiB, on its first "
                   "line; {pid} is the process.  It is run without a shell: for a pipe write "
                   "sh -c '...'."),
    MEMORY("path", TYPE_STRING, path,
           .help = "source = cgroup: the directory of a control group, from the mount on where it "
                   "begins without a slash; * and ? as in a shell.  Not given: that of the "
                   "process."),
    MEMORY("url", TYPE_STRING, url,
           .help = "source = prometheus: the page of metrics, http or https."),
    MEMORY("metric", TYPE_STRING, metric,
           .help = "source = cgroup: anon (not given), current, kernel or sock; prometheus: any in "
                   "bytes, process_resident_memory_bytes where not given."),
    MEMORY("match", TYPE_STRING, match,
           .help = "Labels of the metric's samples, which are summed: area=\"heap\"."),
    MEMORY("client_cert", TYPE_STRING, client_cert, .flags = OPTION_PATH | OPTION_READABLE,
           .help = "PEM file of a certificate and its key for the url; not given: as the first "
                   "[cert] has it."),
    MEMORY("server_ca", TYPE_STRING, server_ca, .flags = OPTION_PATH | OPTION_READABLE,
           .help = "PEM file of the CA that signed the url's server; not given: "
                   "target.server_ca."),
    MEMORY("settle", TYPE_STRING, settle, .flags = OPTION_CONTENT,
           .help = "Comes before each reading and makes the server collect its garbage: a command "
                   "line (jcmd {pid} GC.run), a URL "
                   "(http://127.0.0.1:6060/debug/pprof/heap?gc=1), or the word command, where that "
                   "collects before it counts."),
    MEMORY("every", TYPE_DURATION, every_ns, .initial = "0", BETWEEN(0, H),
           .help = "Time between readings; 0: with settle 5s, of a command or url 1s, else 200ms "
                   "in runs below 5 minutes and 1s in others.  With settle and [attribution], a "
                   "reading comes at the end of each dwell."),
    MEMORY("deadline", TYPE_DURATION, deadline_ns, .initial = "0", BETWEEN(0, 60 * S),
           .help = "Time for one reading, settling included; 0: 1s, with settle or of a command "
                   "or url 10s, but no longer than every or a dwell."),
    MEMORY("limit", TYPE_BYTES, limit_bytes, .initial = "0B", BETWEEN(0, 1125899906842624.0),
           .help = "Memory that the server may use, for the forecast; 0B: none, of a control group "
                   "what its memory.max says."),
    MEMORY("stop_at", TYPE_BYTES, stop_at_bytes, .initial = "0B",
           BETWEEN(0, 1125899906842624.0),
           .help = "The run ends before the server's memory is as large; 0B: whatever it is."),

    JUDGE("warmup", TYPE_RATIO, warmup, .initial = "0", BETWEEN(0, 0.9),
          .help = "Share of the run left out at its start; 0: found by the judge."),
    JUDGE("budget.", TYPE_BUDGET, budget, .suffix = "DRIVER", .initial = "none",
          .help = "Growth that is allowed per event of a driver (time: per second).  With "
                  "none given: 16B, of a connection or certificate 64B, of a second 1KiB."),
    JUDGE("expect_bound.", TYPE_BOUND, expect_bound, .suffix = "DRIVER", .initial = "none",
          .help = "Entries that a bounded store of the server holds, filled by a driver."),
    JUDGE("expect_ttl", TYPE_DURATION, expect_ttl_ns, .initial = "0", BETWEEN(0, 365 * DAY),
          .help = "Age at which the server drops what it stores; 0: none known."),
    JUDGE("period", TYPE_DURATION, period_ns, .initial = "0", BETWEEN(0, 365 * DAY),
          .help = "Of a load that comes and goes; removed from runs that hold it 1.75 times; 0: a "
                  "day."),
    JUDGE("stop_early", TYPE_BOOL, stop_early, .initial = "no",
          .help = "attribution.mode = pairs: end the run as soon as the leak is proven."),

    ATTRIBUTION("mode", TYPE_WORD, mode, .initial = "off", .words = attribution_words,
                .help = "Rate, reconnecting, fresh identities and bad ones are switched by design, "
                        "so that growth can be told apart by its cause.  crossover: in a minute, "
                        "with short dwells; modulation: in 160 s and more, surer; pairs: of one "
                        "factor, in pairs of dwells whose order a coin decides."),
    ATTRIBUTION("factor", TYPE_WORD, factor, .initial = "client_certificate",
                .words = factor_words, .help = "pairs: what is on in one dwell of each pair."),
    ATTRIBUTION("dwell", TYPE_DURATION, dwell_ns, BETWEEN(100 * MS, DAY),
                .help = "Time spent with one mix of drivers; not given: 2s in a crossover, else "
                        "10s."),
    ATTRIBUTION("warmup", TYPE_DURATION, warmup_ns, BETWEEN(0, DAY),
                .help = "Steady load before the first dwell; not given: 6s, or 15s."),
    ATTRIBUTION("steady", TYPE_DURATION, steady_ns, .initial = "0", BETWEEN(0, 365 * DAY),
                .help = "More steady load, after the warm-up."),
    ATTRIBUTION("duration", TYPE_DURATION, duration_ns, .initial = "0", BETWEEN(0, 365 * DAY),
                .help = "Of all dwells, after which the load is steady again; 0: what the run "
                        "leaves."),
    ATTRIBUTION("cooldown", TYPE_DURATION, cooldown_ns, .initial = "0", BETWEEN(0, DAY),
                .help = "No load at the end of the run; what memory does then is reported."),

    LIMIT("latency.", TYPE_LIMIT_DURATION, named, .suffix = "SERIES.STAT.max", BETWEEN(1e3, H),
          .help = "SERIES is response (from when it was due), service, first_byte, connect, "
                  "handshake_full or handshake_resumed; STAT p50, p99, p99.9 etc., mean or max."),
    LIMIT("errors.ratio.max", TYPE_LIMIT_RATIO, errors_ratio_max,
          .help = "Exchanges and dials that failed, and answers of unexpected status, of all."),
    LIMIT("rate.reached.min", TYPE_LIMIT_RATE, rate_reached_min, BETWEEN(1e-4, 1e7),
          .help = "Exchanges completed a second; handshake: handshakes.  Not with [search]."),
    LIMIT("leak.", TYPE_BYTES, named, .suffix = "DRIVER.max", BETWEEN(0.001, 1099511627776.0),
          .help = "Bytes that the server keeps of each event of a driver; time: of a second."),
    LIMIT("memory.", TYPE_GROWTH, named, .suffix = "growth.max", BETWEEN(1.0 / 3600, 1073741824.0),
          .help = "Growth of every [memory]; memory.NAME.growth.max is of that one."),

    SEARCH("from", TYPE_RATE, from_per_s, BETWEEN(1e-4, 1e7),
           .help = "The first rate, which is doubled from step to step; not given: a hundredth of "
                   "to."),
    SEARCH("to", TYPE_RATE, to_per_s, BETWEEN(1e-4, 1e7),
           .help = "The highest rate to be tried; with it there is a search."),
    SEARCH("step", TYPE_DURATION, step_ns, .initial = "10s", BETWEEN(1 * S, H),
           .help = "Load that is measured at each rate."),
    SEARCH("ramp", TYPE_DURATION, ramp_ns, .initial = "1s", BETWEEN(0, H),
           .help = "Before it, in which the rate grows from nothing; no shorter than an answer of "
                   "the server takes."),
    SEARCH("rest", TYPE_DURATION, rest_ns, .initial = "2s", BETWEEN(200 * MS, H),
           .help = "Between steps, without load; up to 10s longer where that is in flight still."),
    SEARCH("precision", TYPE_RATIO, precision, .initial = "5%", BETWEEN(1e-3, 1),
           .help = "The answer is found when a rate that much above it does not hold."),

    HOOK("rotate", TYPE_STRING, rotate, .flags = OPTION_CONTENT,
         .help = "Rotates something on the server, such as its certificate or a key store: kill "
                 "-HUP {pid}; each that ends with exit code 0 counts as a rotation."),
    HOOK("every", TYPE_DURATION, every_ns, BETWEEN(100 * MS, DAY),
         .help = "Time between rotations, of which the first comes after half of it; not given: "
                 "30s, or with [attribution] a quarter of a dwell."),
    HOOK("on_start", TYPE_STRING, on_start, .flags = OPTION_CONTENT,
         .help = "Runs once before the load."),
    HOOK("on_leak", TYPE_STRING, on_leak, .flags = OPTION_CONTENT,
         .help = "Runs once when a leak is called, as soon as that is sure, else after the load "
                 "and before on_end: jcmd {pid} GC.heap_dump {run}/leak.hprof."),
    HOOK("on_end", TYPE_STRING, on_end, .flags = OPTION_CONTENT,
         .help = "Runs once after the load, however that ended."),
    HOOK("deadline", TYPE_DURATION, deadline_ns, .initial = "10s", BETWEEN(10 * MS, H),
         .help = "Time for one command, after which it is killed; of rotate no longer than every."),

    OUTPUT("listen", TYPE_STRING, listen,
           .help = "ADDRESS:PORT where dashboards read /metrics while the run lasts, or a PORT of "
                   "127.0.0.1; 0: a free one."),
    OUTPUT("formats", TYPE_STRING, formats,
           .help = "Reports that the run leaves in its directory beside verdict.json: of text, "
                   "html, junit, markdown, csv, bench-smaller, bench-bigger and bmf; not given: "
                   "the first five."),
    OUTPUT("history", TYPE_STRING, history, .flags = OPTION_PATH | OPTION_WRITTEN,
           .help = "CSV that gets a line of each run: the numbers that one looks at over weeks."),
};
/* clang-format on */

#define N_OPTIONS (sizeof options / sizeof options[0])

_Static_assert(sizeof factor_words / sizeof *factor_words == DRIVER_COUNT + 1,
               "a word for each driver");
const struct option *option_at(size_t i)
{
    return i < N_OPTIONS ? &options[i] : NULL;
}

const struct option *option_find(enum section section, const char *key, const char **ret_suffix)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option *option = &options[i];
        if (option->section != section) {
            continue;
        }
        if (option->suffix == NULL && str_equal(option->key, key)) {
            *ret_suffix = NULL;
            return option;
        }
        if (option->suffix != NULL && str_has_prefix(key, option->key) &&
            key[strlen(option->key)] != '\0') {
            *ret_suffix = key + strlen(option->key);
            return option;
        }
    }
    return NULL;
}
