"""The profiles that people start from, each run for a few seconds as it stands."""
import pathlib
import shutil

import pytest

from servers import embedded, last_truth, make_pki, tlsoak, totals, verdict

PROFILES = pathlib.Path(__file__).parents[2] / "profiles"


@pytest.fixture
def place(tmp_path):
    """The profiles with a PKI beside them, where they look for it."""
    for profile in PROFILES.glob("*.ini"):
        shutil.copy(profile, tmp_path)
    make_pki(tmp_path / "pki", 2, "--bad")
    return tmp_path


def run(place, name, server, seconds=5, env=None, more=()):
    done = tlsoak("run", place / name, "--set", f"run.duration={seconds}s", *more, "-o", place / "run",
                  "--quiet", env={"TARGET_URL": server.url, **(env or {})})
    # a few seconds can't tell of a leak
    assert done.returncode == 3 and "inconclusive" in done.stdout, (done.stdout, done.stderr)
    counts = totals(place / "run")["totals"]
    assert counts["completed"] > 200
    assert counts["failed"] == counts["unexpected"] == counts["dial_failed"] == 0, counts
    return counts


def refused(place, n):
    found = verdict(place / "run")["refusals"]
    assert len(found) == n
    for tally in found:
        assert tally["refused"] > 0 and tally["let_in"] == tally["otherwise"] == 0, tally


def test_rotate_certs(place):
    with embedded(place, place / "pki", credentials=False) as server:
        counts = run(place, "rotate-certs.ini", server)
        truth = last_truth(server)
    assert counts["cert_new"] > 50
    assert truth["client_certificates"] == counts["cert_new"]


def test_h2(place):
    with embedded(place, place / "pki", "--jwt-secret", place / "pki" / "jwt.secret",
                  credentials=False) as server:
        counts = run(place, "h2.ini", server)
        truth = last_truth(server)
    assert truth["requests"] == counts["completed"]
    assert truth["jwts"] == counts["jwt_new"] == 100


def test_refuse(place):
    pki = place / "pki"
    with embedded(place, pki, "--crl", pki / "crl.pem", "--apikey-secret", pki / "apikey.secret",
                  "--jwt-alg", "ES256", "--jwt-key", pki / "jwt.pub", credentials=False) as server:
        run(place, "refuse.ini", server, seconds=15)
    refused(place, 15)


def test_oauth(place):
    pki = place / "pki"
    with embedded(place, pki, "--oauth", "/token", "--token-lifetime", "4s", "--jwt-secret",
                  pki / "jwt.secret", "--jwt-bound", credentials=False) as server:
        counts = run(place, "oauth.ini", server, env={"TOKEN_URL": server.url + "token"},
                     more=["--set", "cert.count=40", "--set", "jwt.renew_before=1s"], seconds=8)
    refused(place, 2)
    assert counts["jwt_new"] > 40
    # a bad token comes with a good certificate of its own
    assert counts["cert_new"] == 40 + counts["refusal_handshake"] > 40


def test_spiffe(place):
    with embedded(place, place / "pki", credentials=False) as server:
        counts = run(place, "spiffe.ini", server, seconds=8,
                     more=["--set", "cert.count=20", "--set", "cert.lifetime=3s", "--set",
                           "cert.renew_before=1s"])
    assert counts["cert_new"] >= 40 and counts["identity_expired"] == 0


def test_search(place):
    few = ["search.from=50/s", "search.to=100/s", "search.step=1s", "search.rest=200ms", "search.ramp=200ms",
           "limit.latency.response.p99.max=10s", "limit.errors.ratio.max=5%"]
    with embedded(place, place / "pki", credentials=False) as server:
        done = tlsoak("run", place / "search.ini", *(arg for pair in few for arg in ("--set", pair)), "-o", place / "run",
                      "--quiet", env={"TARGET_URL": server.url})
    assert done.returncode == 0 and "at least 100/s holds" in done.stdout, (done.stdout, done.stderr)
    assert [entry["state"] for entry in verdict(place / "run")["limits"]] == ["held", "held"]


@pytest.mark.parametrize("name", ["leak-hunt.ini", "ci-gate.ini"])
def test_hunts_are_accepted(place, name):
    done = tlsoak("check", place / name, env={"TARGET_URL": "https://127.0.0.1:8443/"})
    assert done.returncode == 0, done.stderr
    assert "mode = " + ("modulation" if name == "leak-hunt.ini" else "crossover") in done.stdout
