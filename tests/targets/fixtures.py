"""Servers of the fleet: how each is built, started, and asked what it holds."""
import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "integration"))

import servers  # noqa: E402
import thirdparty  # noqa: E402

READY_WITHIN_S = 60  # a JVM on a busy machine
FLOOR_WITHIN_S = 60

# lines of [memory]: the live heap after a collection, by the means of each runtime's users
# (the JDK compacts in one collection of four, MarkSweepAlwaysCompactCount; in Go the second takes what sync.Pool still
# had, and a goroutine that waits for ever keeps its stack, which is no part of the heap)
JCMD = """source = command
command = sh -c "printf '%s\\n' GC.run GC.run GC.run GC.class_histogram | jcmd {pid} -f /dev/stdin | sed -n 's/^Total *[0-9]* *//p'"
settle = command
"""
PPROF = """source = command
command = sh ask.sh GET /debug/pprof/heap?gc=1&debug=1 --times 5 --sum '# (?:HeapAlloc|Stack) = ([0-9]+)'
settle = command
"""
# the same of caddy, whose administration listens in the row's folder
CADDY = PPROF.replace("sh ask.sh GET ", f"{shlex.join([sys.executable, str(HERE / 'ask.py')])} GET http+unix://admin.sock")


class Missing(Exception):
    """This machine can't run it; the reason."""


@dataclasses.dataclass(frozen=True)
class Fixture:
    """`sources`: what its results depend on, below tests/targets. `memory`: of [memory], where tlsoak's own choice, the
    process, would show garbage too. `collected`: its own account of the heap comes only when asked for. `jvm`: and takes
    a second."""
    sources: tuple
    memory: str = ""
    collected: bool = False
    jvm: bool = False


FIXTURES = {
    "axum": Fixture(("rust/Cargo.toml", "rust/Cargo.lock", "rust/fixture", "rust/axum-target")),
    "actix": Fixture(("rust/Cargo.toml", "rust/Cargo.lock", "rust/fixture", "rust/actix-target")),
    "chi": Fixture(("chi",), PPROF, True),
    "ring": Fixture(("ring",), JCMD, True, True),
    "axum-server-0.2.1": Fixture(("rust-replay", "rust/fixture")),
    "axum-server-0.2.2": Fixture(("rust-replay", "rust/fixture")),
    "jetty": Fixture(("jetty-replay",), collected=True, jvm=True),
    "go-mtls": Fixture(("go-mtls",)),
}


def fixture_of(name):
    if name == "embedded":
        return Fixture(("../../src/demo",))
    if name.startswith("thirdparty/"):
        sources = (f"{name}.conf.in", "thirdparty/backend.conf.in", "thirdparty.py")
        return Fixture(sources, CADDY, True) if name == "thirdparty/caddy" else Fixture(sources)
    if name in FIXTURES:
        return FIXTURES[name]
    family = name.split("-")[0]  # jetty-12.1.5 and its like
    if family in FIXTURES:
        return FIXTURES[family]
    raise KeyError(name)


_built, _lock = {}, threading.Lock()


def build(name):
    """The command line's beginning; built once a process."""
    with _lock:
        if name not in _built:
            done = subprocess.run([HERE / "build", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            if done.returncode == 77:
                raise Missing(last.removeprefix("tests/targets/build: "))
            if done.returncode != 0:
                raise RuntimeError(f"tests/targets/build {name}: exit code {done.returncode}\n{done.stderr}")
            _built[name] = shlex.split(done.stdout.strip().splitlines()[-1])
        return _built[name]


class Target:
    """A server that accepts. `secrets`: it asks for API keys and tokens."""

    def __init__(self, pid, url, impl, truth=None, memory="", secrets=True, process=None):
        self.pid, self.url, self.impl, self.truth = pid, url.rstrip("/"), impl, truth
        self.memory, self.secrets, self.process = memory, secrets, process

    def lines(self):
        if self.truth is None or not self.truth.exists():
            return []
        whole = self.truth.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def floor(self):
        """What it holds after a collection: the line of truth that says so."""
        n = sum(bool(line.get("floor")) for line in self.lines())
        self.process.stdin.write(b"floor\n")
        self.process.stdin.flush()
        deadline = time.monotonic() + FLOOR_WITHIN_S
        while time.monotonic() < deadline:
            floors = [line for line in self.lines() if line.get("floor")]
            if len(floors) > n:
                return floors[-1]
            if self.process.poll() is not None:
                raise RuntimeError("the server ended instead of telling what it holds")
            time.sleep(0.05)
        raise RuntimeError(f"the server told no floor within {FLOOR_WITHIN_S} s")


def command(row, pki, folder, tlsoak):
    """Options that all servers of the fleet have; those of `tlsoak serve` mean the same."""
    files = ["--ca", pki / "ca.pem", "--cert", pki / "server.pem", "--key", pki / "server.key", "--apikey-secret",
             pki / "apikey.secret", "--jwt-secret", pki / "jwt.secret", "--truth", folder / "truth.jsonl"]
    if row.fixture == "embedded":
        leak = [] if row.mode == "none" else shlex.split(row.mode)
        return [tlsoak, "serve", "--watch-stdin", *files, *leak, *row.options]
    return [*build(row.fixture), *row.options, "--listen", "127.0.0.1:0", *files, "--leak", row.mode]


def first_line(process, log):
    """The READY line, within a minute."""
    timer = threading.Timer(READY_WITHIN_S, process.kill)
    timer.start()
    line = process.stdout.readline().decode(errors="replace")
    timer.cancel()
    if not line.startswith("READY "):
        process.kill()
        process.wait()
        raise RuntimeError(f"no READY within {READY_WITHIN_S} s, but \"{line.strip()}\": {log.read_text().strip()}")
    return json.loads(line[6:])


@contextlib.contextmanager
def started(row, pki, folder, tlsoak):
    """The row's server, with its log and truth in the folder; ended afterwards, and it must end in time."""
    folder.mkdir(parents=True, exist_ok=True)
    if row.fixture.startswith("thirdparty/"):
        with thirdparty.started(row.fixture.partition("/")[2], pki, folder) as (server, impl):
            yield Target(server.pid, server.url, impl, memory=fixture_of(row.fixture).memory, secrets=False)
        return
    log = folder / "server.log"
    with open(log, "wb") as err:
        # in its folder: a JVM that is attached to leaves files where it works
        process = subprocess.Popen([str(word) for word in command(row, pki, folder, tlsoak)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=err, cwd=folder)
    server = servers.Server(process, 0, log)
    try:
        ready = first_line(process, log)
        yield Target(ready["pid"], f"https://{ready['addr']}", ready.get("impl", "tlsoak serve"),
                     folder / "truth.jsonl", fixture_of(row.fixture).memory, True, process)
    finally:
        server.stop()
        process.stdin.close()
        process.stdout.close()


def alive(target):
    return target.process is None or target.process.poll() is None


def exists(name):
    """Whether its sources are here."""
    try:
        fixture = fixture_of(name)
    except KeyError:
        return False
    return all((HERE / source).exists() for source in fixture.sources)


def environment(target):
    return {**os.environ, "TARGET_URL": target.url + "/"}
