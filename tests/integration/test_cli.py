"""Commands and their contracts: help, check, pki, analyse, report, doctor, one exchange, mistakes."""
import csv
import io
import json
import pathlib
import re
import subprocess

import pytest

from servers import TLSOAK, embedded, make_pki, profile, tlsoak

COMMANDS = ["demo", "run", "check", "analyse", "report", "pki", "serve", "doctor", "help"]


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 3, "--bad")


def small(pki, server, extra="", duration="3s"):
    return f"""
[run]
duration = {duration}
threads = 2
[target]
url = {server.url}
server_ca = {pki}/ca.pem
[pace]
connections = 4
think_time = 5ms
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
count = 8
[memory server]
pid = {server.pid}
{extra}
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_comes_from_the_tables(command):
    done = tlsoak(command, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: tlsoak {command}")
    if command == "run":
        for key in ("duration", "requests_per_connection", "rotate", "server_ca", "budget"):
            assert key in done.stdout


def test_unknown_words_are_told(tmp_path):
    assert tlsoak("rum").returncode == 2 and "did you mean run" in tlsoak("rum").stderr
    done = tlsoak("run", tmp_path / "none.ini")
    assert done.returncode == 2 and "none.ini" in done.stderr
    assert "did you mean --quiet" in tlsoak("run", "x.ini", "--qiet").stderr
    assert tlsoak("demo", "--leak", "client_certificat=1KiB").returncode == 2


def test_all_mistakes_of_a_profile_come_at_once(tmp_path, pki):
    path = profile(tmp_path, f"""[run]
duration = 30s
[target]
url = https://127.0.0.1:1/
[pace]
mode = open
rate = 10x
ratee = 5/s
[cert]
ca = {tmp_path}/missing.pem
ca_key = {pki}/ca.key
[memory]
pid = 1
""")
    done = tlsoak("run", path)
    assert done.returncode == 2 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert any(line.startswith(f"{path}:7: ") and "10x" in line for line in lines), lines
    assert any(line.startswith(f"{path}:8: ") and "did you mean" in line for line in lines), lines
    assert any(line.startswith(f"{path}:10: ") and "missing.pem" in line for line in lines), lines


def test_a_key_that_does_not_match_is_a_mistake(tmp_path, pki):
    other = make_pki(tmp_path / "other")
    path = profile(tmp_path, f"""[run]
duration = 3s
[target]
url = https://127.0.0.1:1/
server_ca = {pki}/ca.pem
[cert]
ca = {pki}/ca.pem
ca_key = {other}/ca.key
""")
    for command in ("run", "check"):
        done = tlsoak(command, path)
        assert done.returncode == 2 and done.stdout == ""
        assert f"{path}:8:" in done.stderr and "match" in done.stderr
    doctor = tlsoak("doctor", path)
    assert doctor.returncode == 5 and "FAIL  files" in doctor.stdout and "match" in doctor.stdout


def test_check_reads_the_files(tmp_path, pki):
    (tmp_path / "empty").write_text("")
    path = profile(tmp_path, f"""[run]
duration = 3s
[target]
url = https://127.0.0.1:1/
server_ca = {pki}/ca.key
groups = P-999
[apikey]
path = {tmp_path}/empty
[jwt]
key = @{pki}/jwt.secret
claims = {{bad
""")
    lines = tlsoak("check", path).stderr.splitlines()
    for line in (5, 6, 8, 11):
        assert any(one.startswith(f"{path}:{line}: ") for one in lines), (line, lines)
    empty = tlsoak("check", path, "--set", f"jwt.key=@{tmp_path}/empty")
    assert empty.returncode == 2 and "jwt.key: " in empty.stderr and "is empty" in empty.stderr


def test_secrets_stay_off_the_command_line(tmp_path, pki):
    path = profile(tmp_path, "[target]\nurl = https://127.0.0.1:1/\n[apikey]\n")
    for key in ("apikey.secret", "jwt.key", "jwt.client_secret", "cert.password",
                "request.header.Authorization"):
        for command in ("check", "run"):
            done = tlsoak(command, path, "--set", f"{key}=canary-plain")
            assert done.returncode == 2 and done.stdout == "", (command, key, done.stdout)
            assert f"--set: {key}: everyone on this machine can read a command line" in done.stderr
            assert "@FILE or ${VARIABLE}" in done.stderr and "canary" not in done.stderr
    (tmp_path / "secret").write_text("canary-file")
    for text, shown in ((f"@{tmp_path}/secret", f"@{tmp_path}/secret"), ("${PATH}", "${PATH}")):
        done = tlsoak("check", path, "--set", f"apikey.secret={text}")
        assert done.returncode == 0, done.stderr
        assert f"secret = {shown} ; redacted" in done.stdout and "canary" not in done.stdout


def test_identities_and_refusals_are_checked(tmp_path, pki):
    start = f"""[target]
url = https://127.0.0.1:1/
server_ca = {pki}/ca.pem
[cert good]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
[cert bad]
source = files
path = {pki}/bad/revoked.pem
"""
    wrong = tlsoak("check", profile(tmp_path, start + """[identity a]
cert = goood
[refuse r]
cert = revoked
"""))
    assert wrong.returncode == 2
    path = tmp_path / "profile.ini"
    for line, text in ((4, "no [identity] has it"), (7, "no [identity] has it"),
                       (11, "did you mean good?"), (12, "refuse.path is missing")):
        assert any(one.startswith(f"{path}:{line}: ") and text in one
                   for one in wrong.stderr.splitlines()), wrong.stderr
    unnamed = tlsoak("check", profile(tmp_path, start))
    assert unnamed.returncode == 2 and "needs [identity NAME] sections" in unnamed.stderr


def test_a_ca_is_no_client(tmp_path, pki):
    path = profile(tmp_path, f"""[target]
url = https://127.0.0.1:1/
[cert]
source = files
path = {pki}
""")
    for command in ("check", "run"):
        done = tlsoak(command, path)
        assert done.returncode == 2, done.stdout + done.stderr
        assert f"{path}:5: cert.path: {pki}/ca.pem holds a CA's certificate" in done.stderr


def test_words_that_make_no_sense_together(tmp_path):
    assert tlsoak("run", tmp_path / "x.ini", "-v").stderr.startswith("--verbose: goes with --once")
    done = tlsoak("analyse", "/dev/zero")
    assert done.returncode == 2 and "device" in done.stderr


def test_check_prints_origins_and_loads_again(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        path = profile(tmp_path, small(pki, server))
        done = tlsoak("check", path, "--set", "run.seed=99")
    assert done.returncode == 0, done.stderr
    assert "--set" in done.stdout and f"{path.name}:" in done.stdout and "default" in done.stdout
    again = profile(tmp_path, done.stdout, "again.ini")
    assert tlsoak("check", again).returncode == 0


def test_run_report_and_formats(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        run_dir = tmp_path / "run"
        done = tlsoak("run", profile(tmp_path, small(pki, server)), "-o", run_dir)
        again = tlsoak("run", tmp_path / "profile.ini", "-o", run_dir)
    assert done.returncode == 3, done.stdout + done.stderr  # three seconds can't tell
    text = tlsoak("report", run_dir).stdout
    assert text == done.stdout or text in done.stdout
    parsed = json.loads(tlsoak("report", run_dir, "--format", "json").stdout)
    assert parsed["schema"] == "tlsoak.verdict/1" and parsed["exit_code"] == 3
    assert parsed["memory"][0]["needed"]["seconds"] > 0
    rows = list(csv.DictReader(io.StringIO(tlsoak("report", run_dir, "--format", "csv").stdout)))
    assert rows and "driver" in rows[0]
    assert tlsoak("report", run_dir, "--format", "yaml").returncode == 2
    assert again.returncode == 2 and "already holds a run" in again.stderr


def test_inconclusive_ok(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        done = tlsoak("run", profile(tmp_path, small(pki, server)), "-o", tmp_path / "run",
                      "--inconclusive-ok", "--quiet")
    assert done.returncode == 0 and done.stdout.count("\n") == 1, done.stdout


def test_once_shows_the_exchange(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        done = tlsoak("run", profile(tmp_path, small(pki, server)), "--once", "-v")
        assert done.returncode == 0, done.stdout + done.stderr
        for part in ("127.0.0.1", "TLSv1.3", "CN=", "> GET / HTTP/1.1", "< HTTP/1.1 200"):
            assert part in done.stdout, done.stdout
        foreign = small(pki, server).replace("[cert]", "[cert]\nsource = files").replace(
            f"ca = {pki}/ca.pem\nca_key = {pki}/ca.key\ncount = 8", f"path = {pki}/bad/unknown-ca.pem")
        refused = tlsoak("run", profile(tmp_path, foreign), "--once", "-v")
        assert refused.returncode == 4 and "unknown_ca" in refused.stdout, refused.stdout


def test_doctor(tmp_path, pki):
    done = tlsoak("doctor")
    assert done.returncode in (0, 5)
    for check in ("descriptors", "ports", "cores", "TLS library"):
        assert check in done.stdout
    with embedded(tmp_path, pki, credentials=False) as server:
        path = profile(tmp_path, small(pki, server))
        assert "can be read" in tlsoak("doctor", path).stdout
        # the page cache is memory that can be had: as much as the kernel says, give or take a half
        available = int(re.search(r"MemAvailable: +(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
        n, unit = re.search(r"memory +([0-9.]+) (\w+) available", done.stdout).groups()
        assert 0.5 < float(n) * {"MiB": 2**10, "GiB": 2**20, "TiB": 2**30}[unit] / available < 2
        # where -o or run.dir points counts, not where we stand
        nowhere = tlsoak("doctor", path, "--set", f"run.dir={path}/run")
        assert nowhere.returncode == 5 and "FAIL  disk" in nowhere.stdout
        many = tlsoak("doctor", path, "--set", "pace.connections=1000000")
        assert many.returncode == 5 and "FAIL  descriptors" in many.stdout
        # what a fresh identity costs is measured on it alone, without those to be refused
        fresh = small(pki, server, "[refuse late]\ncert = expired").replace("count = 8", "pick = fresh").replace(
            "think_time = 5ms", "mode = open\nrate = 100/s\nrequests_per_connection = 10")
        minting = tlsoak("doctor", profile(tmp_path, fresh))
        assert "identities that never repeat take" in minting.stdout, minting.stdout + minting.stderr


def test_pki_is_good_for_openssl(tmp_path):
    folder = make_pki(tmp_path / "p", 2, "--bad")
    for name in ("clients/client-1.pem", "clients/client-2.pem"):
        done = subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile",
                               folder / "ca.pem", folder / name], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    for bad in ("expired", "not-yet-valid", "unknown-ca", "self-signed", "wrong-usage"):
        done = subprocess.run(["openssl", "verify", "-purpose", "sslclient", "-CAfile",
                               folder / "ca.pem", folder / f"bad/{bad}.pem"], capture_output=True)
        assert done.returncode != 0, bad
    assert (folder / "ca.key").stat().st_mode & 0o077 == 0
    assert tlsoak("pki", tmp_path / "none", "--days", 0).returncode == 2


def test_analyse_reads_any_series(tmp_path):
    leak = "time_s,anon_bytes,requests\n" + "".join(
        f"{t},{50_000_000 + 20_000 * t + 4096 * (t * 7 % 5)},{1000 * t}\n" for t in range(300))
    flat = "time_s,anon_bytes,requests\n" + "".join(
        f"{t},{50_000_000 + 4096 * (t * 7 % 5)},{1000 * t}\n" for t in range(300))
    (tmp_path / "leak.csv").write_text(leak)
    (tmp_path / "flat.csv").write_text(flat)
    done = tlsoak("analyse", tmp_path / "leak.csv", "--format", "json")
    parsed = json.loads(done.stdout)
    assert done.returncode == parsed["exit_code"] == 1
    assert 18_000 < parsed["memory"][0]["slope_bytes_per_second"]["value"] < 22_000
    assert tlsoak("analyse", tmp_path / "flat.csv").returncode == 0
    # level readings for a time in which the budget allows too little to be seen
    (tmp_path / "brief.csv").write_text("time_s,anon_bytes,requests\n" + "".join(
        f"{t},50000000,{10 * t}\n" for t in range(60)))
    brief = tlsoak("analyse", tmp_path / "brief.csv", "--format", "json")
    assert brief.returncode == 3 and "64 KiB" in json.loads(brief.stdout)["reason"]
    assert json.loads(brief.stdout)["memory"][0]["needed"]["seconds"] > 0
    both = tlsoak("analyse", tmp_path / "flat.csv", tmp_path / "leak.csv", "--format", "json")
    assert both.returncode == 1
    assert [json.loads(line)["exit_code"] for line in both.stdout.splitlines()] == [0, 1]
    (tmp_path / "bad.csv").write_text("time_s,anon_bytes\n0,1000\n1,nan\n")
    bad = tlsoak("analyse", tmp_path / "bad.csv")
    assert bad.returncode == 2 and "bad.csv:3" in bad.stderr


def test_version():
    assert tlsoak("--version").stdout.startswith("tlsoak ")
    assert subprocess.run([TLSOAK], capture_output=True).returncode == 2
