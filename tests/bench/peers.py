"""The server and the peers of the client benchmark: how each is started, and how much it did."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from servers import free_port, wait_for_port  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
# Where ./dev bench --peers puts what it builds.
BUILT = HERE.parents[1] / "build" / "peers" / "bin"
HANDSHAKES = 1500
REQUESTS = 100_000

NGINX = """
daemon off; worker_processes 1; worker_cpu_affinity 01; pid {dir}/nginx.pid; error_log {dir}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 15000; multi_accept on; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir}; uwsgi_temp_path {dir};
  scgi_temp_path {dir};
  ssl_certificate {pki}/server.pem; ssl_certificate_key {pki}/server.key; ssl_client_certificate {pki}/ca.pem;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_buffer_size 4k;
  server {{ listen 127.0.0.1:{full} ssl backlog=16384; ssl_verify_client on; ssl_session_cache off;
           ssl_session_tickets off; location / {{ return 200 "{body}"; }} }}
  server {{ listen 127.0.0.1:{resume} ssl backlog=16384; ssl_verify_client on; ssl_session_cache shared:S:20m;
           ssl_session_tickets on; location / {{ return 200 "{body}"; }} }}
  server {{ listen 127.0.0.1:{open} ssl backlog=16384; ssl_session_tickets off;
           location / {{ return 200 "{body}"; }} }}
  server {{ listen 127.0.0.1:{h2} ssl http2 backlog=16384; ssl_session_tickets off;
           location / {{ return 200 "{body}"; }} }}
}}
"""


def find(program):
    """Its path, or None: from PATH, or built by ./dev bench --peers."""
    return shutil.which(program) or shutil.which(program, path=str(BUILT))


class Server:
    """nginx on core 0: full handshakes only, with resumption, without client certificates, HTTP/2."""

    def __init__(self, folder, pki):
        self.dir, self.pki = pathlib.Path(folder), pki
        port = free_port()
        self.port = {name: port + i for i, name in enumerate(("full", "resume", "open", "h2"))}
        config = self.dir / "nginx.conf"
        config.write_text(NGINX.format(dir=self.dir, pki=pki, body="o" * 63 + "\\n", **self.port))
        nginx = find("nginx") or "/usr/sbin/nginx"
        log = self.dir / "error.log"
        self.process = subprocess.Popen([nginx, "-p", str(self.dir), "-c", str(config), "-e", str(log)])
        wait_for_port(self.port["full"], self.process, log)

    def url(self, name):
        return f"https://127.0.0.1:{self.port[name]}/"

    def close(self):
        self.process.terminate()
        self.process.wait()


def cpu_of(command, out, cores="1"):
    """(CPU seconds of the whole process, output, KiB at its peak), pinned to a core."""
    with open(out, "wb") as f:
        process = subprocess.Popen(["taskset", "-c", cores, *map(str, command)], stdout=f, stderr=f)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    text = pathlib.Path(out).read_text(errors="replace")
    return usage.ru_utime + usage.ru_stime, text, usage.ru_maxrss, process.returncode


class Peers:
    """Each method gives CPU microseconds for a unit of work, or None when the peer is not there."""

    def __init__(self, server, client_pem, folder):
        self.server, self.pem, self.dir = server, client_pem, pathlib.Path(folder)
        self.ca = server.pki / "ca.pem"
        self.missing = set()

    def run(self, program, arguments, count, ok=(0,)):
        path = find(program)
        if path is None:
            self.missing.add(program)
            return None
        cpu, out, _, code = cpu_of([path, *arguments], self.dir / "peer.out")
        found = count if isinstance(count, int) else re.search(count, out, re.M)
        if code not in ok or not found:
            raise RuntimeError(f"{program} failed ({code}): {out[-2000:]}")
        return cpu * 1e6 / (count if isinstance(count, int) else int(found[1]))

    def ab(self, version="TLS1.3", keep_alive=False):
        options = ["-k", "-n", REQUESTS, "-c", 64] if keep_alive else ["-n", HANDSHAKES, "-c", 16]
        return self.run("ab", ["-q", *options, "-E", self.pem, "-f", version, self.server.url("full")],
                        r"^Complete requests: +(\d+)")

    def s_time(self, version, reuse):
        port = self.server.port["resume" if reuse else "full"]
        return self.run("openssl", ["s_time", "-connect", f"127.0.0.1:{port}", "-reuse" if reuse else "-new",
                                    "-www", "/", "-cert", self.pem, "-key", self.pem, version, "-time", 2],
                        r"^(\d+) connections in \d+ real")

    def wrk(self):
        return self.run("wrk", ["-t1", "-c64", "-d3", self.server.url("open")], r"^ *(\d+) requests in")

    def h2load(self):
        return self.run("h2load", ["-n", REQUESTS, "-c", 16, "-m", 32, "-t", 1, self.server.url("h2")],
                        r"(\d+) succeeded")

    def go(self):
        program = self.dir / "go-client"
        if find("go") is None:
            self.missing.add("go")
            return None
        if not program.exists():
            subprocess.run([find("go"), "build", "-o", program, "."], cwd=HERE / "go-client", check=True)
        _, out, _, code = cpu_of([program, "-url", self.server.url("full"), "-ca", self.ca, "-cert", self.pem,
                                  "-n", HANDSHAKES], self.dir / "peer.out")
        if code != 0:
            raise RuntimeError(out)
        return float(re.search(r"cpu_seconds ([\d.]+)", out)[1]) * 1e6 / HANDSHAKES

    def oha(self):
        return self.run("oha", ["--no-tui", "-n", HANDSHAKES, "-c", 16, "--disable-keepalive", "--cacert",
                                self.ca, "--cert", self.pem, "--key", self.pem, self.server.url("full")],
                        HANDSHAKES)

    def vegeta(self):
        targets = self.dir / "targets"
        targets.write_text(f"GET {self.server.url('full')}\n")
        results = self.dir / "vegeta.bin"
        return self.run("vegeta", ["attack", f"-targets={targets}", "-rate=500/s", "-duration=3s",
                                   "-keepalive=false", "-http2=false", f"-root-certs={self.ca}",
                                   f"-cert={self.pem}", f"-key={self.pem}", f"-output={results}"], 1500)

    def fortio(self):
        return self.run("fortio", ["load", "-qps", 0, "-c", 16, "-n", HANDSHAKES, "-keepalive=false",
                                   "-loglevel", "Error", "-cacert", self.ca, "-cert", self.pem, "-key", self.pem,
                                   self.server.url("full")], HANDSHAKES)

    def k6(self):
        script = self.dir / "k6.js"
        script.write_text(K6.format(pem=json.dumps(self.pem.read_text()), url=self.server.url("full"),
                                    n=HANDSHAKES))
        return self.run("k6", ["run", "--quiet", "--no-usage-report", script], HANDSHAKES)


K6 = """
import http from "k6/http";
const pem = {pem};
export const options = {{ vus: 16, iterations: {n}, noConnectionReuse: true, insecureSkipTLSVerify: true,
  tlsAuth: [{{ cert: pem, key: pem }}] }};
export default function () {{ http.get("{url}"); }}
"""
