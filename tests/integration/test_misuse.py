"""Clients that misbehave on purpose, as nginx and the embedded server see them."""
import collections
import contextlib
import http.server
import re
import threading
import time

import pytest

from servers import embedded, free_port, last_truth, make_pki, need, nginx, profile, running, tlsoak, totals

LASTING = ["half-open", "slow-send", "slow-read"]
QUICK = ["handshake-stop", "abort-body", "abandon-response", "early-close", "reset", "no-close-notify",
         "oversized-header", "plain-http"]

BASE = """
[run]
duration = 3s
threads = 2
[target]
url = {url}
server_ca = {pki}/ca.pem
[pace]
connections = 8
think_time = 30ms
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
count = 20
"""

CREDENTIALS = """
[apikey]
template = client-{{n}}.{{hmac}}
secret = @{pki}/apikey.secret
[jwt]
key = @{pki}/jwt.secret
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


def misuses(kinds, share, stages=None):
    text = ""
    for kind in kinds:
        text += f"[misuse {kind}]\nkind = {kind}\nshare = {share}\n"
        text += "hold = 300ms\n" if kind in LASTING else ""
        text += f"stage = {stages[kind]}\n" if kind in (stages or {}) else ""
    return text


def soak(tmp_path, text):
    done = tlsoak("run", profile(tmp_path, text), "-o", tmp_path / "run", "--quiet")
    assert done.returncode == 0, (done.stdout, done.stderr)
    run = totals(tmp_path / "run")
    counts = run["totals"]
    assert counts["failed"] == counts["unexpected"] == 0, run["outcomes"]
    assert counts["misuse_tried"] == counts["misuse_done"] + counts["misuse_undone"]
    tallies = {m["name"]: m for m in run["misuses"]}
    for kind, tally in tallies.items():
        assert tally["tried"] > 5 and tally["undone"] == tally["forgone"] == 0, (kind, tally)
    return counts, tallies


def check_shares(counts, tallies, share):
    attempts = counts["started"] + counts["misuse_tried"]
    for kind, tally in tallies.items():
        # within 5 %, or the one misuse of each worker that a share falls short of a whole number
        assert abs(tally["tried"] - share * attempts) <= max(0.05 * share * attempts, 2), (kind, tally)


def test_the_embedded_server_agrees_on_every_kind(tmp_path, pki):
    text = BASE + CREDENTIALS + misuses(LASTING + QUICK, "4%")
    with embedded(tmp_path, pki, "--leak", "aborted=4096") as server:
        counts, tallies = soak(tmp_path, text.format(url=server.url, pki=pki))
        truth = last_truth(server)
    done = {kind: tally["done"] for kind, tally in tallies.items()}
    check_shares(counts, tallies, 0.04)
    assert counts["misuse_done"] == sum(done.values())
    stopped = done["handshake-stop"]
    shaken = counts["misuse_handshake"] - sum(done[kind] for kind in done if kind not in (
        "half-open", "handshake-stop", "plain-http"))
    assert abs(shaken - stopped / 3) <= 2
    aborted = sum(done[kind] for kind in ("abort-body", "abandon-response", "reset", "slow-send",
                                          "slow-read"))
    assert truth["aborted"] == aborted and truth["retained_bytes"] == aborted * 4096
    assert truth["requests"] == counts["completed"] + counts["misuse_request"]
    assert truth["connections"] == counts["handshake_full"] + counts["misuse_handshake"]
    assert truth["handshakes_aborted"] == done["half-open"] + stopped - shaken
    # the self-check's connection, too
    assert truth["handshakes_failed"] == truth["handshakes_aborted"] + done["plain-http"] + 1
    assert truth["cut"] == done["no-close-notify"] + done["slow-send"] + shaken
    assert truth["oversized"] == done["oversized-header"] == tallies["oversized-header"]["status"]["4xx"]
    for name in ("client_certificates", "api_keys", "jwts"):
        ours = {"client_certificates": "cert_new", "api_keys": "key_new", "jwts": "jwt_new"}[name]
        assert truth[name] == counts[ours], name
    report = tlsoak("report", tmp_path / "run").stdout
    assert f"misuses       {done['half-open']} connections on which nothing was sent\n" in report
    assert f"{done['abort-body']} request bodies aborted half way\n" in report


def test_keys_of_heads_that_are_not_taken_are_not_counted(tmp_path, pki):
    credentials = CREDENTIALS.replace("[jwt]", "pick = fresh\n[jwt]") + "pick = fresh\n"
    text = BASE + credentials + misuses(["slow-send", "oversized-header", "abort-body"], "10%")
    with embedded(tmp_path, pki) as server:
        counts, _ = soak(tmp_path, text.format(url=server.url, pki=pki))
        truth = last_truth(server)
    assert truth["requests"] == counts["completed"] + counts["misuse_request"]
    assert (truth["api_keys"], truth["jwts"]) == (counts["key_new"], counts["jwt_new"])


@contextlib.contextmanager
def slow_upstream():
    """What nginx is a proxy for; it takes its time, so that a client can go before the answer."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(0.05)
            with contextlib.suppress(ConnectionError):
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


# What nginx writes of each in its log of errors, at the level info.
SAYS = {
    "half-open": "client closed connection while SSL handshaking",
    "handshake-stop": r"peer closed connection in SSL handshake (\(104: [^)]*\) )?while SSL handshaking|"
                      "client closed connection while waiting for request",
    "abort-body": "client prematurely closed connection, client",
    "abandon-response": "client prematurely closed connection, so upstream connection is closed too",
    "no-close-notify": r"client [\d.]+ closed keepalive connection$",
    "reset": r"client [\d.]+ closed keepalive connection \(104",
    "slow-send": "client prematurely closed connection while reading client request",
    "oversized-header": "client sent too long header line",
    "plain-http": "client sent plain HTTP request to HTTPS port",
}


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_nginx_logs_what_was_done_to_it(tmp_path, pki, version):
    # slow-read and early-close look like reset and abandon-response to nginx
    stages = {"abandon-response": "request"}
    upload = "[request upload]\nmethod = POST\npath = /up\nbody = 0123456789\n"
    with slow_upstream() as upstream, nginx(
            tmp_path, pki, extra=f"error_log {tmp_path}/info.log info; ssl_protocols {version};"
                                 f"location = /up {{ proxy_pass http://127.0.0.1:{upstream}; }}") as server:
        text = BASE + upload + misuses(SAYS, "3%", stages)
        counts, tallies = soak(tmp_path, text.format(url=server.url, pki=pki))
        server.stop()
        log = (tmp_path / "info.log").read_text()
        statuses = collections.Counter(line.split()[1] for line in server.access_log.read_text().splitlines())
    found = {kind: len(re.findall(says, log, re.M)) for kind, says in SAYS.items()}
    done = {kind: tally["done"] for kind, tally in tallies.items()}
    # beside the misuses: the look whether it listens, and the load's own connections at its end
    expected = done | {"half-open": done["half-open"] + 1,
                       "no-close-notify": done["no-close-notify"] + counts["handshake_full"]}
    assert found == expected, log
    # the self-check's 400, too
    assert statuses["400"] == 1 + sum(done[kind] for kind in (
        "abort-body", "slow-send", "oversized-header", "plain-http"))
    assert statuses["499"] == done["abandon-response"]
    assert statuses["200"] == counts["completed"] + done["reset"] + done["no-close-notify"]


# HTTP/2, beside a load that may speak HTTP/1.1 itself.

H2 = ["h2-disconnect", "h2-reset"]
STREAMS = {"h2-disconnect": 5, "h2-reset": 7}


def h2_misuses(share, more=""):
    return "".join(f"[misuse {kind}]\nkind = {kind}\nshare = {share}\nstreams = {STREAMS[kind]}\n" +
                   (more if kind == "h2-disconnect" else "") for kind in H2)


SHORT = BASE.replace("duration = 3s", "duration = 1500ms")


def streams_of(tallies):
    return {kind: STREAMS[kind] * tally["done"] for kind, tally in tallies.items()}


@pytest.mark.parametrize("alpn, end", [("http/1.1", "reset"), ("h2", "fin")])
def test_the_embedded_server_agrees_on_http2(tmp_path, pki, alpn, end):
    text = SHORT.replace("[pace]", f"alpn = {alpn}\n[pace]") + CREDENTIALS + h2_misuses("10%", f"end = {end}\n")
    with embedded(tmp_path, pki, "--leak", "aborted=512") as server:
        counts, tallies = soak(tmp_path, text.format(url=server.url, pki=pki))
        truth = last_truth(server)
    check_shares(counts, tallies, 0.1)
    streams = streams_of(tallies)
    assert counts["misuse_request"] == sum(streams.values())
    assert counts["misuse_handshake"] == counts["misuse_done"]  # one a connection
    assert truth["requests"] == counts["completed"] + sum(streams.values())
    assert truth["connections"] == counts["handshake_full"] + counts["misuse_handshake"]
    # every stream, though this server answers at once: no body gets through
    assert truth["aborted"] == sum(streams.values())
    assert truth["retained_bytes"] == 512 * truth["aborted"]
    # h2-reset closes politely; an answer that comes behind our FIN meets a reset
    cut = tallies["h2-disconnect"]["done"]
    assert 0 < truth["cut"] <= cut if end == "fin" else truth["cut"] == 0
    for name, ours in (("client_certificates", "cert_new"), ("api_keys", "key_new"), ("jwts", "jwt_new")):
        assert truth[name] == counts[ours], name
    report = " ".join(tlsoak("report", tmp_path / "run").stdout.split())
    assert f"{tallies['h2-reset']['done']} HTTP/2 connections whose requests were reset at once" in report
    assert f"{tallies['h2-disconnect']['done']} HTTP/2 connections closed with requests in flight" in report


def test_nginx_sees_the_streams(tmp_path, pki):
    """Each stream is a line of its log; its limit of streams bounds what is in flight, not what is reset."""
    with nginx(tmp_path, pki, listen="http2", extra="http2_max_concurrent_streams 4;"
               f"access_log {tmp_path}/h2.log proto;") as server:
        counts, tallies = soak(tmp_path, (SHORT + h2_misuses("10%")).format(url=server.url, pki=pki))
        server.stop()
        log = (tmp_path / "h2.log").read_text().splitlines()
        errors = (tmp_path / "error.log").read_text()
    over_h2 = [line for line in log if "HTTP/2.0" in line]
    assert len(over_h2) == counts["misuse_request"] == 4 * tallies["h2-disconnect"]["done"] + \
        7 * tallies["h2-reset"]["done"]
    assert len({line.split()[0] for line in over_h2}) == counts["misuse_done"]  # connections
    assert "[alert]" not in errors and "[crit]" not in errors, errors


def test_nghttpd_sees_the_resets(tmp_path, pki):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "index.html").write_bytes(b"x" * 10_000)
    port = free_port()
    command = [need("nghttpd"), "-v", "-d", tmp_path / "root", "--verify-client", port, f"{pki}/server.key",
               f"{pki}/server.pem"]
    with running([str(c) for c in command], port, tmp_path) as server:
        text = SHORT.replace("[pace]", "alpn = h2\nexpect_mtls = no\n[pace]") + h2_misuses("10%")
        counts, tallies = soak(tmp_path, text.format(url=server.url, pki=pki))
        server.stop()
        log = server.log.read_text()
    streams = streams_of(tallies)
    assert len(re.findall(r"recv .*HEADERS.* frame", log)) == counts["completed"] + sum(streams.values())
    assert len(re.findall(r"recv .*RST_STREAM.* frame", log)) == streams["h2-reset"]
    assert len(re.findall(r"error_code=CANCEL", log)) == streams["h2-reset"]


def test_a_server_without_http2_is_told(tmp_path, pki):
    with nginx(tmp_path, pki) as server:
        text = (SHORT + h2_misuses("10%")).format(url=server.url, pki=pki)
        done = tlsoak("run", profile(tmp_path, text), "-o", tmp_path / "run", "--quiet")
        assert done.returncode == 0, (done.stdout, done.stderr)
    run = totals(tmp_path / "run")
    for tally in run["misuses"]:
        assert tally["undone"] == tally["tried"] > 5 and tally["why"] in ("no_h2", "alert_no_application_protocol")
    assert run["totals"]["misuse_request"] == run["totals"]["misuse_done"] == run["totals"]["failed"] == 0


def test_too_many_are_a_mistake(tmp_path, pki):
    """Away from loopback the ceiling is there by default; on it, where the profile has one."""
    text = BASE.format(url="https://127.0.0.1:1/", pki=pki) + misuses(["reset", "abort-body"], "4%")
    done = tlsoak("run", profile(tmp_path, text), "-o", tmp_path / "run", "--set", "target.max_misuse=5%")
    assert done.returncode in (2, 5), done.stderr
    assert re.search(r"profile.ini:\d+: 8 % of the attempts are bad on purpose", done.stderr), done.stderr
    assert not (tmp_path / "run").exists()
