"""Endpoints behind mutual TLS that speak no HTTP: Redis, openssl s_server and servers in Python."""
import contextlib
import pathlib
import shutil
import socket
import ssl
import threading
import types

import pytest

from servers import (RELEASE, free_port, make_pki, need, profile, redis, running, tlsoak, totals, verdict)

PROFILES = pathlib.Path(__file__).parents[2] / "profiles"

BASE = """
[run]
duration = {duration}
threads = 1
[target]
url = {url}
server_ca = {pki}/ca.pem
{target}
[pace]
{pace}
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
count = 40
"""
PING = """
[request ping]
send = PING\\r\\n
expect = +PONG\\r\\n
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 2, "--bad")


def profile_of(tmp_path, pki, url, requests, pace="connections = 4\nrequests_per_connection = 10",
               duration="2s", target=""):
    return profile(tmp_path, BASE.format(url=url, pki=pki, pace=pace, duration=duration, target=target) + requests)


def soak(path, run_dir, code, binary=None):
    done = tlsoak("run", path, "-o", run_dir, "--quiet", binary=binary)
    assert done.returncode == code, (done.stdout, done.stderr)
    return totals(run_dir)["totals"]


def asked(server, pki, command):
    """What Redis answers to a client of the test's own."""
    context = ssl.create_default_context(cafile=f"{pki}/ca.pem")
    client = next(pathlib.Path(pki, "clients").glob("*.pem"))
    context.load_cert_chain(client, client.with_suffix(".key") if client.with_suffix(".key").exists() else None)
    with socket.create_connection(("127.0.0.1", server.port)) as tcp:
        with context.wrap_socket(tcp, server_hostname="localhost") as tls:
            tls.sendall(command)
            text = b""
            while not text.endswith(b"\r\n\r\n"):
                got = tls.recv(65536)
                assert got, text
                text += got
            return text.decode()


def number(text, name):
    return int(text.split(f"{name}:")[1].split()[0])


def test_the_profile_that_comes_along(tmp_path, pki):
    """Pings and values, each connection with a certificate of its own."""
    shutil.copy(PROFILES / "raw.ini", tmp_path)
    (tmp_path / "pki").symlink_to(pki)
    with redis(tmp_path, pki) as server:
        done = tlsoak("run", tmp_path / "raw.ini", "--set", f"target.url={server.url}", "--set",
                      "run.duration=4s", "--set", f"memory.server.pid={server.pid}", "-o", tmp_path / "run",
                      "--quiet", binary=RELEASE)
        stats = asked(server, pki, b"INFO stats\r\n\r\n")
    assert done.returncode == 3, (done.stdout, done.stderr)  # four seconds can't tell of a leak
    run = totals(tmp_path / "run")
    count = run["totals"]
    assert count["completed"] > 1000
    assert count["failed"] == count["unexpected"] == count["dial_failed"] == 0, count
    assert count["cert_new"] > 50
    assert not any(run["status"].values())
    tally = verdict(tmp_path / "run")["refusals"][0]
    assert tally["refused"] > 5 and tally["let_in"] == 0
    # a set and a get are one exchange
    commands = number(stats, "total_commands_processed")
    assert count["completed"] * 1.02 < commands < count["completed"] * 1.3
    latency = run["latency"]
    assert latency["response"]["n"] == latency["first_byte"]["n"] == count["completed"]


def test_what_redis_keeps_of_each_client_is_found(tmp_path, pki):
    """A value of 600 bytes under the name of each client, in place of a leak; what is sent is a file."""
    requests = """
[apikey]
template = visitor-{n}
pick = fresh
[request visit]
send = @visit
expect = +OK\\r\\n
"""
    (tmp_path / "visit").write_text("SETEX {apikey} 3600 " + 600 * "x" + "\r\n")
    for duration in ("12s", "25s"):  # the second where the first can't tell
        with redis(tmp_path, pki) as server:
            path = profile_of(tmp_path, pki, server.url, requests + f"[memory]\npid = {server.pid}\n",
                              pace="mode = open\nrate = 800/s\nconnections = 8", duration=duration)
            done = tlsoak("run", path, "-o", tmp_path / duration, "--quiet", binary=RELEASE)
            stored = asked(server, pki, b"INFO keyspace\r\n\r\n")
        if done.returncode != 3:
            break
    assert done.returncode == 1 and "per request" in done.stdout, (done.stdout, done.stderr)
    count = totals(tmp_path / duration)["totals"]
    assert count["failed"] == 0
    assert int(stored.split("keys=")[1].split(",")[0]) == count["completed"]


@pytest.mark.parametrize("request_text, outcome", [
    ("send = PING\\r\\n\nexpect = +PUNG\\r\\n", "reply_mismatch"),
    ("send = PING\\r\\n\nexpect_bytes = 3B", "reply_extra"),
    ("send = PI\nexpect_until = \\r\\n", "timeout_first_byte"),
    ("send = PING\\r\\n\nexpect_bytes = 8B", "timeout_exchange"),
])
def test_what_is_not_as_expected_has_a_name(tmp_path, pki, request_text, outcome):
    with redis(tmp_path, pki) as server:
        path = profile_of(tmp_path, pki, server.url, f"[request one]\n{request_text}\n", duration="1s",
                          target="timeout.first_byte = 200ms\ntimeout.exchange = 400ms")
        once = tlsoak("run", path, "--once", "-v")
        count = soak(path, tmp_path / "run", 4)
    assert once.returncode == 4 and outcome in once.stdout, once.stdout
    run = totals(tmp_path / "run")
    assert run["outcomes"][outcome] > 0
    assert count["completed"] == 0


def test_once_shows_where_a_reply_differs(tmp_path, pki):
    with redis(tmp_path, pki) as server:
        good = tlsoak("run", profile_of(tmp_path, pki, server.url, PING), "--once", "-v")
        bad = tlsoak("run", profile_of(tmp_path, pki, server.url, PING.replace("PONG", "PANG")), "--once", "-v")
    assert good.returncode == 0, good.stderr
    for line in ("* raw bytes", "> PING\\r\\n\n", "< +PONG\\r\\n\n", "ok: the exchange succeeded"):
        assert line in good.stdout, good.stdout
    assert bad.returncode == 4
    assert '* byte 2 of the reply, counted from 0, is "O", expected was "A"' in bad.stdout, bad.stdout


def test_an_endpoint_without_mutual_tls_is_found_out(tmp_path, pki):
    with redis(tmp_path, pki, clients="optional") as server:
        path = profile_of(tmp_path, pki, server.url, PING)
        done = tlsoak("run", path, "-o", tmp_path / "run", "--quiet")
        assert done.returncode == 1 and "does not enforce mutual TLS" in done.stderr, done.stderr
        assert "got the expected reply" in done.stderr
        # a request that expects nothing asks for a sign of life
        silent = profile_of(tmp_path, pki, server.url, "[request one]\nsend = PING\\r\\n\n")
        done = tlsoak("run", silent, "-o", tmp_path / "silent", "--quiet")
        assert done.returncode == 1 and "does not enforce mutual TLS" in done.stderr, done.stderr


def test_bad_certificates_and_misuses(tmp_path, pki):
    kinds = ["half-open", "handshake-stop", "abandon-response", "early-close", "reset", "no-close-notify",
             "slow-read", "plain-http"]
    more = "".join(f"[misuse {kind}]\nkind = {kind}\nshare = 2%\nhold = 200ms\n" for kind in kinds)
    more += "".join(f"[refuse {kind}]\ncert = {kind}\nshare = 2%\n" for kind in ("none", "expired", "unknown-ca"))
    with redis(tmp_path, pki) as server:
        path = profile_of(tmp_path, pki, server.url, PING + more, duration="2s",
                          pace="think_time = 10ms\nconnections = 4\nrequests_per_connection = 10")
        count = soak(path, tmp_path / "run", 0, RELEASE)
    assert count["failed"] == 0
    for tally in verdict(tmp_path / "run")["refusals"]:
        assert tally["refused"] > 3 and tally["let_in"] == tally["otherwise"] == 0, tally
    for tally in totals(tmp_path / "run")["misuses"]:
        assert tally["done"] > 3 and tally["undone"] == 0, tally


def test_api_keys_go_where_the_profile_says(tmp_path, pki):
    keys = pathlib.Path(tmp_path, "keys")
    keys.write_text("canary-of-redis\n")
    requests = f"""
[apikey]
path = {keys}
[request auth]
send = AUTH {{apikey}}\\r\\nPING\\r\\n
expect = +OK\\r\\n+PONG\\r\\n
[refuse key]
apikey = unknown
share = 10%
"""
    with redis(tmp_path, pki, "--requirepass", "canary-of-redis") as server:
        path = profile_of(tmp_path, pki, server.url, requests)
        once = tlsoak("run", path, "--once", "-v")
        count = soak(path, tmp_path / "run", 0)
    assert once.returncode == 0 and "> (not shown) (28 bytes)\n" in once.stdout, once.stdout
    assert count["failed"] == 0 and count["completed"] > 100
    tally = verdict(tmp_path / "run")["refusals"][0]
    assert tally["refused"] > 3 and tally["let_in"] == tally["unclear"] == 0, tally
    assert "canary" not in once.stdout
    for file in (tmp_path / "run").iterdir():
        assert b"canary" not in file.read_bytes(), file


def test_handshakes_alone(tmp_path, pki):
    with redis(tmp_path, pki) as server:
        path = profile_of(tmp_path, pki, server.url, "", pace="mode = handshake\nrate = 100/s\nconnections = 4")
        count = soak(path, tmp_path / "run", 0, RELEASE)
    assert count["handshake_full"] > 50 and count["started"] == 0


@contextlib.contextmanager
def reverser(tmp_path, pki):
    """openssl's server that sends each line back from its end to its start, one client at a time."""
    port = free_port()
    command = [need("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-rev", "-quiet", "-Verify", "2",
               "-verify_return_error", "-CAfile", f"{pki}/ca.pem", "-cert", f"{pki}/server.pem",
               "-key", f"{pki}/server.key"]
    with running(command, port, tmp_path) as server:
        server.url = f"tls://127.0.0.1:{port}"
        yield server


def test_each_way_to_say_what_is_expected(tmp_path, pki):
    requests = """
[request exact]
send = hello world\\n
expect = dlrow olleh\\n
[request until]
send = a\\x62c\\n
expect_until = a\\n
[request length]
send = @line
expect_bytes = 5KiB
"""
    (tmp_path / "line").write_bytes(b"x" * 5119 + b"\n")
    with reverser(tmp_path, pki) as server:
        path = profile_of(tmp_path, pki, server.url, requests, pace="connections = 1\nrequests_per_connection = 25")
        count = soak(path, tmp_path / "run", 0)
    assert count["failed"] == 0 and count["completed"] > 50
    assert count["handshake_full"] == pytest.approx(count["completed"] / 25, abs=1)
    assert count["bytes_received"] > count["completed"] * 1000


@contextlib.contextmanager
def python_server(pki, serve):
    """Calls serve(tls) for each client with a certificate, on a thread of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{pki}/server.pem", f"{pki}/server.key")
    context.load_verify_locations(f"{pki}/ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def one(tcp):
        with contextlib.suppress(OSError), tcp:
            with context.wrap_socket(tcp, server_side=True) as tls:
                serve(tls)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    try:
        yield types.SimpleNamespace(port=port, url=f"tls://127.0.0.1:{port}")
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_server_that_speaks_first(tmp_path, pki):
    """The greeting comes at once, and is expected when the exchange is due."""
    def serve(tls):
        tls.sendall(b"220 mail.test ready\r\n")
        while tls.recv(100):
            tls.sendall(b"500 what?\r\n")

    with python_server(pki, serve) as server:
        greeted = profile_of(tmp_path, pki, server.url, "[request hello]\nexpect_until = ready\\r\\n\n",
                             pace="mode = churn\nrate = 50/s\nconnections = 8", duration="1s")
        count = soak(greeted, tmp_path / "run", 0, RELEASE)
        assert count["failed"] == 0 and count["completed"] > 30
        slow = profile_of(tmp_path, pki, server.url, "[request hello]\nexpect = 220 mail.test ready\\r\\n\n",
                          pace="mode = hold\nkeepalive = 1s\nconnections = 20\nrequests_per_connection = 1")
        count = soak(slow, tmp_path / "slow", 0, RELEASE)
        assert count["failed"] == 0 and count["completed"] > 20


def test_nothing_is_expected(tmp_path, pki):
    """An exchange is done when it is sent, and all of it arrives; what the server says is dropped."""
    received = []

    def serve(tls):
        n = 0
        while got := tls.recv(65536):
            n += len(got)
            tls.sendall(b"ack")
        received.append(n)

    with python_server(pki, serve) as server:
        path = profile_of(tmp_path, pki, server.url, "[request log]\nsend = 17 bytes of a log\\n\n",
                          pace="think_time = 5ms\nconnections = 4")
        count = soak(path, tmp_path / "run", 0)
    assert count["failed"] == 0 and count["completed"] > 100
    assert count["bytes_sent"] == 18 * count["completed"] == sum(received)
    assert totals(tmp_path / "run")["latency"]["first_byte"]["n"] == 0


def test_servers_that_break_off(tmp_path, pki):
    def half(tls):
        tls.recv(100)
        tls.sendall(b"+PO")

    def silent(tls):
        tls.recv(100)

    for serve, outcome in ((half, "http_truncated"), (silent, "http_closed")):
        with python_server(pki, serve) as server:
            count = soak(profile_of(tmp_path, pki, server.url, PING, duration="1s"), tmp_path / outcome, 4)
        assert totals(tmp_path / outcome)["outcomes"][outcome] == count["failed"] > 0
