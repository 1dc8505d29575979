"""The test PKI as people use it: in front of nginx and haproxy as `tlsoak pki --help` says, each identity
let in or refused as its name tells."""
import os
import socket
import ssl
import subprocess

import pytest

from servers import haproxy, make_pki, need, nginx, tlsoak

BAD = ["expired", "not-yet-valid", "unknown-ca", "wrong-usage", "self-signed", "revoked"]


@pytest.fixture(scope="module", params=["ecdsa-p256", "rsa-3072"])
def pki(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    passphrase = folder / "passphrase"
    passphrase.write_text("correct horse\n")
    return make_pki(folder / "pki", 2, "--bad", "--key-type", request.param, "--pkcs12", passphrase)


def answer(port, pki, identity):
    """The status of a request with that identity, or None when the handshake or the connection ends."""
    context = ssl.create_default_context(cafile=pki / "ca.pem")
    context.load_cert_chain(pki / identity)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as s:
                s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                head = s.recv(65536)
    except (ssl.SSLError, ConnectionError):
        return None
    return int(head.split()[1]) if head else None


def let_in(port, pki):
    names = [f"bad/{name}.pem" for name in BAD] + ["bad/via-intermediate.pem", "clients/client-1.pem",
                                                   "clients/client-2.pem"]
    return {name for name in names if answer(port, pki, name) == 200}


def test_nginx(tmp_path, pki):
    good = {"clients/client-1.pem", "clients/client-2.pem"}
    via = {"bad/via-intermediate.pem"}
    with nginx(tmp_path, pki, extra=f"ssl_crl {pki}/crl.pem; ssl_verify_depth 2;") as server:
        assert let_in(server.port, pki) == good | via
    with nginx(tmp_path, pki, extra="ssl_verify_depth 2;") as server:
        assert let_in(server.port, pki) == good | via | {"bad/revoked.pem"}
    with nginx(tmp_path, pki, extra="ssl_verify_depth 0;") as server:
        assert let_in(server.port, pki) == good | {"bad/revoked.pem"}


def test_haproxy(tmp_path, pki):
    with haproxy(tmp_path, pki, bind=f"crl-file {pki}/crl.pem") as server:
        assert let_in(server.port, pki) == {"clients/client-1.pem", "clients/client-2.pem",
                                            "bad/via-intermediate.pem"}


def test_pkcs12(tmp_path, pki):
    openssl = need("openssl")
    command = [openssl, "pkcs12", "-in", pki / "clients/client-2.p12", "-noenc", "-passin"]
    done = subprocess.run([*command, "pass:correct horse"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "CN = client-2" in done.stdout and "BEGIN PRIVATE KEY" in done.stdout
    assert subprocess.run([*command, "pass:wrong"], capture_output=True).returncode != 0


def test_mistakes(tmp_path):
    done = tlsoak("pki", tmp_path / "pki", "--key-type", "ecdsa")
    assert done.returncode == 2 and "unknown key type ecdsa" in done.stderr
    done = tlsoak("pki", tmp_path / "pki", "--pkcs12", tmp_path / "nowhere")
    assert done.returncode == 2 and "nowhere cannot be read" in done.stderr
    (tmp_path / "empty").write_text("\n")
    done = tlsoak("pki", tmp_path / "pki", "--pkcs12", tmp_path / "empty")
    assert done.returncode == 2 and "holds no passphrase" in done.stderr
    assert not os.path.exists(tmp_path / "pki")
    done = tlsoak("pki", "--help")
    for part in ("ssl_crl", "crl-file", "RequireAndVerifyClientCert", "with_crls"):
        assert part in done.stdout
