"""The first thing that a user runs: the planted leak is found and named, and nothing else is."""
import functools
import json
import re

import pytest

from servers import RELEASE, all_at_once, tlsoak, verdict


LEAKS = {"client_certificate": ([], 2048), "request": (["--leak", "request=64"], 64)}
INNOCENT = {"none": ["--leak", "none"], "bounded_cache": ["--innocent", "bounded_cache"]}


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    """Each demo's end, its verdict and its run directory."""
    def demo(options, folder):
        run_dir = folder / "run"
        done = tlsoak("demo", "-o", run_dir, *options, binary=RELEASE)
        assert (run_dir / "verdict.json").exists(), done.stdout + done.stderr
        return done, verdict(run_dir), run_dir

    every = {name: options for name, (options, _) in LEAKS.items()} | INNOCENT
    return all_at_once(tmp_path_factory, {name: functools.partial(demo, options) for name, options in every.items()})


def blamed(judged):
    return {d["driver"]: d for d in judged["memory"][0]["drivers"] if d["blamed"]}


@pytest.mark.parametrize("driver", LEAKS)
def test_a_planted_leak_is_found_and_named(demos, driver):
    done, judged, _ = demos[driver]
    planted = LEAKS[driver][1]
    assert done.returncode == 1, done.stdout + done.stderr
    assert judged["memory"][0]["class"] == "leak"
    assert list(blamed(judged)) == [driver]
    found = blamed(judged)[driver]
    assert 0.8 * planted < found["bytes_per_event"] < 1.2 * planted  # the run is short
    assert found["low"] <= found["bytes_per_event"] <= found["high"]
    assert judged["memory"][0]["smallest_visible_bytes_per_second"] > 0
    assert re.search(r"LEAK", done.stdout) and driver.replace("_", " ") in done.stdout


@pytest.mark.parametrize("name", INNOCENT)
def test_an_innocent_server_is_never_accused(demos, name):
    done, judged, _ = demos[name]
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert judged["memory"][0]["class"] != "leak"
    assert not blamed(judged)


def test_the_run_directory_is_whole_and_analyse_agrees(demos):
    run_dir = demos["client_certificate"][2]
    names = {p.name for p in run_dir.iterdir()}
    assert {"profile.ini", "run.json", "ticks.csv", "memory.csv", "verdict.json",
            "latency.response.hlog"} <= names
    again = tlsoak("analyse", run_dir, "--format", "json")
    assert json.loads(again.stdout) == verdict(run_dir)
    secrets = "".join(p.read_text(errors="replace") for p in run_dir.iterdir())
    assert "PRIVATE KEY" not in secrets
