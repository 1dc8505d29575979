"""TLS as a normal client does it: resumption asked and reached, key updates, staples, groups, the library's name."""
import csv
import fcntl
import re
import struct
import subprocess
import termios
import time

import pytest

from servers import TLSOAK, free_port, haproxy, make_pki, need, nginx, profile, tlsoak, totals

CLIENTS = 20
EACH = "connections = 4\nthink_time = 4ms\nrequests_per_connection = 1"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 1)


def text(server, pki, target="", pace="", cert=f"count = {CLIENTS}", duration="1s"):
    return f"""
[run]
duration = {duration}
threads = 1
[target]
url = {server.url}
server_ca = {pki}/ca.pem
{target}
[pace]
{pace or EACH}
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
{cert}
[memory server]
pid = {server.pid}
"""


def soak(tmp_path, profile_text):
    run_dir = tmp_path / "run"
    done = tlsoak("run", profile(tmp_path, profile_text), "-o", run_dir, "--inconclusive-ok")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = totals(run_dir)
    found["text"] = done.stdout
    found["ticks"] = list(csv.DictReader((run_dir / "ticks.csv").open()))
    return found


def check_resumption(found, asked, new_clients=CLIENTS):
    """The ratio is the one that was asked for, and all reports say the same."""
    count, resumption = found["totals"], found["resumption"]
    n = resumption["reconnects"]
    assert count["failed"] == 0 and n > 0
    assert n == count["reconnected"] == count["handshake_full"] + count["handshake_resumed"] - new_clients
    assert resumption["asked"] == pytest.approx(asked, abs=1e-6)
    assert resumption["reached"] == pytest.approx(count["handshake_resumed"] / n)
    # five standard errors of a binomial; those count that could not
    tried = sum(resumption[k] for k in ("no_ticket", "expired", "refused_by_server")) + count["handshake_resumed"]
    assert abs(tried - asked * n) <= 5 * (asked * (1 - asked) * n) ** 0.5
    if asked > 0:
        assert f"resumed {100 * resumption['reached']:.3g} % of {n:,} reconnects" in " ".join(found["text"].split())
        assert f"asked {100 * asked:.3g} %" in " ".join(found["text"].split())
    last = found["ticks"][-1]
    assert int(last["reconnected"]) == n and int(last["handshake_resumed"]) == count["handshake_resumed"]


REUSED = """access_log {folder}/reused.log reused;"""
CACHE = "ssl_session_cache shared:S:1m; "


@pytest.mark.parametrize("version, tickets, cache, ratio", [
    ("1.3", "on", "", "50%"),
    ("1.3", "off", CACHE, "50%"),     # tickets that name an entry of the server's cache
    ("1.2", "on", "", "50%"),
    ("1.2", "off", CACHE, "50%"),     # session ids
    ("1.3", "on", "", "100%"),
    ("1.2", "on", "", "0%"),
])
def test_nginx_agrees_on_the_ratio(tmp_path, pki, version, tickets, cache, ratio):
    extra = cache + REUSED.format(folder=tmp_path)
    with nginx(tmp_path, pki, tickets=tickets, extra=extra) as server:
        found = soak(tmp_path, text(server, pki, target=f"tls_min = {version}\ntls_max = {version}",
                                    pace=f"{EACH}\nresume_ratio = {ratio}"))
    check_resumption(found, float(ratio[:-1]) / 100)
    assert found["resumption"]["refused_by_server"] == found["resumption"]["expired"] == 0
    # only where a client comes again before its last connection has had its ticket
    assert found["resumption"]["no_ticket"] <= found["resumption"]["reconnects"] / 50
    # $ssl_session_reused, of each connection, behind the self-check's
    lines = [line.split() for line in (tmp_path / "reused.log").read_text().splitlines()][1:]
    assert all(line[1] == f"TLSv{version}" for line in lines)
    count = found["totals"]
    assert len(lines) == count["completed"]
    # the last connections end before they have asked for anything
    unused = count["handshake_full"] + count["handshake_resumed"] - count["completed"]
    reused = sum(line[0] == "r" for line in lines)
    assert unused <= 4 and reused <= count["handshake_resumed"] <= reused + unused


def test_a_server_that_gives_nothing(tmp_path, pki):
    """Each full handshake that should have been none has its reason."""
    with nginx(tmp_path, pki, tickets="off") as server:
        found = soak(tmp_path, text(server, pki, target="tls_max = 1.2", pace=f"{EACH}\nresume_ratio = 50%"))
    check_resumption(found, 0.5)
    resumption = found["resumption"]
    assert resumption["reached"] == 0 and resumption["refused_by_server"] == resumption["expired"] == 0
    n = resumption["reconnects"]
    assert abs(resumption["no_ticket"] - n / 2) < 5 * (n / 4) ** 0.5
    assert f"{resumption['no_ticket']:,} had no ticket" in " ".join(found["text"].split())


def test_a_server_that_forgets(tmp_path, pki):
    """Tickets that live for a second: what is older is not offered, and the rest still resumes."""
    extra = "ssl_session_timeout 1s; " + REUSED.format(folder=tmp_path)
    with nginx(tmp_path, pki, extra=extra) as server:
        found = soak(tmp_path, text(server, pki, target="tls_max = 1.2", cert="count = 2", duration="3s",
                                    pace="connections = 2\nthink_time = 1100ms\nrequests_per_connection = 2\nresume_ratio = 100%"))
    # each client comes back more than a second after its ticket
    assert found["totals"]["failed"] == 0
    assert found["resumption"]["expired"] == found["resumption"]["reconnects"] > 0


def test_fresh_clients_never_resume(tmp_path, pki):
    with nginx(tmp_path, pki, extra=REUSED.format(folder=tmp_path)) as server:
        found = soak(tmp_path, text(server, pki, cert="pick = fresh", pace=f"{EACH}\nresume_ratio = 50%"))
    assert found["totals"]["handshake_resumed"] == found["totals"]["reconnected"] == 0
    assert found["totals"]["cert_new"] == found["totals"]["handshake_full"] > 0
    assert found["resumption"]["asked"] is None and found["resumption"]["reached"] is None


HAPROXY_LOG = """ssl-{which}-ver TLSv{version}
  log stdout format raw local0
  log-format reused:%[ssl_fc_is_resumed]"""


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_haproxy_agrees_on_the_ratio(tmp_path, pki, version):
    bind = HAPROXY_LOG.format(which="max" if version == "1.2" else "min", version=version)
    with haproxy(tmp_path, pki, bind) as server:
        found = soak(tmp_path, text(server, pki, pace=f"{EACH}\nresume_ratio = 50%"))
        server.stop()
        logged = re.findall(r"reused:(\d)", server.log.read_text())
    check_resumption(found, 0.5)
    count = found["totals"]
    unused = count["handshake_full"] + count["handshake_resumed"] - count["completed"]
    assert unused <= 4 and logged.count("1") <= count["handshake_resumed"] <= logged.count("1") + unused


# Key updates.


def test_nginx_follows_key_updates(tmp_path, pki):
    with nginx(tmp_path, pki) as server:
        found = soak(tmp_path, text(server, pki, target="tls_min = 1.3\nkey_update = 1B",
                                    pace="connections = 4").replace("requests_per_connection = 1",
                                                                    "requests_per_connection = 10"))
    count = found["totals"]
    assert count["failed"] == 0 and count["completed"] > 0
    # with each request but a connection's first
    assert count["key_updated"] == count["completed"] - count["handshake_full"]
    assert f"{count['key_updated']:,} key updates begun" in found["text"]


class Terminal:
    """openssl s_server, whose standard input is the server's words, and commands where a read begins with one."""

    def __init__(self, tmp_path, pki, *options):
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}/"
        self.log = tmp_path / "s_server.log"
        self.process = subprocess.Popen(
            [need("openssl"), "s_server", "-accept", str(self.port), "-cert", f"{pki}/server.pem", "-key",
             f"{pki}/server.key", "-CAfile", f"{pki}/ca.pem", "-Verify", "1", "-naccept", "1", "-msg", *options],
            stdin=subprocess.PIPE, stdout=self.log.open("wb"), stderr=subprocess.STDOUT)
        self.wait_for("ACCEPT")

    def wait_for(self, words):
        deadline = time.monotonic() + 20
        while words not in self.log.read_text(errors="replace"):
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
            time.sleep(0.01)

    def say(self, line):
        """One read of the server's: it has taken this when the pipe is empty."""
        self.process.stdin.write(line)
        self.process.stdin.flush()
        deadline = time.monotonic() + 20
        while struct.unpack("i", fcntl.ioctl(self.process.stdin, termios.FIONREAD, b"\0" * 4))[0] > 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()


@pytest.mark.parametrize("command", [b"K\n", b"k\n"])  # with and without asking for ours
def test_openssl_updates_keys_in_mid_response(tmp_path, pki, command):
    server = Terminal(tmp_path, pki, "-tls1_3")
    server.pid = server.process.pid
    client = subprocess.Popen([TLSOAK, "run", profile(tmp_path, text(server, pki, cert="count = 1")),
                               "--once", "-v"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        server.wait_for("Host: 127.0.0.1")
        server.say(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\nhello\n")
        server.say(command)
        server.say(b"world\n")
        said = client.communicate(timeout=30)[0].decode()
        server.wait_for("KeyUpdate")
    finally:
        client.kill()
        client.wait()
        server.stop()
    assert client.returncode == 0, said
    log = server.log.read_text(errors="replace")
    assert len(re.findall(r">>> TLS 1\.3, Handshake \[length 0005\], KeyUpdate", log)) == 1


# Staples, groups, the library.


def ocsp_response(pki, folder):
    """Made by the CA itself, as a responder would."""
    openssl = need("openssl")
    serial = subprocess.run([openssl, "x509", "-in", pki / "server.pem", "-noout", "-serial"], check=True,
                            capture_output=True, text=True).stdout.strip().split("=")[1]
    (folder / "index.txt").write_text(f"V\t350101000000Z\t\t{serial}\tunknown\t/CN=server\n")
    request, response = folder / "request.der", folder / "response.der"
    subprocess.run([openssl, "ocsp", "-issuer", pki / "ca.pem", "-cert", pki / "server.pem", "-reqout", request],
                   check=True, capture_output=True)
    subprocess.run([openssl, "ocsp", "-index", folder / "index.txt", "-CA", pki / "ca.pem", "-rsigner",
                    pki / "ca.pem", "-rkey", pki / "ca.key", "-reqin", request, "-respout", response, "-ndays", "7"],
                   check=True, capture_output=True)
    return response


def test_a_stapled_response_is_shown_and_counted(tmp_path, pki):
    response = ocsp_response(pki, tmp_path)
    extra = f"ssl_stapling on; ssl_stapling_file {response};"
    with nginx(tmp_path, pki, extra=extra) as server:
        for asked in ("yes", "no"):
            path = profile(tmp_path, text(server, pki, target=f"ocsp = {asked}\nsct = {asked}"))
            shown = tlsoak("run", path, "--once", "-v").stdout
            assert ("* stapled OCSP response of" in shown) == (asked == "yes"), shown
            assert ("bytes: good, from 20" in shown) == (asked == "yes")
            assert ("* no certificate timestamps, though asked for" in shown) == (asked == "yes")
        found = soak(tmp_path, text(server, pki, target="ocsp = yes", pace=f"{EACH}\nresume_ratio = 50%"))
    assert found["totals"]["ocsp_stapled"] == found["totals"]["handshake_full"]
    assert found["totals"]["scts"] == 0
    assert f"{found['totals']['ocsp_stapled']:,} handshakes with a stapled OCSP response" in found["text"]


def test_unknown_groups_and_ciphers_are_named(tmp_path, pki):
    class Nowhere:
        url, pid = "https://127.0.0.1:1/", 1

    for key, value, word in [("groups", "X25519:X25519NOSUCH", "X25519NOSUCH"),
                             ("ciphers", "ECDHE-RSA-AES128-GCM-SHA256:FOO", "FOO")]:
        path = profile(tmp_path, text(Nowhere, pki, target=f"{key} = {value}"))
        line = next(i for i, t in enumerate(path.read_text().splitlines(), 1) if t.startswith(key))
        done = tlsoak("check", path)
        assert done.returncode == 2
        said = " ".join(done.stderr.split())
        assert f"profile.ini:{line}: target.{key}: \"{word}\" is not in this BoringSSL (API " in said, said
        assert ("; it has " in said) and ("X25519" if key == "groups" else "ECDHE-ECDSA-AES128-GCM-SHA256") in said
    path = profile(tmp_path, text(Nowhere, pki, target="tls_max = 1.2\nkey_update = 1MiB"))
    assert "target.key_update: is of TLS 1.3" in tlsoak("check", path).stderr


def test_every_report_names_the_library_and_its_speed(tmp_path, pki):
    with nginx(tmp_path, pki) as server:
        found = soak(tmp_path, text(server, pki))
    speed = found["tls_speed"]
    assert found["tls_library"].startswith("BoringSSL API ")
    assert speed["p256_signs_per_s"] > 0 and speed["p256_verifies_per_s"] > 0
    said = " ".join(found["text"].split())
    assert (f"{found['tls_library']}; on one core {int(speed['p256_signs_per_s']):,} P-256 signs/s, "
            f"{int(speed['p256_verifies_per_s']):,} verifies/s") in said
    again = " ".join(tlsoak("report", tmp_path / "run").stdout.split())
    assert f"{int(speed['p256_signs_per_s']):,} P-256 signs/s" in again
    doctor = tlsoak("doctor")
    assert re.search(r"BoringSSL API \d+ \(\w+\): on one core [\d,]+ P-256 signs/s, [\d,]+ verifies/s", doctor.stdout)
