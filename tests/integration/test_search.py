"""Limits on what the load measures, and the search for the highest rate at which they hold."""
import contextlib
import csv
import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from servers import TLSOAK, embedded, load_text, make_pki, profile, ready_server, tlsoak, totals, verdict

METERED = pathlib.Path(__file__).with_name("metered_server.py")
OPEN = "mode = open\nconnections = 8"
CHURN = "mode = churn\nconnections = 4"

SEARCH = """
[limit]
latency.response.p50.max = 400ms
[search]
from = {low}/s
to = {high}/s
step = 2s
ramp = 200ms
rest = 200ms
precision = 20%
"""

# What the server can do (answers a second, options), what is searched for, and how that ends.
SEARCHES = {
    "queue": (60, (), 40, 240, OPEN, "found"),
    "shed": (60, ("--shed", "0.1"), 40, 240, OPEN.replace("8", "32"), "found"),
    "churn": (45, (), 30, 120, CHURN, "found"),
    "top": (2000, (), 20, 40, OPEN, "top_held"),
    "nothing": (40, (), 100, 400, OPEN, "nothing_held"),
    "interrupted": (2000, (), 10, 4000, OPEN, "unfinished"),
}
ROUNDS = 3


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 2)


def metered(folder, pki, rate, *options):
    command = [sys.executable, METERED, "--ca", pki / "ca.pem", "--cert", pki / "server.pem", "--key",
               pki / "server.key", "--rate", rate, *options]
    return ready_server([str(arg) for arg in command], folder / "metered.log")


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def interrupt_after_a_step(run, folder):
    steps = folder / "run" / "search.csv"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not steps.exists() or len(rows(steps)) < 1):
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)


class Done:
    def __init__(self, folder, run):
        out, err = run.communicate(timeout=200)
        self.code, self.said, self.out, self.folder = run.returncode, out + err, out, folder / "run"
        self.prose = " ".join(out.split())
        self.verdict, self.steps = verdict(self.folder), rows(self.folder / "search.csv")
        self.answer = self.verdict["search"]


def perform(names, folders, pki):
    """All of them at the same time: each asks for little and takes its seconds."""
    with contextlib.ExitStack() as stack:
        runs = {}
        for name in names:
            rate, options, low, high, pace, _ = SEARCHES[name]
            folder = folders.mktemp(name)
            server = stack.enter_context(metered(folder, pki, rate, *options))
            text = load_text(server, pki, "threads = 1", pace, memory=None) + SEARCH.format(low=low, high=high)
            command = [TLSOAK, "run", profile(folder, text), "-o", folder / "run"]
            runs[name] = (folder, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        if "interrupted" in runs:
            interrupt_after_a_step(runs["interrupted"][1], runs["interrupted"][0])
        return {name: Done(folder, run) for name, (folder, run) in runs.items()}


def is_right(name, found):
    """Within its precision, and a little for the machine's own noise."""
    capacity, end = SEARCHES[name][0], SEARCHES[name][-1]
    held = found.answer["held_per_s"]
    return found.answer["end"] == end and (end != "found" or capacity / 1.2 * 0.95 < held < capacity * 1.05)


@pytest.fixture(scope="module")
def searches(tmp_path_factory, pki):
    """A machine that is busy with something else spoils a search: that is done again, but not for ever."""
    done, left = {}, list(SEARCHES)
    for _ in range(ROUNDS):
        done.update(perform(left, tmp_path_factory, pki))
        left = [name for name in left if not is_right(name, done[name])]
        if not left:
            break
    return done


@pytest.mark.parametrize("name", ["queue", "shed", "churn"])
def test_the_known_capacity_is_found(searches, name):
    """What is beyond it waits without end, or is answered 503 at once; of a connection each the same."""
    found = searches[name]
    assert found.code == 0 and is_right(name, found), found.said
    assert found.answer["held_per_s"] < found.answer["beyond_per_s"] <= 1.2001 * found.answer["held_per_s"]
    what = " of connections" if name == "churn" else ""
    assert f"highest rate{what} that holds: {found.answer['held_per_s']:.4g}/s (held " in found.prose
    assert {limit["state"] for limit in found.verdict["limits"]} == {"held"}
    broken = " ".join(step["reason"] for step in found.steps if step["result"] == "broken")
    assert ("errors.ratio.max = 1%" if name == "shed" else "was not reached") in broken


def test_steps_are_phases_and_their_record_is_whole(searches):
    found = searches["queue"]
    phases = rows(found.folder / "phases.csv")
    assert [p["name"] for p in phases if p["kind"] == "load"] == [
        f"search {float(s['asked_per_s']):g}/s" for s in found.steps]
    assert [p["kind"] for p in phases[0:2]] == ["idle", "load"] and phases[-1]["kind"] == "end"
    for step in found.steps:
        if step["result"] == "held":
            assert float(step["reached_per_s"]) > 0.9 * float(step["asked_per_s"])
            assert float(step["latency.response.p50_us"]) <= 400e3 and float(step["errors.ratio"]) <= 0.01
    told = totals(found.folder)["search"]
    assert found.answer == {**told, "reason": found.answer["reason"]}
    # the stored run says it again, from its steps
    again = tlsoak("report", found.folder, "--format", "json")
    assert json.loads(again.stdout) == found.verdict
    text = tlsoak("report", found.folder)
    assert text.stdout == found.out


def test_a_highest_rate_that_holds_is_a_pass(searches):
    found = searches["top"]
    assert found.code == 0, found.said
    assert found.answer["end"] == "top_held" and found.answer["held_per_s"] == 40, found.steps
    assert "at least 40/s holds" in found.prose


def test_a_lowest_rate_that_does_not_hold_fails(searches):
    found = searches["nothing"]
    assert found.code == 1, found.said
    assert found.verdict["verdict"] == "fail" and found.answer["end"] == "nothing_held"
    assert "not even the lowest rate" in found.verdict["reason"] and "100/s" in found.verdict["reason"]


def test_an_interrupted_search_says_how_far_it_came(searches):
    found = searches["interrupted"]
    assert found.code == 6, found.said
    assert found.verdict["verdict"] == "interrupted" and found.answer["end"] == "unfinished"
    assert "a rate of at least 10/s holds" in found.verdict["reason"]
    assert "     1       10/s" in found.out


def run_limited(folder, server, pki, limits):
    folder.mkdir()
    text = load_text(server, pki, "duration = 1s\nthreads = 1", "think_time = 5ms\nconnections = 4", memory=None)
    done = tlsoak("run", profile(folder, f"{text}\n[limit]\n" + "\n".join(limits)), "-o", folder / "run")
    return done, {entry["rule"]: entry for entry in verdict(folder / "run")["limits"]}


def test_limits_of_a_whole_run(tmp_path, pki):
    held = ["latency.response.p99.max = 1m", "errors.ratio.max = 0%", "rate.reached.min = 1/s"]
    broken = ["latency.service.p50.max = 1us"]
    unknown = ["latency.handshake_resumed.p99.max = 1s"]
    marks = {"held": "\u2713", "broken": "\u2717", "unknown": "?"}
    with embedded(tmp_path, pki, credentials=False) as server:
        passed, _ = run_limited(tmp_path / "held", server, pki, held)
        undecided, _ = run_limited(tmp_path / "unknown", server, pki, held + unknown)
        failed, found = run_limited(tmp_path / "all", server, pki, held + broken + unknown)
    assert passed.returncode == 0 and "PASS: all limits held" in passed.stdout, passed.stdout + passed.stderr
    assert undecided.returncode == 3 and "can't be judged" in undecided.stdout, undecided.stdout
    assert failed.returncode == 1 and "is broken" in failed.stdout, failed.stdout
    for state, rules in (("held", held), ("broken", broken), ("unknown", unknown)):
        assert [found[rule]["state"] for rule in rules] == [state] * len(rules)
        assert all(f"\n  {marks[state]} {rule} " in failed.stdout for rule in rules)
    run = totals(tmp_path / "all" / "run")
    assert found[held[0]]["measured"] == pytest.approx(run["latency"]["response"]["p99_us"])
    assert found[held[2]]["measured"] == pytest.approx(run["totals"]["completed"])
    # and the stored run says the same
    again = tlsoak("report", tmp_path / "all" / "run", "--format", "json")
    assert json.loads(again.stdout) == verdict(tmp_path / "all" / "run")


def test_failures_are_the_limits_to_judge(tmp_path, pki):
    """Without a limit on errors a run of nothing but 503 can't be used; with one it has failed."""
    with metered(tmp_path, pki, 0.01, "--shed", "0") as server:
        invalid, _ = run_limited(tmp_path / "invalid", server, pki, ["latency.response.p99.max = 1m"])
        failed, found = run_limited(tmp_path / "failed", server, pki, ["errors.ratio.max = 5%"])
    assert invalid.returncode == 4 and "more than half" in invalid.stdout, invalid.stdout + invalid.stderr
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert found["errors.ratio.max = 5%"]["measured"] > 0.9
