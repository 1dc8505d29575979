"""Readings right after a forced collection, by an endpoint or a command, and numbers that a command tells."""
import contextlib
import csv
import pathlib
import subprocess

import pytest

from servers import Starved, embedded, make_pki, need, nginx, profile, ready_server, tlsoak

GO_HEAP = pathlib.Path(__file__).parents[1] / "targets" / "go-heap"
MIB = 1 << 20


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 2)


@pytest.fixture(scope="module")
def go_heap(tmp_path_factory):
    program = tmp_path_factory.mktemp("go") / "go-heap"
    subprocess.run([need("go"), "build", "-o", program, "."], cwd=GO_HEAP, check=True)
    return program


@contextlib.contextmanager
def go_server(program, folder, pki, *options):
    command = [program, "--ca", f"{pki}/ca.pem", "--cert", f"{pki}/server.pem", "--key",
               f"{pki}/server.key", *map(str, options)]
    with ready_server(command, folder / "go.log") as server:
        server.plain = "http://" + server.ready["plain"]
        yield server


def soak(folder, pki, server, memories, seconds, more=""):
    """Runs a little load beside these [memory] sections; returns the run's directory and what was said."""
    text = f"""
[run]
duration = {seconds}s
threads = 1
[target]
url = {server.url}
server_ca = {pki}/ca.pem
[pace]
mode = open
rate = 200/s
connections = 4
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
{more}
{memories}
"""
    done = tlsoak("run", profile(folder, text), "-o", folder / "run", "--quiet", "--inconclusive-ok")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    if any("before the deadline" in row["text"] for row in events(folder / "run")):
        raise Starved(done.stderr)  # none of the programs here takes a second by itself
    return folder / "run", done.stderr


def series(path):
    """Comments of the head, and the rows by column."""
    lines = path.read_text().splitlines()
    head = [line[2:] for line in lines if line.startswith("#")]
    return head, list(csv.DictReader(line for line in lines if not line.startswith("#")))


def told(rows):
    return [int(row["command_bytes"]) for row in rows if row["command_bytes"]]


def events(run_dir):
    with open(run_dir / "events.csv", newline="") as file:
        return [row for row in csv.DictReader(file) if row["kind"] == "memory"]


def test_a_go_heap_is_flat_after_forced_collections_and_saw_tooths_between(tmp_path, pki, go_heap):
    with go_server(go_heap, tmp_path, pki) as server:
        ask = f"command = {go_heap} --ask {server.plain}/heap\nsource = command\n"
        run_dir, _ = soak(tmp_path, pki, server, f"""
[memory live]
{ask}
every = 50ms
[memory floor]
{ask}
settle = {server.plain}/debug/pprof/heap?gc=1
every = 1s
""", 6)
    head, live = series(run_dir / "memory.csv")
    assert "floors yes" not in head and "runtime go" in head
    head, floor = series(run_dir / "memory.floor.csv")
    assert "floors yes" in head and "runtime go" in head
    assert len(told(floor)) >= 3 and len(told(live)) >= 10
    # 64 KiB of garbage a request, 200 requests between two collections
    assert max(told(live)) - min(told(live)) > 4 * MIB
    after_start = told(floor)[1:]
    assert max(after_start) - min(after_start) < 1 * MIB
    # the process is read as well, and the same one throughout
    assert all(int(row["rss_bytes"]) > 0 for row in floor if row["command_bytes"])
    assert len({row["incarnation"] for row in floor if row["incarnation"]}) == 1
    assert events(run_dir) == []


def test_what_is_retained_stays_in_the_floors(tmp_path, pki, go_heap):
    with go_server(go_heap, tmp_path, pki, "--retain", 10000) as server:
        run_dir, _ = soak(tmp_path, pki, server, f"""
[memory floor]
source = command
command = sh -c "{go_heap} --ask '{server.plain}/debug/pprof/heap?gc=1&debug=1' | sed -n 's/^# HeapAlloc = //p'"
settle = command
every = 500ms
""", 6)
    _, rows = series(run_dir / "memory.csv")
    rows = [row for row in rows if row["command_bytes"]]
    first, last = rows[1], rows[-1]
    requests = int(last["requests"]) - int(first["requests"])
    grown = int(last["command_bytes"]) - int(first["command_bytes"])
    assert requests > 200
    assert 0.9 * 10240 < grown / requests < 1.3 * 10240  # 10,000 bytes in Go's size class


def test_a_dwell_ends_with_a_floor(tmp_path, pki, go_heap):
    with go_server(go_heap, tmp_path, pki) as server:
        run_dir, _ = soak(tmp_path, pki, server, f"""
[memory floor]
settle = {server.plain}/debug/pprof/heap?gc=1
every = 1s
""", 12, "[attribution]\nmode = crossover\nwarmup = 3s\ndwell = 2s")
    times = [float(row["time_s"]) for row in series(run_dir / "memory.csv")[1] if row["rss_bytes"]]
    dwells = [t for t in times if t > 3.5]
    assert len([t for t in times if t < 2.5]) >= 2  # each second before the first dwell
    assert 3 <= len(dwells) <= 5
    for t in dwells:  # nearer to an end of a dwell than to the middle of one
        assert abs((t - 3) / 2 - round((t - 3) / 2)) < 0.25, times


def test_an_endpoint_that_fails_makes_gaps_and_is_named(tmp_path, pki, go_heap):
    with go_server(go_heap, tmp_path, pki) as server:
        run_dir, stderr = soak(tmp_path, pki, server, f"""
[memory live]
[memory floor]
settle = {server.plain}/no/such/page
every = 200ms
""", 3)
    _, rows = series(run_dir / "memory.floor.csv")
    assert len(rows) >= 3 and not any(row["rss_bytes"] for row in rows)
    assert [event["text"] for event in events(run_dir)] == [
        "memory floor was not read: settle: the endpoint answered 404"]
    assert "the endpoint answered 404" in stderr


def test_an_endpoint_may_speak_tls(tmp_path, pki):
    (tmp_path / "nginx").mkdir()
    open_to_all = "ssl_verify_client off; location /gone { return 410; }"
    with embedded(tmp_path, pki, credentials=False) as server, \
            nginx(tmp_path / "nginx", pki, extra=open_to_all) as endpoint:
        run_dir, _ = soak(tmp_path, pki, server, f"""
[memory floor]
settle = {endpoint.url}gc?now=1
every = 200ms
[memory gone]
settle = {endpoint.url}gone
every = 200ms
""", 3)
        log = endpoint.access_log.read_text().splitlines()
    head, rows = series(run_dir / "memory.csv")
    good = [row for row in rows if row["rss_bytes"]]
    assert "floors yes" in head and len(good) >= 3
    assert len([line for line in log if line.split()[1] == "200"]) >= len(good)
    assert not any(row["rss_bytes"] for row in series(run_dir / "memory.gone.csv")[1])
    assert [event["text"] for event in events(run_dir)] == [
        "memory gone was not read: settle: the endpoint answered 410"]


JAVA = """
import java.nio.file.*;
public class Heap {
    static volatile byte[] waste;
    public static void main(String[] arguments) throws Exception {
        Files.writeString(Path.of(arguments[0]), "up");
        for (;;) { waste = new byte[65536]; Thread.sleep(2); }
    }
}
"""


@contextlib.contextmanager
def child(command, sign):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        while not sign.exists():
            assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_jvm_is_settled_and_read_by_jcmd(tmp_path, pki):
    need("jcmd")
    (tmp_path / "Heap.java").write_text(JAVA)
    subprocess.run([need("javac"), "-d", tmp_path, tmp_path / "Heap.java"], check=True)
    java = [need("java"), "-Xms64m", "-Xmx64m", "-XX:+UseSerialGC", "-cp", tmp_path, "Heap",
            tmp_path / "up"]
    # as tlsoak's own advice has it; a histogram counts after a collection of its own
    live = r'''sh -c "printf '%s\n' GC.run GC.run GC.run GC.class_histogram | jcmd {pid} -f /dev/stdin | ''' \
        r'''sed -n 's/^Total *[0-9]* *//p'"'''
    with embedded(tmp_path, pki, credentials=False) as server, child(java, tmp_path / "up") as jvm:
        run_dir, _ = soak(tmp_path, pki, server, f"""
[memory server]
[memory jvm]
pid = {jvm.pid}
source = command
command = {live}
settle = command
every = 3s
[memory run]
pid = {jvm.pid}
settle = jcmd {{pid}} GC.run
every = 3s
""", 12)
    head, rows = series(run_dir / "memory.jvm.csv")
    assert "runtime jvm" in head and "floors yes" in head
    assert len(told(rows)) >= 3, events(run_dir)
    assert max(told(rows)) < 8 * MIB  # 30 MiB of garbage a second come between
    assert max(told(rows)[1:]) - min(told(rows)[1:]) < MIB // 4
    assert any(row["rss_bytes"] for row in series(run_dir / "memory.run.csv")[1]), events(run_dir)


def test_node_is_recognised(tmp_path, pki):
    script = f"require('fs').writeFileSync('{tmp_path}/up', ''); setInterval(() => {{}}, 1000)"
    with embedded(tmp_path, pki, credentials=False) as server, \
            child([need("node"), "-e", script], tmp_path / "up") as node:
        run_dir, _ = soak(tmp_path, pki, server, f"[memory server]\n[memory node]\npid = {node.pid}\n", 2)
    assert "runtime native" in series(run_dir / "memory.csv")[0]
    assert "runtime node" in series(run_dir / "memory.node.csv")[0]
