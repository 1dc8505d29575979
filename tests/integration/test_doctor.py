"""Each row of tlsoak doctor, provoked where a process can; and what a run does with them before it begins."""
import json
import os
import pathlib
import re
import resource
import subprocess
import sys

import pytest

from servers import TLSOAK, embedded, make_pki, profile, tlsoak

BASE = """
[run]
duration = {duration}
threads = 1
[target]
url = {url}
server_ca = {pki}/ca.pem
[pace]
connections = 2
think_time = 20ms
{pace}
[cert]
{cert}
[memory]
{memory}
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki") / "pki", 3, "--bad")


@pytest.fixture(scope="module")
def server(tmp_path_factory, pki):
    with embedded(tmp_path_factory.mktemp("server"), pki, credentials=False) as server:
        yield server


def write(folder, pki, url, cert="", duration="1s", pace="", memory=""):
    cert = cert or f"source = files\npath = {pki}/clients\nca = {pki}/ca.pem"
    return profile(folder, BASE.format(duration=duration, url=url, pki=pki, pace=pace, cert=cert, memory=memory))


def rows(text):
    """{name: (state, what was measured, remedy)}"""
    found, name = {}, None
    for line in text.splitlines():
        if match := re.match(r"(ok|warn|FAIL) +(.{13}) (.*)", line):
            name = match[2].strip()
            found[name] = (match[1], match[3], "")
        elif match := re.match(r" +-> (.*)", line):
            found[name] = (*found[name][:2], match[1])
    return found


def doctor(*args, code=None, **options):
    done = tlsoak("doctor", *args, **options)
    assert done.stderr == "" and code in (None, done.returncode), done.stdout + done.stderr
    return rows(done.stdout)


ROWS = {"libraries", "TLS library", "descriptors", "cores", "governor", "steal", "clock", "time sync", "listen queue",
        "capacity", "memory", "swap", "minting", "disk", "files", "expiry", "chains", "key files", "ports",
        "time wait", "policy", "target", "protocol"}
OF_RUN = ROWS - {"minting", "files", "protocol"} | {"mutual TLS"}


def test_all_rows_with_and_without_a_profile(tmp_path, pki, server):
    assert set(doctor()) == ROWS
    found = doctor(write(tmp_path, pki, server.url), code=0)
    assert set(found) == ROWS
    assert "only TLS library" in found["libraries"][1]
    assert re.search(r"[1-9]\d* ns a reading, steps of 1 ns", found["clock"][1])
    assert re.match(r"the first certificate or token ends in [\d.]+ days, the run in 1 s", found["expiry"][1])
    assert found["chains"][:2] == ("ok", "3 of 3 chains lead to their CA")
    assert found["key files"][:2] == ("ok", "3 files with keys and secrets, none that others may read")
    assert re.search(r"free on a (local|\w+) file system, up to [\d.]+ MiB needed", found["disk"][1])
    assert "memory of tlsoak" in found["target"][1] and "can be read" in found["target"][1]
    assert found["protocol"][1].endswith("and asks for a client certificate")
    for name, (state, _, remedy) in found.items():
        assert (state == "ok") == (remedy == ""), name


def test_a_run_begins_with_it_and_keeps_it(tmp_path, pki, server):
    path = write(tmp_path, pki, server.url)
    (tmp_path / "keys").mkdir()
    for i in 1, 2:  # the second key is readable by the group
        text = (pki / "clients" / f"client-{i}.pem").read_text()
        (tmp_path / "keys" / f"client-{i}.pem").write_text(text)
        (tmp_path / "keys" / f"client-{i}.pem").chmod(0o600 if i == 1 else 0o640)
    run_dir = tmp_path / "run"
    done = tlsoak("run", path, "--set", f"cert.path={tmp_path}/keys", "-o", run_dir)
    assert done.returncode == 3, done.stdout + done.stderr  # one second says nothing of memory
    checks = {c["check"]: c for c in json.loads((run_dir / "run.json").read_text())["checks"]}
    assert set(checks) == OF_RUN
    assert all(set(c) == {"check", "state", "measured", "remedy"} for c in checks.values())
    assert checks["key files"]["state"] == "warn" and checks["key files"]["remedy"].endswith("chmod 600")
    wanted = f"--set: {tmp_path}/keys/client-2.pem has the mode 0640"
    assert checks["key files"]["measured"] == wanted
    assert f"tlsoak: key files: {wanted} -> " in done.stderr
    assert checks["mutual TLS"]["state"] == "ok" and "certificate got" in checks["mutual TLS"]["measured"]
    assert "can be read" in checks["target"]["measured"]


def test_certificates_that_end_or_lead_nowhere(tmp_path, pki, server):
    path = write(tmp_path, pki, server.url, duration="60d")  # the test identities are good for 30 days
    state, measured, remedy = doctor(path)["expiry"]
    assert state == "warn" and "run.duration" in remedy
    assert re.fullmatch(rf"{path}:14: certificate 1 of {pki}/clients/client-1.pem ends in [\d.]+ days; and 2 more", measured)
    other = make_pki(tmp_path / "other", 1)
    strangers = f"source = files\npath = {pki}/clients\nca = {other}/ca.pem"
    found = doctor(write(tmp_path, pki, server.url, cert=strangers), code=0)["chains"]
    assert found[0] == "warn" and found[1].startswith(f"{path}:14: certificate 1 of ") and "cert.ca" in found[2]
    # for servers only, below the right CA
    usage = f"source = files\npath = {pki}/bad/wrong-usage.pem\nca = {pki}/ca.pem"
    assert "unsupported certificate purpose" in doctor(write(tmp_path, pki, server.url, cert=usage))["chains"][1]
    # a CA that is not given is not blamed
    silent = f"source = files\npath = {other}/clients"
    assert doctor(write(tmp_path, pki, server.url, cert=silent))["chains"][0] == "ok"
    expired = f"source = files\npath = {pki}/bad/expired.pem"
    found = doctor(write(tmp_path, pki, server.url, cert=expired), code=5)
    assert found["files"][0] == "FAIL" and f"{path}:14:" in found["files"][1] and "has expired" in found["files"][1]
    (tmp_path / "swapped").mkdir()
    for name in ("cert", "key"):
        subprocess.run(["openssl", "x509" if name == "cert" else "pkey", "-in",
                        pki / "clients" / f"client-{1 if name == 'cert' else 2}.pem", "-out",
                        tmp_path / "swapped" / f"a.{'crt' if name == 'cert' else 'key'}"], check=True)
    swapped = f"source = files\npath = {tmp_path}/swapped"
    found = doctor(write(tmp_path, pki, server.url, cert=swapped), code=5)["files"]
    assert found[0] == "FAIL" and "does not match its private key" in found[1]


def test_secrets_in_files_are_looked_at(tmp_path, pki, server):
    secret = tmp_path / "jwt.secret"
    secret.write_text("x" * 40)
    path = profile(tmp_path, write(tmp_path, pki, server.url).read_text() + f"[jwt]\nkey = @{secret}\n")
    secret.chmod(0o604)
    assert doctor(path)["key files"][1] == f"{path}:19: {secret} has the mode 0604"
    secret.chmod(0o600)
    assert doctor(path)["key files"][1].startswith("4 files")


def limited(limit, value):
    return lambda: resource.setrlimit(limit, value)


def test_descriptors(tmp_path, pki, server):
    path = write(tmp_path, pki, server.url)
    few = dict(capture_output=True, text=True, preexec_fn=limited(resource.RLIMIT_NOFILE, (50, 50)))
    found = rows(subprocess.run([TLSOAK, "doctor", path], **few).stdout)["descriptors"]
    assert found[0] == "FAIL" and found[1] == "50 at most, 66 needed for 2 connections"
    done = subprocess.run([TLSOAK, "run", path, "-o", tmp_path / "run"], **few)
    assert done.returncode == 5 and "limit is 50" in done.stderr and not (tmp_path / "run").exists()


def test_another_tls_library(tmp_path, pki, server):
    library = next((p for p in pathlib.Path("/usr/lib").glob("*/libcrypto.so.[13]*")), None)
    if library is None:
        pytest.skip("OpenSSL's library is not installed")
    env = {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}
    path = write(tmp_path, pki, server.url)
    found = doctor(path, code=5, env=env)
    assert found["libraries"][0] == "FAIL" and library.name in found["libraries"][1]
    assert found["TLS library"][1] == "not tried: see libraries"
    done = tlsoak("run", path, "-o", tmp_path / "run", env=env)
    assert done.returncode == 5 and "LD_PRELOAD" in done.stderr and not (tmp_path / "run").exists()


def test_where_the_run_would_be_written(tmp_path, pki, server):
    path = write(tmp_path, pki, server.url, duration="365d")
    (tmp_path / "deep").mkdir()
    found = doctor(path, "--set", f"run.dir={tmp_path}/deep/a/b")["disk"]
    assert re.search(r"up to [\d.]+ GiB needed", found[1])
    found = doctor(path, "--set", f"run.dir={path}/run", code=5)["disk"]
    assert found == ("FAIL", f"the directory {path} is not writable", "name a writable run directory with -o DIR")


def test_who_cannot_be_reached_or_does_not_ask(tmp_path, pki):
    path = write(tmp_path, pki, "https://127.0.0.1:1/")
    found = doctor(path, code=5)
    assert found["target"][0] == "FAIL" and found["protocol"][0] == "warn"
    assert found["protocol"][1].startswith("the server refused the connection")
    elsewhere = doctor(write(tmp_path, pki, "https://192.0.2.1/"), code=5)
    assert elsewhere["policy"][0] == "FAIL" and elsewhere["protocol"][1] == "not tried: see policy"
    nobody = doctor(write(tmp_path, pki, "https://nobody.invalid/"), code=5)
    assert nobody["policy"][0] == "FAIL" and "nobody.invalid" in nobody["policy"][1]
    # OpenSSL's server without -verify asks for nothing
    config = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", pki / "server.pem", "-key", pki / "server.key", "-www"]
    process = subprocess.Popen(config, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = next(m[1] for line in process.stdout if (m := re.match(r"ACCEPT .*:(\d+)", line)))
        memory = f"pid = {process.pid}"
        found = doctor(write(tmp_path, pki, f"https://127.0.0.1:{port}/", memory=memory))["protocol"]
        assert found[0] == "warn" and "asks for none" in found[1] and "expect_mtls" in found[2], found
    finally:
        process.kill()
        process.communicate()


def cover(path, text, scratch):
    """Puts a file of ours over one of /proc or /sys; in a mount namespace of our own."""
    mine = scratch / path.strip("/").replace("/", "_")
    mine.write_text(text)
    subprocess.run(["mount", "--bind", mine, path], check=True)


def what_the_machine_says(scratch, profile_path):
    for name, text in {
            "/proc/meminfo": "MemTotal: 90000 kB\nMemAvailable: 30000 kB\nSwapTotal: 2097152 kB\nSwapFree: 1048576 kB\n",
            "/proc/stat": "cpu  1000 0 1000 7000 0 0 0 1000 0 0\ncpu0 1 0 1 7 0 0 0 1 0 0\n",
            "/proc/sys/net/ipv4/tcp_tw_reuse": "0\n", "/proc/sys/net/ipv4/tcp_timestamps": "0\n",
            "/proc/sys/net/core/somaxconn": "100\n"}.items():
        cover(name, text, scratch)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", "/sys/devices/system/cpu"], check=True)
    for core, governor in enumerate(["performance", "powersave"]):
        folder = pathlib.Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq")
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(governor + "\n")
    small = scratch / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], check=True)
    found = doctor(profile_path, "--set", "pace.mode=churn", "--set", "pace.rate=200/s", "--set", f"run.dir={small}/run")
    assert found["memory"][0] == "FAIL" and found["memory"][1].startswith("29.3 MiB available"), found["memory"]
    assert found["swap"][:2] == ("warn", "2.00 GiB of swap is on, 1.00 GiB of it in use; none is best"), found["swap"]
    assert found["steal"][0] == "warn" and "10.0 %" in found["steal"][1], found["steal"]
    assert found["time wait"][0] == "warn" and found["time wait"][1].startswith("tcp_tw_reuse 0 (never), tcp_timestamps 0")
    assert "tcp_tw_reuse=1 net.ipv4.tcp_timestamps=1" in found["time wait"][2]
    assert found["listen queue"][0] == "warn" and "somaxconn 100" in found["listen queue"][1]
    if os.cpu_count() > 1:
        assert found["governor"][:2] == ("warn", "powersave on 1 of 2 cores; performance is needed"), found["governor"]
    assert found["disk"][0] == "warn" and found["disk"][1].startswith("64.0 KiB free on a local"), found["disk"]
    # a read-only file system can't take a run at all, and more connections than memory holds can't be opened
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    done = tlsoak("run", profile_path, "-o", small / "run")
    assert done.returncode == 5 and "is not writable" in done.stderr, done.stderr
    done = tlsoak("run", profile_path, "--set", "pace.connections=8000", "--set", "pace.requests_per_connection=1",
                  "-o", scratch / "run")
    assert done.returncode == 5 and "memory: 29.3 MiB available" in done.stderr, done.stderr
    # h2 needs more memory, where the server may not choose http/1.1; the folder is refused anyway
    for alpn, is_refused in ("h2,http/1.1", False), ("h2", True):
        done = tlsoak("run", profile_path, "--set", "pace.connections=1000", "--set", f"target.alpn={alpn}",
                      "-o", small / "run")
        assert done.returncode == 5 and ("\nmemory: 29.3 MiB available" in done.stderr) == is_refused, done.stderr


def test_what_the_machine_says(tmp_path, pki, server):
    options = ["-m"] if os.geteuid() == 0 else ["-r", "-m"]
    if subprocess.run(["unshare", *options, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces for this user")
    done = subprocess.run(["unshare", *options, sys.executable, __file__, tmp_path,
                           write(tmp_path, pki, server.url)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    what_the_machine_says(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
