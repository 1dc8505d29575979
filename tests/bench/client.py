#!/usr/bin/env python3
"""What tlsoak costs as a client, beside the peers that are installed, as ratios taken in one run.

usage: client.py --tlsoak BINARY --floor BENCH_FLOOR [--other BINARY] [--repetitions N] [--connections N]
                 [--only TEXT] [--write FILE]

The method: nginx (one worker) on core 0, the client on core 1, loopback only, all rows interleaved, medians of N
repetitions. CPU is user + system of the whole client process per unit of work, without what tlsoak and Go's client
need to start (tlsoak tests the TLS library's speed for 50 ms, and writes its report). The bare cryptography is measured
while core 0 does the same, as the server does beside a client: a core is slower when its neighbour works. Absolute times
depend on machine and hour; only the ratios of one run are fit to be compared.

A client that is quicker than nginx waits for it. The cores are kept awake meanwhile (the kernel's latency request, PM QoS):
one that goes to sleep is often given away by a hypervisor, and the client pays for what it finds there afterwards. Who
waits also gets its work in small pieces, which costs more. So the figures with a goal are taken a second time of saturated
clients: with busy processes beside them on core 1 they get a third of it and find the server ahead.
"""
import argparse
import collections
import contextlib
import datetime
import json
import os
import pathlib
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from peers import Peers, Server, cpu_of, find
from costs import allocations, system_calls

PROFILE = """
[run]
duration = {duration}
threads = 1
[target]
url = {url}
server_ca = {pki}/ca.pem
tls_max = {tls}
{target}
[pace]
connections = {connections}
requests_per_connection = {requests}
{pace}
[cert]
{cert}
"""

# title: what the own column and the peer's are; goal and aim are of own / peer, or of own alone.
Figure = collections.namedtuple("Figure", "title unit own peer against goal aim")


CROWD = 2  # busy processes beside a saturated client


class Client:
    """tlsoak with one profile after the other against one server."""

    def __init__(self, binary, server, folder):
        self.binary, self.server = binary, server
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=folder))
        self.files = f"source = files\npath = {server.pki}/clients/client-1.pem"
        self.n = 0
        idle = dict(duration="1s", connections=1, requests=0, pace="think_time = 10m")
        self.start_s = statistics.median(self.run(**idle)[0] for _ in range(3))

    def text(self, url="full", duration="6s", tls="1.3", connections=16, requests=1, cert=None, pace="",
             target=""):
        return PROFILE.format(url=self.server.url(url), pki=self.server.pki, duration=duration, tls=tls,
                              connections=connections, requests=requests, cert=cert or self.files, pace=pace,
                              target=target)

    def run(self, **options):
        """(CPU seconds, totals, KiB at the peak) of a run."""
        self.n += 1
        run_dir, path = self.dir / f"run-{self.n}", self.dir / "bench.ini"
        path.write_text(self.text(**options))
        cpu, out, peak, code = cpu_of([self.binary, "run", path, "-q", "-o", run_dir], self.dir / "out")
        if code not in (0, 3):
            raise RuntimeError(out)
        return cpu, json.loads((run_dir / "run.json").read_text())["totals"], peak

    def cost(self, unit, **options):
        """CPU microseconds of the whole process, its start left out, for each unit of work."""
        cpu, totals, _ = self.run(**options)
        return (cpu - self.start_s) * 1e6 / totals[unit]

    def minted(self, count):
        """CPU microseconds of the worker for each handshake, with so many identities in turn."""
        ca = self.server.pki / "ca.pem"
        cert = f"ca = {ca}\nca_key = {ca.with_name('ca.key')}\nkey_per_cert = no\ncount = {count}\nrotate = connection"
        _, totals, _ = self.run(cert=cert, duration="4s")
        return totals["cpu_ns"] / 1e3 / totals["handshake_full"]

    def settled_rss(self, **options):
        """KiB of resident memory with all connections idle, each after one exchange."""
        self.n += 1
        run_dir, path = self.dir / f"run-{self.n}", self.dir / "idle.ini"
        path.write_text(self.text(duration="10m", requests=0, pace="think_time = 10m", **options))
        process = subprocess.Popen([self.binary, "run", path, "-q", "-o", run_dir],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while process.poll() is None:
                time.sleep(0.5)
                rows = (run_dir / "ticks.csv").read_text().splitlines() if run_dir.exists() else []
                column = rows[0].split(",").index("completed") if rows else 0
                if len(rows) > 1 and int(rows[-1].split(",")[column]) >= options["connections"]:
                    break
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        finally:
            process.kill()
            process.wait()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def ratios(client, other, peers, floor):
    """The figures that are ratios of CPU time."""
    full = lambda: client.cost("handshake_full")  # noqa: E731
    title = "full mTLS 1.3 handshake and a request"
    unit = "us"
    # of these each has a run of its own beside its peer's: a machine's pace changes within a minute
    yield Figure(title, unit, lambda: full(), peers.go, "Go net/http", 0.75, 0.65)
    yield Figure(title, unit, lambda: full(), peers.ab, "ab -E", 0.66, 0.56)
    yield Figure(title, unit, lambda: full(), lambda: floor()["handshake_us"], "the bare cryptography", 1.45, 1.25)
    yield Figure(title, unit, full, lambda: peers.s_time("-tls1_3", False), "openssl s_time -new", None, None)
    for name in ("oha", "vegeta", "fortio", "k6"):
        yield Figure(title, unit, full, getattr(peers, name), name, None, None)
    if other is not None:
        yield Figure("the same with the BoringSSL of BORINGSSL_ROOT", unit,
                     lambda: other.cost("handshake_full"), peers.ab, "ab -E", 0.46, 0.37)
    yield Figure("full mTLS 1.2 handshake and a request", unit,
                 lambda: client.cost("handshake_full", tls="1.2"), lambda: peers.ab("TLS1.2"), "ab -E", 0.70, 0.60)
    for tls, version, goal, aim in (("1.3", "-tls1_3", 0.55, 0.45), ("1.2", "-tls1_2", 0.45, 0.35)):
        yield Figure(f"resumed TLS {tls} connection and a request", unit,
                     lambda tls=tls: client.cost("handshake_resumed", url="resume", tls=tls, duration="10s",
                                                    pace="resume_ratio = 1"),
                     lambda version=version: peers.s_time(version, True), "openssl s_time -reuse", goal, aim)
    kept = lambda: client.cost("completed", connections=64, requests=0)  # noqa: E731
    yield Figure("request on 64 kept connections", unit, kept, peers.wrk, "wrk, no client certificate", 0.88, 0.78)
    yield Figure("request on 64 kept connections", unit, kept, lambda: peers.ab(keep_alive=True), "ab -k -E", None, None)
    yield Figure("HTTP/2 request, 16 connections, 32 streams", unit,
                 lambda: client.cost("completed", url="h2", requests=0, target="alpn = h2\nexpect_mtls = no", pace="streams = 32"),
                 peers.h2load, "h2load, no client certificate", 0.95, 0.80)
    yield Figure("handshake with 10,000 certificates in turn", unit, lambda: client.minted(10_000),
                 lambda: client.minted(1), "one certificate", 1.03, None)


def awake_cores():
    """While what it returns is open, cores wait instead of sleeping (Documentation/power/pm_qos_interface); None where
    only root may ask for that."""
    try:
        file = open("/dev/cpu_dma_latency", "wb", buffering=0)
        file.write(struct.pack("i", 0))  # microseconds to wake up
    except OSError:
        return None
    return file


@contextlib.contextmanager
def crowded_core():
    """The client's core with busy processes on it."""
    crowd = [subprocess.Popen(["taskset", "-c", "1", sys.executable, "-c", "while True: pass"]) for _ in range(CROWD)]
    try:
        yield
    finally:
        for process in crowd:
            process.kill()
            process.wait()


def saturated(figures):
    """Those with a goal, of clients that have work whenever they run."""
    def crowded(function):
        def inside():
            with crowded_core():
                return function()
        return inside
    return [figure._replace(own=crowded(figure.own), peer=crowded(figure.peer)) for figure in figures
            if figure.goal is not None]


def measure(figures, repetitions):
    """{figure: ([own], [peer])}; a function that several figures share runs once a repetition.  Own and peer are
    measured one after the other, so that their ratio is of one time."""
    values = {figure: ([], []) for figure in figures}
    for i in range(repetitions):
        told = {}
        for figure in figures:
            for function, column in ((figure.own, 0), (figure.peer, 1)):
                key = function if column == 0 else (figure.against, figure.title)
                if key not in told:
                    told[key] = function()
                values[figure][column].append(told[key])
        print(f"repetition {i + 1} of {repetitions}", file=sys.stderr)
    return values


def alone(client, floor, connections, folder):
    """(figure, measured, goal, aim) of what needs no peer."""
    binary = client.binary
    one = client.settled_rss(connections=1)
    yield (f"KiB of memory for an idle mTLS connection, {connections:,} held",
           (client.settled_rss(connections=connections) - one) / (connections - 1), 4, 3)
    calls = [system_calls(binary, folder, client.text(duration="{duration}", connections=200, requests=n), unit)
             for n, unit in ((1, "handshake_full"), (0, "completed"))]
    yield "system calls of a handshake and a request, those that wait left out", calls[0], 13, 11
    yield "system calls of a kept request, those that wait left out", calls[1], 2.05, 2
    counts = [allocations(binary, folder, client.text(duration="{duration}", connections=200, requests=n), unit)
              for n, unit in ((1, "handshake_full"), (0, "completed"))]
    yield "allocations of a handshake", counts[0], 270, 250
    yield "allocations of a kept request (all of the TLS library)", counts[1], 2.05, 2
    ca = client.server.pki / "ca.pem"
    sizes = [client.settled_rss(connections=1, cert=f"ca = {ca}\nca_key = {ca.with_name('ca.key')}\ncount = {n}")
             for n in (1, 10_001)]
    yield "KiB of memory for an identity, 10,000 minted", (sizes[1] - sizes[0]) / 10_000, 1.25, None
    yield "ms of CPU to start and to report a run (left out above)", client.start_s * 1e3, None, None
    yield "ns to meter a request (clocks and records)", statistics.median(
        floor()["metering_ns"] for _ in range(5)), 100, None
    peaks = [client.run(connections=64, requests=0, duration=d) for d in ("3s", "40s")]
    few, many = (totals["completed"] for _, totals, _ in peaks)
    yield (f"MiB that {many:,} exchanges need more than {few:,}", (peaks[1][2] - peaks[0][2]) / 1024, 1, None)


def verdict(value, goal):
    return "" if goal is None else "reached" if value <= goal else "**missed**"


def ratio_table(values):
    """In Markdown."""
    lines = ["| figure, CPU us | tlsoak | against | it | ratio (range) | of the least | goal | aim | |",
             "|---|--:|---|--:|--:|--:|--:|--:|---|"]
    for figure, (own, peer) in values.items():
        if None in peer:
            lines.append(f"| {figure.title} | {statistics.median(own):.1f} | {figure.against} | not installed | | | "
                         f"{figure.goal or ''} | {figure.aim or ''} | |")
            continue
        each = [a / b for a, b in zip(own, peer)]
        ratio = statistics.median(each)
        lines.append(f"| {figure.title} | {statistics.median(own):.1f} | {figure.against} | "
                     f"{statistics.median(peer):.1f} | {ratio:.2f} ({min(each):.2f} to {max(each):.2f}) | "
                     f"{min(own) / min(peer):.2f} | {figure.goal or ''} | {figure.aim or ''} | {verdict(ratio, figure.goal)} |")
    return "\n".join(lines) + "\n"


def single_table(singles):
    """In Markdown."""
    lines = ["| figure | measured | goal | aim | |", "|---|--:|--:|--:|---|"]
    for title, value, goal, aim in singles:
        lines.append(f"| {title} | {value:.2f} | {goal or ''} | {aim or ''} | {verdict(value, goal)} |")
    return "\n".join(lines) + "\n"


def version_of(command, pattern, name=""):
    """As it says itself, behind the name where it does not say that."""
    path = find(command[0])
    if path is None:
        return None
    done = subprocess.run([path, *command[1:]], capture_output=True, text=True)
    found = re.search(pattern, done.stdout + done.stderr)
    return f"{name} {found[0]}".strip() if found else command[0]


def surroundings(library, repetitions, awake):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    versions = [version_of(*known) for known in (
        (["nginx", "-v"], r"nginx/\S+"), (["ab", "-V"], r"ApacheBench, Version \S+"), (["wrk", "-v"], r"wrk \S+"),
        (["h2load", "--version"], r"h2load \S+"), (["openssl", "version"], r"OpenSSL \S+"),
        (["go", "version"], r"go\d\S+"), (["oha", "--version"], r"oha \S+"), (["k6", "version"], r"k6 \S+"),
        (["fortio", "version"], r"[\d.]+", "fortio"), (["vegeta", "-version"], r"Version: \S+"))]
    return (f"`./dev bench`, {datetime.date.today()}, release build, {library}; {cpu[1] if cpu else 'an unnamed processor'}, "
            f"{os.cpu_count()} cores, Linux {os.uname().release}; {', '.join(filter(None, versions))}; "
            f"medians of {repetitions} repetitions in turn, a ratio is the median of theirs, that of the "
            "least the least of each: what else a machine does only adds; cores "
            f"{'kept awake' if awake else 'may sleep, which root could prevent'}.")


def write_section(path, text):
    """Replaces the section "## The client", or puts it before the others."""
    old = path.read_text() if path.exists() else "# What was measured\n\n"
    head, _, rest = old.partition("## ")
    sections = [s for s in re.split(r"(?m)^(?=## )", "## " + rest if rest else "") if s]
    kept = [s for s in sections if not s.startswith("## The client\n")]
    path.write_text(head + "".join([f"## The client\n\n{text}\n", *kept]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tlsoak", required=True, type=os.path.abspath)
    parser.add_argument("--floor", required=True, type=os.path.abspath)
    parser.add_argument("--other", type=os.path.abspath, help="tlsoak with another BoringSSL")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--only", default="", help="of the ratios only those whose title holds this text, "
                        "and nothing else")
    parser.add_argument("--write", type=pathlib.Path)
    options = parser.parse_args()

    def floor():
        neighbour = subprocess.Popen(["taskset", "-c", "0", options.floor, "--endless"])
        try:
            _, out, _, _ = cpu_of([options.floor], pathlib.Path(folder) / "floor.out")
        finally:
            neighbour.kill()
            neighbour.wait()
        return json.loads(out)

    with tempfile.TemporaryDirectory() as folder:
        pki = pathlib.Path(folder) / "pki"
        subprocess.run([options.tlsoak, "pki", pki, "--clients", "1"], check=True, stdout=subprocess.DEVNULL)
        server = Server(folder, pki)
        awake = awake_cores()
        try:
            client = Client(options.tlsoak, server, folder)
            other = Client(options.other, server, folder) if options.other else None
            peers = Peers(server, pki / "clients" / "client-1.pem", folder)
            library = floor()["library"]
            figures = [f for f in ratios(client, other, peers, floor) if options.only in f.title]
            singles = [] if options.only else list(alone(client, floor, options.connections, pathlib.Path(folder)))
            values = measure(figures, options.repetitions)
            busy = measure(saturated(figures), options.repetitions)
        finally:
            server.close()
            if awake is not None:
                awake.close()
    if other is None:
        peers.missing.add("another BoringSSL (BORINGSSL_ROOT)")
    text = surroundings(library, options.repetitions, awake is not None)
    if peers.missing:
        text += f"  Not there, so without a part: {', '.join(sorted(peers.missing))}."
    text += "\n\n" + ratio_table(values)
    if busy:
        text += ("\nSaturated clients: beside each, on its core, two processes that are always busy, so that it hardly "
                 "ever waits for the server.\n\n" + ratio_table(busy))
    if singles:
        text += "\n" + single_table(singles)
    print(text)
    if options.write is not None:
        write_section(options.write, text)


if __name__ == "__main__":
    main()
