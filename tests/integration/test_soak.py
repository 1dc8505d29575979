"""The main job against servers that nobody here wrote, and the same profile against a planted leak."""
import functools

import pytest

from servers import (RELEASE, all_at_once, embedded, haproxy, last_truth, logged, make_pki, nginx, profile,
                     tlsoak, totals, verdict)

# 2,000 connections held, 1,000 client certificates rotating over them, 100,000 requests and more.
SOAK = """
[run]
duration = {duration}s
threads = 1
drain = 10s

[target]
url = {url}
server_ca = {pki}/ca.pem

[pace]
mode = open
rate = 1700/s
connections = 2000
connect_rate = 400/s
requests_per_connection = 25

[cert]
source = mint
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
key_per_cert = no
count = 1000
rotate = connection
{credentials}
[memory server]
pid = {pid}

[judge]
# What growth this server may show: 64 bytes a request, 2 KiB a connection or a certificate.
budget.request = 64B
budget.connection = 2KiB
budget.client_certificate = 2KiB
"""

CREDENTIALS = """
[apikey]
template = client-{{n}}.{{hmac}}
secret = @{pki}/apikey.secret
count = 1000

[jwt]
alg = HS256
key = @{pki}/jwt.secret
count = 1000
"""


def soak(tmp_path, pki, server, credentials="", duration=62):
    text = SOAK.format(url=server.url, pki=pki, pid=server.pid, duration=duration,
                       credentials=credentials.format(pki=pki))
    run_dir = tmp_path / "run"
    done = tlsoak("run", profile(tmp_path, text), "-o", run_dir, binary=RELEASE)
    return done, run_dir


def soak_until_told(start, pki, folder):
    """A minute, or two with a fresh server when a minute can't tell: what the verdict asks for."""
    for duration in (62, 124):
        part = folder / f"{duration}s"
        part.mkdir()
        with start(part, pki) as server:
            done, run_dir = soak(part, pki, server, duration=duration)
        if done.returncode != 3:
            break
    return done, run_dir, server


def soak_a_leak(start, pki, folder):
    with start(folder, pki, "--leak", "request=256") as server:
        done, run_dir = soak(folder, pki, server, CREDENTIALS, duration=45)
        return done, run_dir, last_truth(server)


@pytest.fixture(scope="module")
def soaks(tmp_path_factory):
    """Each soak's end, its run directory and its server, or the truth of that."""
    every = {nginx: soak_until_told, haproxy: soak_until_told, embedded: soak_a_leak}
    pki = make_pki(tmp_path_factory.mktemp("pki"))
    done = all_at_once(tmp_path_factory, {start.__name__: functools.partial(way, start, pki)
                                          for start, way in every.items()})
    return {start: done[start.__name__] for start in every}


def check_load(run_dir, least=100_000):
    """The volume that the profile promises, all of it without an error."""
    run = totals(run_dir)
    counts = run["totals"]
    assert counts["completed"] >= least
    assert counts["failed"] == 0 and counts["unexpected"] == 0, run["outcomes"]
    assert counts["cert_new"] == 1000
    assert counts["handshake_full"] >= 2000
    return counts


def test_nginx_is_acquitted_and_its_log_agrees(soaks):
    done, run_dir, server = soaks[nginx]
    assert done.returncode == 0, done.stdout + done.stderr
    counts = check_load(run_dir)
    lines = [line.split() for line in logged(server)]
    assert len(lines) == counts["completed"]
    assert len({serial for serial, _, _ in lines}) == 1000
    assert all(status == "200" for _, status, _ in lines)
    judged = verdict(run_dir)
    assert judged["verdict"] == "pass"
    assert judged["memory"][0]["class"] in ("stable", "bounded")


def test_haproxy_is_acquitted(soaks):
    done, run_dir, _ = soaks[haproxy]
    assert done.returncode == 0, done.stdout + done.stderr
    check_load(run_dir)
    assert verdict(run_dir)["memory"][0]["class"] in ("stable", "bounded")


def test_a_planted_leak_is_found_by_the_same_profile(soaks):
    done, run_dir, truth = soaks[embedded]
    assert done.returncode == 1, done.stdout + done.stderr
    counts = check_load(run_dir, 70_000)
    assert truth["requests"] == counts["completed"]
    assert truth["client_certificates"] == 1000
    judged = verdict(run_dir)
    assert judged["verdict"] == "fail" and judged["memory"][0]["class"] == "leak"
    kept_per_s = truth["retained_bytes"] / 45
    slope = judged["memory"][0]["slope_bytes_per_second"]
    assert 0.75 * kept_per_s < slope["value"] < 1.3 * kept_per_s
