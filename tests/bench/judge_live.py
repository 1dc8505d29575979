#!/usr/bin/env python3
"""Does the judge say of a live server what the server knows of itself?

usage: judge_live.py [--tlsoak BINARY] [--only NAME]... [--jobs N] [--again] [--list] [--out DIR] [--write FILE]

Each case is one run of the release build against `tlsoak serve`, whose leaks or look-alikes are planted; what it
really kept, it says itself (--truth). Leaks: the drivers that are blamed must be just those that are planted, with
bytes per event within 10 % of the server's own account. Innocents: never a leak. All switches of
the designed experiment are live in each: rate, reconnecting, fresh certificates, keys and tokens, bad identities,
misuses, and a hook that rotates the server's certificate.

A case's folder is DIR/NAME (build/judge-live): its run directory, profile and the server's account stay there. A case
whose result is there, of the same binary and the same definition, is not run again, so a broken off benchmark goes on
where it was. The table goes to standard output, and to FILE.
"""
import argparse
import concurrent.futures
import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import platform
import shutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "integration"))

NEAR = 0.10  # bytes per event may be this far from the truth
WARMUP_S, DWELL_S = 15, 5

TARGET = """
[target]
url = {url}
server_ca = {pki}/ca.pem
"""

# Fresh identities wherever one is asked for, each kind turning for itself.
IDENTITIES = """
[cert]
source = mint
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
pick = {pick}
count = {count}

[apikey]
template = client-{{n}}.{{hmac}}
secret = @{pki}/apikey.secret
pick = {pick}
count = {count}

[jwt]
alg = HS256
key = @{pki}/jwt.secret
pick = {pick}
count = {count}
"""

# Refused in the handshake, and by the API.
BAD = """
[refuse stranger]
cert = unknown-ca
share = 4%

[refuse unknown]
apikey = unknown
share = 4%

[misuse body]
kind = abort-body
share = 4%

[misuse leaving]
kind = abandon-response
stage = request
share = 4%

[hook]
rotate = kill -HUP {{pid}}
every = {rotate_every}ms
"""

MEMORY = """
[memory server]
pid = {pid}
"""

PACE = """
[pace]
mode = open
rate = {rate}/s
connections = 16
requests_per_connection = 4
"""

DESIGN = """
[attribution]
mode = modulation
warmup = {warmup}s
dwell = {dwell}s
duration = {modulated}s
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """`leaks` are bytes per event (time: per second); with none of them the server is innocent."""
    name: str
    leaks: dict = dataclasses.field(default_factory=dict)
    serve: tuple = ()
    modulated_s: int = 160
    dwell_s: float = DWELL_S
    warmup_s: float = WARMUP_S
    rate: int = 400
    load: str = PACE + DESIGN  # what decides when how much is asked for
    judge: str = ""
    run: str = "duration = {duration}s"
    duration_s: float = 0  # 0: warm-up and modulation
    pick: str = "fresh"    # of identities, else from a pool

    def options(self):
        planted = [text for driver, size in self.leaks.items() for text in ("--leak", f"{driver}={size}")]
        return planted + list(self.serve)

    def length_s(self):
        return self.duration_s or self.warmup_s + self.modulated_s

    def profile(self, server, pki):
        text = ("[run]\n" + self.run + "\nthreads = 1\n" + TARGET + self.load + IDENTITIES + BAD + MEMORY +
                self.judge)
        identities = {"pick": self.pick, "count": 200}
        if self.pick == "fresh":
            text = text.replace("count = {count}\n", "")
        return text.format(url=server.url, pid=server.pid, pki=pki, duration=self.length_s(), rate=self.rate,
                           warmup=self.warmup_s, dwell=self.dwell_s, modulated=self.modulated_s,
                           rotate_every=int(self.dwell_s * 1000 / 5), **identities)


KB = 1024
SINGLE = {"time": 64 * KB, "request": 256, "connection": 4 * KB, "client_certificate": 4 * KB, "api_key": 512,
          "jwt": KB, "refused": 4 * KB, "aborted": 4 * KB, "rotation": 128 * KB}


def mixture(*drivers, **more):
    return Case("+".join(drivers), {driver: SINGLE[driver] for driver in drivers}, **more)


# In a burst and idle turn, and a ramp, time goes by and so the load is not designed.
BURSTS = """
[pace]
mode = open
rate = {rate}/s
connections = 16
requests_per_connection = 4

[phase burst]
duration = 10s
pace.rate = 800/s

[phase idle]
duration = 20s
idle = yes
"""
RAMP = """
[pace]
mode = open
rate = {rate}/s
connections = 400
requests_per_connection = 40

[phase ramp]
duration = 90s
ramp = yes

[phase steady]
duration = 85s
"""

# The design does not switch resuming; phases can, of clients that were connected before.
RESUMING = PACE + """
[phase full]
duration = 5s
pace.resume_ratio = 0%

[phase resumed]
duration = 5s
pace.resume_ratio = 100%
"""

INNOCENT = [
    Case("bounded_2000", serve=("--innocent", "bounded_cache", "--cap", 2000)),
    Case("ttl_15s", serve=("--innocent", "ttl", "--ttl", "15s", "--sweep", "3s")),
    Case("warmup", serve=("--innocent", "warmup", "--cap", 20000)),
    Case("sawtooth", serve=("--innocent", "sawtooth", "--cap", 20000)),
    Case("step", serve=("--innocent", "step", "--cap", 20000)),
    Case("stairs_that_end", serve=("--innocent", "stairs", "--cap", 20000)),
    Case("fragmentation", serve=("--innocent", "fragmentation", "--cap", 5000, "--payload", "2KiB")),
    Case("burst_and_idle", load=BURSTS, run="repeat_phases = 6", duration_s=180),
    Case("connection_ramp", load=RAMP, run="", duration_s=175),
]

CASES = [
    *(Case(driver, {driver: size}) for driver, size in SINGLE.items()),
    Case("resumption", {"resumption": 4 * KB}, load=RESUMING, run="repeat_phases = 18", duration_s=180,
         pick="sequential"),
    mixture("connection", "jwt"),
    mixture("client_certificate", "request"),
    mixture("api_key", "time"),
    mixture("aborted", "client_certificate", "jwt"),
    *INNOCENT,
]


def truth_of(case, truth):
    """Bytes per event that the server kept, by its own count of both."""
    per_event = {}
    for driver in case.leaks:
        kept = truth["kept_bytes"].get(driver, 0)
        n = truth["t"] if driver == "time" else truth[columns[driver]]
        per_event[driver] = kept / n if n else 0
    return per_event


columns = {"request": "requests", "connection": "connections", "resumption": "resumptions",
           "client_certificate": "client_certificates", "api_key": "api_keys", "jwt": "jwts", "refused": "refused",
           "aborted": "aborted", "rotation": "rotations"}


def assess(case, judged, truth):
    """What is wrong with the verdict, in words; nothing: all is as it must be."""
    if judged["verdict"] == "invalid":
        return f"invalid: {judged['reason']}"
    memory = judged["memory"][0]
    blamed = {d["driver"]: d for d in memory["drivers"] if d["blamed"]}
    if not case.leaks:
        return f"called a leak: {memory['reason']}" if memory["class"] == "leak" else ""
    if memory["class"] != "leak":
        return f"{memory['class']}: {memory['reason']}"
    if set(blamed) != set(case.leaks):
        return f"blamed {', '.join(sorted(blamed)) or 'nobody'}"
    kept = truth_of(case, truth)
    far = [f"{driver} {blamed[driver]['bytes_per_event']:.0f} B, kept {kept[driver]:.0f} B" for driver in case.leaks
           if abs(blamed[driver]["bytes_per_event"] - kept[driver]) > NEAR * kept[driver]]
    return "; ".join(far)


def perform(case, pki, folder, binary):
    """Runs the case in a folder of its own; returns its result, which is also in result.json there."""
    from servers import embedded, last_truth, profile, tlsoak, verdict
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = time.time()
    with embedded(folder, pki, *case.options(), binary=binary) as server:
        ini = profile(folder, case.profile(server, pki))
        done = tlsoak("run", ini, "-o", folder / "run", binary=binary, timeout=case.length_s() + 120,
                      starved_ok=True)
        truth = last_truth(server)
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    if not (folder / "run" / "verdict.json").exists():
        raise RuntimeError(f"{case.name}: exit code {done.returncode}: {done.stderr.strip()}")
    judged = verdict(folder / "run")
    run = json.loads((folder / "run" / "run.json").read_text())
    memory = judged["memory"][0]
    blamed = {d["driver"]: d["bytes_per_event"] for d in memory["drivers"] if d["blamed"]}
    result = {"name": case.name, "begun": begun, "length_s": case.length_s(), "library": run["tls_library"],
              "expected": list(case.leaks), "class": memory["class"], "verdict": judged["verdict"],
              "exit_code": done.returncode, "blamed": blamed, "kept": truth_of(case, truth),
              "reason": judged["reason"], "wrong": assess(case, judged, truth)}
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def fingerprint(case, binary_hash):
    return hashlib.sha256(repr((case, binary_hash)).encode()).hexdigest()


def stored(folder, mark):
    """The result of a case that was run to its end before, by the same binary."""
    try:
        if (folder / "fingerprint").read_text() == mark:
            return json.loads((folder / "result.json").read_text())
    except OSError:
        pass
    return None


def bytes_text(size):
    return f"{size:,.0f} B" if size < 10 * KB else f"{size / KB:,.1f} KiB"


def drivers_text(sizes):
    return ", ".join(f"{name} {bytes_text(size)}" for name, size in sorted(sizes.items())) or "-"


def row(result):
    kept, blamed = result["kept"], result["blamed"]
    off = [blamed[d] / kept[d] - 1 for d in kept if d in blamed and kept[d]]
    worst = f"{100 * max(off, key=abs):+.1f} %" if off else "-"
    verdict = "ok" if not result["wrong"] else "WRONG: " + result["wrong"].replace("|", "/")
    return [result["name"], ", ".join(sorted(result["expected"])) or "nobody", result["class"],
            drivers_text(blamed), drivers_text(kept), worst, verdict, f"{result['length_s']:.0f} s"]


HEAD = ["case", "planted", "class", "blamed: bytes per event", "kept, by the server", "off", "verdict", "run"]


def table(results):
    lines = [HEAD, ["---"] * len(HEAD), *map(row, results)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}"


def report(results):
    day = datetime.date.fromtimestamp(max(r["begun"] for r in results)).isoformat()
    right = sum(not r["wrong"] for r in results)
    return f"""# The judge on live servers

Measured {day} by `./dev bench judge-live` on {machine()}; {results[0]['library']}. Each case is one run of the release
build against `tlsoak serve`; what it kept is the server's own account, not the planted size. A leak is found when just
the planted drivers are blamed, each with bytes per event within {NEAR:.0%} of that account; an innocent may be stable,
bounded or inconclusive, never a leak. {WARMUP_S} s of warm-up, then dwells of {DWELL_S} s.

{right} of {len(results)} are as they must be.

{table(results)}
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tlsoak", default=str(ROOT / "build/release/tlsoak"))
    parser.add_argument("--only", action="append", metavar="NAME", help="this case (may be repeated)")
    parser.add_argument("--jobs", type=int, default=1, help="cases at a time (each keeps a core and a half busy)")
    parser.add_argument("--again", action="store_true", help="run also those whose result is there")
    parser.add_argument("--list", action="store_true", help="name the cases")
    parser.add_argument("--out", default=str(ROOT / "build/judge-live"), metavar="DIR")
    parser.add_argument("--write", metavar="FILE", help="write the table there too, once every case has a result")
    return parser.parse_args()


def chosen(only):
    names = [case.name for case in CASES]
    unknown = [name for name in only or [] if name not in names]
    if unknown:
        sys.exit(f"judge_live: no case {', '.join(unknown)}; there are {', '.join(names)}")
    return [case for case in CASES if not only or case.name in only]


def main():
    args = arguments()
    cases = chosen(args.only)
    if args.list:
        print("\n".join(case.name for case in cases))
        return 0
    os.environ["TLSOAK"] = args.tlsoak
    from servers import make_pki
    out = pathlib.Path(args.out)
    if not (out / "pki" / "ca.pem").exists():
        make_pki(out / "pki")
    binary_hash = hashlib.sha256(pathlib.Path(args.tlsoak).read_bytes()).hexdigest()

    def one(case):
        folder, mark = out / case.name, fingerprint(case, binary_hash)
        result = None if args.again else stored(folder, mark)
        if result is None:
            print(f"judge_live: {case.name} ({case.length_s():.0f} s)", file=sys.stderr, flush=True)
            result = perform(case, out / "pki", folder, args.tlsoak)
            if result["verdict"] != "invalid":  # a machine too busy to measure says nothing for good
                (folder / "fingerprint").write_text(mark)
            print(f"judge_live: {case.name}: {result['wrong'] or 'ok'}", file=sys.stderr, flush=True)
        return result

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(one, cases))
    print(table(results))
    if args.write and not args.only:
        pathlib.Path(args.write).write_text(report(results))
    return 1 if any(r["wrong"] for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
