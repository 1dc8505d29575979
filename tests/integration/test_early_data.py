"""0-RTT against nginx with mutual TLS: what it took early, and what never goes so."""
import collections

import pytest

from servers import make_pki, nginx, profile, tlsoak, totals

LOG = ("access_log {folder}/early.log early; ssl_early_data on; ")


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


def soak(tmp_path, pki, target="", more="", extra="", pace="connections = 4\nthink_time = 4ms"):
    """(report, totals, lines of nginx's log behind the self-check's) of a run in which nothing failed."""
    with nginx(tmp_path, pki, extra=LOG.format(folder=tmp_path) + extra) as server:
        done = tlsoak("run", profile(tmp_path, f"""
[run]
duration = 1500ms
threads = 1
[target]
url = {server.url}
server_ca = {pki}/ca.pem
{target}
[pace]
{pace}
requests_per_connection = 1
resume_ratio = 100%
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
count = 4
{more}
"""), "-o", tmp_path / "run", "--inconclusive-ok")
        assert done.returncode == 0, done.stdout + done.stderr
        server.stop()
    count = totals(tmp_path / "run")["totals"]
    assert count["failed"] == count["unexpected"] == count["dial_failed"] == 0
    assert count["handshake_resumed"] > 4
    lines = [line.split() for line in (tmp_path / "early.log").read_text().splitlines()][1:]
    assert all(line[3] == "SUCCESS" for line in lines)  # the client's certificate, in the ticket
    return " ".join(done.stdout.split()), count, lines


def test_nginx_takes_it_with_client_certificates(tmp_path, pki):
    text, count, lines = soak(tmp_path, pki, "early_data = yes")
    assert count["early_offered"] == count["early_accepted"] > 4
    assert count["early_rejected"] == count["early_put_off"] == count["retried"] == 0
    assert len(lines) == count["completed"]  # each request once
    # $ssl_early_data is 1 until the client's Finished is there as well
    early = [line for line in lines if line[1] == "1"]
    assert 0 < len(early) <= count["early_accepted"]
    assert all(line[0] == "r" for line in early)
    assert f"0-RTT {count['early_offered']:,} offered, {count['early_accepted']:,} accepted" in text


@pytest.mark.parametrize("target, more", [
    ("", ""),
    ("early_data = yes", "[request post]\nmethod = POST\nbody = hello\n"),
])
def test_never_unasked_and_never_a_post(tmp_path, pki, target, more):
    """Though its tickets allow it."""
    text, count, lines = soak(tmp_path, pki, target, more)
    assert count["early_offered"] == 0 and "0-RTT" not in text
    assert {line[1] for line in lines} == {"-"}
    assert {line[4] for line in lines} == ({"POST"} if more else {"GET"})


def test_only_gets_among_posts(tmp_path, pki):
    _, count, lines = soak(tmp_path, pki, "early_data = yes", "[request get]\n[request post]\nmethod = POST\n")
    methods = collections.Counter(line[4] for line in lines)
    assert len(lines) == count["completed"] and min(methods.values()) > 2
    assert 0 < count["early_accepted"] <= methods["GET"]
    assert {line[4] for line in lines if line[1] == "1"} == {"GET"}


def test_425_is_sent_again(tmp_path, pki):
    """RFC 8470, behind the handshake of the same connection."""
    text, count, lines = soak(tmp_path, pki, "early_data = yes", pace="mode = churn\nrate = 100/s\nconnections = 8",
                              extra="if ($ssl_early_data) { return 425; }")
    statuses = collections.Counter(line[2] for line in lines)
    assert statuses["425"] == count["early_put_off"] == count["retried"] > 0
    assert statuses["200"] == count["completed"]
    connections = collections.defaultdict(list)
    for line in lines:
        connections[line[5]].append(line[2])
    assert collections.Counter(tuple(c) for c in connections.values())[("425", "200")] == statuses["425"]
    assert f"{count['early_put_off']:,} answered 425 and sent again" in text


def test_mistakes(tmp_path, pki):
    for target, pace, says in (
            ("", "", "needs resumed sessions (write pace.resume_ratio = 50%)"),
            ("tls_max = 1.2", "resume_ratio = 1%", "is of TLS 1.3, which target.tls_max = 1.2 rules out"),
            ("alpn = h2", "resume_ratio = 1%", "is for HTTP/1.1 alone (leave target.alpn out)"),
            ("", "mode = handshake\nrate = 1/s\nresume_ratio = 1%", "of no use with pace.mode = handshake")):
        done = tlsoak("check", profile(tmp_path, f"[target]\nurl = https://127.0.0.1:1/\nearly_data = yes\n{target}\n"
                                                 f"[pace]\n{pace}\n"))
        assert done.returncode == 2 and f"profile.ini:3: target.early_data: {says}" in done.stderr, done.stderr
