"""/metrics while a run lasts: both formats by readers that are not ours, against what the run says in the end, and amid
clients that mean it ill."""
import contextlib
import csv
import http.client
import json
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

import pytest

from servers import TLSOAK, embedded, load_text, make_pki, need, profile, tlsoak, totals

READER = pathlib.Path(__file__).with_name("read_metrics.py")
OPEN = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," \
       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
# The run stays at its end until the last page was read.
HOLD = """
[apikey]
secret = @{pki}/apikey.secret
count = 20
[output]
listen = 127.0.0.1:0
[hook]
on_end = touch {{run}}/over; while [ ! -e {{run}}/go ]; do sleep 0.05; done
deadline = 300s
"""


def get(port, path="/metrics", method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def read(folder, *pages):
    """What Prometheus' client reads in pairs of pages, the text and the other format."""
    paths = [folder / f"page-{i}" for i in range(len(pages))]
    for path, page in zip(paths, pages):
        path.write_bytes(page.encode())
    for python in (sys.executable, "/usr/bin/python3"):
        done = subprocess.run([python, READER, *paths], capture_output=True, text=True)
        if "No module named 'prometheus_client'" not in done.stderr:
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)
    pytest.skip("python3-prometheus-client is not installed")


def wait_for(condition, process):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)


def hostile(port, stop):
    """Garbage, a header without end, half-open connections and a flood of new ones, as fast as they are taken."""
    held = []
    while not stop.is_set():
        for bytes_ in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 20000, b"GET /met", b"",
                       b"GET /metrics HTTP/1.1\r\nAccept: " + b"a/b," * 1500 + b"\r\n\r\n"):
            with contextlib.suppress(OSError):
                one = socket.create_connection(("127.0.0.1", port), timeout=1)
                held.append(one)
                one.sendall(bytes_)
        for one in held[:-40]:
            one.close()
        del held[:-40]
        time.sleep(0.01)
    for one in held:
        one.close()


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """A run, its first pages, those under attack, and its last."""
    folder = tmp_path_factory.mktemp("scrape")
    pki, stop = make_pki(folder / "pki", 1), threading.Event()
    with embedded(folder, pki, credentials=False) as server:
        ini = profile(folder, load_text(server, pki, "threads = 1\nduration = 6s", "mode = open\nrate = 50/s\nconnections = 4",
                                        memory="every = 100ms") + HOLD.format(pki=pki))
        command = [TLSOAK, "run", str(ini), "-o", str(folder / "run"), "--quiet", "--inconclusive-ok"]
        with open(folder / "err", "w") as err:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err, stdin=subprocess.DEVNULL)
        try:
            told = re.compile(r"tlsoak: metrics are at http://127\.0\.0\.1:(\d+)/metrics\n")
            wait_for(lambda: told.search((folder / "err").read_text()), process)
            port = int(told.search((folder / "err").read_text())[1])
            assert get(port, "/healthz")[::2] == (200, "ok\n")
            wait_for(lambda: "tlsoak_completed_total" in get(port)[2], process)
            first, attacked = (get(port), get(port, Accept=OPEN)), []
            thread = threading.Thread(target=hostile, args=(port, stop))
            thread.start()
            end = time.monotonic() + 120
            while len(attacked) < 5 and time.monotonic() < end:
                # one that is turned out by the flood asks again, as a scraper would
                with contextlib.suppress(OSError, http.client.HTTPException):
                    attacked.append(get(port))
                time.sleep(0.1)
            stop.set()
            thread.join()
            wait_for(lambda: (folder / "run" / "over").exists(), process)
            last = get(port), get(port, Accept=OPEN)
            strange = [get(port, "/"), get(port, method="POST"), get(port, "/run.json")]
            (folder / "run" / "go").touch()
            # 4 when the machine kept the generator from its work
            assert process.wait(120) in (0, 1, 4), (folder / "err").read_text()
        finally:
            stop.set()
            process.kill()
            process.wait()
    with pytest.raises(OSError):
        get(port)
    read_ = read(folder, *(answer[2] for answer in (*first, *last)))
    return {"run": folder / "run", "pki": pki, "first": first, "attacked": attacked, "last": last, "strange": strange,
            "read_first": read_[0]["samples"], "read_last": read_[2:]}


def test_both_formats_are_read_by_others_and_say_the_same(scraped):
    (status, text_type, _), (_, open_type, opened) = scraped["last"]
    assert status == 200 and text_type == "text/plain; version=0.0.4; charset=utf-8"
    assert open_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert opened.endswith("\n# EOF\n") and "\r" not in opened
    plain, new = scraped["read_last"]
    assert plain["samples"] == new["samples"]
    assert {name.split("{")[0][:7] for name in plain["samples"]} == {"tlsoak_"}
    kinds = {name: kind for name, (kind, _) in new["families"].items()}
    assert kinds["tlsoak_completed"] == "counter" and kinds["tlsoak_build"] == "info"
    assert new["families"]["tlsoak_latency_response_seconds"] == ["histogram", "seconds"]
    assert new["families"]["tlsoak_sent_bytes"] == ["counter", "bytes"]
    assert new["families"]["tlsoak_server_anon_bytes"] == ["gauge", "bytes"]
    assert all(name.endswith(unit) for name, (_, unit) in new["families"].items())


def test_promtool_has_nothing_to_say(scraped):
    for page in (scraped["first"][0][2], scraped["last"][0][2]):
        done = subprocess.run([need("promtool"), "check", "metrics"], input=page, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_last_page_is_what_the_run_says(scraped):
    page = scraped["read_last"][0]["samples"]
    told = totals(scraped["run"])
    renamed = {"bytes_sent": "sent_bytes", "bytes_received": "received_bytes", "lag_ns": "lag_seconds", "cpu_ns": "cpu_seconds",
               "wait_ns": "wait_seconds"}
    for name, value in told["totals"].items():
        scale = 1e9 if name.endswith("_ns") else 1e6 if name == "resume_asked" else 1
        assert page[f"tlsoak_{renamed.get(name, name)}_total{{}}"] == pytest.approx(value / scale, rel=1e-12), name
    assert told["totals"]["completed"] > 100
    for name, value in told["outcomes"].items():
        assert sum(v for k, v in page.items() if k.startswith("tlsoak_outcomes_total{") and k.endswith(f"outcome={name}}}")) == value
    for name, value in told["status"].items():
        assert page[f"tlsoak_responses_total{{status={name}}}"] == value
    for name, series in told["latency"].items():
        metric = f"tlsoak_latency_{name}_seconds"
        assert page[f"{metric}_count{{}}"] == page[f"{metric}_bucket{{le=+Inf}}"] == series["n"]
        if series["n"] > 0:
            assert page[f"{metric}_sum{{}}"] == pytest.approx(series["mean_us"] * series["n"] / 1e6, rel=1e-6)
            median = series["p50_us"] / 1e6
            below = [v for k, v in page.items() if (m := re.fullmatch(metric + r"_bucket\{le=(.*)\}", k)) and float(m[1]) >= median]
            assert all(2 * v >= series["n"] for v in below)
    with open(scraped["run"] / "ticks.csv") as file:
        assert page["tlsoak_started_total{}"] == int(list(csv.DictReader(file))[-1]["started"])
    with open(scraped["run"] / "memory.csv") as file:
        row = list(csv.DictReader(line for line in file if line[0] != "#"))[-1]
    assert page["tlsoak_server_anon_bytes{source=server}"] == int(row["anon_bytes"])
    assert page["tlsoak_server_readable{source=server}"] == 1 and page["tlsoak_phase{phase=draining}"] == 1
    assert page[f"tlsoak_run_info{{run={told['id']}}}"] == 1


def test_counters_only_grow(scraped):
    first, last = scraped["read_first"], scraped["read_last"][0]["samples"]
    grown = [name for name in first if re.search(r"_(total|count|sum|bucket)\{", name)]
    assert len(grown) > 100 and all(last[name] >= first[name] for name in grown)
    assert last["tlsoak_completed_total{}"] > first["tlsoak_completed_total{}"]


def test_who_means_it_ill_disturbs_nobody(scraped):
    assert len(scraped["attacked"]) == 5
    assert all(status == 200 and "tlsoak_completed_total" in text for status, _, text in scraped["attacked"])
    assert [answer[0] for answer in scraped["strange"]] == [404, 405, 404]
    told = totals(scraped["run"])
    assert told["finished"] and set(told["outcomes"]) <= {"ok", "stopped"}


def test_no_secret_and_no_identity_is_shown(scraped):
    pages = "".join(answer[2] for when in ("first", "last") for answer in scraped[when])
    labels = set(re.findall(r'([a-z_]+)="', pages))
    assert labels == {"version", "tls_library", "run", "source", "phase", "class", "outcome", "status", "le"}
    secret = (scraped["pki"] / "apikey.secret").read_text().strip()
    assert secret not in pages and "client-1" not in pages and "127.0.0.1" not in pages


def test_an_address_that_cannot_be_is_a_mistake(tmp_path):
    pki = make_pki(tmp_path / "pki", 1)
    text = f"[target]\nurl = https://127.0.0.1:1/\nserver_ca = {pki}/ca.pem\n[cert]\nca = {pki}/ca.pem\nca_key = {pki}/ca.key\n"
    ini = profile(tmp_path, text + "[output]\nlisten = here\n")
    for command in ("check", "run"):
        done = tlsoak(command, ini)
        assert done.returncode == 2
        assert f'{ini}:8: "here" is not an address and a port' in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = tlsoak("run", ini, "--listen", taken.getsockname()[1], "-o", tmp_path / "run")
    assert done.returncode == 2 and "in use" in done.stderr and not (tmp_path / "run").exists()
