"""The client's own memory, on the release build: the same whatever the length, little for each connection."""
import functools
import json
import os
import pathlib
import re
import subprocess
import time

import pytest

from costs import allocations, run, system_calls
from servers import RELEASE, embedded, make_pki, need, nginx, profile


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 1)


FRESH = """
[run]
duration = {duration}
threads = 1
[target]
url = {url}
server_ca = {pki}/ca.pem
[pace]
connections = 16
requests_per_connection = 20
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
pick = fresh
[apikey]
secret = @{pki}/apikey.secret
pick = fresh
[jwt]
key = @{pki}/jwt.secret
pick = fresh
"""


def peak_rss(tmp_path, pki, server, duration):
    """(KiB at the peak, exchanges) of a run with nothing but new identities."""
    text = FRESH.format(duration=duration, url=server.url, pki=pki)
    run_dir = tmp_path / f"run-{duration}"
    process = subprocess.Popen([RELEASE, "run", profile(tmp_path, text), "-q", "-o", run_dir],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss, json.loads((run_dir / "run.json").read_text())["totals"]["completed"]


def test_memory_does_not_grow_with_the_run(tmp_path, pki):
    with embedded(tmp_path, pki, binary=RELEASE) as server:
        short, few = peak_rss(tmp_path, pki, server, "4s")
        long, many = peak_rss(tmp_path, pki, server, "20s")
    assert many > 3 * few
    assert long - short < 1024, f"{short} KiB after {few} exchanges, {long} KiB after {many}"


HOLD = """
[run]
duration = {seconds}s
threads = 1
[target]
url = {url}
server_ca = {pki}/ca.pem
{target}
[pace]
connections = {connections}
think_time = 10m
[cert]
source = files
path = {pki}/clients/client-1.pem
"""


def rss_with(tmp_path, pki, server, connections, target="", seconds=60, look=lambda: None):
    """KiB of resident memory with that many idle connections, each after one exchange; then `look` is called."""
    run_dir = tmp_path / f"hold-{connections}"
    text = HOLD.format(url=server.url, pki=pki, connections=connections, target=target, seconds=seconds)
    process = subprocess.Popen([RELEASE, "run", profile(tmp_path, text), "-q", "-o", run_dir],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + seconds - 10
        while time.monotonic() < deadline:
            time.sleep(0.1)
            ticks = run_dir / "ticks.csv"
            rows = ticks.read_text().splitlines() if ticks.exists() else []
            if len(rows) > 1 and int(rows[-1].split(",")[2]) == connections:
                look()
                break
        else:
            raise AssertionError(f"{connections} connections did not get their answer")
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.kill()
        process.wait()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def test_an_idle_connection_costs_little(tmp_path, pki):
    with nginx(tmp_path, pki) as server:
        one = rss_with(tmp_path, pki, server, 1)
        many = rss_with(tmp_path, pki, server, 3000)
    assert (many - one) / 2999 < 4.0, f"{one} KiB with 1, {many} KiB with 3000"


BUSY = """
[run]
duration = {duration}
threads = 1
[target]
url = URL
server_ca = PKI/ca.pem
[pace]
connections = CONNECTIONS
requests_per_connection = REQUESTS
[cert]
source = files
path = PKI/clients/client-1.pem
"""


def busy(pki, server, requests, connections=200):
    """Many connections, so that the loop has many events in each turn, however fast the machine is."""
    filled = {"URL": server.url, "PKI": str(pki), "REQUESTS": str(requests), "CONNECTIONS": str(connections)}
    return functools.reduce(lambda text, word: text.replace(word, filled[word]), filled, BUSY)


def test_system_calls_of_a_handshake_and_of_a_request(tmp_path, pki):
    with nginx(tmp_path, pki, tickets="off") as server:
        # connect, handshake, one request, close: about eleven, and one more where an answer comes in two
        # pieces; what main looks at once a second is in it too
        assert 8 < system_calls(RELEASE, tmp_path, busy(pki, server, 1), "handshake_full") < 13
        # two; the calls are the difference of two runs, so that a few requests at their ends are not whole
        assert 1.95 < system_calls(RELEASE, tmp_path, busy(pki, server, 0), "completed") < 2.05


def test_allocations_of_a_handshake_and_of_a_request(tmp_path, pki):
    with nginx(tmp_path, pki, tickets="off") as server:
        assert 100 < allocations(RELEASE, tmp_path, busy(pki, server, 1), "handshake_full") < 270
        # those of the TLS library; ours are none
        assert 1.9 < allocations(RELEASE, tmp_path, busy(pki, server, 0), "completed") < 2.05


def test_close_notify_leaves_with_the_fin(tmp_path, pki):
    sent = tmp_path / "sent"
    with nginx(tmp_path, pki, tickets="off") as server:
        text = busy(pki, server, 1, connections=16).replace("{duration}", "2s")
        closed = run(RELEASE, tmp_path, "closes", text, "closed", [need("strace"), "-f", "-e", "sendto", "-o", sent])
    # what the kernel holds back until close() completes the segment
    assert closed > 100 and 0.9 * closed < sent.read_text().count("MSG_MORE") <= closed
