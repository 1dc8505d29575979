"""tlsoak compare over real runs of servers of known capacity, the trend formats and the history of these runs."""
import concurrent.futures
import contextlib
import csv
import json
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from servers import load_text, make_pki, need, patient, profile, ready_server, tlsoak

METERED = pathlib.Path(__file__).with_name("metered_server.py")
PLOTS = pathlib.Path(__file__).parents[2] / "plots"
LOOSE = ["--tolerance", "latency=2000%", "--tolerance", "rate=2000%", "--tolerance", "cost=2000%",
         "--tolerance", "errors=100%"]


def soak(folder, pki, name, per_s, seconds, output="", pace="mode = closed\nconnections = 1"):
    """A closed loop of one connection against a server that answers so often; returns the finished process."""
    command = [sys.executable, METERED, "--ca", f"{pki}/ca.pem", "--cert", f"{pki}/server.pem", "--key",
               f"{pki}/server.key", "--rate", str(per_s)]
    with ready_server(list(map(str, command)), folder / f"{name}.log") as server:
        text = load_text(server, pki, f"duration = {seconds}s\nthreads = 1", pace, cert="count = 1",
                         memory=None) + output
        return tlsoak("run", profile(folder, text, f"{name}.ini"), "-o", folder / name, "--quiet")


@pytest.fixture(scope="module")
@patient
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    pki = make_pki(folder / "pki", 1)
    output = f"[output]\nformats = text, bench-smaller bench-bigger,bmf\nhistory = {folder}/history.csv\n"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        done = {name: pool.submit(soak, folder, pki, name, per_s, 11, output)
                for name, per_s in (("base", 100), ("slow", 10))}
        done["dials"] = pool.submit(soak, folder, pki, "dials", 60, 11, pace="mode = handshake\nrate = 10/s")
    for name, one in done.items():
        # an open loop may be late on a busy machine, which is no matter here
        assert one.result().returncode in ((0, 4) if name == "dials" else (0,)), one.result().stderr
        waited(folder / name, 0)  # a busy machine has a test of its own
    return folder


def waited(run, share):
    """So much of its time the run's generator waited for a core, says the run from now on."""
    rewrite(run / "run.json", r'"wait_share": [^,]*', f'"wait_share": {share}')


def load_s(told):
    """That the end of the load was seen a little late makes it no longer."""
    return min(told["load_s"], told["duration_s"])


def compare(*args):
    done = tlsoak("compare", *args, "--format", "json")
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def metric(told, name):
    return next(m for m in told["metrics"] if m["metric"] == name)


@contextlib.contextmanager
def doctored(run, into):
    """A copy of a run, whose files may be changed."""
    shutil.copytree(run, into)
    yield into
    shutil.rmtree(into)


def rewrite(path, pattern, text):
    before = path.read_text()
    after = re.sub(pattern, text, before)
    assert after != before
    path.write_text(after)


def test_a_slower_server_is_worse(runs):
    code, told, _ = compare(runs / "base", runs / "slow", "--force")
    assert code == 1 and told["schema"] == "tlsoak.compare/1" and told["verdict"] == "worse"
    p50 = metric(told, "latency.response.p50")
    assert p50["state"] == "worse" and p50["new"] > 2 * p50["base"] > 0
    assert 0 < p50["low_of_all"] <= p50["low"] <= p50["difference"] <= p50["high"] <= p50["high_of_all"]
    rate = metric(told, "rate.reached")
    assert rate["state"] == "worse" and rate["difference"] < 0
    assert "target.url" in told["load_differs"] and not told["between_runs"]
    text = tlsoak("compare", runs / "base", runs / "slow", "--force").stdout
    assert text.startswith("WORSE: ") and re.search(r"^↑ latency.response.p50 .* worse$", text, re.M)
    assert re.search(r"^↓ rate.reached .* worse$", text, re.M) and "drift" in text
    code, told, _ = compare(runs / "slow", runs / "base", "--force", "--inconclusive-ok", *LOOSE)
    assert code == 0 and metric(told, "latency.response.p50")["difference"] < 0


def test_a_busy_machine_is_no_slower_server(runs, tmp_path):
    """Where single runs are all there is; what takes no time is compared all the same."""
    with doctored(runs / "slow", tmp_path / "busy") as busy:
        waited(busy, 0.9)
        code, told, _ = compare(runs / "base", busy, "--force")
        p50 = metric(told, "latency.response.p50")
        assert code == 3 and p50["state"] == "inconclusive" and p50["new"] > 2 * p50["base"]
        assert "so busy a machine" in p50["reason"]
        (_, calm, _), (_, itself, _) = compare(runs / "slow", runs / "slow"), compare(runs / "slow", busy)
        assert metric(itself, "latency.response.p50")["low"] < metric(calm, "latency.response.p50")["low"]
        assert metric(itself, "cost.bytes_sent")["low"] == metric(calm, "cost.bytes_sent")["low"]
        done = tlsoak("compare", "--save", tmp_path / "busy.json", busy)
        assert done.returncode == 0, done.stderr
    _, again, _ = compare(runs / "base", tmp_path / "busy.json", "--force")
    assert metric(again, "latency.response.p50")["low"] == pytest.approx(p50["low"], abs=1e-6)


def test_a_run_is_as_itself(runs, tmp_path):
    code, told, _ = compare(runs / "base", runs / "base", "--junit", tmp_path / "junit.xml", *LOOSE)
    assert code == 0 and told["verdict"] == "same" and told["load_differs"] is None
    compared = [m for m in told["metrics"] if m["state"] != "left_out"]
    assert compared and all(m["difference"] == 0 for m in compared)
    suite = xml.etree.ElementTree.parse(tmp_path / "junit.xml").getroot().find("testsuite")
    assert int(suite.get("tests")) == len(suite.findall("testcase")) == len(compared)
    assert suite.get("failures") == "0"
    code, told, _ = compare(runs / "base", runs / "base", "--tolerance", "latency.*.p50=0%")
    assert code == 3 and metric(told, "latency.response.p50")["state"] == "inconclusive"
    done = tlsoak("compare", runs / "base", runs / "base", "--tolerance", "latency.*.p50=0%", "--inconclusive-ok")
    assert done.returncode == 0 and done.stdout.startswith("INCONCLUSIVE: ")


def test_a_baseline_stands_for_its_run(runs, tmp_path):
    saved = tmp_path / "baseline.json"
    done = tlsoak("compare", "--save", saved, runs / "base")
    assert done.returncode == 0, done.stderr
    assert json.loads(saved.read_text())["schema"] == "tlsoak.baseline/1" and saved.stat().st_size < 32768
    _, by_run, _ = compare(runs / "base", runs / "slow", "--force")
    _, by_file, _ = compare(saved, runs / "slow", "--force")
    for a, b in zip(by_run["metrics"], by_file["metrics"], strict=True):
        assert a["state"] == b["state"] and a["difference"] == pytest.approx(b["difference"], abs=1e-6)
    code, _, error = compare(saved, runs / "slow")
    assert code == 2 and "target.url" in error
    # of several runs, the difference between them is known
    tlsoak("compare", "--save", saved, runs / "base", runs / "slow", "--force")
    code, told, _ = compare(saved, "--new", runs / "slow", "--force")
    assert told["between_runs"] and len(told["base"]) == 2 and code in (0, 3)


def test_a_load_of_handshakes_can_pass(runs):
    code, told, _ = compare(runs / "dials", runs / "dials", "--force", *LOOSE)
    assert code == 0 and metric(told, "errors.ratio")["state"] == "same"
    assert metric(told, "rate.reached")["state"] == "same"


def test_the_drain_is_no_load(runs, tmp_path):
    """A run that waited as long for its last answer as its load lasted."""
    told = json.loads((runs / "base" / "run.json").read_text())
    with doctored(runs / "base", tmp_path / "drained") as run:
        ticks = (run / "ticks.csv").read_text().splitlines()
        last = ticks[-1].split(",", 1)
        for second in range(1, 12):
            ticks.append(f"{float(last[0]) + second:.3f},{last[1]}")
        (run / "ticks.csv").write_text("\n".join(ticks) + "\n")
        (run / "run.json").write_text(json.dumps({**told, "elapsed_s": told["elapsed_s"] + 11}))
        assert tlsoak("compare", "--save", tmp_path / "a.json", runs / "base").returncode == 0
        assert tlsoak("compare", "--save", tmp_path / "b.json", run).returncode == 0
        bench = json.loads(tlsoak("report", run, "--format", "bench-bigger").stdout)
    a, b = (json.loads((tmp_path / name).read_text())["runs"][0] for name in ("a.json", "b.json"))
    assert a["seconds"] == b["seconds"] == pytest.approx(load_s(told)) and a["samples"] == b["samples"]
    assert bench[0]["value"] == pytest.approx(told["totals"]["completed"] / load_s(told))


def test_loads_that_differ_are_refused(runs, tmp_path):
    done = tlsoak("compare", runs / "base", runs / "slow")
    assert done.returncode == 2 and done.stdout == ""
    assert re.search(r"^target.url: https://127.0.0.1:\d+/ in the baseline, https://127.0.0.1:\d+/ in the new run$",
                     done.stderr, re.M) and len(done.stderr.splitlines()) == 2
    with doctored(runs / "base", tmp_path / "other") as other:
        rewrite(other / "profile.ini", "(?m)^connections = 1 .*$", "connections = 2")
        (other / "profile.ini").open("a").write("[phase up]\nduration = 11s\n")
        error = tlsoak("compare", runs / "base", other).stderr
        assert "pace.connections: 1 in the baseline, 2 in the new run" in error
        assert "phase.up.duration: 11s in the new run, not in the baseline" in error
    with doctored(runs / "base", tmp_path / "alike") as alike:
        rewrite(alike / "profile.ini", "(?m)^seed = .*$", "seed = 77")
        rewrite(alike / "profile.ini", "(?m)^server_ca = .*$", "server_ca = /elsewhere/ca.pem")
        assert compare(runs / "base", alike, *LOOSE)[0] == 0
    with doctored(runs / "base", tmp_path / "elsewhere") as other:
        rewrite(other / "profile.ini", "(?m)^threads = 1 .*$", "threads = 64 ; default")
        rewrite(other / "profile.ini", "(?m)^drain = .*\n", "")  # of a version that has no such key
        assert compare(runs / "base", other, *LOOSE)[0] == 0
        assert compare(other, runs / "base", *LOOSE)[0] == 0
        rewrite(other / "profile.ini", "(?m)^threads = .*$", "threads = 64")
        assert "run.threads: 1 in the baseline, 64 in" in tlsoak("compare", runs / "base", other).stderr


def test_runs_that_ended_badly_say_so(runs, tmp_path):
    with doctored(runs / "base", tmp_path / "run") as run:
        told = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps({**told, "invalid": "the generator was starved"}))
        done = tlsoak("compare", runs / "base", run)
        assert done.returncode == 4 and "is invalid: the generator was starved" in done.stderr
        assert tlsoak("compare", "--save", tmp_path / "b.json", run).returncode == 4
        done = tlsoak("compare", runs / "base", run, "--force", *LOOSE)
        assert done.returncode == 0 and "it is invalid" in done.stdout
        (run / "run.json").write_text(json.dumps({**told, "interrupted": True}))
        assert "it was interrupted" in tlsoak("compare", runs / "base", run).stdout
        del told["load_s"]  # what is known at the end only
        (run / "run.json").write_text(json.dumps({**told, "finished": False}))
        log = run / "latency.response.hlog"
        log.write_bytes(log.read_bytes()[:-20])
        done = tlsoak("compare", runs / "base", run, *LOOSE)
        assert done.returncode == 0 and "it was killed" in done.stdout and "incomplete" in done.stderr
        ticks = (run / "ticks.csv").read_text().splitlines(keepends=True)
        (run / "ticks.csv").write_text("".join(ticks[:4]))
        done = tlsoak("compare", runs / "base", run, *LOOSE)
        assert done.returncode == 3 and done.stdout.startswith("INCONCLUSIVE: ") and "cut off" in done.stdout


def test_what_is_no_run_is_said_in_a_line(runs, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("hello\n")
    (tmp_path / "other.json").write_text('{"schema": "tlsoak.run/1"}')
    (tmp_path / "bad.json").write_text('{"schema": "tlsoak.baseline/1", "runs": [{"samples": [7]}]}')
    (tmp_path / "nodot.json").write_text('{"schema": "tlsoak.baseline/1", "runs": [{"samples": [{"kind": "latency",'
                                         '"metric": "nodot", "sections": []}]}]}')
    for name, words in (("empty", "holds no run"), ("text", "neither a run's directory nor a baseline"),
                        ("other.json", "neither a run's directory nor a baseline"), ("gone", "can't be read"),
                        ("bad.json", "damaged"), ("nodot.json", "damaged")):
        done = tlsoak("compare", runs / "base", tmp_path / name)
        assert done.returncode == 2 and words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    for options, words in ((["--tolerance", "latncy=5%"], "no metric is called latncy"),
                           (["--tolerance", "latency"], "is not METRIC=PERCENT"),
                           (["--tolerance", "leak.request=5%"], "is not a size"),
                           (["--format", "xml"], "unknown format xml"),
                           (["--junit", "/nowhere/x.xml"], "can't be written")):
        done = tlsoak("compare", runs / "base", runs / "base", *options)
        assert done.returncode == 2 and words in done.stderr, done.stderr
    assert "usage" in tlsoak("compare", runs / "base").stderr


def test_trend_formats(runs):
    run = runs / "base"
    left = {path.name for path in run.iterdir()}
    assert {"report.txt", "verdict.json", "bench.smaller.json", "bench.bigger.json", "bmf.json"} <= left
    assert not {"report.html", "junit.xml", "findings.csv", "summary.md"} & left
    smaller = json.loads((run / "bench.smaller.json").read_text())
    bigger = json.loads((run / "bench.bigger.json").read_text())
    assert [entry["name"] for entry in bigger] == ["rate.reached"]
    names = [entry["name"] for entry in smaller]
    assert len(names) == len(set(names)) and "latency.response.p99" in names and "rate.reached" not in names
    for entry in smaller + bigger:
        assert isinstance(entry["value"], (int, float)) and entry["unit"]
        assert all(isinstance(entry[key], str) for key in ("range", "extra") if key in entry)
    told = json.loads((run / "run.json").read_text())
    by_name = {entry["name"]: entry for entry in smaller}
    assert by_name["latency.response.p50"]["unit"] == "us"
    assert by_name["latency.response.p50"]["value"] == pytest.approx(told["latency"]["response"]["p50_us"], rel=1e-3)
    bmf = json.loads((run / "bmf.json").read_text())
    assert set(bmf) == {entry["name"] for entry in smaller + bigger}
    p50 = bmf["latency.response.p50"]["latency"]
    assert p50["lower_value"] < p50["value"] < p50["upper_value"]
    assert p50["value"] == pytest.approx(1000 * by_name["latency.response.p50"]["value"])
    for name in ("bench-smaller", "bench-bigger", "bmf"):
        file = {"bmf": "bmf.json"}.get(name, name.replace("-", ".") + ".json")
        assert tlsoak("report", run, "--format", name).stdout == (run / file).read_text()


def test_history(runs, tmp_path):
    path = runs / "history.csv"
    ids = {json.loads((runs / name / "run.json").read_text())["id"] for name in ("base", "slow")}
    # they ended at the same time, one header; one that a busy machine spoilt has a row, too
    rows = [row for row in csv.DictReader(path.open()) if row["verdict"] != "invalid"]
    assert {row["run"] for row in rows} == ids and len(rows) == 2
    slow, quick = sorted(rows, key=lambda row: float(row["rate_reached_per_s"]))
    assert float(slow["response_p50_us"]) > float(quick["response_p50_us"]) > 1000
    assert slow["verdict"] == "pass" and slow["exit_code"] == "0" and slow["request_bytes"] == ""
    told = json.loads((runs / "base" / "run.json").read_text())
    assert float(quick["seconds"]) == pytest.approx(load_s(told), rel=1e-6)
    assert float(quick["rate_reached_per_s"]) == pytest.approx(told["totals"]["completed"] / load_s(told), rel=1e-6)
    assert slow["profile"] != quick["profile"] and re.fullmatch("[0-9a-f]{16}", slow["profile"])
    drawn = subprocess.run([need("gnuplot"), "-c", PLOTS / "history.gp", path, tmp_path / "h.svg"],
                           capture_output=True, text=True)
    assert drawn.returncode == 0 and not re.search("warning|error", drawn.stderr), drawn.stderr
    assert "response p99" in (tmp_path / "h.svg").read_text()


def test_history_of_another_hand(runs, tmp_path):
    header = (runs / "history.csv").read_text().splitlines()[0]
    (tmp_path / "torn.csv").write_text(header + "\n17.5,half a li")
    (tmp_path / "foreign.csv").write_text("date,notes\n")
    pki = runs / "pki"
    outputs = {name: f"[output]\nhistory = {tmp_path}/{name}.csv\n" for name in ("torn", "foreign")}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        done = {name: pool.submit(soak, tmp_path, pki, name, 50, 1, text) for name, text in outputs.items()}
    assert "could not be added" in done["foreign"].result().stderr
    assert (tmp_path / "foreign.csv").read_text() == "date,notes\n"
    lines = (tmp_path / "torn.csv").read_text().splitlines()
    assert len(lines) == 3 and lines[2].count(",") == header.count(",")
    assert "could not be added" not in done["torn"].result().stderr


def test_formats_are_checked(runs, tmp_path):
    text = (runs / "base.ini").read_text()
    wrong = profile(tmp_path, text.replace("formats = text,", "formats = tekst,"))
    for command in (["check", wrong], ["run", wrong, "-o", tmp_path / "run"]):
        done = tlsoak(*command)
        assert done.returncode == 2 and "output.formats: unknown format tekst" in done.stderr
