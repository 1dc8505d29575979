"""Runs that tlsoak itself ends before their time: the leak is proven, or the server would be killed."""
import csv
import json
import re

import pytest

from servers import RELEASE, embedded, make_pki, profile, tlsoak, totals, verdict
from test_cli import small


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


def readings(run_dir):
    with open(run_dir / "memory.csv") as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def test_memory_on_its_way_to_its_limit_ends_the_run(tmp_path, pki):
    run_dir = tmp_path / "run"
    with embedded(tmp_path, pki, "--leak", "request=4KiB", credentials=False) as server:
        text = small(pki, server, duration="10m") + "limit = 320MiB\n"
        done = tlsoak("run", profile(tmp_path, text), "-o", run_dir, binary=RELEASE)
    assert done.returncode == 1, done.stdout + done.stderr
    run, judged, rows = totals(run_dir), verdict(run_dir), readings(run_dir)
    assert run["finished"] and not run["interrupted"]
    assert "limit of 320 MiB" in run["ended_early"] and "Ended early" in done.stdout
    assert judged["ended_early"] == run["ended_early"] and judged["memory"][0]["class"] == "leak"
    assert float(rows[-1]["time_s"]) < 120
    assert all(float(row["anon_bytes"]) < 320 * 2**20 for row in rows)
    assert json.loads(tlsoak("analyse", run_dir, "--format", "json").stdout) == judged


PAIRS = """
[run]
duration = 2m
[target]
url = {url}
server_ca = {pki}/ca.pem
[pace]
mode = open
rate = 400/s
connections = 16
requests_per_connection = 4
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
pick = fresh
[memory server]
pid = {pid}
[attribution]
mode = pairs
factor = client_certificate
dwell = 1s
warmup = 4s
[judge]
stop_early = yes
expect_bound.client_certificate = 300
[hook]
on_leak = echo called for {{pid}}
"""


def test_a_proven_leak_ends_the_run(tmp_path, pki):
    run_dir = tmp_path / "run"
    with embedded(tmp_path, pki, "--leak", "client_certificate=8KiB", credentials=False) as server:
        text = PAIRS.format(url=server.url, pki=pki, pid=server.pid)
        done = tlsoak("run", profile(tmp_path, text), "-o", run_dir, binary=RELEASE)
    assert done.returncode == 1, done.stdout + done.stderr
    run, judged = totals(run_dir), verdict(run_dir)
    assert run["finished"] and not run["interrupted"]
    assert re.fullmatch(r"in (1[2-9]|[2-9]\d) of \d\d pairs of dwells memory grew more .*", run["ended_early"])
    assert float(readings(run_dir)[-1]["time_s"]) < 110
    with open(run_dir / "events.csv", newline="") as file:
        [called] = [row for row in csv.DictReader(file) if row["kind"] == "leak"]
    assert run["ended_early"].startswith(called["text"])
    assert float(called["time_s"]) <= float(readings(run_dir)[-1]["time_s"]) + 1
    assert (run_dir / "hook.log").read_text().count(f"called for {server.pid}\n") == 1
    [blamed] = [d for d in judged["memory"][0]["drivers"] if d["blamed"]]
    assert blamed["driver"] == "client_certificate"
    assert blamed["low"] < 8192 * 1.05 and blamed["high"] > 8192 * 0.95
    assert json.loads(tlsoak("analyse", run_dir, "--format", "json").stdout) == judged
