"""As many connections as the descriptor limit allows, 15,000 at the most, from one process over loopback aliases."""
import collections
import pathlib
import resource

from servers import RELEASE, embedded, make_pki
from test_client_costs import rss_with

MOST, BESIDE = 15000, 200  # descriptors that client and server need beside


def sources_of(port):
    """How many established connections to a port of loopback come from each address."""
    n = collections.Counter()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state = line.split()[:4]
        if remote == f"0100007F:{port:04X}" and state == "01":
            n[bytes.fromhex(local[:8])[::-1]] += 1
    return n


def test_many_connections_cost_little(tmp_path):
    pki = make_pki(tmp_path / "pki", 1)
    connections = min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - BESIDE)
    seen = []
    with embedded(tmp_path, pki, binary=RELEASE, credentials=False) as server:
        one = rss_with(tmp_path, pki, server, 1)
        many = rss_with(tmp_path, pki, server, connections, "source = 127.0.0.0/29", 300,
                        lambda: seen.append(sources_of(server.port)))
    assert (many - one) / (connections - 1) < 4.0, f"{one} KiB with 1, {many} KiB with {connections}"
    held = seen[0]
    assert sum(held.values()) == connections
    assert sorted(held) == [bytes([127, 0, 0, i]) for i in range(1, 7)]
    assert max(held.values()) - min(held.values()) <= 1  # in turn
