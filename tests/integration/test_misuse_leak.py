"""What a server keeps of clients that die is found and named, and one that keeps nothing is not blamed."""
import concurrent.futures

import pytest

from servers import RELEASE, embedded, last_truth, make_pki, profile, tlsoak, totals, verdict

PLANTED = 4096

DESIGNED = """
[run]
duration = 34s
threads = 1
[target]
url = {url}
server_ca = {pki}/ca.pem
[pace]
mode = open
rate = 300/s
connections = 8
requests_per_connection = 10
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
count = 20
[misuse upload]
kind = abort-body
share = 5%
[misuse download]
kind = abandon-response
share = 5%
[misuse idle]
kind = reset
share = 5%
[memory server]
pid = {pid}
[attribution]
mode = crossover
dwell = 2s
warmup = 6s
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All servers at one time: each leaves most of two cores idle."""
    pki = make_pki(tmp_path_factory.mktemp("pki"))

    def run(name, *options):
        folder = tmp_path_factory.mktemp(name)
        with embedded(folder, pki, *options, credentials=False) as server:
            text = DESIGNED.format(url=server.url, pki=pki, pid=server.pid)
            done = tlsoak("run", profile(folder, text), "-o", folder / "run", binary=RELEASE)
            assert (folder / "run" / "verdict.json").exists(), done.stdout + done.stderr
            truth = last_truth(server)
        return done, verdict(folder / "run"), totals(folder / "run"), truth

    planted = {"leak": ["--leak", f"aborted={PLANTED}"], "other": ["--leak", "request=512"], "clean": []}
    with concurrent.futures.ThreadPoolExecutor(len(planted)) as pool:
        running = {name: pool.submit(run, name, *options) for name, options in planted.items()}
        return {name: future.result() for name, future in running.items()}


def blamed(judged):
    return {d["driver"]: d for d in judged["memory"][0]["drivers"] if d["blamed"]}


def check_truth(run, truth):
    """One that was given up may have been seen all the same."""
    done, undone = run["totals"]["misuse_done"], run["totals"]["misuse_undone"]
    assert done > 200 and done <= truth["aborted"] <= done + undone


def test_what_is_kept_of_misuses_is_blamed_on_them(runs):
    done, judged, run, truth = runs["leak"]
    assert done.returncode == 1, done.stdout + done.stderr
    assert judged["memory"][0]["class"] == "leak"
    assert list(blamed(judged)) == ["aborted"], done.stdout
    found = blamed(judged)["aborted"]["bytes_per_event"]
    assert 0.8 * PLANTED < found < 1.2 * PLANTED
    check_truth(run, truth)
    assert "aborted exchange" in done.stdout


def test_a_server_that_keeps_nothing_is_not_blamed(runs):
    done, judged, run, truth = runs["clean"]
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert judged["memory"][0]["class"] != "leak" and not blamed(judged)
    check_truth(run, truth)


def test_what_is_kept_of_every_request_is_not_blamed_on_them(runs):
    """A request that a misuse breaks off is a request, too."""
    done, judged, run, truth = runs["other"]
    assert done.returncode == 1, done.stdout + done.stderr
    assert list(blamed(judged)) == ["request"], done.stdout
    assert truth["requests"] == run["totals"]["completed"] + run["totals"]["misuse_request"]


def test_they_are_switched_by_the_dwells(runs):
    """In about half of the dwells there are none."""
    for _, _, run, _ in runs.values():
        counts = run["totals"]
        assert counts["misuse_tried"] < 0.8 * 0.15 / 0.85 * counts["started"]
