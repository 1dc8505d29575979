"""Can the numbers be trusted: a slow server is never the generator's fault, a starved generator never the
server's, and response times are what the schedule says, by hand."""
import contextlib
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from servers import (STARVED, TLSOAK, Starved, embedded, load_text, make_pki, profile, tlsoak, totals,
                     unless_starved, verdict)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 1)


def text(server, pki, run, pace, cert=""):
    return load_text(server, pki, run, pace, "count = 4\n" + cert, memory=None)


@contextlib.contextmanager
def soaking(tmp_path, profile_text, seconds=2):
    """A soak whose load has run for so long."""
    run_dir = tmp_path / "run"
    process = subprocess.Popen([TLSOAK, "run", profile(tmp_path, profile_text), "-o", run_dir, "--quiet"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    process.run_dir = run_dir
    ticks = run_dir / "ticks.csv"
    while process.poll() is None and not (ticks.exists() and ticks.read_text().count("\n") > seconds):
        time.sleep(0.01)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process):
    """What it said to its end, when nothing but the test kept it from its work."""
    out = process.communicate(timeout=60)[0]
    unless_starved(process.returncode, out)
    generator = totals(process.run_dir)["generator"]
    if not generator["healthy"] and STARVED.search(generator["reason"]):
        raise Starved(generator["reason"])
    return out


def report(run_dir):
    return (run_dir / "report.txt").read_text()


def stall(server, seconds):
    """Stops the server; the least and the most that it can have stood."""
    times = []
    for how in (signal.SIGSTOP, signal.SIGCONT):
        times.append(time.monotonic())
        os.kill(server.pid, how)
        times.append(time.monotonic())
        if how == signal.SIGSTOP:
            time.sleep(seconds)
    return times[2] - times[1], times[3] - times[0]


RATE, SECONDS, CONNECTIONS = 200, 6, 4


def by_hand(stalled, quantile):
    """Response times of evenly spaced starts by a server that answers at once, but for one stall: a start that
    is due in it waits for its end.  HdrHistogram's quantile: the ceil(q n)-th smallest."""
    n = RATE * SECONDS
    waits = sorted([max(0.0, stalled - k / RATE) for k in range(n)])
    return waits[max(1, math.ceil(quantile * n)) - 1]


def test_response_times_of_a_stall_are_those_of_the_schedule(tmp_path, pki):
    pace = f"mode = open\nrate = {RATE}/s\nconnections = {CONNECTIONS}"
    with embedded(tmp_path, pki, credentials=False) as server:
        with soaking(tmp_path, text(server, pki, f"duration = {SECONDS}s\nthreads = 1", pace)) as process:
            least, most = stall(server, 1.0)
            out = ended(process)
    found = totals(process.run_dir)
    assert process.returncode == 0, out
    if found["totals"]["skipped"] > 0:
        raise Starved(out)  # two seconds and more after the stall some were late still
    assert found["totals"]["due"] == found["totals"]["completed"] == RATE * SECONDS
    response, service = ({k: v / 1e6 for k, v in found["latency"][name].items() if k.endswith("_us")}
                         for name in ("response", "service"))
    own_delay = found["latency"]["own_delay"]["max_us"] / 1e6
    # What is not in the sum by hand: where in a step the stall began, the work itself, that of the backlog, which
    # the connections share when the server is back, and the clock's and the generator's own lateness.
    work = service["p90_us"] * (1 + least * RATE / CONNECTIONS)
    slack = 1 / RATE + work + own_delay
    for name, quantile in (("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("max_us", 1.0)):
        low, high = by_hand(least, quantile), by_hand(most, quantile)
        assert low * 0.999 - 1 / RATE <= response[name] <= high * 1.001 + slack, (name, low, high, slack)
    # Only those that were on their way when it stopped saw it: coordinated omission, had nothing else been kept.
    assert service["p99_us"] < 0.5 * response["p99_us"]
    assert service["max_us"] > least - 1 / RATE - own_delay
    # And whose fault it was.
    generator = found["generator"]
    assert generator["healthy"]
    assert least - (CONNECTIONS + 1) / RATE < generator["backlog_ns"] / 1e9 < most + slack
    assert abs(generator["backlog"] - RATE * least) < CONNECTIONS + RATE * (slack + 0.25)  # seen once a tick
    said = " ".join(report(process.run_dir).split())
    whose = "target" if generator["lagging_s"] == 0 else "target or the generator"
    assert f"the {whose} did not keep up: " in said and "of backlog" in said
    assert "INVALID" not in said and "UNHEALTHY" not in said


def test_a_server_that_stands_still_leaves_the_generator_healthy(tmp_path, pki):
    pace = "connections = 4\nthink_time = 5ms"
    with embedded(tmp_path, pki, credentials=False) as server:
        with soaking(tmp_path, text(server, pki, "duration = 6s\nthreads = 1", pace)) as process:
            stall(server, 3)
            out = ended(process)
    assert process.returncode == 0, out
    assert totals(process.run_dir)["generator"]["healthy"]
    assert totals(process.run_dir)["generator"]["busiest_share"] < 0.9


@contextlib.contextmanager
def starved(pid):
    """Every thread of the process shares one core with two others that never rest, and yields to them."""
    core = min(os.sched_getaffinity(0))
    try:
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})
            os.sched_setscheduler(int(thread.name), os.SCHED_IDLE, os.sched_param(0))
    except PermissionError:
        pytest.skip("the system refuses to pin threads or to lower their priority")
    spinners = [subprocess.Popen(["sh", "-c", "while :; do :; done"],
                                 preexec_fn=lambda: os.sched_setaffinity(0, {core})) for _ in range(2)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


@pytest.mark.parametrize("pace", ["mode = open\nrate = 500/s\nconnections = 8", "connections = 8"])
def test_a_starved_generator_makes_the_run_invalid(tmp_path, pki, pace):
    with embedded(tmp_path, pki, credentials=False) as server:
        with soaking(tmp_path, text(server, pki, "duration = 7s\nthreads = 2", pace)) as process:
            with starved(process.pid):
                time.sleep(4.5)
            out = process.communicate(timeout=60)[0]
    assert process.returncode == 4, out
    judged, found = verdict(process.run_dir), totals(process.run_dir)
    assert judged["verdict"] == "invalid"
    assert not judged["generator"]["healthy"] and not found["generator"]["healthy"]
    assert judged["reason"] == judged["generator"]["reason"] == found["generator"]["reason"] == found["invalid"]
    assert "the load generator could not keep up for" in judged["reason"]
    assert "it was starved of CPU" in judged["reason"]
    assert found["generator"]["latency_is_own"] and found["generator"]["lagging_s"] >= 3
    said = " ".join(report(process.run_dir).split())
    assert "it was starved of CPU" in said and "the target did not keep up" not in said


@pytest.mark.parametrize("pace", ["mode = open\nrate = 500/s\nconnections = 8", "connections = 8"])
def test_a_generator_that_stood_still_makes_the_run_invalid(tmp_path, pki, pace):
    """To the end of its load, as a suspended machine does: nothing of it is left to tell of that time."""
    with embedded(tmp_path, pki, credentials=False) as server:
        with soaking(tmp_path, text(server, pki, "duration = 4s\nthreads = 2", pace), seconds=1) as process:
            stall(process, 4)
            out = process.communicate(timeout=60)[0]
    assert process.returncode == 4, out
    assert re.search(r"could not keep up for [34]\.\d+ s of [34]\.\d+ s: it stood still for up to [34]\.\d+ s", out), out
    assert totals(process.run_dir)["generator"]["lagging_s"] > 3


def test_more_handshakes_than_one_core_can_do(tmp_path, pki):
    """The client signs with RSA and the server with ECDSA, which costs a third, so it is the client that can't."""
    pace = "mode = open\nrate = 4k/s\nconnections = 64\nrequests_per_connection = 1"
    with embedded(tmp_path, pki, credentials=False) as server:
        done = tlsoak("run", profile(tmp_path, text(server, pki, "duration = 4s\nthreads = 1", pace,
                                                    "key_type = rsa-3072")),
                      "-o", tmp_path / "run", "--quiet", starved_ok=True)
    assert done.returncode == 4, done.stdout + done.stderr
    generator = totals(tmp_path / "run")["generator"]
    assert "had no time left" in generator["reason"] or "starved of CPU" in generator["reason"]
    assert "the generator did not keep up: " in " ".join(report(tmp_path / "run").split())


@pytest.mark.parametrize("more", ["", "connections = 40\nconnect_rate = 10/s"])
def test_a_short_run_is_judged_too(tmp_path, pki, more):
    """Even one that is over before its connections stand."""
    pace = "mode = open\nrate = 10000000/s\n" + more
    with embedded(tmp_path, pki, credentials=False) as server:
        done = tlsoak("run", profile(tmp_path, text(server, pki, "duration = 2s\nthreads = 1", pace)),
                      "-o", tmp_path / "run", "--quiet", starved_ok=True)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "the load generator could not keep up" in report(tmp_path / "run")


def test_a_file_of_arrivals_is_replayed(tmp_path, pki):
    times = [0.0, 0.1, 0.1, 0.1] + [0.3 + 0.002 * k for k in range(200)] + [0.9]
    (tmp_path / "times").write_text("# of production\n" + "\n".join(f"{t:.3f}" for t in times) + "\n")
    pace = f"mode = open\narrivals = replay\nreplay = {tmp_path}/times\nconnections = 8\n"
    with embedded(tmp_path, pki, credentials=False) as server:
        for name, more, n in (("once", "", len(times)), ("again", "replay_every = 1s\n", 2 * len(times))):
            done = tlsoak("run", profile(tmp_path, text(server, pki, "duration = 2s\nthreads = 3", pace + more)),
                          "-o", tmp_path / name, "--quiet")
            assert done.returncode == 0, done.stdout + done.stderr
            assert totals(tmp_path / name)["totals"]["due"] == n
            assert totals(tmp_path / name)["totals"]["completed"] == n
    again = json.loads((tmp_path / "again" / "run.json").read_text())
    assert again["latency"]["own_delay"]["n"] == 2 * len(times)
    checked = tlsoak("report", tmp_path / "once")
    assert checked.returncode == 0, checked.stderr


def test_a_bad_file_of_arrivals_is_a_mistake_with_its_line(tmp_path, pki):
    class Server:
        url = "https://127.0.0.1:1/"
    (tmp_path / "times").write_text("1\n2\n1.5\n")
    pace = f"mode = open\narrivals = replay\nreplay = {tmp_path}/times"
    done = tlsoak("check", profile(tmp_path, text(Server, pki, "duration = 4s", pace)))
    assert done.returncode == 2
    assert f"{tmp_path}/times:3: 1.5 comes before 2" in done.stderr


def test_doctor_predicts_what_the_cores_can_do(tmp_path, pki):
    class Server:
        url = "https://127.0.0.1:1/"

    def looked(rate):
        pace = f"mode = open\nrate = {rate}\nconnections = 4\nrequests_per_connection = 1"
        path = profile(tmp_path, text(Server, pki, "duration = 4s\nthreads = 1", pace))
        lines = tlsoak("doctor", path).stdout.splitlines()
        at = next(i for i, line in enumerate(lines) if line.split()[1] == "capacity")
        return lines[at], lines[at + 1]
    row, remedy = looked("10/s")
    assert row.startswith("ok ") and "10 requests/s and 10 handshakes/s take about 0.0" in row
    row, remedy = looked("1000k/s")
    assert row.startswith("warn ") and "would not keep up" in remedy
