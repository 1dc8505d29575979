"""Bytes per event by the server's own account, from nothing that tlsoak said.

A mode keeps something of one kind of event; what else lives in the server is bounded, and comes and goes. So bytes per
event are the slope of live_bytes on the driver's counter, by least squares. A heap that is always known (a counting
allocator) is in each line of the truth, and those of the very run after its warm-up are taken. A collected heap is known
only when the server is asked to collect: a fresh server gets events of the driver and little else, in turns with a line
`floor`, and bytes per event are the median of the slopes between any two of these floors (Theil 1950, Sen 1968), since
a JVM still loads classes after the first.
"""
import itertools
import json
import statistics

import fixtures
import loads

COUNTERS = {"request": "requests", "connection": "connections", "resumption": "resumptions",
            "client_certificate": "certs", "api_key": "keys", "jwt": "jwts", "aborted": "aborted",
            "rotation": "rotations"}
# what `tlsoak serve` calls the same
EMBEDDED = {**COUNTERS, "client_certificate": "client_certificates", "api_key": "api_keys", "refused": "refused"}

LEAST_EVENTS = 20
BATCH_S, BATCHES = 4, 5


def slope(lines, driver):
    """Least squares; None where hardly anything happened."""
    counter = COUNTERS[driver]
    x, y = ([float(line[column] or 0) for line in lines] for column in (counter, "live_bytes"))
    if len(lines) < 2 or x[-1] - x[0] < LEAST_EVENTS:
        return None
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) / sum((a - mean_x) ** 2 for a in x)


def slope_of_floors(floors, driver):
    """None where hardly anything happened."""
    counter = COUNTERS[driver]
    pairs = [(b[counter] - a[counter], b["live_bytes"] - a["live_bytes"]) for a, b in itertools.combinations(floors, 2)]
    enough = bool(floors) and floors[-1][counter] - floors[0][counter] >= LEAST_EVENTS
    return statistics.median(size / n for n, size in pairs if n > 0) if enough else None


def of_run(row, target, warmup_s):
    """From the lines of the very run that tlsoak judged; None where they do not tell."""
    lines = target.lines()
    if row.fixture == "embedded":
        last = lines[-1]
        kept, n = last["kept_bytes"].get(row.driver, 0), last[EMBEDDED[row.driver]]
        return {"bytes_per_event": kept / n, "events": n, "how": "kept bytes over events"} if n else None
    began = next((line["t_s"] for line in lines if line["requests"] > 0), None)
    if began is None:
        return None
    lines = [line for line in lines
             if line["t_s"] >= began + warmup_s and line.get("live_bytes") is not None and not line.get("floor")]
    found = slope(lines, row.driver)
    counter = COUNTERS[row.driver]
    return None if found is None else {"bytes_per_event": found, "events": lines[-1][counter] - lines[0][counter],
                                       "how": "slope of live_bytes"}


def of_floors(row, pki, folder, tlsoak, run_tlsoak):
    """From a server of its own that tlsoak only loads."""
    counter = COUNTERS[row.driver]
    with fixtures.started(row, pki, folder, tlsoak) as target:
        ini = loads.write_drive(folder, row, target, pki, BATCH_S)
        floors = []
        for batch in range(BATCHES + 1):
            done = run_tlsoak("run", ini, "-o", folder / f"drive-{batch}")
            # inconclusive, or a generator too slow to be trusted with latencies: the server counts what came
            if done.returncode not in (0, 3, 4):
                raise RuntimeError(f"{row.name}: the load of the truth run ended with {done.returncode}: {done.stderr}")
            floors.append(target.floor())  # the first is the warm-up's
    found, n = slope_of_floors(floors, row.driver), floors[-1][counter] - floors[0][counter]
    if found is None:
        raise RuntimeError(f"{row.name}: the truth run made {n} events of {row.driver}")
    return {"bytes_per_event": found, "events": n, "how": "floors after collections",
            "floors": [{"events": f[counter], "live_bytes": f["live_bytes"]} for f in floors]}


def store(folder, truth):
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")
