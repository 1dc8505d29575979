"""Where tlsoak may be pointed, and where its connections come from, in network namespaces whose loopback has addresses
of every kind: each scenario is a process of its own, which this file is also the program of."""
import fcntl
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import threading

import pytest

from servers import HAPROXY, free_port, make_pki, need, profile, running, tlsoak, totals

PRIVATE, PUBLIC = "10.77.0.1", "203.0.113.5"

PROFILE = """
[run]
duration = 1s
[target]
url = https://{host}:{port}/
sni = localhost
server_ca = {pki}/ca.pem
{target}
[pace]
connections = {connections}
{pace}
[cert]
source = files
path = {cert}
{more}
"""


def run(folder, host, port, name="run", target="", pace="", connections=4, cert=None, args=(), more=""):
    pki = folder / "pki"
    text = PROFILE.format(host=host, port=port, pki=pki, target=target, pace=pace, connections=connections,
                          cert=cert or pki / "clients" / "client-1.pem", more=more)
    path = profile(folder, text, f"{name}.ini")
    return tlsoak("run", path, "-q", "-o", folder / name, *args)


def haproxy(folder, verify="verify required"):
    """A real server at all addresses."""
    port = free_port()
    config = folder / "haproxy.cfg"
    text = HAPROXY.replace("127.0.0.1:{port}", ":{port}").replace("verify required", verify)
    config.write_text(text.format(port=port, pki=folder / "pki", bind=""))
    return running([need("haproxy"), "-f", str(config), "-db"], port, folder)


class Silent:
    """Listens, and counts who comes."""

    def __init__(self, host):
        self.socket = socket.create_server((host, 0))
        self.port = self.socket.getsockname()[1]
        self.accepted = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            self.socket.accept()[0].close()
            self.accepted += 1


def completed(folder, name):
    totals_ = totals(folder / name)["totals"]
    assert totals_["failed"] == 0
    return totals_["completed"]


# Scenarios.

def consent_by_handshake(folder):
    with haproxy(folder) as server:
        done = run(folder, PRIVATE, server.port)
        assert done.returncode == 0, done.stderr
        assert completed(folder, "run") > 0
        checked = tlsoak("check", folder / "run.ini")
        assert "may be loaded once it has asked for a client certificate" in checked.stdout


def no_consent(folder):
    """Asked for no certificate, or refused ours: the line to add is told, and with it the run goes on."""
    stranger = make_pki(folder / "stranger", 1)
    with haproxy(folder) as server:
        done = run(folder, PRIVATE, server.port, cert=stranger / "clients" / "client-1.pem")
        assert done.returncode == 5
        assert "TLS with the alert unknown_ca" in done.stderr
        assert not (folder / "run").exists()
    with haproxy(folder, verify="verify none") as server:
        done = run(folder, PRIVATE, server.port)
        assert done.returncode == 5
        assert "it asked for no client certificate" in done.stderr
        line = re.search(r"add to \[target\]: (allow = 10\.77\.0\.1:\d+)\n", done.stderr)[1]
        done = run(folder, PRIVATE, server.port, "allowed", target=f"expect_mtls = no\n{line}")
        assert done.returncode == 0, done.stderr
        assert completed(folder, "allowed") > 0


def public_needs_both(folder):
    silent = Silent(PUBLIC)
    for args in (), ("--once",):
        done = run(folder, PUBLIC, silent.port, args=args)
        assert done.returncode == 5
        assert f"add to [target]: allow = {PUBLIC}:{silent.port}\n" in done.stderr
    assert silent.accepted == 0, "it was dialled before it was allowed"
    allow = f"allow = 10.0.0.0/8, {PUBLIC}"
    with haproxy(folder) as server:
        done = run(folder, PUBLIC, server.port, "both", target=allow)
        assert done.returncode == 0, done.stderr
        assert completed(folder, "both") > 0
        done = run(folder, PUBLIC, server.port, "option", args=("--allow-target", f"{PUBLIC}:{server.port}"))
        assert done.returncode == 0, done.stderr
    with haproxy(folder, verify="verify none") as server:
        done = run(folder, PUBLIC, server.port, target=allow + "\nexpect_mtls = no")
        assert done.returncode == 5
        assert "it asked for no client certificate" in done.stderr
        assert "add to [target]" not in done.stderr


def every_address_of_a_name(folder):
    """Also where only one is public, and when the profile names another host and dials this one."""
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{PRIVATE} two.test\n{PUBLIC} two.test\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    with haproxy(folder) as server:
        line = f"allow = two.test:{server.port}"
        for host, more in ("two.test", ""), ("localhost", f"connect_to = two.test:{server.port}"):
            done = run(folder, host, server.port, target=more)
            assert done.returncode == 5
            assert f"{PUBLIC}:{server.port} is a public address" in done.stderr
            assert done.stderr.endswith(f"{line}\n")
            done = run(folder, host, server.port, host, target=f"{more}\n{line}")
            assert done.returncode == 0, done.stderr
    with haproxy(folder, verify="verify none") as server:  # the name alone allows nothing
        done = run(folder, "two.test", server.port, target=f"expect_mtls = no\nallow = two.test:{server.port}")
        assert done.returncode == 5
        assert f"{PRIVATE}:{server.port} is a private address and did not show" in done.stderr
        assert f"{PUBLIC}:{server.port} is a public address and did not show" in done.stderr


def other_endpoints(folder):
    """A token endpoint and a URL that settles are no target, so nothing asks for their consent."""
    silent = Silent(PRIVATE)
    jwt = f"[jwt]\ntoken_url = https://{PRIVATE}:{silent.port}/token"
    settle = f"[memory]\npid = {os.getpid()}\nsettle = http://{PRIVATE}:{silent.port}/gc\nevery = 500ms"
    with haproxy(folder) as server:
        for more in jwt, settle:
            done = run(folder, "127.0.0.1", server.port, more=more)
            assert done.returncode == 5, done.stderr
            assert done.stderr.endswith(f"allow = {PRIVATE}:{silent.port}\n")
    assert silent.accepted == 0


def ceilings(folder):
    silent = Silent(PRIVATE)
    for i, (pace, connections, line) in enumerate([("mode = open\nrate = 1500/s", 4, "max_rate = 1500/s"),
                                                   ("", 1200, "max_connections = 1200")]):
        done = run(folder, PRIVATE, silent.port, pace=pace, connections=connections)
        assert done.returncode == 5
        assert done.stderr.endswith(f"write in [target]: {line}\n")
        assert silent.accepted == i
        done = run(folder, PRIVATE, silent.port, pace=pace, connections=connections, target=line)
        assert "did not show that it may be loaded" in done.stderr
        assert silent.accepted == i + 1, "it was asked for consent once"


def ports_run_out(folder):
    """Sixteen local ports: an outcome of its own name, a prediction, and a remedy."""
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40015")
    with haproxy(folder) as server:
        done = run(folder, "127.0.0.1", server.port, connections=30, pace="think_time = 100ms")
        errors = totals(folder / "run")["outcomes"]
        assert errors["no_ports"] > 0, done.stdout + done.stderr
        assert set(errors) <= {"ok", "no_ports"}
        done = run(folder, "127.0.0.1", server.port, "sources", connections=30, pace="think_time = 100ms",
                   target="source = 127.0.0.0/29")
        assert done.returncode == 0, done.stderr
        assert completed(folder, "sources") > 0
        wrong = run(folder, "127.0.0.1", server.port, target="source = 127.0.0.1, 172.30.0.0/30")
        assert wrong.returncode == 2
        assert re.search(r"run\.ini:\d+: target\.source: cannot connect from 172\.30\.0\.1: it is no address of",
                         wrong.stderr), wrong.stderr


def ports_predicted(folder):
    pathlib.Path("/proc/sys/net/ipv4/tcp_tw_reuse").write_text("0")
    pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("32768 60999")
    churn = "mode = open\nrate = 500/s\nrequests_per_connection = 1"
    run(folder, "127.0.0.1", 1, pace=churn, connections=232, args=("--once",))  # writes the profile
    said = tlsoak("doctor", folder / "run.ini").stdout
    assert "28232 to the target from 1 source address, 30232 needed (232 held + 500/s x 60 s of TIME_WAIT)" in said
    assert "in 56 s ports run out: use target.source = 127.0.0.0/29 or target.reset_on_close = yes" in said
    for remedy in "target.source=127.0.0.0/29", "target.reset_on_close=yes":
        assert "ports run out" not in tlsoak("doctor", folder / "run.ini", "--set", remedy).stdout


SCENARIOS = [consent_by_handshake, no_consent, public_needs_both, every_address_of_a_name, other_endpoints, ceilings,
             ports_run_out, ports_predicted]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_policy(scenario, tmp_path):
    options = ["-m", "-n"] if os.geteuid() == 0 else ["-r", "-m", "-n"]
    if subprocess.run(["unshare", *options, "true"], capture_output=True).returncode != 0:
        pytest.skip("no network namespaces for this user")
    make_pki(tmp_path / "pki", 1)
    done = subprocess.run(["unshare", *options, sys.executable, __file__, scenario.__name__, tmp_path],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def give_address(number, address):
    """ifconfig lo:NUMBER ADDRESS up (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        name = f"lo:{number}".encode() if number else b"lo"
        sockaddr = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
        fcntl.ioctl(s, 0x8916, struct.pack("16s16s8x", name, sockaddr))  # SIOCSIFADDR
        fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", name, 0x1 | 0x8 | 0x40))  # SIOCSIFFLAGS: up, loopback, running


if __name__ == "__main__":
    for i, own in enumerate(["127.0.0.1", PRIVATE, PUBLIC]):
        give_address(i, own)
    {s.__name__: s for s in SCENARIOS}[sys.argv[1]](pathlib.Path(sys.argv[2]))
