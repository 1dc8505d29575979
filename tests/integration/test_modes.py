"""What falls due: connections (churn), handshakes, and requests that keep held connections alive."""
import pytest

from servers import embedded, haproxy, last_truth, load_text, make_pki, nginx, profile, tlsoak, totals


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"), 2)


def run(folder, server, pki, pace, *sets, ca=None, name="run", codes=(0, 1)):
    text = load_text(server, pki, "duration = 2s\nthreads = 2", pace, ca=ca)
    more = [arg for pair in sets for arg in ("--set", pair)]
    done = tlsoak("run", profile(folder, text), *more, "-o", folder / name, "--quiet", "--inconclusive-ok")
    assert done.returncode in codes, done.stdout + done.stderr
    return totals(folder / name)


def test_each_start_of_churn_is_a_connection(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        found = run(tmp_path, server, pki, "mode = churn\nrate = 60/s\nrequests_per_connection = 3")
        truth = last_truth(server)
    counts = found["totals"]
    assert counts["due"] == 120 and counts["failed"] == counts["dial_failed"] == 0
    # what was late at the end was never made
    assert counts["dialed"] <= 120 <= counts["dialed"] + counts["skipped"] and counts["skipped"] < 20
    assert truth["connections"] == counts["dialed"] and truth["requests"] == counts["completed"]
    assert counts["completed"] <= 3 * counts["dialed"] and counts["completed"] > 3 * (counts["dialed"] - 20)
    assert counts["closed"] == counts["dialed"]
    assert found["due"] == "connections"


def test_response_counts_from_when_the_connection_was_due(tmp_path, pki):
    """One connection at a time can't bear the rate: what waits is in the response, not in the service."""
    with embedded(tmp_path, pki, credentials=False) as server:
        found = run(tmp_path, server, pki, "mode = churn\nrate = 20000/s\nconnections = 1", "run.threads=1")
    latency = found["latency"]
    assert found["totals"]["skipped"] > 0
    assert latency["response"]["p50_us"] > 20 * latency["service"]["p50_us"]


@pytest.mark.parametrize("version, ratio", [("1.3", "0%"), ("1.3", "100%"), ("1.2", "0%")])
def test_handshakes_alone(tmp_path, pki, version, ratio):
    with nginx(tmp_path, pki) as server:
        found = run(tmp_path, server, pki, f"mode = handshake\nrate = 60/s\nresume_ratio = {ratio}",
                    f"target.tls_min={version}", f"target.tls_max={version}")
        lines = server.access_log.read_text().splitlines()
    counts = found["totals"]
    done = counts["handshake_full"] + counts["handshake_resumed"]
    assert counts["due"] == 120 and counts["dial_failed"] == 0
    assert done == counts["dialed"] == counts["closed"] > 100
    assert counts["started"] == counts["completed"] == 0
    assert len(lines) == 1  # the self-check's
    assert found["latency"]["response"]["n"] == done
    # each of 10 certificates has a ticket after its first time, and some first times overlap
    assert counts["handshake_resumed"] == 0 if ratio == "0%" else counts["handshake_resumed"] > 60


@pytest.mark.parametrize("version, ratio", [("1.3", "0%"), ("1.3", "100%"), ("1.2", "0%")])
def test_a_server_that_answers_the_close_has_shaken_hands(tmp_path, pki, version, ratio):
    """haproxy in mode http calls the end of an empty connection a bad request and answers 400."""
    with haproxy(tmp_path, pki) as server:
        found = run(tmp_path, server, pki, f"mode = handshake\nrate = 60/s\nresume_ratio = {ratio}",
                    f"target.tls_min={version}", f"target.tls_max={version}")
    counts = found["totals"]
    done = counts["handshake_full"] + counts["handshake_resumed"]
    assert counts["due"] == 120 and counts["dial_failed"] == 0, found["outcomes"]
    assert done == counts["dialed"] == counts["closed"] > 100
    assert found["latency"]["response"]["n"] == done


@pytest.mark.parametrize("refuser", [embedded, haproxy])
def test_a_client_that_is_refused_after_its_part_has_not_shaken_hands(tmp_path, pki, tmp_path_factory, refuser):
    """TLS 1.3: the client is through before the server has looked at its certificate."""
    other = make_pki(tmp_path_factory.mktemp("other"))
    options = {"credentials": False} if refuser is embedded else {}
    with refuser(tmp_path, pki, **options) as server:
        found = run(tmp_path, server, pki, "mode = handshake\nrate = 50/s", "target.tls_min=1.3", ca=other,
                    codes=(4,))
        truth = last_truth(server) if refuser is embedded else {"connections": 0}
    counts = found["totals"]
    assert counts["handshake_full"] == 0 and counts["dial_failed"] == counts["dialed"] > 80
    assert sum(n for name, n in found["outcomes"].items() if name.startswith("alert_")) > 80, found["outcomes"]
    assert truth["connections"] == 0


def test_held_connections_are_asked_in_turn(tmp_path, pki):
    with embedded(tmp_path, pki, credentials=False) as server:
        found = run(tmp_path, server, pki, "mode = hold\nconnections = 30\nkeepalive = 500ms")
        truth = last_truth(server)
    counts = found["totals"]
    # 30 in half a second, for two seconds
    assert counts["due"] == 120 and counts["failed"] == 0
    assert truth["connections"] == 30 and truth["requests"] == counts["completed"] > 110
