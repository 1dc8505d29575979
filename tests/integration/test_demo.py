"""The first thing that a user runs: the planted leak is found and named, and nothing else is."""
import json
import re

import pytest

from servers import RELEASE, tlsoak, verdict


def demo(tmp_path, *options):
    run_dir = tmp_path / "run"
    done = tlsoak("demo", "-o", run_dir, *options, binary=RELEASE)
    assert (run_dir / "verdict.json").exists(), done.stdout + done.stderr
    return done, verdict(run_dir)


def blamed(judged):
    return {d["driver"]: d for d in judged["memory"][0]["drivers"] if d["blamed"]}


@pytest.mark.parametrize("options, driver, planted", [
    ([], "client_certificate", 2048),
    (["--leak", "request=64"], "request", 64),
])
def test_a_planted_leak_is_found_and_named(tmp_path, options, driver, planted):
    done, judged = demo(tmp_path, *options)
    assert done.returncode == 1, done.stdout + done.stderr
    assert judged["memory"][0]["class"] == "leak"
    assert list(blamed(judged)) == [driver]
    found = blamed(judged)[driver]
    assert 0.8 * planted < found["bytes_per_event"] < 1.2 * planted  # the run is short
    assert found["low"] <= found["bytes_per_event"] <= found["high"]
    assert judged["memory"][0]["smallest_visible_bytes_per_second"] > 0
    assert re.search(r"LEAK", done.stdout) and driver.replace("_", " ") in done.stdout


@pytest.mark.parametrize("options", [["--leak", "none"], ["--innocent", "bounded_cache"]])
def test_an_innocent_server_is_never_accused(tmp_path, options):
    done, judged = demo(tmp_path, *options)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert judged["memory"][0]["class"] != "leak"
    assert not blamed(judged)


def test_the_run_directory_is_whole_and_analyse_agrees(tmp_path):
    run_dir = tmp_path / "run"
    done = tlsoak("demo", "-o", run_dir, "--quiet", "--set", "run.duration=20s", binary=RELEASE)
    assert done.returncode in (0, 1, 3), done.stderr
    names = {p.name for p in run_dir.iterdir()}
    assert {"profile.ini", "run.json", "ticks.csv", "memory.csv", "verdict.json",
            "latency.response.hlog"} <= names
    again = tlsoak("analyse", run_dir, "--format", "json")
    assert json.loads(again.stdout) == verdict(run_dir)
    secrets = "".join(p.read_text(errors="replace") for p in run_dir.iterdir())
    assert "PRIVATE KEY" not in secrets
