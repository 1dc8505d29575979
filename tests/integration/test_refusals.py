"""Bad identities against real servers: those that refuse them, and those that let them in."""
import contextlib

import pytest

from servers import (embedded, go_server, haproxy, last_truth, make_pki, nginx, profile, tlsoak, totals,
                     verdict)

# What a server that checks certificates must refuse, and the file where one is needed.
BAD_CERTIFICATES = {"none": None, "expired": None, "not-yet-valid": None, "unknown-ca": None,
                    "self-signed": None, "wrong-usage": None, "wrong-key": None,
                    "revoked": "revoked.pem", "file": "wrong-key.pem"}

BASE = """
[run]
duration = {duration}
threads = 2
[target]
url = {url}
server_ca = {pki}/ca.pem
{target}
[pace]
mode = open
rate = 150/s
connections = 8
requests_per_connection = 20
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
count = 20
{cert}
"""

JWT = """
[apikey]
template = client-{{n}}.{{hmac}}
secret = @{pki}/apikey.secret
[jwt]
alg = ES256
key = @{pki}/jwt.key
claims = {{"sub":"client-{{n}}","aud":"the-api"}}
bind_certificate = yes
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = make_pki(tmp_path_factory.mktemp("pki"), 2, "--bad")
    (folder / "server-all.pem").write_text((folder / "server.pem").read_text() +
                                           (folder / "server.key").read_text())
    return folder


def refusals(kinds, what, pki, share="4%", expect="any"):
    text = ""
    for kind in kinds:
        text += f"[refuse {what}-{kind}]\n{what} = {kind}\nshare = {share}\nexpect = {expect}\n"
        if what == "cert" and BAD_CERTIFICATES[kind]:
            text += f"path = {pki}/bad/{BAD_CERTIFICATES[kind]}\n"
    return text


def soak(tmp_path, pki, url, more, target="", cert="", duration="3s", code=0):
    text = BASE.format(url=url, pki=pki, target=target, cert=cert, duration=duration)
    path = profile(tmp_path, text + more)
    done = tlsoak("run", path, "-o", tmp_path / "run", "--quiet")
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def tallies(tmp_path):
    return {r["name"]: r for r in verdict(tmp_path / "run")["refusals"]}


def assert_all_refused(found, kinds, what="cert"):
    assert set(found) == {f"{what}-{kind}" for kind in kinds}
    for name, tally in found.items():
        assert tally["tried"] > 5, (name, tally)
        # one or two may be under way when the run ends
        assert tally["refused"] >= tally["tried"] - 4, (name, tally)
        assert tally["let_in"] == tally["otherwise"] == 0, (name, tally)


@contextlib.contextmanager
def server_with_crl(name, folder, pki):
    crl = f"{pki}/crl.pem"
    if name.startswith("nginx"):
        protocols = f"ssl_protocols {'TLSv1.2' if name.endswith('1.2') else 'TLSv1.3'};"
        with nginx(folder, pki, extra=f"ssl_crl {crl}; {protocols}") as server:
            yield server
    elif name == "haproxy":
        with haproxy(folder, pki, bind=f"crl-file {crl}") as server:
            yield server
    elif name == "go":
        with go_server(folder, pki, "--crl", crl) as server:
            yield server
    else:
        with embedded(folder, pki, "--crl", crl, credentials=False) as server:
            yield server


@pytest.mark.parametrize("name", ["nginx-1.2", "nginx-1.3", "haproxy", "go", "embedded"])
def test_every_bad_certificate_is_refused(tmp_path, pki, name):
    with server_with_crl(name, tmp_path, pki) as server:
        soak(tmp_path, pki, server.url, refusals(BAD_CERTIFICATES, "cert", pki))
    found = tallies(tmp_path)
    assert_all_refused(found, BAD_CERTIFICATES)
    if name == "nginx-1.3":  # shakes hands, then answers
        assert found["cert-none"]["answers"]["refused"] == "status 400"
        assert found["cert-revoked"]["answers"]["refused"] == "status 400"
    if name == "go":
        assert "revo" not in found["cert-expired"]["answers"]["refused"]
        assert "certificate" in found["cert-expired"]["answers"]["refused"]
    counts = totals(tmp_path / "run")["totals"]
    assert counts["refusal_let_in"] == 0
    assert counts["refusal_refused"] > 9 * 5
    assert counts["failed"] == counts["unexpected"] == counts["dial_failed"] == 0
    assert counts["refusal_handshake"] == 0  # none of these was a good certificate
    # each kind is 4 % of all attempts
    attempts = counts["started"] + counts["refusal_tried"]
    assert abs(counts["refusal_tried"] / attempts - 0.36) < 0.05


def test_bad_keys_and_tokens_are_refused(tmp_path, pki):
    tokens = ["none", "expired", "wrong-signature", "alg-none", "wrong-audience", "hs256-public-key",
              "other-certificate"]
    keys = ["none", "unknown"]
    more = (JWT.format(pki=pki) + refusals(tokens, "jwt", pki, expect="401, 403") +
            refusals(keys, "apikey", pki, expect="401, 403"))
    with embedded(tmp_path, pki, "--apikey-secret", f"{pki}/apikey.secret", "--jwt-alg", "ES256",
                  "--jwt-key", f"{pki}/jwt.pub", "--audience", "the-api", "--jwt-bound",
                  credentials=False) as server:
        soak(tmp_path, pki, server.url, more)
        truth = last_truth(server)
    found = tallies(tmp_path)
    assert_all_refused({k: v for k, v in found.items() if k.startswith("jwt")}, tokens, "jwt")
    assert_all_refused({k: v for k, v in found.items() if k.startswith("apikey")}, keys, "apikey")
    counts = totals(tmp_path / "run")["totals"]
    assert counts["unexpected"] == 0
    # the certificate was good, so the server has seen these as connections and requests too
    assert counts["refusal_handshake"] >= counts["refusal_refused"]
    assert truth["requests"] >= counts["completed"] + counts["refusal_refused"]
    # and each of those certificates is new to it (one or two attempts may be cut off at the end)
    assert counts["cert_new"] > 20 + 9 * 5
    assert abs(truth["client_certificates"] - counts["cert_new"]) <= 2


@pytest.mark.parametrize("bad", ["jwt = expired", "apikey = unknown", "cert = expired"])
def test_what_is_good_beside_it_is_counted_as_the_server_saw_it(tmp_path, pki, bad):
    more = (f"[apikey]\nsecret = @{pki}/apikey.secret\npick = fresh\n"
            f"[jwt]\nkey = @{pki}/jwt.secret\n[refuse bad]\n{bad}\nshare = 30%\n")
    with embedded(tmp_path, pki) as server:
        soak(tmp_path, pki, server.url, more, duration="2s")
        truth = last_truth(server)
    counts = totals(tmp_path / "run")["totals"]
    assert counts["refusal_refused"] > 50 and counts["refusal_refused"] == counts["refusal_tried"]
    assert truth["requests"] == counts["completed"] + counts["refusal_request"]
    assert (truth["client_certificates"], truth["api_keys"], truth["jwts"]) == (
        counts["cert_new"], counts["key_new"], counts["jwt_new"])


def test_one_that_is_let_in_fails_the_run(tmp_path, pki):
    with nginx(tmp_path, pki, extra="ssl_verify_client optional_no_ca;") as server:
        done = soak(tmp_path, pki, server.url, refusals(["self-signed"], "cert", pki),
                    target="expect_mtls = no", code=1)
    assert "the server let in a self-signed certificate" in done.stdout
    assert "status 200; refuse cert-self-signed" in done.stdout
    found = tallies(tmp_path)["cert-self-signed"]
    assert found["let_in"] > 0 and found["refused"] == 0


def test_tokens_that_nobody_checks(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        done = soak(tmp_path, pki, server.url,
                    JWT.format(pki=pki) + refusals(["alg-none"], "jwt", pki), code=1)
    assert "the server let in an unsigned token (alg none)" in done.stdout


def test_another_answer_than_expected(tmp_path, pki):
    with nginx(tmp_path, pki) as server:
        done = soak(tmp_path, pki, server.url, refusals(["none"], "cert", pki, expect="403"), code=1)
    assert "refused no certificate in another way than expected: status 400, not 403" in done.stdout
    with haproxy(tmp_path, pki) as server:
        (tmp_path / "two").mkdir()
        soak(tmp_path / "two", pki, server.url,
             refusals(["none"], "cert", pki, expect="alert certificate_required"))


@pytest.mark.parametrize("depth, code", [(1, 4), (3, 0)])
def test_verification_depth(tmp_path, pki, depth, code):
    """Two intermediates between CA and client: too deep for a server that allows one."""
    with nginx(tmp_path, pki, extra=f"ssl_verify_depth {depth};") as server:
        soak(tmp_path, pki, server.url, "", cert="intermediates = 2", code=code)
    counts = totals(tmp_path / "run")
    assert counts["status"]["4xx"] > 0 if code else counts["status"]["2xx"] > 0
    assert (counts["status"]["4xx"] == 0) == (code == 0)


def test_a_server_without_mutual_tls_is_not_soaked(tmp_path, pki):
    with nginx(tmp_path, pki, extra="ssl_verify_client off;") as server:
        done = soak(tmp_path, pki, server.url, "", code=1)
        assert "does not enforce mutual TLS" in done.stderr and "status 200" in done.stderr
        assert not (tmp_path / "run").exists()
        assert server.access_log.read_text().count("\n") == 1
        soak(tmp_path, pki, server.url, "", target="expect_mtls = no")


@pytest.mark.parametrize("name", ["nginx-1.2", "nginx-1.3", "haproxy", "go", "embedded"])
def test_the_self_check_passes_where_mtls_is_enforced(tmp_path, pki, name):
    with server_with_crl(name, tmp_path, pki) as server:
        done = soak(tmp_path, pki, server.url, "", duration="1s")
    assert "mutual TLS" not in done.stderr
