"""HTTP/2 against nghttpd, nginx, Go and the embedded server: what the client counts is what they logged."""
import collections
import signal
import threading

import pytest

from servers import (RELEASE, TLSOAK, embedded, free_port, go_server, last_truth, logged, make_pki,
                     need, nginx, profile, running, tlsoak, totals, verdict)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 1)


BASE = """
[run]
duration = {duration}
threads = 2
drain = 10s
[target]
url = {url}
server_ca = {pki}/ca.pem
alpn = {alpn}
expect_mtls = {expect_mtls}
[pace]
connections = {connections}
streams = {streams}
{pace}
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
count = 20
[apikey]
secret = @{pki}/apikey.secret
count = 30
[jwt]
key = @{pki}/jwt.secret
count = 40
{more}
"""


def run(tmp_path, server, pki, name="run", binary=None, **over):
    """(finished process, totals) of a run that passed."""
    values = dict(duration="1500ms", url=server.url, pki=pki, alpn="h2", expect_mtls="yes", connections=4,
                  streams=16, pace="", more="") | over
    run_dir = tmp_path / name
    done = tlsoak("run", profile(tmp_path, BASE.format(**values), f"{name}.ini"), "-q", "-o", run_dir,
                  binary=binary)
    assert done.returncode == 0, done.stdout + done.stderr
    count = totals(run_dir)["totals"]
    assert count["started"] == count["completed"] + count["failed"]
    assert count["started"] > 300
    return done, collections.Counter(count)


def http2(tmp_path, pki, extra=""):
    """nginx that speaks HTTP/2 beside HTTP/1.1."""
    return nginx(tmp_path, pki, extra=f"http2_max_concurrent_streams 8; {extra}", listen="http2")


def test_counts_are_those_of_the_embedded_server(tmp_path, pki):
    with embedded(tmp_path, pki, binary=TLSOAK) as server:
        _, count = run(tmp_path, server, pki, pace="requests_per_connection = 100")
        truth = last_truth(server)
    assert count["failed"] == 0
    assert truth["requests"] == count["completed"]
    assert truth["connections"] == count["handshake_full"] > 20
    assert truth["client_certificates"] == count["cert_new"]
    assert truth["api_keys"] == count["key_new"] == 30
    assert truth["jwts"] == count["jwt_new"] == 40
    assert truth["refused"] == 1  # the self-check
    assert truth["aborted"] == 0
    # every connection has carried all that it may, but for those that were open at the end
    assert count["completed"] >= 100 * (count["closed"] - 4)


def test_bodies_and_streams_given_up_in_the_embedded_server(tmp_path, pki):
    with embedded(tmp_path, pki, binary=TLSOAK) as server:
        _, count = run(tmp_path, server, pki, streams=4, more=f"""
[request get]
weight = 20
[request put]
method = PUT
path = /body
body = @{pki}/ca.pem
weight = 20
[request early]
method = POST
path = /ignore
body = @{pki}/ca.pem
weight = 20
[request head]
method = HEAD
weight = 20
""")
        truth = last_truth(server)
    assert truth["requests"] == count["completed"] and count["failed"] == 0
    assert truth["aborted"] == 0
    with embedded(tmp_path, pki, binary=TLSOAK) as server:
        # parked requests are given up after their deadline: their streams alone
        text = BASE.format(duration="2s", url=server.url, pki=pki, alpn="h2", expect_mtls="no",
                           connections=2, streams=8, pace="", more="""
[request get]
weight = 50
[request park]
method = POST
path = /park
weight = 1
""").replace("[pace]", "timeout.first_byte = 300ms\n[pace]").replace("drain = 10s", "drain = 1s")
        tlsoak("run", profile(tmp_path, text), "-q", "-o", tmp_path / "park")
        count = totals(tmp_path / "park")
        truth = last_truth(server)
    given_up = count["outcomes"]["timeout_first_byte"]
    stopped = count["outcomes"].get("stopped", 0)
    assert given_up > 0 and count["totals"]["failed"] == given_up + stopped
    assert truth["requests"] == count["totals"]["started"]
    assert truth["aborted"] == given_up + stopped
    assert truth["connections"] == 2  # nothing but the streams ended


def test_a_leak_is_found_over_h2(tmp_path, pki):
    with embedded(tmp_path, pki, "--leak", "request=400", binary=RELEASE) as server:
        text = BASE.format(duration="12s", url=server.url, pki=pki, alpn="h2", expect_mtls="no",
                           connections=4, streams=8, pace="mode = open\nrate = 1500/s",
                           more=f"[memory server]\npid = {server.pid}\n")
        done = tlsoak("run", profile(tmp_path, text), "-q", "-o", tmp_path / "leak", binary=RELEASE)
        truth = last_truth(server)
    assert done.returncode == 1, done.stdout + done.stderr
    found = verdict(tmp_path / "leak")["memory"][0]
    assert found["class"] == "leak"
    assert truth["requests"] == totals(tmp_path / "leak")["totals"]["completed"]


def test_nginx_goes_away_in_mid_run(tmp_path, pki):
    """A GOAWAY after every 50 requests: nothing is lost and nothing is done twice."""
    with http2(tmp_path, pki, "keepalive_requests 50;") as server:
        _, count = run(tmp_path, server, pki)
        server.stop()
        lines = logged(server)
    # what the last GOAWAY left untouched when the load had ended finds no connection any more
    assert count["failed"] == totals(tmp_path / "run")["outcomes"].get("stopped", 0) < count["retried"]
    assert len(lines) == count["completed"]
    assert {line.split()[1] for line in lines} == {"200"}
    of_connection = collections.Counter(line.split()[2] for line in lines)
    # the last dials may come too late to carry anything
    assert 10 < count["handshake_full"] - 4 <= len(of_connection) <= count["handshake_full"]
    assert max(of_connection.values()) == 50
    assert len({line.split()[0] for line in lines}) == count["cert_new"]


def test_nginx_is_reloaded_in_mid_run(tmp_path, pki):
    """Its old worker goes away; what it resets on a connection that had carried nothing yet may fail."""
    with http2(tmp_path, pki) as server:
        timer = threading.Timer(0.7, server.process.send_signal, [signal.SIGHUP])
        timer.start()
        _, count = run(tmp_path, server, pki)
        timer.join()
        server.stop()
        lines = logged(server)
    assert count["handshake_full"] >= 8
    assert count["failed"] <= 4 * 16
    assert count["completed"] <= len(lines) <= count["completed"] + count["failed"] + count["retried"]


def test_nghttpd(tmp_path, pki):
    """Its own trailers, its limit of streams; each line of its log is a response."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "index.html").write_bytes(b"x" * 100_000)
    port = free_port()
    command = [need("nghttpd"), "-v", "-d", tmp_path / "root", "--verify-client", "-m", "5", "-w", "16",
               "--trailer", "sum: ok", port, f"{pki}/server.key", f"{pki}/server.pem"]
    with running([str(c) for c in command], port, tmp_path) as server:
        _, count = run(tmp_path, server, pki, expect_mtls="no", duration="1s")
        server.stop()
        log = server.log.read_text()
    assert count["failed"] == 0
    assert log.count(":status: 200") == count["completed"]
    assert log.count("recv HEADERS frame") == count["completed"]
    assert count["bytes_received"] > 100_000 * count["completed"]


def test_go(tmp_path, pki):
    with go_server(tmp_path, pki) as server:
        done = tlsoak("run", profile(tmp_path, BASE.format(
            duration="1s", url=server.url, pki=pki, alpn="h2, http/1.1", expect_mtls="yes", connections=1,
            streams=1, pace="", more="").replace("threads = 2", "threads = 1")), "--once", "-v")
        assert "* HTTP/2 (selected by ALPN)" in done.stdout, done.stdout + done.stderr
        _, count = run(tmp_path, server, pki)
        done = tlsoak("doctor", tmp_path / "run.ini")
        assert "ok    protocol      the server selects h2 (ALPN)" in done.stdout, done.stdout
    assert count["failed"] == 0


def test_bad_identities_are_refused_over_h2(tmp_path, pki):
    with embedded(tmp_path, pki, binary=TLSOAK) as server:
        _, count = run(tmp_path, server, pki, streams=8, more="""
[refuse stranger]
cert = unknown-ca
share = 1%
[refuse expired]
jwt = expired
share = 1%
expect = 403
[refuse keyless]
apikey = none
share = 1%
""")
        truth = last_truth(server)
    assert count["refusal_let_in"] == 0 and count["refusal_unclear"] == 0
    assert count["refusal_refused"] > 10
    assert truth["refused"] == count["refusal_refused"] + 1


def test_who_does_not_speak_h2_is_named(tmp_path, pki):
    with nginx(tmp_path, pki) as server:
        text = BASE.format(duration="2s", url=server.url, pki=pki, alpn="h2", expect_mtls="no",
                           connections=1, streams=1, pace="", more="").replace("threads = 2", "threads = 1")
        done = tlsoak("run", profile(tmp_path, text), "--once", "-v")
        assert done.returncode == 4
        assert "no_h2" in done.stdout or "alert_no_application_protocol" in done.stdout
        done = tlsoak("doctor", profile(tmp_path, text))
        assert done.returncode == 5 and "FAIL  protocol" in done.stdout, done.stdout
        _, count = run(tmp_path, server, pki, alpn="h2, http/1.1")  # goes on with HTTP/1.1
        assert len(logged(server)) >= count["completed"]
    done = tlsoak("check", profile(tmp_path, text.replace("alpn = h2", "alpn = http/1.1")
                                   .replace("streams = 1", "streams = 4")))
    assert done.returncode == 2
    assert "pace.streams: of no use with HTTP/1.1 (write target.alpn = h2)" in done.stderr


def test_think_time_is_of_each_stream(tmp_path, pki):
    """2 connections of 10 streams, each resting 100 ms: some 200 a second, and never more at once."""
    with embedded(tmp_path, pki, binary=TLSOAK) as server:
        text = BASE.format(duration="3s", url=server.url, pki=pki, alpn="h2", expect_mtls="no",
                           connections=2, streams=10, pace="think_time = 100ms", more="")
        done = tlsoak("run", profile(tmp_path, text), "-q", "-o", tmp_path / "think")
    assert done.returncode == 0, done.stdout + done.stderr
    completed = totals(tmp_path / "think")["totals"]["completed"]
    assert 200 < completed <= 20 * 31
