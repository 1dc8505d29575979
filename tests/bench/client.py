#!/usr/bin/env python3
"""What tlsoak costs as a client, beside the peers that are installed, as ratios taken in one run.

usage: client.py --tlsoak BINARY [--repetitions N] [--connections N]

The method: nginx (one worker) on core 0, the client on core 1, loopback only, the rows interleaved, medians of N
repetitions. CPU is user + system of the whole client process per unit of work, its start-up included. Absolute
times depend on machine and hour; only the ratios of one run are fit to be compared.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

NGINX = """
daemon off; worker_processes 1; worker_cpu_affinity 01; pid {dir}/nginx.pid; error_log {dir}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 15000; multi_accept on; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir}; uwsgi_temp_path {dir};
  scgi_temp_path {dir};
  ssl_certificate {pki}/server.pem; ssl_certificate_key {pki}/server.key; ssl_client_certificate {pki}/ca.pem;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_buffer_size 4k; ssl_session_cache off; ssl_session_tickets off;
  server {{ listen 127.0.0.1:{port} ssl backlog=16384; ssl_verify_client on; location / {{ return 200 "{body}"; }} }}
  server {{ listen 127.0.0.1:{open_port} ssl backlog=16384; location / {{ return 200 "{body}"; }} }}
}}
"""

PROFILE = """
[run]
duration = {duration}
threads = 1
[target]
url = https://127.0.0.1:{port}/
server_ca = {pki}/ca.pem
[pace]
connections = {connections}
requests_per_connection = {requests}
think_time = {think}
[cert]
source = files
path = {pki}/clients/client-1.pem
"""


class Bench:
    def __init__(self, tlsoak, folder):
        self.tlsoak, self.dir = tlsoak, pathlib.Path(folder)
        self.pki = self.dir / "pki"
        subprocess.run([tlsoak, "pki", self.pki, "--clients", "1"], check=True, stdout=subprocess.DEVNULL)
        from servers import free_port
        self.port = free_port()
        self.open_port = self.port + 1
        client = self.pki / "clients" / "client-1.pem"
        self.client = client
        config = self.dir / "nginx.conf"
        config.write_text(NGINX.format(dir=self.dir, pki=self.pki, port=self.port,
                                       open_port=self.open_port, body="o" * 63 + "\\n"))
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self.nginx = subprocess.Popen([nginx, "-p", str(self.dir), "-c", str(config), "-e",
                                       str(self.dir / "error.log")])
        time.sleep(0.5)
        self.n_runs = 0

    def close(self):
        self.nginx.terminate()
        self.nginx.wait()

    def profile(self, duration, connections, requests, think="0"):
        path = self.dir / "bench.ini"
        path.write_text(PROFILE.format(duration=duration, port=self.port, pki=self.pki, think=think,
                                       connections=connections, requests=requests))
        return path

    def measure(self, command):
        """(CPU seconds, output) of a command pinned to core 1."""
        out = self.dir / "out"
        with open(out, "wb") as f:
            process = subprocess.Popen(["taskset", "-c", "1", *map(str, command)], stdout=f, stderr=f)
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
        return usage.ru_utime + usage.ru_stime, out.read_text(errors="replace")

    def run_tlsoak(self, connections, requests, unit):
        self.n_runs += 1
        run_dir = self.dir / f"run-{self.n_runs}"
        cpu, out = self.measure([self.tlsoak, "run", self.profile("3s", connections, requests), "-q",
                                 "-o", run_dir])
        totals = json.loads((run_dir / "run.json").read_text())["totals"]
        return cpu * 1e6 / totals[unit]

    def run_peer(self, command, count):
        cpu, out = self.measure(command)
        n = count if isinstance(count, int) else int(re.search(count, out, re.M)[1])
        return cpu * 1e6 / n

    def idle_memory(self, connections):
        """KiB of resident memory per idle connection: RSS at N connections less RSS at one."""
        sizes = []
        for n in (1, connections):
            self.n_runs += 1
            process = subprocess.Popen([self.tlsoak, "run", self.profile("60s", n, 0, "600s"), "-q", "-o",
                                        str(self.dir / f"run-{self.n_runs}")], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            sizes.append(self.settled_rss(process, n))
            process.kill()
            process.wait()
        return (sizes[1] - sizes[0]) / (connections - 1)

    @staticmethod
    def settled_rss(process, connections):
        status = pathlib.Path(f"/proc/{process.pid}/status")
        for _ in range(600):
            time.sleep(0.1)
            sockets = sum(os.readlink(p).startswith("socket:")
                          for p in pathlib.Path(f"/proc/{process.pid}/fd").iterdir() if p.is_symlink())
            if sockets >= connections:
                break
        time.sleep(2)
        return int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1])


def rows(bench):
    """(figure, name, function); tlsoak first in each figure: the others are compared with it."""
    url = f"https://127.0.0.1:{bench.port}/"
    client = bench.client
    yield "handshake", "tlsoak", lambda: bench.run_tlsoak(16, 1, "handshake_full")
    if shutil.which("ab"):
        yield "handshake", "ab -E", lambda: bench.run_peer(
            ["ab", "-q", "-n", "1500", "-c", "16", "-E", client, "-f", "TLS1.3", url],
            r"^Complete requests: +(\d+)")
    if shutil.which("openssl"):
        yield "handshake", "openssl s_time -new", lambda: bench.run_peer(
            ["openssl", "s_time", "-connect", f"127.0.0.1:{bench.port}", "-new", "-www", "/", "-cert",
             client, "-key", client, "-tls1_3", "-time", "2"], r"^(\d+) connections in \d+ real")
    yield "request", "tlsoak", lambda: bench.run_tlsoak(64, 0, "completed")
    if shutil.which("ab"):
        yield "request", "ab -k -E", lambda: bench.run_peer(
            ["ab", "-q", "-k", "-n", "100000", "-c", "64", "-E", client, "-f", "TLS1.3", url],
            r"^Complete requests: +(\d+)")
    if shutil.which("wrk"):
        yield "request", "wrk (no client certificate)", lambda: bench.run_peer(
            ["wrk", "-t1", "-c64", "-d3", f"https://127.0.0.1:{bench.open_port}/"],
            r"^ *(\d+) requests in")


UNITS = {"handshake": "CPU us per full mTLS 1.3 handshake with one request",
         "request": "CPU us per keep-alive request, 64 connections"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tlsoak", required=True)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--connections", type=int, default=2000)
    options = parser.parse_args()
    for peer in ("ab", "wrk"):
        if shutil.which(peer) is None:
            print(f"{peer} is not installed and takes no part (./dev bench --peers installs it)")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(os.path.abspath(options.tlsoak), folder)
        try:
            table = list(rows(bench))
            values = {(figure, name): [] for figure, name, _ in table}
            for i in range(options.repetitions):
                for figure, name, run in table:
                    values[figure, name].append(run())
                print(f"repetition {i + 1} of {options.repetitions}", file=sys.stderr)
            memory = bench.idle_memory(options.connections)
        finally:
            bench.close()
    for unit, title in UNITS.items():
        print(f"\n{title}")
        own = statistics.median(values[unit, "tlsoak"])
        for (figure, name), found in values.items():
            if figure == unit:
                median = statistics.median(found)
                ratio = f"tlsoak / it = {own / median:.2f}" if name != "tlsoak" else ""
                print(f"  {name:30s} {median:8.1f}  [{min(found):.1f} to {max(found):.1f}]  {ratio}")
    print(f"\nKiB of resident memory per idle mTLS connection, {options.connections} held\n"
          f"  {'tlsoak':30s} {memory:8.2f}")


if __name__ == "__main__":
    main()
