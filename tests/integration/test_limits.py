"""Limits that hold in windows, that end a run, and that are on memory: live, and of the stored run again."""
import csv
import functools
import json
import os
import re
import signal
import threading
import time
import xml.etree.ElementTree

import pytest

from servers import RELEASE, all_at_once, embedded, load_text, make_pki, profile, tlsoak, totals, verdict

OPEN = "mode = open\nrate = 50/s\nconnections = 4"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


def rows(run_dir):
    path = run_dir / "ticks.csv"
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


class Ran:
    """A run against a server of its own, which stands still for `stall_s` of it."""

    def __init__(self, folder, pki, run, limits, memory=None, options=(), stall_s=0):
        self.dir = folder / "run"
        with embedded(folder, pki, *options, credentials=False) as server:
            self.profile = profile(folder, load_text(server, pki, run + "\nthreads = 1", OPEN, memory=memory) +
                                   "[limit]\n" + "\n".join(limits) + "\n")
            stall = threading.Thread(target=stop_for_a_while, args=(server, self.dir, stall_s))
            if stall_s > 0:
                stall.start()
            self.done = tlsoak("run", self.profile, "-o", self.dir, binary=RELEASE)
            if stall_s > 0:
                stall.join()
        self.out = self.done.stdout

    @property
    def found(self):
        return {entry["rule"]: entry for entry in verdict(self.dir)["limits"]}

    def assert_said_again(self):
        """The stored run is judged as the run was."""
        for command in ("report", "analyse"):
            again = tlsoak(command, self.dir, "--format", "json", binary=RELEASE)
            assert json.loads(again.stdout) == verdict(self.dir), command
            assert again.returncode in (0, self.done.returncode)


def stop_for_a_while(server, run_dir, seconds):
    """Once the load is under way."""
    deadline = time.monotonic() + 60
    while len(rows(run_dir)) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(server.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(server.pid, signal.SIGCONT)


WINDOWS = ["latency.response.p50.max = 1s for 2s", "latency.response.max.max = 1s for 3s",
           "errors.ratio.max = 0% for 3s", "rate.reached.min = 1/s for 8s"]
ENDS = ["latency.response.p50.max = 500ms for 2s abort after 1s", "rate.reached.min = 1000/s"]
LONGEST = "latency.service.max.max = 1us abort"
MEDIAN = "latency.service.p50.max = 1us abort after 4s"
LEAKS = ["memory.growth.max = 1MiB/h", "memory.server.growth.max = 1024GiB/h", "leak.request.max = 1B",
         "leak.jwt.max = 64B"]
RUNS = {
    # the median of the run does not show it, that of a window does
    "stalled": {"run": "duration = 12s", "limits": WINDOWS, "stall_s": 3},
    "ended": {"run": "duration = 5m", "limits": ENDS, "stall_s": 3},
    "longest": {"run": "duration = 5m", "limits": [LONGEST]},
    "median": {"run": "duration = 5m", "limits": [MEDIAN]},
    "leaky": {"run": "duration = 14s", "limits": LEAKS, "memory": "every = 100ms",
              "options": ("--leak", "request=64KiB")},
}


def broken(pki, how, folder):
    ran = Ran(folder, pki, **how)
    assert ran.done.returncode == 1, ran.out + ran.done.stderr
    return ran


@pytest.fixture(scope="module")
def runs(tmp_path_factory, pki):
    return all_at_once(tmp_path_factory, {name: functools.partial(broken, pki, how) for name, how in RUNS.items()})


def test_a_window_is_broken_and_says_when(runs):
    ran = runs["stalled"]
    broken = ran.found[WINDOWS[0]]
    assert broken["state"] == "broken" and broken["measured"] > 1e6
    # the longest wait of a second is in the window: of the rows alone, without the histograms
    worst = max(rows(ran.dir), key=lambda row: float(row["response_max_us"] or 0))
    window = broken["window"]
    assert window["to_s"] - window["from_s"] == 2
    assert window["from_s"] <= float(worst["time_s"]) + 1 and window["to_s"] >= float(worst["time_s"]) - 2
    found = ran.found[WINDOWS[1]]
    assert found["measured"] == pytest.approx(max(float(row["response_max_us"] or 0) for row in rows(ran.dir)))
    assert [ran.found[rule]["state"] for rule in WINDOWS[1:]] == ["broken", "held", "held"]
    match = re.search(r"is broken: [\d.]+ s from 0:(\d\d) to 0:(\d\d)", ran.out.replace("\n      ", " "))
    assert [int(match[1]), int(match[2])] == [window["from_s"], window["to_s"]]
    ran.assert_said_again()


def test_every_report_has_the_window(runs):
    ran = runs["stalled"]
    window = ran.found[WINDOWS[0]]["window"]
    when = f"from 0:{window['from_s']:02d} to 0:{window['to_s']:02d}"
    assert re.search(rf"\n  \u2717 {re.escape(WINDOWS[0])} +[\d.]+ s {when}\n", ran.out)
    assert re.search(rf"\n  \u2713 {re.escape(WINDOWS[2])} +0 % at the worst, from 0:00 to 0:03\n", ran.out)
    assert f"{when}</td><td>\u2717</td><td>broken</td>" in (ran.dir / "report.html").read_text()
    cases = {case.get("name"): case for case in
             xml.etree.ElementTree.parse(ran.dir / "junit.xml").iter("testcase")}
    assert when in cases[WINDOWS[0]].find("failure").get("message") and len(cases[WINDOWS[2]]) == 0
    assert f"{when} |" in (ran.dir / "summary.md").read_text()


def test_a_limit_ends_the_run(runs):
    ran = runs["ended"]
    run, judged = totals(ran.dir), verdict(ran.dir)
    assert run["ended_by"]["limit"] == "latency.response.p50.max" and run["load_s"] < 200
    assert run["ended_early"].startswith(f"limit {ENDS[0]} is broken: ") and not run["interrupted"]
    # the rate is broken as well, and that is not why
    assert judged["reason"].startswith(f"limit {ENDS[0]} is broken: ")
    assert ran.found[ENDS[0]]["ended_run"] and ran.found[ENDS[1]]["state"] == "broken"
    assert "Ended early" in ran.out
    ran.assert_said_again()


@pytest.mark.parametrize("name, limit, least_s", [("longest", LONGEST, 0), ("median", MEDIAN, 4)])
def test_a_whole_run_is_ended_by_what_does_not_mend(runs, name, limit, least_s):
    """The longest wait only grows; of a median nothing is said before the delay is over."""
    ran = runs[name]
    assert least_s <= totals(ran.dir)["load_s"] < 200 and ran.found[limit]["ended_run"]
    ran.assert_said_again()


def test_memory_is_held_to_its_limits(runs):
    ran = runs["leaky"]
    broken, held, together, unmet = (ran.found[rule] for rule in LEAKS)
    assert broken["state"] == "broken" and broken["low"] > 2**20 / 3600
    assert broken["metric"] == "memory.growth_bytes_per_s"
    assert held["state"] == "held" and held["high"] < 2**40 / 3600
    assert 0.5 < held["measured"] / (50 * 65536) < 2
    assert together["state"] == "unknown" and "[attribution]" in together["reason"]
    assert unmet["state"] == "unknown" and "too few of these events (new JWT: 0)" in unmet["reason"]
    assert re.search(r"\n  \u2717 memory.growth.max = 1MiB/h +[\d.]+ GiB/h, [\d.]+ GiB/h at the least\n", ran.out)
    cases = {case.get("name"): case for case in
             xml.etree.ElementTree.parse(ran.dir / "junit.xml").iter("testcase")}
    assert cases[LEAKS[0]].find("failure") is not None and len(cases[LEAKS[1]]) == 0
    assert cases[LEAKS[2]].find("skipped") is not None
    ran.assert_said_again()


def test_without_a_memory_source_nobody_knows(tmp_path, pki):
    ran = Ran(tmp_path, pki, "duration = 1s", LEAKS[:1] + LEAKS[2:3])
    assert ran.done.returncode == 3 and "the run has no memory source" in verdict(ran.dir)["reason"], ran.out
    assert {entry["state"] for entry in ran.found.values()} == {"unknown"}
    assert all("can't be judged: the run has no memory source" in e["reason"] for e in ran.found.values())
