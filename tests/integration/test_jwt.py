"""The embedded server's policy on tokens and certificates: keys and key sets, binding, revocation, its token endpoint."""
import base64
import datetime
import hmac
import json
import os
import ssl
import time
import urllib.parse

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from servers import TLSOAK, embedded, tlsoak
from test_demo_server import NOW, Pki, ask, connect, final, http_to

SECRET = b"a secret for tokens"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


def serving(tmp_path, pki, *options):
    return embedded(tmp_path, pki.folder, *options, binary=TLSOAK, credentials=False)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def pem_public(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def pem_private(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def sign_ec(key, data, digest, width):
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def rsa_key():
    return rsa.generate_private_key(65537, 2048)


PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
ALGS = {
    "HS256": (lambda: SECRET, lambda k, d: hmac.new(k, d, "sha256").digest()),
    "HS384": (lambda: SECRET, lambda k, d: hmac.new(k, d, "sha384").digest()),
    "HS512": (lambda: SECRET, lambda k, d: hmac.new(k, d, "sha512").digest()),
    "RS256": (rsa_key, lambda k, d: k.sign(d, padding.PKCS1v15(), hashes.SHA256())),
    "PS256": (rsa_key, lambda k, d: k.sign(d, PSS, hashes.SHA256())),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()),
              lambda k, d: sign_ec(k, d, hashes.SHA256(), 32)),
    "ES384": (lambda: ec.generate_private_key(ec.SECP384R1()),
              lambda k, d: sign_ec(k, d, hashes.SHA384(), 48)),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, lambda k, d: k.sign(d)),
}


def token(alg, key, kid=None, lifetime=3600, **claims):
    header = {"alg": alg, "typ": "JWT", **({"kid": kid} if kid else {})}
    body = {"sub": "somebody", "exp": NOW + lifetime, **claims}
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(body).encode())}"
    return f"{text}.{b64(ALGS[alg][1](key, text.encode()))}"


def thumbprint(pem):
    cert = x509.load_pem_x509_certificate(pem.read_bytes())
    return b64(cert.fingerprint(hashes.SHA256()))


def status(connection, text):
    return ask(connection, "GET", "/work", Authorization=f"Bearer {text}")[0]


@pytest.mark.parametrize("alg", ALGS)
def test_tokens_of_every_algorithm(tmp_path, pki, alg):
    make, _ = ALGS[alg]
    key, other = make(), make()
    if alg.startswith("HS"):
        other, public = b"another secret", SECRET
    else:
        public = pem_public(key)
    (tmp_path / "key").write_bytes(public)
    option = "--jwt-secret" if alg.startswith("HS") else "--jwt-key"
    with serving(tmp_path, pki, option, tmp_path / "key", "--jwt-alg", alg, "--audience", "api",
                 "--leak", "refused=64") as server:
        with http_to(server, pki.context(pki.clients[0])) as c:
            good = token(alg, key, aud=["x", "api"])
            assert status(c, good) == 200
            assert status(c, token(alg, key, aud="api", kid="whatever")) == 200
            none = f"{b64(json.dumps({'alg': 'none'}).encode())}.{good.split('.')[1]}."
            bad = [token(alg, other, aud="api"), token(alg, key), token(alg, key, aud="API"), none,
                   token(alg, key, aud="api", lifetime=-60), good[:-1],
                   token(alg, key, aud="api", nbf=NOW + 3600), good + ".",
                   token(alg, key, aud="api", cnf={"x5t#S256": thumbprint(pki.clients[1])})]
            if alg != "HS256":
                bad.append(token("HS256", public, aud="api"))
            for text in bad:
                assert status(c, text) == 403, text
            assert ask(c, "GET", "/work")[0] == 401
            assert status(c, token(alg, key, aud="api",
                                   cnf={"x5t#S256": thumbprint(pki.clients[0])})) == 200
        # What was refused is kept as was planted, and else not at all.
        final(server, refused=len(bad) + 1, jwts=3, retained_bytes=64 * (len(bad) + 1))


def jwk(key, kid):
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
            "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}


def write_keys(path, **keys):
    path.with_suffix(".new").write_text(json.dumps({"keys": [jwk(k, kid) for kid, k in keys.items()]}))
    os.replace(path.with_suffix(".new"), path)


def eventually(connection, text, wanted, seconds=20):
    deadline = time.monotonic() + seconds
    while status(connection, text) != wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    assert status(connection, text) == wanted


def test_a_key_set_is_read_again_when_it_changes(tmp_path, pki):
    a, b = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    path = tmp_path / "jwks.json"
    write_keys(path, a=a)
    with serving(tmp_path, pki, "--jwks", path) as server:
        with http_to(server, pki.context(pki.clients[0])) as c:
            of_a, of_b = token("ES256", a, kid="a"), token("ES256", b, kid="b")
            assert status(c, of_a) == 200
            assert status(c, of_b) == 403
            assert status(c, token("ES256", a)) == 200  # the set has one, so it needs no name
            assert status(c, token("ES256", a, kid="b")) == 403
            write_keys(path, a=a, b=b)
            eventually(c, of_b, 200)
            assert status(c, of_a) == 200
            assert status(c, token("ES256", a)) == 403
            write_keys(path, b=b)
            eventually(c, of_a, 403)
            path.write_text("{")  # a broken set is told of, and the old one stays
            deadline = time.monotonic() + 20
            while "the old keys stay" not in server.log.read_text() and time.monotonic() < deadline:
                time.sleep(0.02)
            assert "--jwks" in server.log.read_text()
            assert status(c, of_b) == 200
            write_keys(path, a=a)
            eventually(c, of_a, 200)
            assert status(c, of_b) == 403


def test_tokens_must_be_bound(tmp_path, pki):
    with serving(tmp_path, pki, "--jwt-secret", pki.folder / "jwt.secret", "--jwt-bound") as server:
        with http_to(server, pki.context(pki.clients[0])) as c:
            assert status(c, token("HS256", SECRET)) == 403
            own, other = (token("HS256", SECRET, cnf={"x5t#S256": thumbprint(pki.clients[i])})
                          for i in (0, 1))
            assert status(c, own) == 200
            assert status(c, other) == 403
        with http_to(server, pki.context(pki.clients[1])) as c:
            assert status(c, own) == 403
            assert status(c, other) == 200
        final(server, jwts=2, refused=3)


def crl(pki, *pems, issuer=None):
    now = datetime.datetime.now(datetime.timezone.utc)
    issuer = issuer or pki.issuer
    builder = (x509.CertificateRevocationListBuilder().issuer_name(issuer.name)
               .last_update(now - datetime.timedelta(days=1))
               .next_update(now + datetime.timedelta(days=1)))
    for pem in pems:
        serial = x509.load_pem_x509_certificate(pem.read_bytes()).serial_number
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_revoked_are_refused_by_name(tmp_path, pki, version):
    (tmp_path / "crl.pem").write_bytes(crl(pki, pki.clients[1], pki.clients[2]))
    with serving(tmp_path, pki, "--crl", tmp_path / "crl.pem", "--leak", "refused=100") as server:
        for i in (1, 2):
            with pytest.raises(ssl.SSLError, match="(?i)certificate.revoked"):
                with connect(server, pki.context(pki.clients[i], version)) as s:
                    s.sendall(b"GET /work HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert s.recv(1) == b"", "let in"
        with http_to(server, pki.context(pki.clients[0], version)) as c:
            assert ask(c, "GET", "/work")[0] == 200
        final(server, refused=2, handshakes_failed=2, retained_bytes=200, requests=1)


def form(connection, body, method="POST"):
    connection.request(method, "/token", body, {"Content-Type": "application/x-www-form-urlencoded"})
    response = connection.getresponse()
    return response, response.read()


GRANT = "grant_type=client_credentials"


@pytest.mark.parametrize("alg", ["HS256", "ES256", "RS256"])
def test_the_token_endpoint(tmp_path, pki, alg):
    key = ALGS[alg][0]()
    option = "--jwt-secret" if alg == "HS256" else "--jwt-key"
    (tmp_path / "key").write_bytes(SECRET if alg == "HS256" else pem_private(key))
    with serving(tmp_path, pki, option, tmp_path / "key", "--jwt-alg", alg, "--jwt-bound", "--audience",
                 "the \"api\"", "--oauth", "/token", "--token-lifetime", "1m", "--leak",
                 "request=100") as server:
        tokens = []
        with http_to(server, pki.context(pki.clients[3])) as c:
            for i in range(3):
                response, body = form(c, urllib.parse.urlencode(
                    {"client_id": "me", "scope": "a b", "grant_type": "client_credentials"}))
                assert response.status == 200, body
                assert response.getheader("Cache-Control") == "no-store"
                assert response.getheader("Content-Type") == "application/json"
                answer = json.loads(body)
                assert answer["token_type"] == "Bearer" and answer["expires_in"] == 60
                tokens.append(answer["access_token"])
            claims = json.loads(base64.urlsafe_b64decode(tokens[0].split(".")[1] + "=="))
            assert claims["sub"] == "client-3" and claims["exp"] - claims["iat"] == 60
            assert claims["aud"] == 'the "api"'
            assert claims["cnf"] == {"x5t#S256": thumbprint(pki.clients[3])}
            for text in tokens:
                assert status(c, text) == 200
            for body, error in [("", "invalid_request"), ("grant_type=password", "unsupported_grant_type"),
                                (GRANT + "&" + GRANT, "invalid_request"), ("x" + GRANT, "invalid_request"),
                                (GRANT + "x", "unsupported_grant_type"),
                                (GRANT + "&pad=" + "x" * 20000, "invalid_request")]:
                response, text = form(c, body)
                assert (response.status, json.loads(text)) == (400, {"error": error}), body[:80]
            response, _ = form(c, None, "GET")
            assert response.status == 405
            response, _ = form(c, iter([b"grant_type=cli", b"ent_credentials"]))  # chunked
            assert response.status == 200
        with http_to(server, pki.context(pki.clients[4])) as c:
            assert status(c, tokens[0]) == 403
        final(server, tokens_issued=4, jwts=3, refused=1, requests=4, retained_bytes=400)


@pytest.mark.parametrize("options, mistake", [
    (["--jwt-alg", "XS256"], "--jwt-alg: unknown algorithm XS256"),
    (["--jwt-bound"], "--jwt-bound: needs --jwt-secret"),
    (["--audience", "x"], "--audience: needs --jwt-secret"),
    (["--jwt-secret", "jwt.secret", "--jwks", "x"], "--jwks: only one of"),
    (["--jwt-secret", "jwt.secret", "--jwt-alg", "ES256"], "--jwt-alg: with --jwt-secret"),
    (["--jwt-key", "server.key", "--jwt-alg", "HS256"], "--jwt-alg: HS256, HS384 and HS512 need"),
    (["--jwt-key", "server.key", "--jwt-alg", "RS256"], "this is an EC key on P-256"),
    (["--jwt-key", "missing"], "--jwt-key: cannot read missing"),
    (["--jwt-key", "apikey.secret"], "--jwt-key: apikey.secret: holds no key in PEM"),
    (["--jwks", "missing"], "--jwks: missing: "),
    (["--jwks", "ca.pem"], "--jwks: ca.pem: is not JSON"),
    (["--crl", "missing"], "--crl: cannot read missing"),
    (["--crl", "ca.pem"], "--crl: ca.pem: no list of revoked"),
    (["--oauth", "/token"], "--oauth: needs something to sign with"),
    (["--oauth", "token", "--jwt-secret", "jwt.secret"], "--oauth: \"token\" is not a path"),
    (["--oauth", "/t", "--jwt-key", "public.pem"], "--oauth: cannot sign"),
    (["--token-lifetime", "10ms"], "--token-lifetime: must be a second"),
])
def test_mistakes_are_told_before_the_start(pki, options, mistake):
    (pki.folder / "public.pem").write_bytes(pem_public(pki.issuer.key))
    done = tlsoak("serve", "--ca", "ca.pem", "--cert", "server.pem", "--key", "server.key", *options,
                  binary=os.path.abspath(TLSOAK), cwd=pki.folder, timeout=60)
    assert done.returncode == 2, done.stderr
    assert mistake in done.stderr and done.stdout == ""


def test_help_names_every_option():
    done = tlsoak("serve", "--help")
    assert done.returncode == 0
    for option in ("--jwt-alg", "--jwt-key", "--jwks", "--audience", "--jwt-bound", "--crl", "--oauth",
                   "--token-lifetime", "--jwt-secret", "--apikey-secret"):
        assert option in done.stdout, option
