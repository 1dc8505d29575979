"""Real servers on loopback for the integration tests: nginx, haproxy and tlsoak's own.

Each is a context manager with .port and .pid; its files live in a folder of the test's own."""
import concurrent.futures
import contextlib
import functools
import inspect
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import schemas

TLSOAK = os.environ.get("TLSOAK", "build/release/tlsoak")
RELEASE = os.environ.get("TLSOAK_RELEASE", TLSOAK)
TRIES = 4  # of a job whose run a busy machine left no CPU


class Starved(Exception):
    """A busy machine left a run no CPU: what it measured is nothing, and says nothing of the code."""


STARVED = re.compile("it was starved of CPU|credentials could not be made fast enough")
STOLEN = re.compile(r"the hypervisor took (\d+) % of the cores")


def unless_stolen(said):
    """Skips the test of a run that says that others had the machine's cores: nothing can be measured there."""
    if stolen := STOLEN.search(" ".join(said.split())):
        pytest.skip(f"the hypervisor took {stolen[1]} % of the cores, again and again")


def unless_starved(code, said):
    """Raises Starved where a run of this exit code says that it is invalid for that."""
    if code == 4 and STARVED.search(" ".join(said.split())):
        raise Starved(said)


def lagged(folder):
    """Whether a run in it says of its generator that it did not keep up, though it may be valid."""
    for path in pathlib.Path(folder).rglob("run.json"):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            if json.loads(path.read_text())["generator"]["lagging_s"] > 0:
                return True
    return False


def patient(job):
    """Does a job that failed again, in a new folder and so with new servers, when a run of it was starved; not for ever:
    then the test is skipped where a hypervisor gave the cores to others, and else it has failed."""
    @functools.wraps(job)
    def done(*args, **kwargs):
        given = inspect.signature(job).bind(*args, **kwargs)
        folders = {"tmp_path", "folder"} & given.arguments.keys()
        for attempt in range(2, TRIES + 1):
            try:
                return job(*given.args, **given.kwargs)
            except Exception as why:
                if not isinstance(why, Starved) and not any(lagged(given.arguments[name]) for name in folders):
                    raise
            for name in folders:
                used = given.arguments[name]
                given.arguments[name] = used.with_name(f"{used.name}-{attempt}")
                given.arguments[name].mkdir()
        try:
            return job(*given.args, **given.kwargs)
        except Starved as why:
            unless_stolen(str(why))
            raise
    return done


def all_at_once(tmp_path_factory, jobs):
    """What each of these jobs returned of the folder that it was given: all at one time, since one leaves most of two cores
    idle. One that was starved is done again without the others."""
    folders = {name: tmp_path_factory.mktemp(name) for name in jobs}
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        begun = {name: pool.submit(job, folders[name]) for name, job in jobs.items()}
    return {name: patient(jobs[name])(tmp_path_factory.mktemp(f"{name}-alone"))
            if isinstance(one.exception(), Starved) else one.result() for name, one in begun.items()}


def tlsoak(*args, binary=None, timeout=300, env=None, cwd=None, stdin=subprocess.DEVNULL, starved_ok=False):
    """Runs tlsoak to its end; returns the finished process with text output. What it wrote as JSON has its schema.
    Raises Starved for a run that is invalid for that, unless this is as good as any end."""
    words = [*map(str, args)]
    done = subprocess.run([binary or TLSOAK, *words], capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})}, cwd=cwd, stdin=stdin)
    if words[0] in ("run", "demo") and not starved_ok:
        unless_starved(done.returncode, done.stdout + done.stderr)
    if done.returncode in (0, 1, 3, 4, 6):
        schemas.check_output(words, done.stdout, cwd or ".")
    return done


def make_pki(folder, clients=1, *options):
    done = tlsoak("pki", folder, "--clients", clients, *options)
    assert done.returncode == 0, done.stderr
    return pathlib.Path(folder)


def need(program):
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


_PORTS = {"given": 0, "lock": threading.Lock()}


def free_port():
    """A port below the ephemeral range, where no outgoing connection can take it first; none is given twice, since
    whoever asked for the last may not have bound it yet."""
    low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with _PORTS["lock"]:
        for port in range(max(low - 10000 + os.getpid() % 5000, _PORTS["given"] + 1), low):
            with socket.socket() as s:
                try:
                    s.bind(("127.0.0.1", port))
                except OSError:
                    continue
            _PORTS["given"] = port
            return port
    raise RuntimeError("no free port below the ephemeral range")


def wait_for_port(port, process, log, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"the server did not listen on {port}: {pathlib.Path(log).read_text()}")


class Server:
    def __init__(self, process, port, log):
        self.process, self.port, self.log = process, port, pathlib.Path(log)
        self.pid = process.pid
        self.url = f"https://127.0.0.1:{port}/"

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextlib.contextmanager
def running(command, port, folder):
    log = pathlib.Path(folder) / "server.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    server = Server(process, port, log)
    try:
        wait_for_port(port, process, log)
        yield server
    finally:
        server.stop()


NGINX = """
daemon off; worker_processes {workers}; pid {folder}/nginx.pid; error_log {folder}/error.log;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  log_format serials '$ssl_client_serial $status $connection';
  log_format reused '$ssl_session_reused $ssl_protocol $connection';
  log_format proto '$connection $status $server_protocol';
  log_format early '$ssl_session_reused $ssl_early_data $status $ssl_client_verify $request_method $connection';
  log_format who '$ssl_client_s_dn|$http_x_api_key|$http_authorization|$request_uri';
  access_log {folder}/access.log serials;
  keepalive_requests 1000000; keepalive_timeout 600s;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  ssl_certificate {pki}/server.pem; ssl_certificate_key {pki}/server.key;
  ssl_client_certificate {pki}/ca.pem; ssl_verify_client on; ssl_protocols TLSv1.2 TLSv1.3;
  ssl_buffer_size 4k; ssl_session_tickets {tickets}; ssl_session_cache off;
  server {{ listen 127.0.0.1:{port} ssl {listen} backlog=4096; {extra}
            location / {{ return 200 "ok, this is a small body of sixty-four bytes, as performance needs\\n"; }} }}
}}
"""


@contextlib.contextmanager
def nginx(folder, pki, workers=1, tickets="on", extra="", listen=""):
    program = need("nginx")
    folder = pathlib.Path(folder)
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, pki=pki, port=port, workers=workers, tickets=tickets,
                                   extra=extra, listen=listen))
    with running([program, "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")],
                 port, folder) as server:
        server.access_log = folder / "access.log"
        yield server


def logged(server):
    """The lines of nginx's log, but for the self-check: one request without a certificate, refused."""
    first, *rest = server.access_log.read_text().splitlines()
    assert first.startswith("- 400 ")
    return rest


HAPROXY = """
global
  maxconn 8192
  nbthread 1
defaults
  mode http
  timeout client 600s
  timeout connect 5s
  timeout server 60s
  timeout http-keep-alive 600s
frontend f
  bind 127.0.0.1:{port} ssl crt {pki}/server-all.pem ca-file {pki}/ca.pem verify required {bind}
  http-request return status 200 content-type text/plain string ok
"""


@contextlib.contextmanager
def haproxy(folder, pki, bind=""):
    program = need("haproxy")
    folder = pathlib.Path(folder)
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, pki=pki, bind=bind))
    with running([program, "-f", str(config), "-db"], port, folder) as server:
        yield server


@contextlib.contextmanager
def redis(folder, pki, *options, clients="yes"):
    """Redis over TLS; clients: yes, optional, no (tls-auth-clients)."""
    port = free_port()
    command = [need("redis-server"), "--port", "0", "--tls-port", port, "--bind", "127.0.0.1",
               "--tls-cert-file", f"{pki}/server.pem", "--tls-key-file", f"{pki}/server.key",
               "--tls-ca-cert-file", f"{pki}/ca.pem", "--tls-auth-clients", clients, "--save", "",
               "--dir", folder, *options]
    with running([str(word) for word in command], port, folder) as server:
        server.url = f"tls://127.0.0.1:{port}"
        yield server


@contextlib.contextmanager
def ready_server(command, log):
    """A server that prints one READY line with its address, and ends with its input."""
    with open(log, "wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err)
    line = process.stdout.readline().decode()
    assert line.startswith("READY "), pathlib.Path(log).read_text()
    ready = json.loads(line[6:])
    server = Server(process, int(ready["addr"].rsplit(":", 1)[1]), log)
    server.ready = ready
    try:
        yield server
    finally:
        server.stop()
        process.stdin.close()
        process.stdout.close()


@contextlib.contextmanager
def embedded(folder, pki, *options, binary=None, credentials=True):
    """tlsoak serve, with API keys and tokens asked for unless `credentials` is false."""
    folder = pathlib.Path(folder)
    secrets = ["--apikey-secret", f"{pki}/apikey.secret", "--jwt-secret", f"{pki}/jwt.secret"]
    command = [binary or RELEASE, "serve", "--watch-stdin", "--ca", f"{pki}/ca.pem", "--cert",
               f"{pki}/server.pem", "--key", f"{pki}/server.key", "--truth", str(folder / "truth.jsonl"),
               *(secrets if credentials else []), *map(str, options)]
    with ready_server(command, folder / "embedded.log") as server:
        schemas.check("ready", server.ready)
        server.truth = folder / "truth.jsonl"
        yield server
    for line in server.truth.read_text().splitlines() if server.truth.exists() else ():
        schemas.check("truth", json.loads(line))


GO_SERVER = pathlib.Path(__file__).parents[1] / "targets" / "go-mtls"


@contextlib.contextmanager
def go_server(folder, pki, *options):
    """Go's crypto/tls and net/http with nothing else, built here; its build cache makes that quick."""
    program = pathlib.Path(folder) / "go-mtls"
    subprocess.run([need("go"), "build", "-o", program, "."], cwd=GO_SERVER, check=True)
    command = [program, "--ca", f"{pki}/ca.pem", "--cert", f"{pki}/server.pem", "--key",
               f"{pki}/server.key", *map(str, options)]
    with ready_server(command, pathlib.Path(folder) / "go.log") as server:
        yield server


def last_truth(server):
    """What the embedded server says at its end."""
    server.stop()
    return json.loads(server.truth.read_text().splitlines()[-1])


def profile(folder, text, name="profile.ini"):
    path = pathlib.Path(folder) / name
    path.write_text(text)
    return path


def load_text(server, pki, run, pace, cert="count = 10", memory="", ca=None):
    """A profile of one client with a certificate; `memory` are lines of its source, the server's process."""
    source = f"[memory server]\npid = {server.pid}\n{memory}\n" if memory is not None else ""
    return f"""
[run]
{run}
[target]
url = {server.url}
server_ca = {pki}/ca.pem
[pace]
{pace}
[cert]
ca = {ca or pki}/ca.pem
ca_key = {ca or pki}/ca.key
{cert}
{source}"""


def verdict(run_dir):
    return schemas.check("verdict", json.loads((pathlib.Path(run_dir) / "verdict.json").read_text()))


def totals(run_dir):
    return schemas.check("run", json.loads((pathlib.Path(run_dir) / "run.json").read_text()))
