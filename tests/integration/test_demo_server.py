"""The embedded server against clients that are not ours: who gets in, what is counted, what is kept."""
import base64
import contextlib
import datetime
import hashlib
import hmac
import http.client
import ipaddress
import json
import os
import pathlib
import random
import signal
import socket
import ssl
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from servers import RELEASE, TLSOAK, embedded, last_truth

KEY_SECRET, JWT_SECRET = b"a secret for keys", b"a secret for tokens"
DAY = datetime.timedelta(days=1)
NOW = int(time.time())  # one for all, so that a token made twice is the same


class Issuer:
    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.leaf_key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        self.cert = (x509.CertificateBuilder().subject_name(self.name).issuer_name(self.name)
                     .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                     .not_valid_before(now - DAY).not_valid_after(now + DAY)
                     .add_extension(x509.BasicConstraints(True, None), True)
                     .sign(self.key, hashes.SHA256()))

    def issue(self, path, name, usage=ExtendedKeyUsageOID.CLIENT_AUTH, age=0):
        """Certificate and key in one PEM file; `age` in days moves its validity into the past."""
        now = datetime.datetime.now(datetime.timezone.utc) - age * DAY
        san = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
               x509.IPAddress(ipaddress.ip_address("::1"))]
        cert = (x509.CertificateBuilder()
                .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
                .issuer_name(self.name).public_key(self.leaf_key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - DAY / 2).not_valid_after(now + DAY / 2)
                .add_extension(x509.SubjectAlternativeName(san), False)
                .add_extension(x509.ExtendedKeyUsage([usage]), False)
                .sign(self.key, hashes.SHA256()))
        path.write_bytes(cert.public_bytes(serialization.Encoding.PEM) + private(self.leaf_key))
        return path


def private(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Pki:
    def __init__(self, folder):
        self.folder, self.issuer = folder, Issuer("test CA")
        (folder / "ca.pem").write_bytes(
            self.issuer.cert.public_bytes(serialization.Encoding.PEM))
        self.issuer.issue(folder / "server.pem", "server", ExtendedKeyUsageOID.SERVER_AUTH)
        (folder / "server.key").write_bytes(private(self.issuer.leaf_key))
        (folder / "apikey.secret").write_bytes(KEY_SECRET + b"\n")
        (folder / "jwt.secret").write_bytes(JWT_SECRET + b"\n")
        (folder / "empty").write_bytes(b"")
        (folder / "other.key").write_bytes(private(ec.generate_private_key(ec.SECP256R1())))
        self.clients = [self.client(i) for i in range(12)]

    def client(self, i):
        return self.issuer.issue(self.folder / f"client-{i}.pem", f"client-{i}")

    def context(self, pem=None, version=None):
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if pem is not None:
            context.load_cert_chain(pem)
        return context


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@contextlib.contextmanager
def serving(tmp_path, pki, *options, credentials=False, binary=TLSOAK):
    with embedded(tmp_path, pki.folder, *options, binary=binary, credentials=credentials) as server:
        yield server


def connect(server, context, session=None):
    raw = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(raw, server_hostname="localhost", session=session)


@contextlib.contextmanager
def http_to(server, context):
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=20)
    connection.connect()
    try:
        yield connection
    finally:
        connection.close()


def ask(connection, method, path, body=None, **headers):
    connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    response = connection.getresponse()
    return response.status, response.read()


def api_key(n, secret=KEY_SECRET):
    text = f"client-{n}"
    return f"{text}.{hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()}"


def token(n, secret=JWT_SECRET, lifetime=36000, alg="HS256"):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")
    body = part({"alg": alg, "typ": "JWT"}) + b"." + part(
        {"sub": f"client-{n}", "exp": NOW + lifetime})
    tag = base64.urlsafe_b64encode(hmac.new(secret, body, hashlib.sha256).digest()).rstrip(b"=")
    return "Bearer " + (body + b"." + tag).decode()


def good(n=1):
    return {"X_API_Key": api_key(n), "Authorization": token(n)}


def truth(server):
    lines = server.truth.read_text().splitlines()
    return json.loads(lines[-1]) if lines else {}


def wait_truth(server, seconds=20, **wanted):
    """Waits until the server has seen what the client did; what it then says at its end counts."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if all(truth(server).get(k, -1) >= v for k, v in wanted.items()):
            return
        time.sleep(0.05)


def final(server, **wanted):
    wait_truth(server, **wanted)
    said = last_truth(server)
    assert {k: said[k] for k in wanted} == wanted, said
    return said


def status_kb(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


def test_ready_line_and_routes(tmp_path, pki):
    context = pki.context(pki.clients[3])
    context.set_alpn_protocols(["h3", "http/1.1"])
    with serving(tmp_path, pki) as server:
        assert server.ready["addr"] == f"127.0.0.1:{server.port}"
        assert server.ready["pid"] == server.pid
        assert server.ready["mode"] == "clean"
        assert server.ready["impl"].startswith("tlsoak ")
        with http_to(server, context) as c:
            assert c.sock.selected_alpn_protocol() == "http/1.1"
            assert ask(c, "GET", "/whoami") == (200, b"client-3")
            assert ask(c, "GET", "/whoami?x=1")[0] == 200
            status, work = ask(c, "GET", "/work")
            assert status == 200 and 48 <= len(work) <= 80
            assert ask(c, "GET", "/") == (200, work)
            assert ask(c, "HEAD", "/work") == (200, b"")
            assert ask(c, "GET", "/clean") == (200, work)
            assert ask(c, "POST", "/rotate")[0] == 200
            assert ask(c, "POST", "/body", b"x" * 3_000_000)[0] == 200
            assert ask(c, "POST", "/body", iter([b"some", b"chunks" * 5000]))[0] == 200
            assert ask(c, "GET", "/nowhere")[0] == 404
            assert ask(c, "GET", "/work" + "k" * 300)[0] == 404
            assert ask(c, "GET", "/body")[0] == 405
            assert ask(c, "DELETE", "/work")[0] == 405
            c.sock.unwrap()  # the server says goodbye too
        final(server, requests=13, clean=1, connections=1, client_certificates=1, rotations=1,
              refused=0, aborted=0, open=0, retained_bytes=0, retained_entries=0)


def test_ipv6(tmp_path, pki):
    with serving(tmp_path, pki, "--listen", "[::1]:0") as server:
        assert server.ready["addr"] == f"[::1]:{server.port}"
        c = http.client.HTTPSConnection("::1", server.port, context=pki.context(pki.clients[0]))
        assert ask(c, "GET", "/work")[0] == 200
        c.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_bad_certificates_are_refused(tmp_path, pki, version):
    foreign, selfmade = Issuer("another CA"), Issuer("test CA")
    bad = [None,
           foreign.issue(tmp_path / "foreign.pem", "client-1"),
           selfmade.issue(tmp_path / "same-name.pem", "client-1"),
           pki.issuer.issue(tmp_path / "expired.pem", "client-1", age=7),
           pki.issuer.issue(tmp_path / "future.pem", "client-1", age=-7),
           pki.issuer.issue(tmp_path / "usage.pem", "client-1", ExtendedKeyUsageOID.SERVER_AUTH)]
    with serving(tmp_path, pki, "--leak", "refused=1024") as server:
        for pem in bad:
            with pytest.raises(ssl.SSLError, match="(?i)alert|certificate"):
                with connect(server, pki.context(pem, version)) as s:
                    s.sendall(b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert s.recv(1) == b"", "let in"
                    raise AssertionError("closed without an alert")
        with http_to(server, pki.context(pki.clients[0], version)) as c:
            assert ask(c, "GET", "/work")[0] == 200
        said = final(server, refused=len(bad), handshakes_failed=len(bad), connections=1, requests=1)
        assert said["retained_entries"] == len(bad)
        assert said["retained_bytes"] == len(bad) * 1024


def test_keys_and_tokens(tmp_path, pki):
    refused = [
        ({"Authorization": token(1)}, 403),
        ({"X_API_Key": "client-1", "Authorization": token(1)}, 403),
        ({"X_API_Key": api_key(1, b"other"), "Authorization": token(1)}, 403),
        ({"X_API_Key": api_key(1)[:-1] + "g", "Authorization": token(1)}, 403),
        ({"X_API_Key": "", "Authorization": token(1)}, 403),
        ({"X_API_Key": api_key(1)}, 401),
        ({"X_API_Key": api_key(1), "Authorization": "Basic eDp5"}, 403),
        ({"X_API_Key": api_key(1), "Authorization": "Bearer "}, 403),
        ({"X_API_Key": api_key(1), "Authorization": "Bearer ...."}, 403),
        ({"X_API_Key": api_key(1), "Authorization": "Bearer " + "A" * 20000}, 403),
        ({"X_API_Key": api_key(1), "Authorization": token(1, b"other")}, 403),
        ({"X_API_Key": api_key(1), "Authorization": token(1, lifetime=-60)}, 403),
        ({"X_API_Key": api_key(1), "Authorization": token(1, alg="none")}, 403),
    ]
    with serving(tmp_path, pki, credentials=True) as server:
        with http_to(server, pki.context(pki.clients[0])) as c:
            assert ask(c, "GET", "/work", **good())[0] == 200
            for headers, status in refused:
                assert ask(c, "GET", "/work", **headers)[0] == status, headers
            assert ask(c, "POST", "/body", b"x" * 50000, X_API_Key="no")[0] == 403
            c.putrequest("GET", "/work")
            for n in (1, 2):
                c.putheader("X-API-Key", api_key(n))
            c.putheader("Authorization", token(1))
            c.endheaders()
            response = c.getresponse()
            assert response.status == 403 and response.read()
            assert ask(c, "GET", "/work", **good())[0] == 200
        final(server, refused=len(refused) + 2, requests=len(refused) + 4, api_keys=1, jwts=1,
              connections=1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_counts_are_those_of_the_client(tmp_path, pki, version):
    with serving(tmp_path, pki, credentials=True) as server:
        for i in range(30):
            with http_to(server, pki.context(pki.clients[i % 5], version)) as c:
                for j in range(i % 3 + 1):
                    assert ask(c, "GET", "/work", X_API_Key=api_key(j + i % 4),
                               Authorization=token(j))[0] == 200
        context, session = pki.context(pki.clients[7], version), None
        for i in range(4):
            with connect(server, context, session) as s:
                head = f"GET / HTTP/1.1\r\nHost: x\r\nx-api-key:{api_key(1)}\t\r\n"
                s.sendall(f"{head}AUTHORIZATION:   {token(0)} \r\n\r\n".encode())
                assert s.recv(4096).startswith(b"HTTP/1.1 200 ")
                assert s.session_reused == (i > 0)
                session = s.session
        final(server, requests=64, connections=31, resumptions=3, client_certificates=6, api_keys=6,
              jwts=3, refused=0, aborted=0, handshakes_failed=0, open=0)


def do_aborts(server, pki, n):
    """Half a body, half a head, an answer that never comes, one not waited for, one not read: in turn."""
    head = b" HTTP/1.1\r\nHost: x\r\n"
    kinds = [b"POST /body" + head + b"Content-Length: 2000\r\n\r\n" + b"x" * 1000,
             b"GET /work HTTP/1.1\r\nHos",
             b"POST /park" + head + b"Content-Length: 0\r\n\r\n",
             b"GET /work" + head + b"\r\n",
             b"GET /work" + head + b"\r\n"]
    for i in range(n):
        # In TLS 1.2 the server sends nothing between the handshake and the answer.
        unread = i % len(kinds) == len(kinds) - 1
        version = ssl.TLSVersion.TLSv1_2 if unread else ssl.TLSVersion.TLSv1_3
        s = connect(server, pki.context(pki.clients[0], version))
        s.sendall(kinds[i % len(kinds)])
        if unread:
            assert socket.socket.recv(s, 1, socket.MSG_PEEK)
        s.close()


DRIVEN = {
    "request": 40, "connection": 20, "resumption": 5, "client_certificate": 8, "api_key": 17,
    "jwt": 13, "refused": 9, "aborted": 12, "rotation": 6,
}


def drive(server, pki, driver, n):
    """Moves one driver by n, others as little as can be."""
    context = pki.context(pki.clients[0])
    if driver == "aborted":
        do_aborts(server, pki, n)
    elif driver == "resumption":
        session = None
        for _ in range(n + 1):
            with connect(server, context, session) as s:
                s.sendall(b"GET /clean HTTP/1.1\r\nHost: x\r\n\r\n")
                s.recv(4096)
                session = s.session
    elif driver in ("connection", "client_certificate"):
        for i in range(n):
            pem = pki.clients[i] if driver == "client_certificate" else pki.clients[0]
            for _ in range(2 if driver == "client_certificate" else 1):
                with connect(server, pki.context(pem)):
                    pass
    else:
        with http_to(server, context) as c:
            for i in range(n):
                headers = good()
                if driver == "api_key":
                    headers["X_API_Key"] = api_key(i)
                elif driver == "jwt":
                    headers["Authorization"] = token(i)
                elif driver == "refused":
                    headers["X_API_Key"] = "wrong"
                path = ("POST", "/rotate") if driver == "rotation" else ("GET", "/work")
                for _ in range(2 if driver in ("api_key", "jwt") else 1):
                    ask(c, *path, **headers)


COLUMN = {"request": "requests", "connection": "connections", "resumption": "resumptions",
          "client_certificate": "client_certificates", "api_key": "api_keys", "jwt": "jwts",
          "refused": "refused", "aborted": "aborted", "rotation": "rotations"}


@pytest.mark.parametrize("driver", DRIVEN)
@pytest.mark.parametrize("size", [16, 1000, 2048, 100_000])
def test_a_leak_keeps_so_many_bytes_per_event(tmp_path, pki, driver, size):
    n = DRIVEN[driver]
    credentials = driver in ("request", "api_key", "jwt", "refused", "rotation")
    with serving(tmp_path, pki, "--leak", f"{driver}={size}", credentials=credentials) as server:
        assert server.ready["mode"] == f"leak {driver}={size}"
        drive(server, pki, driver, n)
        said = final(server, open=0, **{COLUMN[driver]: n})
        assert abs(said["retained_bytes"] - n * size) < 48
        if size >= 48:
            assert said["retained_entries"] == n


def test_mixed_leaks_add_up_and_clean_keeps_nothing(tmp_path, pki):
    with serving(tmp_path, pki, "--leak", "request=160", "--leak", "connection=4096", "--leak",
                 "rotation=64", "--leak", "jwt=320", credentials=True) as server:
        assert server.ready["mode"] == "leak request=160 connection=4096 jwt=320 rotation=64"
        for i in range(5):
            with http_to(server, pki.context(pki.clients[0])) as c:
                ask(c, "POST", "/rotate", **good(1))
                ask(c, "GET", "/work", **good(2))
                for j in range(20):
                    assert ask(c, "GET", "/clean", **good(100 + i * 20 + j))[0] == 200
        final(server, requests=110, clean=100, connections=5, jwts=102, rotations=5,
              retained_bytes=10 * 160 + 5 * 4096 + 2 * 320 + 5 * 64, retained_entries=22)


def test_a_late_leak_begins_late_and_one_over_time_needs_no_traffic(tmp_path, pki):
    with serving(tmp_path, pki, "--leak", "request=1024", "--leak", "time=8000", "--late",
                 "2s") as server:
        with http_to(server, pki.context(pki.clients[0])) as c:
            for _ in range(5):
                ask(c, "GET", "/work")
            wait_truth(server, t=1)
            assert truth(server)["retained_bytes"] == 0
            wait_truth(server, t=3)
            for _ in range(5):
                ask(c, "GET", "/work")
        wait_truth(server, t=4)
        said = last_truth(server)
        assert abs(said["retained_bytes"] - 5 * 1024 - (said["t"] - 2) * 8000) < 1000


def test_bounded_cache_is_bounded(tmp_path, pki):
    with serving(tmp_path, pki, "--innocent", "bounded_cache", "--cap", "50", "--payload", "1000",
                 credentials=True) as server:
        assert server.ready["mode"] == "innocent bounded_cache"
        with http_to(server, pki.context(pki.clients[0])) as c:
            for i in range(30):
                ask(c, "GET", "/work", **good(i))
            wait_truth(server, retained_entries=61)
            assert truth(server)["retained_entries"] == 61  # keys, tokens and one certificate
            for i in range(300):
                ask(c, "GET", "/work", **good(i))
        said = final(server, api_keys=300, jwts=300, retained_entries=101)
        assert 101 * 1000 <= said["retained_bytes"] <= 101 * 1100


def test_ttl_entries_go(tmp_path, pki):
    with serving(tmp_path, pki, "--innocent", "ttl", "--ttl", "2s", "--sweep", "1s",
                 credentials=True) as server:
        with http_to(server, pki.context(pki.clients[0])) as c:
            for i in range(100):
                ask(c, "GET", "/work", **good(i))
        entries = []
        deadline = time.monotonic() + 20
        while (not entries or entries[-1] != 0 or max(entries) == 0) and time.monotonic() < deadline:
            entries.append(truth(server).get("retained_entries", 0))
            time.sleep(0.1)
        assert max(entries) == 201
        assert last_truth(server)["retained_bytes"] == 0


@pytest.mark.parametrize("kind, low, high", [
    ("sawtooth", 1, 100), ("step", 1, 1), ("stairs", 1, 1), ("fragmentation", 90, 100)])
def test_shapes_that_requests_drive(tmp_path, pki, kind, low, high):
    with serving(tmp_path, pki, "--innocent", kind, "--cap", "100", "--payload", "1KiB") as server:
        sizes = set()
        with http_to(server, pki.context(pki.clients[0])) as c:
            for _ in range(12):
                for _ in range(130):
                    ask(c, "GET", "/work")
                if kind == "sawtooth":
                    t = truth(server).get("t", 0)
                    wait_truth(server, t=t + 0.5)
                    sizes.add(truth(server)["retained_entries"])
        said = last_truth(server)
        assert low <= said["retained_entries"] <= high
        assert said["retained_bytes"] <= 100 * 1024 * 1.2 + 64
        if kind in ("step", "stairs"):
            assert said["retained_bytes"] >= 100 * 1024
        if kind == "sawtooth":
            assert len(sizes) > 3  # it moves


def test_step_and_stairs_begin_below_their_bound(tmp_path, pki):
    for kind, share in (("step", 2), ("stairs", 64)):
        folder = tmp_path / kind
        folder.mkdir()
        with serving(folder, pki, "--innocent", kind) as server:
            with http_to(server, pki.context(pki.clients[0])) as c:
                ask(c, "GET", "/work")
            assert last_truth(server)["retained_bytes"] == pytest.approx(2000 * 1024 / share, rel=0.01)


def test_warmup_slows_down(tmp_path, pki):
    with serving(tmp_path, pki, "--innocent", "warmup") as server:
        wait_truth(server, t=6)
        lines = [json.loads(line) for line in server.truth.read_text().splitlines()]
        for line in lines:
            share = line["retained_bytes"] / (2000 * 1024)
            assert share == pytest.approx(1 - 2.718281828 ** (-line["t"] / 8), abs=0.03)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, "stdin"])
def test_ends_in_time_with_connections_open(tmp_path, pki, how):
    with serving(tmp_path, pki) as server, contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connect(server, pki.context(pki.clients[0])))
        wait_truth(server, open=5)
        started = time.monotonic()
        if how == "stdin":
            server.process.stdin.close()
        else:
            server.process.send_signal(how)
        assert server.process.wait(10) == 0
        assert time.monotonic() - started < 2
        said = truth(server)
        assert said["connections"] == 5
        if how == "stdin":
            server.process.stdin = open(os.devnull)


def test_crashes_when_told_to(tmp_path, pki):
    with serving(tmp_path, pki, "--crash-at", "1s") as server:
        assert server.process.wait(20) == -signal.SIGABRT


def test_poison(tmp_path, pki):
    with serving(tmp_path, pki, "--poison", "--leak", "request=1024", credentials=True) as server:
        with http_to(server, pki.context(pki.clients[0])) as c:
            assert ask(c, "GET", "/work", **good())[0] == 200
            assert ask(c, "GET", "/work", X_API_Key=api_key(1))[0] == 401
            assert ask(c, "GET", "/work", **good())[0] == 200
            assert ask(c, "GET", "/work", X_API_Key=api_key(1),
                       Authorization=token(1, b"other"))[0] == 403
            for _ in range(5):
                assert ask(c, "GET", "/work", **good())[0] == 500
        final(server, requests=9, refused=2, retained_bytes=4096)


def test_descriptors_and_threads_leak(tmp_path, pki):
    with serving(tmp_path, pki, "--fd-leak", "--thread-leak") as server:
        context = pki.context(pki.clients[0])

        def use(n):
            for _ in range(n):
                with http_to(server, context) as c:
                    assert ask(c, "GET", "/work", Connection="close")[0] == 200
            wait_truth(server, open=0)
            return (len(list(pathlib.Path(f"/proc/{server.pid}/fd").iterdir())),
                    status_kb(server.pid, "Threads"))
        fds, threads = use(1)
        more_fds, more_threads = use(20)
        assert 20 <= more_fds - fds <= 21
        assert more_threads - threads == 20
        assert last_truth(server)["connections"] == 21
        assert server.process.returncode == 0


def raw_request(server, context, data, wait=True):
    """Sends bytes inside TLS; what comes back until the server closes."""
    got = b""
    with connect(server, context) as s:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            s.sendall(data)
            while wait and (piece := s.recv(65536)):
                got += piece
    return got


def test_garbage_never_kills_it(tmp_path, pki):
    rng = random.Random(1)
    context = pki.context(pki.clients[0])
    with serving(tmp_path, pki, "--leak", "aborted=100", credentials=True) as server:
        for i in range(60):
            with socket.create_connection(("127.0.0.1", server.port)) as s:
                with contextlib.suppress(ConnectionError):
                    s.sendall(b"\x16\x03\x01" * (i % 2) + rng.randbytes(rng.randrange(1, 5000)))
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with connect(server, context) as s:
            # Records that were never encrypted, in the middle of a good connection.
            socket.socket.send(s, b"\x17\x03\x03\x00\x40" + rng.randbytes(64))
            with pytest.raises((ssl.SSLError, ConnectionError)):
                assert s.recv(1)
                raise AssertionError("garbage was taken for data")
        assert raw_request(server, context, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").startswith(
            b"HTTP/1.1 400 ")
        for _ in range(40):
            noise = rng.randbytes(rng.randrange(1, 40000))
            assert raw_request(server, context, b"G" + noise).startswith(b"HTTP/1.1 4")
        head = b"GET /work HTTP/1.1\r\nHost: x\r\n"
        for huge in (b"X: " + b"y" * 40000, b"X-API-Key: " + b"y" * 200000,
                     b"".join(b"A%d: b\r\n" % i for i in range(5000)), b"Y" * 40000 + b": x"):
            assert raw_request(server, context, head + huge + b"\r\n\r\n").startswith(
                b"HTTP/1.1 431 ")
        assert raw_request(server, context, b"GET /" + b"a" * 40000).startswith(b"HTTP/1.1 431 ")
        for bad in (b"Content-Length: -1", b"Content-Length: 99999999999999999999999",
                    b"Content-Length: 3\r\nTransfer-Encoding: chunked"):
            assert raw_request(server, context, head + bad + b"\r\n\r\n").startswith(b"HTTP/1.1 4")
        assert b"HTTP/1.1 400 " in raw_request(
            server, context, b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        with http_to(server, context) as c:
            assert ask(c, "GET", "/work", **good())[0] == 200
        assert server.process.poll() is None
        said = last_truth(server)
        assert server.process.returncode == 0
        assert said["requests"] < 60 and said["connections"] == 41 + 9 + 2


def test_requests_in_pieces_and_in_heaps(tmp_path, pki):
    context = pki.context(pki.clients[0])
    headers = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in good().items())
    get = f"GET /whoami HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode()
    post = (f"POST /body HTTP/1.1\r\nHost: x\r\n{headers}Transfer-Encoding: chunked\r\n\r\n"
            "3;x=y\r\nabc\r\n0\r\nX-API-Key: trailing\r\n\r\n").encode()
    upgrade = get.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: websocket\r\nHost")
    last = get.replace(b"Host: x", b"Host: x\r\nConnection: close")
    with serving(tmp_path, pki, credentials=True) as server:
        with connect(server, context) as s:
            for data in (get, post):
                for i in range(len(data)):
                    s.sendall(data[i:i + 1])
                assert s.recv(4096).startswith(b"HTTP/1.1 200 ")
        heap = (get + post + upgrade + b"\r\n") * 300 + last
        got = raw_request(server, context, heap)
        assert got.count(b"HTTP/1.1 200 OK\r\n") == 901
        assert got.endswith(b"client-0") and b"Connection: close" in got[-200:]
        final(server, requests=903, refused=0, aborted=0, api_keys=1, jwts=1, open=0)


def test_a_heap_whose_answers_are_not_taken_at_once(tmp_path, pki):
    get = b"GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n"
    n = 150_000
    # The receive buffer is the system's own: a small one makes it drop what came and wait for the
    # next try, longer each time, and the heap never ends.
    with serving(tmp_path, pki) as server:
        with connect(server, pki.context(pki.clients[0])) as s:
            s.sendall(get)
            size = len(s.recv(4096))
            s.setblocking(False)
            out, sent, got, stuck_at = memoryview(get * n), 0, 0, 0
            deadline = time.monotonic() + 120
            while got < n * size and time.monotonic() < deadline:
                blocked = sent == len(out)
                try:
                    sent += 0 if blocked else s.send(out[sent:sent + 16384])
                except ssl.SSLWantWriteError:
                    blocked = True
                if blocked and not stuck_at:
                    # The server reads on only when its answers go out, and nothing takes them yet.
                    seen = truth(server)
                    wait_truth(server, t=seen["t"] + 1 if seen else 0)
                    if seen and truth(server)["requests"] == seen["requests"]:
                        stuck_at = seen["requests"]
                if stuck_at:
                    with contextlib.suppress(ssl.SSLWantReadError):
                        while piece := s.recv(65536):
                            got += len(piece)
            assert 0 < stuck_at < n and got == n * size
        final(server, requests=n + 1, aborted=0, open=0)


def test_ignored_body_and_parked_request(tmp_path, pki):
    context = pki.context(pki.clients[0])
    with serving(tmp_path, pki, "--leak", "aborted=4096") as server:
        head = b"POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"
        assert raw_request(server, context, head + b"x" * 100000).startswith(b"HTTP/1.1 200 ")
        with connect(server, context) as s:
            s.sendall(b"POST /park HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            s.settimeout(1.5)
            with pytest.raises(TimeoutError):
                s.recv(1)
            assert truth(server)["aborted"] == 0
        final(server, aborted=1, requests=2, retained_bytes=4096, open=0)


def test_mistakes_are_said(tmp_path, pki):
    folder = pki.folder
    good_options = {"--ca": folder / "ca.pem", "--cert": folder / "server.pem",
                    "--key": folder / "server.key"}
    taken = socket.create_server(("127.0.0.1", 0))
    for change, text in [
            ({"--listen": f"127.0.0.1:{taken.getsockname()[1]}"}, "Address already in use"),
            ({"--listen": "nonsense"}, "not an address"),
            ({"--listen": "127.0.0.1:70000"}, "not an address"),
            ({"--cert": tmp_path / "none.pem"}, "No such file"),
            ({"--cert": folder / "jwt.secret"}, "no certificate"),
            ({"--key": folder / "other.key"}, "not that of the certificate"),
            ({"--key": folder / "ca.pem"}, "no private key"),
            ({"--ca": folder / "empty"}, "no CA certificate"),
            ({"--ca": folder / "server.key"}, "no CA certificate"),
            ({"--ca": tmp_path}, "Is a directory"),
            ({"--apikey-secret": folder / "empty"}, "is empty"),
            ({"--jwt-secret": tmp_path / "none"}, "No such file"),
            ({"--truth": tmp_path / "no" / "truth"}, "No such file")]:
        options = [str(x) for item in {**good_options, **change}.items() for x in item]
        done = subprocess.run([TLSOAK, "serve", *options], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 2, (change, done)
        assert text in done.stderr, (change, done.stderr)
        assert list(change)[0] in done.stderr and done.stdout == ""
    taken.close()


def is_sanitized(pid):
    return "libasan" in pathlib.Path(f"/proc/{pid}/maps").read_text()


def load(server, pki, connections, requests):
    """Requests over keep-alive, and connections of one request each, full and resumed in turn."""
    contexts = [pki.context(pem) for pem in pki.clients]
    get = b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(server, contexts[0]) as s:
        for _ in range(requests):
            s.sendall(get)
            s.recv(4096)
    session = None
    for i in range(connections):
        context = contexts[i // 2 % len(contexts)]
        with connect(server, context, session if i % 2 else None) as s:
            s.sendall(get)
            s.recv(4096)
            session = s.session


def test_its_own_memory_is_flat_and_leaks_are_what_the_heap_grows_by(tmp_path, pki):
    folders = [tmp_path / "flat", tmp_path / "leak"]
    for folder in folders:
        folder.mkdir()
    with serving(folders[0], pki, binary=RELEASE) as server:
        if is_sanitized(server.pid):
            pytest.skip("memory under a sanitizer is the sanitizer's")
        load(server, pki, 1000, 5000)
        half_kb = status_kb(server.pid, "RssAnon")
        load(server, pki, 1000, 5000)
        assert status_kb(server.pid, "RssAnon") - half_kb < 64
        final(server, requests=12000, retained_bytes=0, aborted=0, connections=1002)
    with serving(folders[1], pki, "--leak", "request=512", binary=RELEASE) as server:
        load(server, pki, 500, 1000)
        half_kb = status_kb(server.pid, "RssAnon")
        load(server, pki, 500, 7500)
        grown = 1024 * (status_kb(server.pid, "RssAnon") - half_kb)
        assert grown == pytest.approx(8000 * 512, rel=0.05)
        final(server, requests=9500, retained_bytes=9500 * 512, retained_entries=9500)


def test_the_slow_are_sent_away(tmp_path, pki):
    context = pki.context(pki.clients[0])
    with serving(tmp_path, pki) as server, contextlib.ExitStack() as stack:
        stalled = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        stalled.sendall(b"\x16\x03\x01")
        idle, half, parked = (stack.enter_context(connect(server, context)) for _ in range(3))
        half.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        parked.sendall(b"POST /park HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        for s in (stalled, half, parked):
            s.settimeout(60)
        assert stalled.recv(1) == b""
        assert half.recv(4096).startswith(b"HTTP/1.1 408 ")
        assert parked.recv(4096).startswith(b"HTTP/1.1 503 ")
        idle.sendall(b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200 ")
        idle.close()
        final(server, aborted=1, requests=3, connections=3, handshakes_failed=1, open=0)
