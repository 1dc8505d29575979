"""What the load is made of, seen from the server's side: resumption, versions, identities, requests, pools."""
import csv
import json
import subprocess
import time
from collections import Counter

import pytest

from servers import embedded, last_truth, logged, make_pki, nginx, profile, tlsoak, totals


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 5)


def run(tmp_path, text, name="run"):
    run_dir = tmp_path / name
    done = tlsoak("run", profile(tmp_path, text), "-o", run_dir, "--quiet", "--inconclusive-ok")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return totals(run_dir)


def base(server, pki, **over):
    keys = {"run": "duration = 3s\nthreads = 2", "target": "", "pace": "connections = 8",
            "cert": f"ca = {pki}/ca.pem\nca_key = {pki}/ca.key\ncount = 10", "more": "", **over}
    return f"""
[run]
{keys['run']}
[target]
url = {server.url}
server_ca = {pki}/ca.pem
{keys['target']}
[pace]
{keys['pace']}
[cert]
{keys['cert']}
[memory server]
pid = {server.pid}
{keys['more']}
"""


@pytest.mark.parametrize("version, ratio", [("1.3", "50%"), ("1.3", "0%"), ("1.2", "100%")])
def test_resumption_reaches_its_ratio(tmp_path, pki, version, ratio):
    with nginx(tmp_path, pki) as server:
        found = run(tmp_path, base(
            server, pki, target=f"tls_min = {version}\ntls_max = {version}",
            pace=f"connections = 8\nrequests_per_connection = 2\nresume_ratio = {ratio}\nthink_time = 2ms"))
    full, resumed = (found["totals"][k] for k in ("handshake_full", "handshake_resumed"))
    n = full + resumed
    assert n > 300
    wanted = float(ratio[:-1]) / 100
    # five standard errors of a binomial; the first connection of each of 10 clients can't resume, nor one
    # that comes again before its last one has had a ticket
    assert abs(resumed - wanted * n) <= 5 * (wanted * (1 - wanted) * n) ** 0.5 + 10 + found["resumption"]["no_ticket"]
    assert found["resumption"]["no_ticket"] < n / 50
    # a resumed handshake presents no certificate anew
    assert found["totals"]["cert_used"] == full
    assert len(logged(server)) == found["totals"]["completed"]


def test_ipv6_and_every_kind_of_key(tmp_path, pki):
    for key_type in ("ecdsa-p256", "rsa-2048", "ed25519"):
        with embedded(tmp_path, pki, "--listen", "[::1]:0", credentials=False) as server:
            server.url = f"https://[::1]:{server.port}/"
            found = run(tmp_path, base(server, pki, run="duration = 1s\nthreads = 1",
                                       pace="connections = 4\nrequests_per_connection = 3\nthink_time = 5ms",
                                       cert=f"ca = {pki}/ca.pem\nca_key = {pki}/ca.key\ncount = 6\n"
                                            f"key_type = {key_type}"), f"run-{key_type}")
            truth = last_truth(server)
        assert found["totals"]["failed"] == 0
        assert truth["client_certificates"] == found["totals"]["cert_new"] == 6


@pytest.mark.parametrize("where", ["clients", "clients/client-2.pem"])
def test_certificates_from_files(tmp_path, pki, where):
    with embedded(tmp_path, pki, credentials=False) as server:
        found = run(tmp_path, base(server, pki, run="duration = 1s\nthreads = 1",
                                   pace="connections = 2\nrequests_per_connection = 2\nthink_time = 5ms",
                                   cert=f"source = files\npath = {pki}/{where}"))
        truth = last_truth(server)
    assert truth["client_certificates"] == found["totals"]["cert_new"] == (5 if where == "clients" else 1)


def test_exposures_equal_what_the_server_counted(tmp_path, pki):
    credentials = f"""
[apikey]
template = client-{{n}}.{{hmac}}
secret = @{pki}/apikey.secret
pick = fresh
rotate = 3 uses
[jwt]
key = @{pki}/jwt.secret
pick = fresh
"""
    with embedded(tmp_path, pki) as server:
        found = run(tmp_path, base(server, pki, pace="mode = open\nrate = 900/s\narrivals = poisson\n"
                                   "connections = 8\nrequests_per_connection = 5",
                                   cert=f"ca = {pki}/ca.pem\nca_key = {pki}/ca.key\npick = fresh",
                                   more=credentials))["totals"]
        truth = last_truth(server)
    assert truth["requests"] == found["completed"] and found["failed"] == 0
    assert truth["connections"] == found["handshake_full"]
    assert truth["client_certificates"] == found["cert_new"]
    assert truth["api_keys"] == found["key_new"]
    assert truth["jwts"] == found["jwt_new"] == found["started"]
    assert found["key_new"] <= found["started"] / 3 + 2
    # 2,700 Poisson arrivals: within five standard deviations
    assert abs(found["due"] - 2700) < 5 * 2700 ** 0.5


def test_a_token_that_ends_before_its_connection_is_replaced(tmp_path, pki):
    tokens = f"[jwt]\nkey = @{pki}/jwt.secret\nlifetime = 3s\nrenew_before = 1s\nrotate = connection\ncount = 4\n"
    keys = f"[apikey]\nsecret = @{pki}/apikey.secret\n"
    with embedded(tmp_path, pki) as server:
        found = run(tmp_path, base(server, pki, run="duration = 8s\nthreads = 1",
                                   pace="connections = 4\nthink_time = 20ms", more=tokens + keys))
    assert found["totals"]["handshake_full"] == 4
    assert found["totals"]["unexpected"] == 0, found["status"]
    assert found["totals"]["jwt_new"] >= 8


def test_weighted_requests(tmp_path, pki):
    requests = """
[request read]
path = /work?x=1
header.X-Trace = abc
weight = 3
[request write]
method = POST
path = /body
body = hello
weight = 1
[request wrong]
path = /nothing/here
expect_status = 404
weight = 1
"""
    with nginx(tmp_path, pki, extra="location /nothing { return 404; }") as server:
        found = run(tmp_path, base(server, pki, pace="mode = open\nrate = 1000/s\nconnections = 8",
                                   more=requests))
    statuses = Counter(line.split()[1] for line in logged(server))
    n = sum(statuses.values())
    assert found["totals"]["completed"] == n and found["totals"]["unexpected"] == 0
    assert abs(statuses["404"] / n - 0.2) < 5 * (0.2 * 0.8 / n) ** 0.5


def test_a_restarted_server_is_seen_and_never_passed(tmp_path, pki):
    """The process that listens on the port is replaced by another: two incarnations, no pass."""
    with nginx(tmp_path, pki) as server:
        text = base(server, pki, run="duration = 12s\nthreads = 1",
                    pace="connections = 4\nthink_time = 10ms").replace(f"pid = {server.pid}",
                                                                    f"port = {server.port}")
        process = subprocess.Popen(["python3", "-c", (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from servers import tlsoak\n"
            "d = tlsoak('run', sys.argv[2], '-o', sys.argv[3], '-q')\n"
            "print(d.stdout + d.stderr); sys.exit(d.returncode)"),
            __file__.rsplit("/", 1)[0], str(profile(tmp_path, text)), str(tmp_path / "run")],
            stdout=subprocess.PIPE, text=True)
        ticks = tmp_path / "run" / "ticks.csv"
        while process.poll() is None and not (ticks.exists() and ticks.read_text().count("\n") > 4):
            time.sleep(0.05)
        server.stop()
        again = subprocess.Popen(server.process.args)
        try:
            out = process.communicate(timeout=60)[0]
        finally:
            again.terminate()
            again.wait()
    judged = json.loads((tmp_path / "run" / "verdict.json").read_text())
    assert process.returncode in (3, 4), out
    assert judged["verdict"] in ("inconclusive", "invalid")
    lines = [line for line in (tmp_path / "run" / "memory.csv").read_text().splitlines() if line[0] != "#"]
    incarnations = {row["incarnation"] for row in csv.DictReader(lines)} - {""}
    assert len(incarnations) == 2
