"""Memory that is not read of a process: pages of metrics, with mutual TLS, and control groups.  One run looks at one
leaking server through all of them."""
import concurrent.futures
import contextlib
import csv
import http.server
import pathlib
import re
import ssl
import threading
import time
import urllib.request

import pytest

from servers import (RELEASE, Starved, all_at_once, embedded, free_port, load_text, make_pki, need, profile, running, tlsoak,
                     totals, verdict)

MIB = 1 << 20
FAULTS = {8: (503, "busy\n"), 9: (200, 'heap_bytes{area="a"} NaN\n'), 10: (200, "<html>log in</html>\n"),
          11: (200, 'heap_bytes{area="b"} 5\n')}


class Exporter:
    """A page with what a process has in anonymous memory, for clients with a certificate of this CA only; some
    answers are wrong, all of them from that number on."""

    def __init__(self, pki, pid, wrong_from=10**9):
        self.pki, self.pid, self.n, self.told, self.clients = pki, pid, 0, [], set()
        self.wrong_from = wrong_from
        exporter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                exporter.answer(self)

            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda request, client: None  # who has gone by his deadline
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "server.pem", pki / "server.key")
        context.load_verify_locations(pki / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}/metrics"

    def answer(self, request):
        self.n += 1
        self.clients.add(dict(pair[0] for pair in request.connection.getpeercert()["subject"])["commonName"])
        status, page = (503, "busy\n") if self.n >= self.wrong_from else FAULTS.get(self.n, (200, None))
        if page is None:
            anon = pathlib.Path(f"/proc/{self.pid}/status").read_text().split("RssAnon:")[1].split()[0]
            self.told.append(int(anon) * 1024)
            half = self.told[-1] // 2
            page = (f'# HELP heap_bytes what is used\n# TYPE heap_bytes gauge\nheap_bytes{{area="a",id="x y"}} {half}\n'
                    f'heap_bytes{{area="b",id="x y"}} NaN\nheap_bytes{{id="z",area="a"}} {half} 1700000000000\n'
                    "python_info 1\n# EOF\n")
        request.send_response(status)
        request.send_header("Content-Length", str(len(page)))
        request.end_headers()
        request.wfile.write(page.encode())

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def node_exporter(folder, pki):
    """Debian's, which asks for client certificates of that CA."""
    port = free_port()
    config = folder / "web.yml"
    config.write_text(f"tls_server_config:\n  cert_file: {pki}/server.pem\n  key_file: {pki}/server.key\n"
                      f"  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {pki}/ca.pem\n")
    command = [need("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}",
               f"--web.config.file={config}", "--collector.disable-defaults", "--collector.meminfo"]
    with running(command, port, folder) as server:
        yield server


def memory_groups():
    """Where this machine has control groups with memory, and what limits them there; None: nowhere."""
    found = None
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        head, tail = line.split(" - ")
        kind, _, options = tail.split(" ", 2)
        if kind == "cgroup" and "memory" in options.split(","):
            return pathlib.Path(head.split()[4]), "memory.limit_in_bytes"
        if kind == "cgroup2":
            found = pathlib.Path(head.split()[4]), "memory.max"
    return found


@contextlib.contextmanager
def control_group(name, pid, limit):
    """A group of its own for the process; None where none can be made."""
    mount, limit_file = memory_groups() or (None, None)
    group = mount / name if mount is not None else None
    try:
        group.mkdir()
        (group / limit_file).write_text(str(limit))
        (group / "cgroup.procs").write_text(str(pid))
    except (AttributeError, OSError):
        if group is not None and group.is_dir():
            group.rmdir()
        yield None
        return
    try:
        yield group
    finally:
        remove(group)


def remove(group):
    """Its processes must have ended, or go back to where they came from."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (group.parent / "cgroup.procs").write_text(pid)
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.02)


def rows(path):
    """Comments of the head, and the rows by column."""
    lines = path.read_text().splitlines()
    head = [line[2:] for line in lines if line.startswith("#")]
    return head, list(csv.DictReader(line for line in lines if not line.startswith("#")))


def events(run_dir, kind):
    with open(run_dir / "events.csv", newline="") as file:
        return [row["text"] for row in csv.DictReader(file) if row["kind"] == kind]


SOURCES = """
[memory page]
source = prometheus
url = {page.url}
metric = heap_bytes
match = area="a"
client_cert = {other}/clients/client-1.pem
server_ca = {other}/ca.pem
every = 250ms
[memory exporter]
source = prometheus
url = https://127.0.0.1:{node.port}/metrics
pid = {node.pid}
every = 250ms
[memory told]
source = command
command = awk '/RssAnon/ {{print $2 * 1024}}' /proc/{server.pid}/status
every = 250ms
{groups}
[hook]
on_leak = echo seen {{pid}}; cp /proc/{{pid}}/status {{run}}/leak.status; exit 3
on_end = test -e {{run}}/leak.status && touch {{run}}/after
"""
GROUPS = """
[memory group]
source = cgroup
[memory all]
source = cgroup
path = {parent}/tlsoak-t?st-{server.pid}
metric = current
[memory sockets]
source = cgroup
path = {path}
metric = sock
"""


def soak_all(folder):
    """One run of 14 s over a server that keeps 4 KiB a request."""
    pki, other = make_pki(folder / "pki"), make_pki(folder / "other")
    with embedded(folder, pki, "--leak", "request=4KiB", credentials=False) as server, \
            Exporter(other, server.pid) as page, node_exporter(folder, pki) as node, \
            control_group(f"tlsoak-test-{server.pid}", server.pid, 8 << 30) as group:
        groups = GROUPS.format(server=server, parent=group.parent, path=group) if group else ""
        sources = SOURCES.format(page=page, node=node, server=server, other=other, groups=groups)
        text = load_text(server, pki, "duration = 14s\nthreads = 1", "mode = open\nrate = 600/s\nconnections = 8",
                         memory=None) + sources
        done = tlsoak("run", profile(folder, text), "-o", folder / "run", binary=RELEASE)
        again = tlsoak("analyse", folder / "run", "--format", "json")
    assert done.returncode == 1, done.stdout + done.stderr
    judged = {finding["source"]: finding for finding in verdict(folder / "run")["memory"]}
    if any("too few readings" in finding["reason"] for finding in judged.values()):
        raise Starved(done.stdout)  # each is read four times a second or more
    return {"dir": folder / "run", "done": done, "page": page, "server": server, "group": group, "judged": judged,
            "again": again.stdout}


def stop(folder):
    """A run that is to end before its server, which keeps 64 KiB a request, is large."""
    pki = make_pki(folder / "pki")
    with embedded(folder, pki, "--leak", "request=64KiB", credentials=False) as server:
        text = load_text(server, pki, "duration = 5m\nthreads = 1", "mode = open\nrate = 200/s\nconnections = 4",
                         memory="stop_at = 140MiB")
        return folder, tlsoak("run", profile(folder, text), "-o", folder / "run", binary=RELEASE)


def kill(folder):
    """The same server in a control group that is too small for it."""
    pki = make_pki(folder / "pki")
    with embedded(folder, pki, "--leak", "request=64KiB", credentials=False) as server, \
            control_group(f"tlsoak-oom-{server.pid}", server.pid, 24 * MIB) as group:
        if group is None:
            return None, None
        text = load_text(server, pki, "duration = 8s\nthreads = 1", "mode = open\nrate = 200/s\nconnections = 4",
                         memory=None) + f"[memory group]\nsource = cgroup\npath = {group}\n"
        done = tlsoak("run", profile(folder, text), "-o", folder / "run")
        assert server.process.wait(20) != 0
        return folder, done


def lose(folder):
    """A page that tells nothing any more after two seconds; what a scraper of ours reads says so."""
    pki, port = make_pki(folder / "pki"), free_port()
    with embedded(folder, pki, credentials=False) as server, Exporter(pki, server.pid, 8) as page:
        text = load_text(server, pki, "duration = 40s\nthreads = 1", "mode = open\nrate = 20/s\nconnections = 2",
                         memory=None) + f"[memory page]\nsource = prometheus\nurl = {page.url}\nmetric = heap_bytes\n" \
                                        'match = area="a"\nevery = 250ms\n' \
                                        f"[output]\nlisten = 127.0.0.1:{port}\n"
        seen = []
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            done = pool.submit(tlsoak, "run", profile(folder, text), "-o", folder / "run")
            while not done.done():
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                    seen += re.findall(r'^tlsoak_server_readable\{source="page"\} (\d)$', answer.read().decode(), re.M)
                time.sleep(0.2)
        return folder, done.result(), seen


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return all_at_once(tmp_path_factory, {"soaked": soak_all, "stopped": stop, "killed": kill, "lost": lose})


@pytest.fixture(scope="module")
def soaked(runs):
    return runs["soaked"]


def leaks(finding, metric):
    assert finding["metric"] == metric and finding["class"] == "leak", finding
    assert finding["slope_bytes_per_second"]["low"] > MIB  # 600 requests of 4 KiB are 2.3 MiB


def test_a_leak_is_found_on_a_page_of_metrics(soaked):
    leaks(soaked["judged"]["page"], "heap_bytes")
    head, readings = rows(soaked["dir"] / "memory.csv")
    assert "metric heap_bytes" in head and "runtime native" in head
    told = [int(row["heap_bytes"]) for row in readings if row["heap_bytes"]]
    assert len(told) >= 12 and set(told) <= {2 * (n // 2) for n in soaked["page"].told}
    assert soaked["page"].clients == {"client-1"}


def test_a_leak_is_found_by_a_command(soaked):
    leaks(soaked["judged"]["told"], "command_bytes")


def test_what_is_no_reading_is_a_gap_and_an_event(soaked):
    _, readings = rows(soaked["dir"] / "memory.csv")
    assert sum(row["heap_bytes"] == "" for row in readings) >= len(FAULTS)
    assert all(int(row["heap_bytes"]) > MIB for row in readings if row["heap_bytes"])
    told = [text for text in events(soaked["dir"], "memory") if text.startswith("memory page was not read: prometheus: ")]
    assert len(told) == 1  # and not again within a minute


def test_an_exporter_of_debian_is_read_with_mutual_tls(soaked):
    finding = soaked["judged"]["exporter"]
    assert finding["metric"] == "process_resident_memory_bytes" and finding["class"] != "leak"
    head, readings = rows(soaked["dir"] / "memory.exporter.csv")
    assert "runtime go" in head
    pairs = [(int(row["process_resident_memory_bytes"]), int(row["rss_bytes"])) for row in readings
             if row["process_resident_memory_bytes"]]
    assert len(pairs) >= 12
    for told, seen in pairs:  # by itself, and by the kernel a moment later
        assert abs(told - seen) < 4 * MIB


def test_on_leak_runs_before_on_end(soaked):
    log = (soaked["dir"] / "hook.log").read_text()
    assert f"\nseen {soaked['server'].pid}\n" in log and log.index("on_leak begins") < log.index("on_end begins")
    assert f"Pid:\t{soaked['server'].pid}\n" in (soaked["dir"] / "leak.status").read_text()
    assert (soaked["dir"] / "after").exists()
    assert events(soaked["dir"], "hook") == ["hook.on_leak: sh ended with exit code 3"]


def test_a_stored_run_is_judged_alike(soaked):
    assert soaked["again"] == (soaked["dir"] / "verdict.json").read_text()


def test_a_leak_is_found_in_a_control_group(soaked):
    if soaked["group"] is None:
        pytest.skip("no control group with memory can be made here")
    leaks(soaked["judged"]["group"], "cgroup_anon_bytes")
    leaks(soaked["judged"]["all"], "cgroup_current_bytes")
    assert soaked["judged"]["sockets"]["metric"] == "cgroup_sock_bytes"
    assert soaked["judged"]["sockets"]["class"] in ("stable", "bounded")  # nothing, or nearly so, is an amount
    head, readings = rows(soaked["dir"] / "memory.group.csv")
    assert f"limit {8 << 30}" in head  # that of the group, since the profile has none
    assert soaked["judged"]["group"]["seconds_to_limit"] is not None
    assert all(row["cgroup_anon_bytes"] for row in readings) and len(readings) >= 30
    # what was there before the server came into the group is not in it
    grown = [int(readings[-1][c]) - int(readings[0][c]) for c in ("cgroup_anon_bytes", "anon_bytes")]
    assert 0.9 < grown[0] / grown[1] < 1.1


def test_the_run_ends_before_stop_at(runs):
    folder, done = runs["stopped"]
    assert done.returncode in (1, 3), done.stdout + done.stderr
    run = totals(folder / "run")
    assert re.fullmatch(r"memory of server is [\d.]+ MiB and grows, and memory.stop_at is 140 MiB", run["ended_early"])
    assert verdict(folder / "run")["ended_early"] == run["ended_early"] and run["finished"]
    _, readings = rows(folder / "run" / "memory.csv")
    levels = [int(row["anon_bytes"]) for row in readings]
    assert max(levels) < 140 * MIB and levels[-1] > levels[0] + 10 * MIB


def test_a_source_that_is_lost_makes_the_run_invalid(runs):
    folder, done, seen = runs["lost"]
    assert done.returncode == 4, done.stdout + done.stderr
    assert "page" in verdict(folder / "run")["reason"], done.stdout
    assert any("503" in text for text in events(folder / "run", "memory"))
    assert "1" in seen and seen[-1] == "0"
    _, readings = rows(folder / "run" / "memory.csv")
    assert readings and all(int(row["heap_bytes"]) > MIB for row in readings if row["heap_bytes"])


def test_the_kernel_kills_a_server_for_want_of_memory(runs):
    folder, done = runs["killed"]
    if folder is None:
        pytest.skip("no control group with memory can be made here")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "memory group: out of memory: the kernel has killed 1 of its processes" in events(folder / "run", "memory")


@pytest.mark.parametrize("source, told", [
    ("source = prometheus\nurl = http://127.0.0.1:{port}/metrics", "Connection refused"),
    ("source = prometheus\nurl = {page.url}", "not issued by the CA of the profile"),
    ("source = prometheus\nurl = {page.url}\nserver_ca = {other}/ca.pem", "does not trust the CA of the client"),
    ("source = prometheus\nurl = {page.url}\nserver_ca = {other}/ca.pem\nclient_cert = {other}/clients/client-1.pem\n"
     "metric = heap_byte", "heap_byte is not on the page; did you mean heap_bytes?"),
    ("source = cgroup\npath = no-such-group-?", "0 control groups match"),
])
def test_a_source_that_tells_nothing_is_a_mistake(tmp_path_factory, wrong_sources, source, told):
    pki, other, server, page = wrong_sources
    folder = tmp_path_factory.mktemp("wrong")
    if "cgroup" in source and memory_groups() is None:
        pytest.skip("no control group with memory can be made here")
    text = load_text(server, pki, "duration = 1s\nthreads = 1", "connections = 1", memory=None)
    text += "[memory told]\n" + source.format(page=page, other=other, port=free_port()) + "\n"
    done = tlsoak("run", profile(folder, text), "-o", folder / "run")
    assert done.returncode == 2 and told in done.stderr, done.stdout + done.stderr
    kind = "cgroup" if "cgroup" in source else "prometheus"
    assert f"memory told: {kind}: " in done.stderr and not (folder / "run").exists()


@pytest.fixture(scope="module")
def wrong_sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong-pki")
    pki, other = make_pki(folder / "pki"), make_pki(folder / "other")
    with embedded(folder, pki, credentials=False) as server, Exporter(other, server.pid) as page:
        yield pki, other, server, page
