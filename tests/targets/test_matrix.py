"""The matrix itself: what it says agrees with the servers, and the arithmetic of the truth is right."""
import argparse
import dataclasses
import json
import os
import pathlib
import random
import shlex
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import fixtures  # noqa: E402
import fleet  # noqa: E402
import loads  # noqa: E402
import thirdparty  # noqa: E402
import truth  # noqa: E402
from servers import RELEASE, embedded, load_text, make_pki, patient, profile, tlsoak, verdict  # noqa: E402

ROWS = fleet.read_matrix()


def test_every_row_has_its_server():
    for row in ROWS:
        assert fixtures.exists(row.fixture), row.name
        if row.fixture.startswith("thirdparty/"):
            assert row.fixture.partition("/")[2] in thirdparty.PROGRAMS
        elif row.fixture != "embedded":
            assert row.fixture in built_names(), row.name


def test_tlsoak_takes_every_profile(tmp_path):
    """Long, short and those of truth runs, as they are written for a server at some port."""
    pki = make_pki(tmp_path / "pki")
    for row in ROWS:
        target = fixtures.Target(os.getpid(), "https://127.0.0.1:8443", "none", memory=fixtures.fixture_of(row.fixture).memory,
                                 secrets=not row.fixture.startswith("thirdparty/"))
        for short in (False, True):
            folder = loads.clear(tmp_path / "row")
            inis = [loads.write(folder, row, target, pki, row.length(short))]
            inis += [loads.write_warm(folder, row, target, pki, short)] if "warm" in row.load else []
            inis += [loads.write_drive(folder, row, target, pki, truth.BATCH_S)] if row.apart() else []
            for ini in inis:
                done = tlsoak("check", ini, binary=RELEASE, env=fixtures.environment(target))
                assert done.returncode == 0, f"{row.name}: {ini.read_text()}\n{done.stderr}"


def built_names():
    return subprocess.run([HERE / "build", "--list"], capture_output=True, text=True, check=True).stdout.split()


def test_remedies_have_a_quarter_of_their_twins_bytes():
    """Of the leak of the same driver in the same server, by the lowest of its bytes, where the budget names bytes."""
    for row in ROWS:
        twins = [r for r in ROWS if r.expect == "leak" and r.fixture == row.fixture and r.driver == row.driver]
        if row.expect == "pass" and twins and row.budget.endswith("B") and row.budget[:-1].isdigit():
            assert int(row.budget[:-1]) <= max(r.high for r in twins) / 4, row.name


def test_slope_is_that_of_what_is_kept():
    """Beside buffers that come and go, with events that come in some seconds and not in others."""
    random.seed(1)
    lines, n = [], dict.fromkeys(truth.COUNTERS.values(), 0)
    for second in range(120):
        n["requests"] += 500
        n["certs"] += 60 if random.random() < 0.5 else 0
        lines.append({"t_s": second, "live_bytes": 1_000_000 + 700 * n["certs"] + random.randrange(50_000), **n})
    assert truth.slope(lines, "client_certificate") == pytest.approx(700, rel=0.05)
    assert truth.slope(lines, "jwt") is None  # none came


def test_floors_of_a_server_that_still_warms_up():
    """The slope is that of the later ones."""
    floors = [{"certs": n, "live_bytes": 20_000_000 + 1200 * n + (0 if n < 500 else 2_000_000) + random.Random(n).randrange(9999)}
              for n in (300, 900, 1400, 1800, 2300, 2900)]
    assert truth.slope_of_floors(floors, "client_certificate") == pytest.approx(1200, rel=0.1)
    assert truth.slope_of_floors(floors[:1], "client_certificate") is None


def judged(kind="leak", driver="request", size=100.0, needed=None):
    drivers = [{"driver": driver, "blamed": kind == "leak", "bytes_per_event": size, "events": 10}]
    return {"verdict": "fail", "reason": "", "memory": [{"class": kind, "reason": "", "needed": needed,
                                                          "drivers": drivers}]}


def row(**values):
    fields = dict.fromkeys(("row", "fixture", "mode", "options", "load", "expect", "driver", "bytes_low", "bytes_high",
                            "tolerance", "budget", "judge", "rate", "labels", "note"), "")
    return fleet.row_of(1, {**fields, "row": "x", "fixture": "embedded", "expect": "leak", "driver": "request", **values})


@pytest.mark.parametrize("fields, verdict, kept, right", [
    ({}, judged(), 100, True),
    ({}, judged(), 80, False),                                # 25 % off
    ({"tolerance": "0.25"}, judged(), 80, True),
    ({}, judged(driver="jwt"), 100, False),
    ({}, judged("stable"), 100, False),
    ({"bytes_high": "90"}, judged(), 100, False),             # the server is not what it was
    ({"expect": "pass"}, judged("bounded"), 0, True),
    ({"expect": "pass"}, judged("inconclusive"), 0, False),
    ({"expect": "control"}, judged(), 0, False),
    ({"expect": "short"}, judged("inconclusive"), 0, False),  # does not say what it needs
    ({"expect": "short"}, judged("inconclusive", needed={"events": 100}), 0, True),
    ({"expect": "short"}, judged("stable"), 0, False),
])
def test_what_is_as_it_must_be(fields, verdict, kept, right):
    wrong = fleet.assess(row(**fields), verdict, {"bytes_per_event": kept}, short=False)
    assert (wrong == "") == right, wrong


def test_invalid_runs_are_wrong():
    assert "invalid" in fleet.assess(row(expect="pass"), {"verdict": "invalid", "reason": "busy", "memory": []}, None, True)


@patient
def test_another_judge_hears_the_stored_run(tmp_path, monkeypatch):
    """And where anything else has changed, the row is run again."""
    args = argparse.Namespace(out=tmp_path, short=False, tlsoak=RELEASE, again=False, jobs=1)
    pki, matrix, ran = make_pki(tmp_path / "pki"), fleet.Fleet(args), []
    one = next(row for row in matrix.rows if row.name == "embedded/bounded")
    folder = fleet.folder_of(matrix.out, one)
    folder.mkdir(parents=True)
    with embedded(tmp_path, pki, credentials=False) as server:
        text = load_text(server, pki, "duration = 1s\nthreads = 1", "connections = 1")
        tlsoak("run", profile(folder, text), "-o", folder / "run", binary=RELEASE)
    told = verdict(folder / "run")
    marks = fleet.marks_of(one, False, matrix.common)
    before = {"row": one.name, "verdict": "pass", "class": "stable", "wrong": "", "truth": {"bytes_per_event": 7},
              "marks": {**marks, "judge": "another"}}
    (folder / "result.json").write_text(json.dumps(before))
    monkeypatch.setattr(fleet, "perform", lambda row, *rest: ran.append(row.name) or {**before, "wrong": "run"})
    assert matrix.state(one) == (None, "stale: the judge changed")
    after = matrix.run([one])[one.name][0]
    assert not ran and after["class"] == told["memory"][0]["class"] == "inconclusive"
    assert after["truth"] == before["truth"] and after["wrong"].startswith("inconclusive")
    assert matrix.state(one)[0] == fleet.stored(folder)
    for changed, judge in (("load", ""), ("judge", "\n[judge]\nbudget.request = 1KiB\n")):
        (folder / "result.json").write_text(json.dumps({**before, "marks": {**marks, changed: "another"}}))
        profile(folder, text + judge)  # which the row does not say any more
        assert matrix.run([one])[one.name][0]["wrong"] == "run" and ran == [one.name]
        ran.clear()
    (folder / "result.json").write_text(json.dumps({**before, "marks": marks}))
    tight = dataclasses.replace(one, budget="1B")
    profile(folder, text)
    assert matrix.state(tight) == (None, "stale: what the row allows changed")
    assert matrix.run([tight])[one.name][0]["class"] == "inconclusive" and not ran


def test_the_table_goes_between_its_marks(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{fleet.BEGIN}\nold\n{fleet.END}\nafter\n")
    fleet.write(path, "new\n")
    assert path.read_text() == f"before\n{fleet.BEGIN}\nnew\n{fleet.END}\nafter\n"


def test_a_tool_chain_that_is_too_old_is_named(tmp_path):
    """One that is missing is a skip, one that is too old a failure with its version."""
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho go version go1.13.4 linux/amd64\n")
    go.chmod(0o755)
    build = shlex.join([str(HERE / "build"), "go-mtls"])
    old = subprocess.run(["sh", "-c", f"PATH={tmp_path}:/usr/bin:/bin {build}"], capture_output=True, text=True)
    assert old.returncode == 1 and "1.13.4" in old.stderr and "too old" in old.stderr
    go.unlink()
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "readlink", "sort", "grep", "head", "sh"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    none = subprocess.run(["/bin/sh", "-c", f"PATH={tools} {build}"], capture_output=True, text=True)
    assert none.returncode == 77 and "go is not installed" in none.stderr
