"""Phases: the load that each asks for, rests until memory has settled, and what the loads left behind."""
import csv
import pathlib
import signal
import subprocess
import time

import pytest

from servers import TLSOAK, embedded, last_truth, load_text, make_pki, profile, tlsoak, totals, verdict

PROFILES = pathlib.Path(__file__).parents[2] / "profiles"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 2)


def head(server, pki, pace):
    return load_text(server, pki, "threads = 2", pace, memory="every = 100ms")


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def begin(folder, text):
    command = [TLSOAK, "run", profile(folder, text), "-o", folder / "run", "--inconclusive-ok"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# A second up to 300/s and two there: 150 + 600 exchanges, twice.
DRAIN_RELOAD = """
[phase load]
duration = 3s
ramp = 1s
[phase drain]
duration = 20s
idle = yes
until = settled
[phase reload]
duration = 3s
ramp = 1s
[phase drain-again]
duration = 20s
idle = yes
until = settled
"""


def check_load(folder):
    """Every start that the integral of the rate has, and none in the rests."""
    phases = rows(folder / "phases.csv")
    names = [(p["name"], p["kind"]) for p in phases]
    assert names == [("load", "load"), ("drain", "idle"), ("reload", "load"), ("drain-again", "idle"), ("", "end")]
    starts = [float(p["start_s"]) for p in phases]
    assert starts[1] - starts[0] == pytest.approx(3) and starts[3] - starts[2] == pytest.approx(3)
    found = totals(folder)["totals"]
    assert found["due"] == 2 * 750 and found["failed"] == 0
    assert found["started"] + found["skipped"] == found["due"] and found["skipped"] < 50
    ticks = rows(folder / "ticks.csv")
    for begins, ends in ((starts[1], starts[2]), (starts[3], starts[4])):
        resting = [t for t in ticks if begins + 2 < float(t["time_s"]) < ends - 1]
        assert len(resting) > 5
        assert len({t["due"] for t in resting}) == 1 and {t["open"] for t in resting} == {"0"}
    # settled long before the longest: what follows came earlier
    assert starts[2] - starts[1] < 19 and starts[4] < 44
    events = [e["text"] for e in rows(folder / "events.csv") if e["kind"] == "phase"]
    assert len(events) == 2 and all("memory has settled after" in e for e in events)


def test_a_leak_raises_the_floor_and_none_does_not(tmp_path, pki):
    pace = "mode = open\nrate = 300/s\nconnections = 8\nrequests_per_connection = 25"
    folders = {}
    for name in ("leak", "clean"):
        folders[name] = tmp_path / name
        folders[name].mkdir()
    with embedded(folders["leak"], pki, "--leak", "request=4KiB", credentials=False) as leaking, \
            embedded(folders["clean"], pki, credentials=False) as clean:
        runs = [begin(folders["leak"], head(leaking, pki, pace) + DRAIN_RELOAD),
                begin(folders["clean"], head(clean, pki, pace) + DRAIN_RELOAD)]
        for run in runs:
            out, err = run.communicate(timeout=120)
            assert run.returncode in (0, 1), out + err
        truth = last_truth(leaking)
    for folder in folders.values():
        check_load(folder / "run")
    kept = truth["retained_bytes"] / truth["requests"] * 750
    rose = verdict(folders["leak"] / "run")["memory"][0]["floors"]
    assert rose["change"] == "rose" and all(f["settled"] for f in rose["idle"])
    # the allocator's own share comes on top
    assert 0.9 * kept < rose["rise_bytes"]["value"] < 1.4 * kept
    back = verdict(folders["clean"] / "run")["memory"][0]["floors"]
    assert back["change"] == "settled_back", back


def test_connections_come_and_go_and_an_interrupt_ends_an_idle_phase(tmp_path, pki):
    phases = """
[phase many]
duration = 2s
pace.connections = 12
pace.connect_rate = 10/s
[phase few]
duration = 2s
pace.connections = 3
[phase hold]
duration = 300s
idle = yes
pace.connections = 6
"""
    with embedded(tmp_path, pki, credentials=False) as server:
        run = begin(tmp_path, head(server, pki, "connections = 4\nthink_time = 5ms") + phases)
        ticks = tmp_path / "run" / "ticks.csv"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not ticks.exists() or len(rows(ticks)) < 6):
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
        truth = last_truth(server)
    assert run.returncode == 6, out + err
    found = rows(ticks)
    marks = rows(tmp_path / "run" / "phases.csv")
    assert [m["kind"] for m in marks] == ["load", "load", "idle", "end"]
    starts = [float(m["start_s"]) for m in marks]
    assert [starts[1] - starts[0], starts[2] - starts[1]] == pytest.approx([2, 2])
    # dial k begins at k / 10 s, never before
    for tick in found:
        assert int(tick["dialed"]) <= 10 * (float(tick["time_s"]) - starts[0]) + 1
    assert max(int(tick["open"]) for tick in found[4:]) == 6 and starts[3] < 60
    counts = totals(tmp_path / "run")["totals"]
    # 12, of which 9 were closed, and 3 more
    assert counts["dialed"] == 15 and counts["failed"] == 0
    assert truth["connections"] == 15


def test_every_thread_has_a_connection_for_what_falls_due(tmp_path, pki):
    """Connections come one in 1,000 s, but the first of each thread at once: else its dues could not begin."""
    phases = """
[phase hold]
duration = 1s
ramp = yes
idle = yes
pace.connections = 1
[phase load]
duration = 2s
pace.rate = 100/s
pace.connections = 5
pace.connect_rate = 0.001/s
"""
    with embedded(tmp_path, pki, credentials=False) as server:
        text = head(server, pki, "mode = open").replace("threads = 2", "threads = 4") + phases
        done = tlsoak("run", profile(tmp_path, text), "-o", tmp_path / "run", "--inconclusive-ok")
        assert done.returncode in (0, 1), done.stdout + done.stderr
    counts = totals(tmp_path / "run")["totals"]
    assert {t["open"] for t in rows(tmp_path / "run" / "ticks.csv") if float(t["time_s"]) < 1} <= {"0", "1"}
    assert counts["dialed"] == 4 and counts["due"] == 200 and counts["skipped"] < 50


@pytest.mark.parametrize("pace", ["mode = closed", "mode = churn\nrate = 50/s\nrequests_per_connection = 3"])
def test_a_shorter_think_time_ends_the_rests_under_way(tmp_path, pki, pace):
    phases = """
[phase slow]
duration = 1s
pace.think_time = 60s
[phase fast]
duration = 2s
pace.think_time = 0
"""
    with embedded(tmp_path, pki, credentials=False) as server:
        text = head(server, pki, pace + "\nconnections = 4") + phases
        done = tlsoak("run", profile(tmp_path, text), "-o", tmp_path / "run", "--inconclusive-ok")
        assert done.returncode in (0, 1), done.stdout + done.stderr
    # one on each connection, then as many as the server answers
    assert totals(tmp_path / "run")["totals"]["completed"] > 5 * 4


@pytest.mark.parametrize("name, says", [("drain-reload.ini", "duration = 40m"), ("ramp.ini", "duration = 1h")])
def test_profiles_with_phases_are_accepted(tmp_path, pki, name, says):
    text = (PROFILES / name).read_text().replace("pki/", f"{pki}/")
    done = tlsoak("check", profile(tmp_path, text), env={"TARGET_URL": "https://127.0.0.1:8443/"})
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
