"""The profile's hook: it rotates something on the server, and each rotation is counted, or told.  That a designed run
finds what a rotation keeps is in test_judge_live.py."""
import csv
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from servers import TLSOAK, embedded, last_truth, make_pki, profile, tlsoak, totals

SOAK = """
[run]
duration = {duration}s
threads = 1
[target]
url = {url}
server_ca = {pki}/ca.pem
[pace]
mode = open
rate = {rate}/s
connections = 4
requests_per_connection = 4
[cert]
source = mint
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
pick = fresh
[memory server]
pid = {pid}
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


def soak(folder, pki, server, more, rate=50, **options):
    text = SOAK.format(url=server.url, pki=pki, pid=server.pid, duration=3, rate=rate) + more
    done = tlsoak("run", profile(folder, text), "-o", folder / "run", **options)
    return done, folder / "run"


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def events(run_dir):
    return [row["text"] for row in rows(run_dir / "events.csv") if row["kind"] == "hook"]


def test_each_rotation_is_counted(tmp_path, pki):
    """As many as the server says, in the totals, in the series at their time, and in the report."""
    hook = """
[hook]
on_start = echo "$PATH" >{run}/start; env >{run}/environment; sleep 2
rotate = echo about to rotate; kill -HUP {pid}
every = 300ms
on_end = test -e {run}/start && echo ended >{run}/end
"""
    with embedded(tmp_path, pki, "--leak", "rotation=64KiB", credentials=False) as server:
        done, run_dir = soak(tmp_path, pki, server, hook, env={"TLSOAK_TEST_SECRET": "canary"})
        assert done.returncode in (0, 1, 3), done.stdout + done.stderr
        truth = last_truth(server)
    n = totals(run_dir)["totals"]["rotations"]
    assert 5 <= n <= 10
    assert truth["rotations"] == n
    assert truth["kept_bytes"] == {"rotation": n * 64 * 1024}
    assert f"{n} by the hook" in done.stdout
    counts = [int(row["rotations"]) for row in rows(run_dir / "memory.csv")]
    assert counts == sorted(counts) and counts[0] == 0 and n - 1 <= counts[-1] <= n
    assert max(b - a for a, b in zip(counts, counts[1:])) == 1
    assert float(rows(run_dir / "memory.csv")[0]["time_s"]) < 1.5  # the load began after on_start
    assert rows(run_dir / "ticks.csv")[-1]["rotations"] == str(n)
    assert (run_dir / "hook.log").read_text().count("about to rotate\n") == n
    assert (run_dir / "end").read_text() == "ended\n"
    assert "/" in (run_dir / "start").read_text()
    assert "canary" not in (run_dir / "environment").read_text()
    assert not events(run_dir)


def test_connections_go_on_across_a_rotation(tmp_path, pki):
    """The server takes the new certificate for new connections, and the old ones live on."""
    with embedded(tmp_path, pki, credentials=False) as server:
        done, run_dir = soak(tmp_path, pki, server, "[hook]\nrotate = kill -HUP {pid}\nevery = 100ms\n",
                             rate=400)
        truth = last_truth(server)
    counts = totals(run_dir)["totals"]
    assert truth["rotations"] == counts["rotations"] >= 10
    assert counts["failed"] == counts["dial_failed"] == 0, done.stdout
    assert truth["connections"] == counts["handshake_full"] > 100


def shown_certificate(server, pki):
    """What the server shows to a client of the first CA, in PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(pki / "clients" / "client-1.pem")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        with context.wrap_socket(raw) as tls:
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True)).strip()


def rotate(server, done):
    """Tells the server to rotate, and waits until it has."""
    server.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 20
    while not done():
        assert time.monotonic() < end, server.log.read_text()
        time.sleep(0.01)


def test_the_embedded_server_takes_its_new_certificate(tmp_path, pki):
    own, other = tmp_path / "own", make_pki(tmp_path / "other")
    shutil.copytree(pki, own)
    before, after = ((folder / "server.pem").read_text().strip() for folder in (own, other))
    with embedded(tmp_path, own, credentials=False) as server:
        assert shown_certificate(server, own) == before
        for name in ("server.pem", "server.key"):
            shutil.copy(other / name, own / name)
        rotate(server, lambda: shown_certificate(server, own) == after)
        (own / "server.pem").write_text("broken")
        rotate(server, lambda: "the old certificate stays" in server.log.read_text())
        assert shown_certificate(server, own) == after
        assert last_truth(server)["rotations"] == 1


@pytest.mark.parametrize("command, told", [
    ("echo the store is gone >&2; exit 3", "hook.rotate: sh ended with exit code 3: the store is gone"),
    ("sleep 1000", "hook.rotate: sh did not end before the deadline"),
])
def test_what_fails_is_told_and_not_counted(tmp_path, pki, command, told):
    hook = f"[hook]\nrotate = {command}\nevery = 800ms\ndeadline = 300ms\non_start = exit 4\n"
    with embedded(tmp_path, pki, credentials=False) as server:
        done, run_dir = soak(tmp_path, pki, server, hook)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert totals(run_dir)["totals"]["rotations"] == 0
    first, *others = events(run_dir)
    assert first == "hook.on_start: sh ended with exit code 4"
    assert set(others) == {told} and 2 <= len(others) <= 4
    assert done.stderr.count(told) == 1  # a warning, not again within a minute
    ticks = [float(row["time_s"]) for row in rows(run_dir / "ticks.csv")]
    assert max(b - a for a, b in zip(ticks, ticks[1:])) < 1.7, ticks  # none waited for the hook


def interrupted(folder, pki, server, hook, duration=600, again=False):
    """Ctrl-C while a hook runs, which says so by a file, and again while another does: exit code and output."""
    text = SOAK.format(url=server.url, pki=pki, pid=server.pid, duration=duration, rate=50) + hook
    command = [TLSOAK, "run", profile(folder, text), "-o", folder / "run"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not (folder / "run" / "begun").exists():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    while again and not (folder / "run" / "ending").exists():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.01)
    if again:
        process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


@pytest.mark.parametrize("command", ["rotate", "on_start"])
def test_ctrl_c_ends_the_hook_that_runs(tmp_path, pki, command):
    hook = f"""
[hook]
{command} = cd {{run}}; echo $$ >pid; touch begun; sleep 1000
deadline = 1h
on_end = touch {{run}}/end
"""
    with embedded(tmp_path, pki, credentials=False) as server:
        code, output = interrupted(tmp_path, pki, server, hook + ("every = 5s" if command == "rotate" else ""))
    assert code == 6, output
    run_dir = tmp_path / "run"
    assert f"hook.{command}: sh was ended with the run" in output
    assert events(run_dir) == [f"hook.{command}: sh was ended with the run"]
    assert not pathlib.Path(f"/proc/{(run_dir / 'pid').read_text().strip()}").exists()
    assert totals(run_dir)["totals"]["rotations"] == 0
    assert (run_dir / "end").exists()


@pytest.mark.parametrize("again", [False, True])
def test_ctrl_c_ends_on_end(tmp_path, pki, again):
    """One that comes while it runs, be it the first or the second of the run, leaves nothing of it behind."""
    begun = "on_start = true" if not again else "rotate = touch {run}/begun\nevery = 500ms"
    file = "ending" if again else "begun"
    hook = f"[hook]\n{begun}\ndeadline = 1h\non_end = cd {{run}}; echo $$ >pid; touch {file}; sleep 1000; true\n"
    with embedded(tmp_path, pki, credentials=False) as server:
        code, output = interrupted(tmp_path, pki, server, hook, duration=600 if again else 1, again=again)
    run_dir = tmp_path / "run"
    process = pathlib.Path(f"/proc/{(run_dir / 'pid').read_text().strip()}")
    end = time.monotonic() + 20
    while process.exists():
        assert time.monotonic() < end, output
        time.sleep(0.01)
    if again:
        assert code == 130, output
    else:
        assert code in (0, 1, 3), output
        assert events(run_dir) == ["hook.on_end: sh was ended with the run"]


def test_no_rotation_while_the_load_rests(tmp_path, pki):
    phases = "[phase a]\nduration = 2s\n[phase b]\nduration = 2s\nidle = yes\n"
    with embedded(tmp_path, pki, credentials=False) as server:
        text = SOAK.format(url=server.url, pki=pki, pid=server.pid, duration=4, rate=50).replace("duration = 4s\n", "")
        done = tlsoak("run", profile(tmp_path, text + phases + "[hook]\nrotate = true\nevery = 200ms\n"),
                      "-o", tmp_path / "run")
    assert done.returncode in (0, 1, 3), done.stdout + done.stderr
    assert 5 <= totals(tmp_path / "run")["totals"]["rotations"] <= 10
