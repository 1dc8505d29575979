"""How runs end: Ctrl-C once and twice, kill -9, a server that dies or is restarted."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from servers import TLSOAK, embedded, make_pki, profile, tlsoak, totals, verdict
from test_cli import small


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


def start(tmp_path, text):
    run_dir = tmp_path / "run"
    process = subprocess.Popen([TLSOAK, "run", str(profile(tmp_path, text)), "-o", str(run_dir), "-q"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, run_dir


def wait_for_rows(run_dir, n, process):
    """Until ticks.csv has n rows: the run is under way."""
    ticks = run_dir / "ticks.csv"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if ticks.exists() and ticks.read_text().count("\n") > n:
            return
        time.sleep(0.05)
    raise AssertionError(f"the run did not get under way: {process.communicate()}")


def test_ctrl_c_drains_judges_and_reports(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        process, run_dir = start(tmp_path, small(pki, server, duration="10m"))
        wait_for_rows(run_dir, 2, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 6, out + err
    assert verdict(run_dir)["verdict"] == "interrupted"
    counts = totals(run_dir)["totals"]
    assert counts["started"] == counts["completed"] + counts["failed"] and counts["failed"] == 0


def test_what_comes_home_after_ctrl_c_breaks_nothing(tmp_path, pki):
    """A limit that ends the run is not held against its end, when nothing is asked for any more."""
    with embedded(tmp_path, pki, credentials=False) as server:
        text = small(pki, server, duration="10m").replace("threads = 2", "threads = 2\ndrain = 60s")
        process, run_dir = start(tmp_path, text + "[limit]\nrate.reached.min = 5/s for 3s abort\n")
        wait_for_rows(run_dir, 2, process)
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(0.5)  # requests are under way
        process.send_signal(signal.SIGINT)
        time.sleep(5)
        os.kill(server.pid, signal.SIGCONT)
        out, err = process.communicate(timeout=120)
    run = totals(run_dir)
    assert process.returncode == 6, out + err
    assert run["interrupted"] and not run["ended_early"] and verdict(run_dir)["verdict"] == "interrupted"


def test_a_second_signal_ends_at_once(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        text = small(pki, server, duration="10m") + "[request slow]\nmethod = POST\npath = /park\n"
        process, run_dir = start(tmp_path, text.replace("threads = 2", "threads = 2\ndrain = 10m"))
        wait_for_rows(run_dir, 1, process)
        process.send_signal(signal.SIGTERM)
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.02)
        process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert tlsoak("report", run_dir).returncode == 0


def test_a_killed_run_is_readable(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        process, run_dir = start(tmp_path, small(pki, server, duration="10m"))
        wait_for_rows(run_dir, 3, process)
        process.kill()
        process.communicate()
    done = tlsoak("report", run_dir, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] in ("interrupted", "inconclusive")
    text = tlsoak("report", run_dir).stdout
    assert "completed" in text or "exchanges" in text
    torn = (run_dir / "ticks.csv").read_bytes()[:-7]
    (run_dir / "ticks.csv").write_bytes(torn)
    assert tlsoak("report", run_dir).returncode == 0


def is_gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGHUP])
def test_a_killed_demo_leaves_no_server_and_no_keys(tmp_path, how):
    run_dir = tmp_path / "run"
    process = subprocess.Popen([TLSOAK, "demo", "-q", "-o", str(run_dir)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_rows(run_dir, 2, process)
    effective = (run_dir / "profile.ini").read_text()
    keys = pathlib.Path(re.search(r"ca_key = (/\S+)/ca\.key", effective)[1])
    server = re.search(r"^pid = (\d+)", effective, re.M)[1]
    assert (keys / "ca.key").exists() and not is_gone(server)
    process.send_signal(how)
    process.communicate(timeout=30)
    deadline = time.monotonic() + 30
    while (keys.exists() or not is_gone(server)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not keys.exists()
    assert is_gone(server)


def test_a_server_that_dies_makes_the_run_invalid(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        process, run_dir = start(tmp_path, small(pki, server, duration="60s"))
        wait_for_rows(run_dir, 2, process)
        server.stop(signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 4, out + err
    assert verdict(run_dir)["verdict"] == "invalid"


def test_the_wrong_process_is_refused(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        text = small(pki, server).replace(f"pid = {server.pid}", f"pid = {os.getpid()}")
        done = tlsoak("run", profile(tmp_path, text), "-o", tmp_path / "run")
    # this test started the server, so it is in the sampled tree: name a process that is not
    other = subprocess.Popen(["sleep", "60"])
    try:
        with embedded(tmp_path, pki, credentials=False) as server:
            text = small(pki, server).replace(f"pid = {server.pid}", f"pid = {other.pid}")
            refused = tlsoak("run", profile(tmp_path, text), "-o", tmp_path / "run2")
    finally:
        other.kill()
        other.wait()
    assert done.returncode == 3
    assert refused.returncode == 5, refused.stderr
    assert str(other.pid) in refused.stderr
