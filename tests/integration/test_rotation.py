"""Identities over time, as real servers see them: rotation, renewal, changed files, personas."""
import base64
import collections
import datetime
import json
import os
import subprocess
import threading
import time

import pytest

from servers import embedded, last_truth, make_pki, need, nginx, profile, tlsoak, totals

WHO = "access_log {folder}/who.log who;"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 4)


def soak(tmp_path, pki, url, sections, duration="3s", rpc=2, threads=2, code=0):
    path = profile(tmp_path, f"""
[run]
duration = {duration}
threads = {threads}
[target]
url = {url}
server_ca = {pki}/ca.pem
[pace]
connections = 4
requests_per_connection = {rpc}
{sections}
""")
    done = tlsoak("run", path, "-o", tmp_path / "run", "--quiet")
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def minted(pki, more=""):
    return f"[cert]\nca = {pki}/ca.pem\nca_key = {pki}/ca.key\n{more}\n"


def serials(server):
    """Connections by certificate: each connection is one line for each of its requests."""
    seen = collections.defaultdict(set)
    for line in server.access_log.read_text().splitlines():
        serial, status, connection = line.split()
        if serial != "-":
            assert status == "200", line
            seen[serial].add(connection)
    return {serial: len(connections) for serial, connections in seen.items()}


def who(folder):
    """(CN, key, claims of the token, URI) of each request but the self-check's."""
    rows = []
    for line in (folder / "who.log").read_text().splitlines():
        name, key, authorization, uri = line.split("|")
        if name == "-":
            continue
        claims = None
        if authorization.startswith("Bearer "):
            text = authorization.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        rows.append((name.removeprefix("CN="), key, claims, uri, authorization))
    assert len(rows) > 50
    return rows


def clean(tmp_path):
    counts = totals(tmp_path / "run")["totals"]
    assert counts["failed"] == counts["unexpected"] == counts["dial_failed"] == 0
    return counts


def events(tmp_path):
    return (tmp_path / "run" / "events.csv").read_text()


def test_sequential_uses_all_alike(tmp_path, pki):
    with nginx(tmp_path, pki) as server:
        soak(tmp_path, pki, server.url, minted(pki, "count = 10"), threads=1)
        seen = serials(server)
    counts = clean(tmp_path)
    assert len(seen) == 10 == counts["cert_new"]
    assert max(seen.values()) - min(seen.values()) <= 8  # the connections that are open


def test_zipf_has_hot_and_cold(tmp_path, pki):
    with nginx(tmp_path, pki) as server:
        soak(tmp_path, pki, server.url, minted(pki, "count = 20\npick = zipf\nexponent = 1.5"))
        seen = sorted(serials(server).values(), reverse=True)
    clean(tmp_path)
    # of ten a worker, the first has 1 / sum(k^-1.5) = 50 % of its worker's, and the last 1.6 %
    assert 0.38 < (seen[0] + seen[1]) / sum(seen) < 0.62
    assert seen[-1] < 0.05 * sum(seen)


def test_retired_certificates_never_come_back(tmp_path, pki):
    with nginx(tmp_path, pki) as server:
        soak(tmp_path, pki, server.url, minted(pki, "count = 8\nretire_after = 5"))
        seen = serials(server)
    counts = clean(tmp_path)
    assert max(seen.values()) <= 5
    # a connection that stood when the run ended has shown its certificate, and asked for nothing
    assert len(seen) > 20 and 0 <= counts["cert_new"] - len(seen) <= 4


def test_short_lived_certificates_are_renewed(tmp_path, pki):
    cert = minted(pki, "count = 2\nlifetime = 3s\nrenew_before = 1s\nsan = URI:spiffe://test/client/{n}")
    with nginx(tmp_path, pki) as server:
        soak(tmp_path, pki, server.url, cert, duration="8s")
        seen = serials(server)
    counts = clean(tmp_path)  # nginx would answer 400 to one that has expired
    assert len(seen) >= 6 and counts["identity_expired"] == 0


def replace(path, content):
    new = path.with_suffix(".new")
    new.write_text(content)
    os.replace(new, path)


def test_a_changed_file_is_read_again_and_a_bad_one_is_not(tmp_path, pki):
    first = (pki / "clients/client-1.pem").read_text()
    second = (pki / "clients/client-2.pem").read_text()
    path = tmp_path / "mine.pem"
    path.write_text(first)
    ticks = tmp_path / "run" / "ticks.csv"

    def wait_for(what):
        deadline = time.monotonic() + 15
        while not what():
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)

    def change():
        wait_for(lambda: ticks.exists() and ticks.read_text().count("\n") > 1)
        replace(path, second)
        wait_for(lambda: len(set(serials(server))) == 2)
        replace(path, second[:-80])
        wait_for(lambda: "mine.pem" in events(tmp_path))

    with nginx(tmp_path, pki) as server:
        changer = threading.Thread(target=change)
        changer.start()
        soak(tmp_path, pki, server.url, f"[cert]\nsource = files\npath = {path}\n", duration="8s")
        changer.join()
        seen = serials(server)
    counts = clean(tmp_path)
    assert len(seen) == 2 == counts["cert_new"]
    assert "mine.pem" in events(tmp_path) and "kept" in events(tmp_path)
    for secret in (first, second):
        assert secret.split("PRIVATE KEY-----")[1][5:45] not in events(tmp_path)


def test_one_that_expires_during_the_run_is_named(tmp_path, pki):
    cryptography = pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    ca = x509.load_pem_x509_certificate((pki / "ca.pem").read_bytes())
    ca_key = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.utcnow()
    cert = (x509.CertificateBuilder().issuer_name(ca.subject).serial_number(77)
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "brief")]))
            .public_key(key.public_key()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(seconds=5)).sign(ca_key, hashes.SHA256()))
    path = tmp_path / "brief.pem"
    path.write_bytes(cert.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    with nginx(tmp_path, pki) as server:
        soak(tmp_path, pki, server.url, f"[cert]\nsource = files\npath = {path}\n", duration="6s")
    assert "expired" in events(tmp_path) and "brief" in events(tmp_path)
    assert totals(tmp_path / "run")["totals"]["identity_expired"] > 0


PERSONA = """
[apikey]
template = key-{n}-{random}
[jwt]
alg = HS256
key = a-secret-that-is-long-enough-for-hs256
claims = {"sub":"client-{n}"}
"""


def secretly(text):
    return text.replace("key = a-secret-that-is-long-enough-for-hs256", "key = ${TOKEN_SECRET}")


def test_bound_parts_go_together(tmp_path, pki, monkeypatch):
    monkeypatch.setenv("TOKEN_SECRET", "a-secret-that-is-long-enough-for-hs256")
    names = "[identity one]\ncert = a\napikey = b\njwt = c\n"
    parts = (minted(pki, "count = 12").replace("[cert]", "[cert a]") +
             secretly(PERSONA).replace("[apikey]", "[apikey b]").replace("[jwt]", "[jwt c]"))
    with nginx(tmp_path, pki, extra=WHO.format(folder=tmp_path)) as server:
        soak(tmp_path, pki, server.url, parts + names)
    clean(tmp_path)
    keys = collections.defaultdict(set)
    for name, key, claims, _, _ in who(tmp_path):
        assert claims["sub"] == name
        assert key.startswith("key-" + name.removeprefix("client-") + "-")
        keys[name].add(key)
    assert len(keys) == 12 and all(len(k) == 1 for k in keys.values())


def test_weights_between_kinds_of_client(tmp_path, pki):
    kinds = ""
    for kind, weight in (("mobile", 3), ("partner", 1)):
        kinds += (f"[cert {kind}]\nca = {pki}/ca.pem\nca_key = {pki}/ca.key\n"
                  f"subject = CN={kind}-{{n}}\ncount = 5\n"
                  f"[apikey {kind}]\ntemplate = {kind}-{{n}}-{{random}}\n"
                  f"[identity {kind}]\ncert = {kind}\nweight = {weight}\n" +
                  (f"apikey = {kind}\n" if kind == "partner" else ""))
    kinds = kinds.replace("[apikey mobile]\ntemplate = mobile-{n}-{random}\n", "")
    with nginx(tmp_path, pki, extra=WHO.format(folder=tmp_path)) as server:
        soak(tmp_path, pki, server.url, kinds, duration="4s")
    clean(tmp_path)
    rows = who(tmp_path)
    partner = [r for r in rows if r[0].startswith("partner-")]
    assert 0.2 < len(partner) / len(rows) < 0.3
    assert all(r[1].startswith("partner-") for r in partner)
    assert all(r[1] == "-" for r in rows if r[0].startswith("mobile-"))


@pytest.mark.parametrize("how, expect", [
    ("query = api_key", lambda r: r[3].startswith("/?api_key=client-") and r[1] == "-"),
    ("scheme = ApiKey", lambda r: r[4].startswith("ApiKey client-") and r[1] == "-"),
    ("header = X-API-Key", lambda r: r[1].startswith("client-")),
])
def test_where_a_key_is_sent(tmp_path, pki, how, expect):
    with nginx(tmp_path, pki, extra=WHO.format(folder=tmp_path)) as server:
        soak(tmp_path, pki, server.url, minted(pki) + f"[apikey]\n{how}\n", duration="1s")
    rows = who(tmp_path)
    assert all(expect(r) for r in rows), rows[:3]


def test_tokens_from_a_token_endpoint(tmp_path, pki):
    """Fetched with the client's own certificate, bound to it, and fetched again before they end."""
    with embedded(tmp_path, pki, "--oauth", "/token", "--token-lifetime", "4s", "--jwt-secret",
                  f"{pki}/jwt.secret", "--jwt-bound", credentials=False) as server:
        tokens = (minted(pki, "count = 6") + f"[jwt]\ntoken_url = {server.url}token\n"
                  "renew_before = 2s\n")
        soak(tmp_path, pki, server.url, tokens, duration="8s")
        counts = clean(tmp_path)
        truth = last_truth(server)
    assert counts["jwt_new"] >= 12 and counts["identity_expired"] == 0
    assert truth["tokens_issued"] >= counts["jwt_new"]


def test_a_token_endpoint_that_fails(tmp_path, pki):
    with nginx(tmp_path, pki, extra="location /token { return 503; }") as server:
        done = soak(tmp_path, pki, server.url,
                    minted(pki, "count = 2") + f"[jwt]\ntoken_url = {server.url}token\n", code=2)
    assert "profile.ini:" in done.stderr and "status 503" in done.stderr


def test_signing_keys_rotate_with_a_jwks_file(tmp_path, pki):
    jwks = tmp_path / "jwks.json"
    jwks.write_text('{"keys":[]}')  # the server starts first
    with embedded(tmp_path, pki, "--jwt-alg", "ES256", "--jwks", jwks, credentials=False) as server:
        tokens = (minted(pki) + f"[jwt]\nalg = ES256\njwks = {jwks}\nkey_rotate = 2s\nlifetime = 3s\n"
                  "count = 20\n")
        soak(tmp_path, pki, server.url, tokens, duration="9s")
    clean(tmp_path)
    keys = json.loads(jwks.read_text())["keys"]
    assert all("d" not in key for key in keys)
    assert max(int(key["kid"].removeprefix("key-")) for key in keys) >= 4


def test_pkcs12(tmp_path, pki):
    p12 = tmp_path / "client.p12"
    (tmp_path / "pass").write_text("s3cret\n")
    subprocess.run([need("openssl"), "pkcs12", "-export", "-in", pki / "clients/client-3.pem", "-inkey",
                    pki / "clients/client-3.pem", "-out", p12, "-passout", "pass:s3cret"], check=True)
    with nginx(tmp_path, pki, extra=WHO.format(folder=tmp_path)) as server:
        soak(tmp_path, pki, server.url,
             f"[cert]\nsource = pkcs12\npath = {p12}\npassword = @{tmp_path}/pass\n", duration="1s")
    assert {r[0] for r in who(tmp_path)} == {"client-3"}
