"""Whatever a target does, a run of the command counts it by its name, ends, and says why in one sentence.  What the
client makes of each single fault is told in the unit tests of the fault server (test_net_fault_*, test_load_faults)."""
import contextlib
import socket
import ssl
import threading

import pytest

from servers import free_port, make_pki, profile, tlsoak, totals, verdict


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


@contextlib.contextmanager
def listener(handle, context=None):
    """A server of threads: handle(connection) for each; `context` wraps it in TLS first."""
    server = socket.create_server(("127.0.0.1", 0), backlog=128)
    done = threading.Event()

    def one(connection):
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            connection.settimeout(5)
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            handle(connection, done)

    def accept():
        while not done.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        done.set()
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def server_context(pki, certificate="server.pem", key="server.key"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / certificate, pki / key)
    context.load_verify_locations(pki / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def run_against(tmp_path, pki, port, extra="", duration="2s"):
    text = f"""
[run]
duration = {duration}
threads = 1
drain = 200ms
[target]
url = https://127.0.0.1:{port}/
server_ca = {pki}/ca.pem
timeout.connect = 300ms
timeout.handshake = 300ms
timeout.first_byte = 300ms
timeout.exchange = 600ms
[pace]
connections = 4
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
count = 4
{extra}
"""
    run_dir = tmp_path / "run"
    done = tlsoak("run", profile(tmp_path, text), "-o", run_dir)
    assert done.returncode == 4, done.stdout + done.stderr
    assert verdict(run_dir)["verdict"] == "invalid"
    reason = verdict(run_dir)["reason"]
    assert reason and "\n" not in reason
    return totals(run_dir)["outcomes"]


def stall(connection, done):
    done.wait(10)


def plain_http(connection, done):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def test_refused(tmp_path, pki):
    assert set(run_against(tmp_path, pki, free_port())) == {"refused"}


@pytest.mark.parametrize("handle, outcome", [
    (stall, {"timeout_handshake"}),
    (plain_http, {"not_tls"}),
])
def test_before_the_handshake(tmp_path, pki, handle, outcome):
    with listener(handle) as port:
        outcomes = run_against(tmp_path, pki, port)
    assert outcomes and set(outcomes) <= outcome


def test_certificates_that_must_not_be_trusted(tmp_path, pki):
    foreign = make_pki(tmp_path / "foreign")
    with listener(stall, server_context(foreign)) as port:
        assert set(run_against(tmp_path, pki, port)) == {"server_cert_untrusted"}


def test_wrong_host(tmp_path, pki):
    other = tmp_path / "other"
    done = tlsoak("pki", other, "--names", "elsewhere.test")
    assert done.returncode == 0
    # the same CA must have signed it: trust the other one's
    with listener(stall, server_context(other)) as port:
        assert set(run_against(tmp_path, other, port)) == {"server_cert_wrong_host"}


def answer(data, then="close"):
    def handle(connection, done):
        connection.recv(65536)
        connection.sendall(data)
        if then == "stall":
            done.wait(10)
        elif then == "flood":
            while not done.is_set():
                connection.sendall(b"X-Endless: " + b"y" * 1000 + b"\r\n")
    return handle


@pytest.mark.parametrize("data, then, outcome", [
    (b"", "stall", "timeout_first_byte"),
    (b"HTTP/1.1 200 OK\r\n", "flood", "http_limit"),
    (b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n", "close", "status"),
])
def test_after_the_handshake(tmp_path, pki, data, then, outcome):
    with listener(answer(data, then), server_context(pki)) as port:
        outcomes = run_against(tmp_path, pki, port)
    assert outcome in outcomes and max(outcomes, key=outcomes.get) == outcome, outcomes


def test_verification_switched_off_is_visible(tmp_path, pki):
    foreign = make_pki(tmp_path / "foreign")
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    context = server_context(foreign)
    context.load_verify_locations(pki / "ca.pem")
    with listener(answer(reply), context) as port:
        text = f"""
[run]
duration = 1s
threads = 1
[target]
url = https://127.0.0.1:{port}/
verify = no
[pace]
connections = 2
think_time = 50ms
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
"""
        done = tlsoak("run", profile(tmp_path, text), "-o", tmp_path / "run")
    assert totals(tmp_path / "run")["totals"]["completed"] > 0
    assert "verif" in done.stdout.lower() and totals(tmp_path / "run")["verify"] == "no"
