"""What looks flat and is no pass: traps that a server, or who tests it, can fall into.

Tests of a server that dies and of a process that is not the one which listens are in test_ending.py, of one that is
restarted in test_load.py."""
import socket
import struct
import threading

import pytest

from servers import embedded, load_text, make_pki, profile, tlsoak, totals, verdict

CREDENTIALS = """
[apikey]
secret = @{pki}/apikey.secret
[jwt]
alg = HS256
key = {key}
"""
BAD_TOKENS = "[refuse forged]\njwt = wrong-signature\nshare = 5%\n"
LOAD = "mode = open\nrate = 200/s\nconnections = 4\nrequests_per_connection = 20"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


def profile_text(server, pki, run, pace, key=None, memory=""):
    return load_text(server, pki, run, pace, memory=memory) + CREDENTIALS.format(pki=pki, key=key or
                                                                                 f"@{pki}/jwt.secret")


def check_invalid(run_dir, done):
    judged = verdict(run_dir)
    assert done.returncode == 4 and judged["verdict"] == "invalid", done.stdout + done.stderr
    return judged["reason"]


def test_one_bad_token_poisons_the_server(tmp_path, pki):
    """As a lock that a panic left locked does: all that comes later is an error, and memory is flat."""
    with embedded(tmp_path, pki, "--poison", "--leak", "jwt=4KiB") as server:
        text = profile_text(server, pki, "duration = 4s\nthreads = 1", LOAD) + BAD_TOKENS
        done = tlsoak("run", profile(tmp_path, text), "-o", tmp_path / "run", "-q")
    counts = totals(tmp_path / "run")["totals"]
    assert counts["unexpected"] > counts["completed"] / 2
    assert "more than half of the exchanges of the run failed" in check_invalid(tmp_path / "run", done)


def test_a_server_that_is_poisoned_late_does_not_pass_for_what_it_did_before(tmp_path, pki):
    (tmp_path / "forged.secret").write_text("another secret than the server's\n")
    with embedded(tmp_path, pki, "--poison") as server:
        text = profile_text(server, pki, "duration = 11s\nthreads = 1", LOAD)
        forged = profile_text(server, pki, "duration = 1s", "connections = 1", "@forged.secret", memory=None)
        bad = profile(tmp_path, forged, "forged.ini")
        timer = threading.Timer(6, tlsoak, ("run", bad, "--once"))
        timer.start()
        done = tlsoak("run", profile(tmp_path, text), "-o", tmp_path / "run", "-q")
        timer.join()
    counts = totals(tmp_path / "run")["totals"]
    assert 0 < counts["unexpected"] < counts["completed"] / 2
    reason = check_invalid(tmp_path / "run", done)
    assert reason.startswith("all exchanges of the last ") and "s of the load failed: " in reason


PSK_MODES, SESSION_TICKET = 45, 35


def client_hello(listener):
    """Extensions of the first ClientHello that comes (RFC 8446, section 4.1.2)."""
    connection = listener.accept()[0]
    with connection:
        connection.settimeout(10)
        data = b""
        while len(data) < 5 or len(data) < 5 + struct.unpack(">H", data[3:5])[0]:
            data += connection.recv(65536)
    body = data[5 + 4:]
    at = 2 + 32
    at += 1 + body[at]
    at += 2 + struct.unpack(">H", body[at:at + 2])[0]
    at += 1 + body[at]
    end = at + 2 + struct.unpack(">H", body[at:at + 2])[0]
    at += 2
    found = {}
    while at < end:
        kind, size = struct.unpack(">HH", body[at:at + 4])
        found[kind] = body[at + 4:at + 4 + size]
        at += 4 + size
    return found


@pytest.mark.parametrize("ratio", ["0%", "100%"])
@pytest.mark.parametrize("versions", [("1.2", "1.3"), ("1.3", "1.3"), ("1.2", "1.2")])
def test_tickets_are_always_asked_for(tmp_path, pki, versions, ratio):
    """A server that keeps something of each session does so only of clients that could resume one, so even a load that
    never resumes says that it could: nothing in a profile turns this off."""
    low, high = versions
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        text = f"""
[run]
duration = 1s
threads = 1
[target]
url = https://127.0.0.1:{listener.getsockname()[1]}/
server_ca = {pki}/ca.pem
tls_min = {low}
tls_max = {high}
[pace]
connections = 1
resume_ratio = {ratio}
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
"""
        client = threading.Thread(target=tlsoak, args=("run", profile(tmp_path, text), "--once"))
        client.start()
        extensions = client_hello(listener)
    client.join()
    if high == "1.3":
        assert extensions[PSK_MODES] == b"\x01\x01"  # psk_dhe_ke
    if low == "1.2":
        assert extensions[SESSION_TICKET] == b""
