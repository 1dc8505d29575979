#!/usr/bin/env python3
"""Holds tlsoak against the fleet: servers that know themselves what they keep.

usage: fleet.py [--tlsoak BINARY] [--only PATTERN]... [--label LABEL] [--short] [--jobs N] [--again] [--list]
                [--out DIR] [--write FILE]

Each row of matrix.csv is one server in one mode, soaked with profiles/leak-hunt.ini for 320 s; verdict, driver and bytes
per event are held against what the row expects and what the server says it kept (truth.py). README.md beside this file
has the columns. Rows labelled soak take 20 minutes each and run only by --only or --label.

A row's folder, DIR/ROW, keeps the profile, the run directory, the server's log and truth, and result.json. A result
holds while the server's sources, the judge, the client, the load and tlsoak's version are what they were: what holds is not
run again, so a matrix that was broken off goes on where it was. Where nothing but the judge has changed, or what the row
allows and expects, it judges the run that is there again. --write puts the table of all results between the marks in FILE.

PATTERN is a shell pattern of row names (axum/*). Exit code 1: a row is not as it must be.
"""
import argparse
import concurrent.futures
import csv
import dataclasses
import datetime
import fnmatch
import hashlib
import itertools
import json
import pathlib
import re
import shlex
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"), str(HERE.parent / "bench")]

import fixtures  # noqa: E402
import loads  # noqa: E402
import servers  # noqa: E402
import thirdparty  # noqa: E402
import truth  # noqa: E402
from judge_live import bytes_text, machine  # noqa: E402
from servers import make_pki, totals, tlsoak, verdict  # noqa: E402

TOLERANCE, TOLERANCE_SHORT = 0.15, 0.30
RATE = 400
STAGGER_S = 17
TAKES_S = {"start": 10, "drive": 45}  # beside the run, for the time that is left
EXPECT = ("leak", "pass", "control", "short")
GOOD = ("stable", "bounded")
BEGIN, END = "<!-- the fleet: written by ./dev targets -->", "<!-- the fleet's end -->"


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    fixture: str
    mode: str
    options: tuple
    load: tuple
    expect: str
    driver: str
    low: float
    high: float
    tolerance: float
    budget: str
    judge: tuple
    labels: tuple
    rate: int
    note: str

    def length(self, short):
        fixture = fixtures.fixture_of(self.fixture) if fixtures.exists(self.fixture) else fixtures.Fixture(())
        if short:
            usual = loads.SHORT_JVM if fixture.jvm else loads.SHORT_COLLECTED if fixture.collected else loads.SHORT
        elif "soak" in self.labels:
            usual = loads.SOAK
        else:
            usual = loads.LONG_COLLECTED if fixture.collected else loads.LONG
            if "longer" in self.labels:
                usual = dataclasses.replace(usual, run=2 * usual.run)
        return loads.length_of(self.load, usual)

    def apart(self):
        """Its truth needs a run of its own."""
        return self.expect == "leak" and fixtures.fixture_of(self.fixture).collected

    def takes_s(self, short):
        warm = (loads.WARM_SHORT_S if short else loads.WARM_S) if "warm" in self.load else 0
        return self.length(short).run + warm + TAKES_S["start"] + (TAKES_S["drive"] if self.apart() else 0)


def number(text, otherwise):
    return float(text) if text else otherwise


def row_of(line, fields):
    row = Row(name=fields["row"], fixture=fields["fixture"], mode=fields["mode"],
              options=tuple(shlex.split(fields["options"])), load=tuple(fields["load"].split()),
              expect=fields["expect"], driver=fields["driver"], low=number(fields["bytes_low"], 0),
              high=number(fields["bytes_high"], float("inf")), tolerance=number(fields["tolerance"], TOLERANCE),
              budget=fields["budget"], judge=tuple(fields["judge"].split()), labels=tuple(fields["labels"].split()),
              rate=int(number(fields["rate"], RATE)), note=fields["note"])
    wrong = [word for word in row.load if not loads.is_known(word)]
    if wrong or row.expect not in EXPECT or (row.driver not in truth.EMBEDDED and (row.driver or row.expect == "leak")):
        sys.exit(f"matrix.csv:{line}: {row.name}: not known: {' '.join(wrong) or row.expect + ' ' + row.driver}")
    return row


def read_matrix(path=HERE / "matrix.csv"):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(line for line in file)
        rows = [row_of(reader.line_num, {k: (v or "").strip() for k, v in fields.items()}) for fields in reader]
    names = [row.name for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        sys.exit(f"matrix.csv: twice: {', '.join(twice)}")
    return rows


# What a result depends on.

def files_of(path):
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def hash_of(paths):
    h = hashlib.sha256()
    for path in paths:
        for file in files_of(path):
            h.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return h.hexdigest()[:16]


def version(binary):
    return tlsoak("--version", binary=binary).stdout.split("\n")[0].strip()


def hash_of_values(*values):
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def marks_of(row, short, common):
    sources = [(HERE / source).resolve() for source in fixtures.fixture_of(row.fixture).sources]
    own_profile = loads.own_profile(row.load)
    load = {"load": hash_of([own_profile])} if own_profile else {}
    return {**common, **load, "server": hash_of([path for path in sources if path.exists()]),
            "row": hash_of_values(row.fixture, row.mode, row.options, row.load, row.rate, row.length(short)),
            "allowed": hash_of_values(loads.allowances(row)),
            "expected": hash_of_values(row.expect, row.driver, row.low, row.high, row.tolerance)}


# What makes a verdict on memory: the client's behaviour and the readings; of the judge all but what judges other things.
CLIENT = ("ident", "load", "net", "probe", "record")
NOT_OF_MEMORY = ("baseline", "compare", "leak_limits", "limits", "sample", "search", "sections", "windows")


def common_marks(binary):
    src = ROOT / "src"
    judge = [path for path in sorted((src / "judge").iterdir()) if not path.name.startswith(NOT_OF_MEMORY)]
    return {"judge": hash_of(judge), "tlsoak": hash_of([src / name for name in CLIENT]), "version": version(binary),
            "load": hash_of([HERE / "loads.py", loads.HUNT])}


CHANGED = {"server": "the server's sources", "judge": "the judge", "tlsoak": "tlsoak's client",
           "version": "tlsoak's version", "load": "the load", "row": "the row", "allowed": "what the row allows",
           "expected": "what the row expects"}
JUDGED_AGAIN = {"judge", "allowed", "expected"}  # the readings are what they were


def stored(folder):
    try:
        return json.loads((folder / "result.json").read_text())
    except (OSError, ValueError):
        return None


def changed(result, marks):
    """What a result rests on and is no more what it was; nothing: it holds."""
    return [key for key in CHANGED if result["marks"].get(key) != marks[key]]


# One row.

def first_blamed(memory):
    """The blamed drivers, that with most bytes first."""
    blamed = [d for d in memory["drivers"] if d["blamed"]]
    return sorted(blamed, key=lambda d: -(d["bytes_per_event"] or 0) * d["events"])


def assess_leak(row, memory, known, tolerance):
    if memory["class"] != "leak":
        return f"{memory['class']}: {memory['reason']}"
    blamed = first_blamed(memory)
    if not blamed or blamed[0]["driver"] != row.driver:
        return f"blamed {', '.join(d['driver'] for d in blamed) or 'nobody'} first"
    if known is None:
        return "the server's truth does not tell the bytes per event"
    kept, said = known["bytes_per_event"], blamed[0]["bytes_per_event"]
    if not row.low <= kept <= row.high:
        return f"the server kept {kept:.0f} B per event, out of its range {row.low:.0f} to {row.high:.0f} B"
    if abs(said - kept) > tolerance * kept:
        return f"said {said:.0f} B per event, the server kept {kept:.0f} B"
    return ""


def assess(row, judged, known, short):
    """What is wrong, in words; nothing: all is as it must be."""
    if judged["verdict"] == "invalid":
        return f"invalid: {judged['reason']}"
    memory = judged["memory"][0]
    if row.expect == "leak":
        return assess_leak(row, memory, known, max(row.tolerance, TOLERANCE_SHORT) if short else row.tolerance)
    if memory["class"] == "leak":
        return f"called a leak: {memory['reason']}"
    if row.expect == "short":
        needed = memory["needed"] or {}
        return "" if memory["class"] == "inconclusive" and needed.get("events") else \
            f"{memory['class']}, and does not say how many events are needed: {memory['reason']}"
    # a minute is short for a pass: there it is only never a leak
    if memory["class"] not in GOOD and not short:
        return f"{memory['class']}: {memory['reason']}"
    return ""


def judged_of(run):
    judged = verdict(run)
    if not judged["memory"] and judged["verdict"] != "invalid":
        raise RuntimeError(f"{run}: judged no memory: {judged['reason']}")
    return judged


def soak(row, pki, folder, binary, short):
    """Runs tlsoak against the row's server; its exit code, what the server is, and its truth."""
    length = row.length(short)
    with fixtures.started(row, pki, folder, binary) as target:
        if "warm" in row.load:
            warm = tlsoak("run", loads.write_warm(folder, row, target, pki, short), "-o", folder / "warm", "-q",
                          binary=binary, starved_ok=True)
            if warm.returncode not in (0, 3, 4):
                raise RuntimeError(f"{row.name}: the warm-up ended with {warm.returncode}: {warm.stderr.strip()}")
        ini = loads.write(folder, row, target, pki, length)
        done = tlsoak("run", ini, "-o", folder / "run", "-q", binary=binary, timeout=length.run + 180,
                      env=fixtures.environment(target), cwd=folder, starved_ok=True)
        (folder / "output.txt").write_text(done.stdout + done.stderr)
        if not (folder / "run" / "verdict.json").exists():
            raise RuntimeError(f"{row.name}: exit code {done.returncode}: {done.stderr.strip()}")
        if not fixtures.alive(target):
            raise RuntimeError(f"{row.name}: the server ended: {(folder / 'server.log').read_text().strip()}")
    known = truth.of_run(row, target, length.warmup) if row.expect == "leak" and not row.apart() else None
    return done.returncode, target.impl, known


def verdict_on(row, judged, known, short):
    """What of a result the judge says."""
    memory = judged["memory"][0] if judged["memory"] else {"class": "none", "drivers": [], "reason": ""}
    return {"expect": row.expect, "driver": row.driver, "verdict": judged["verdict"], "class": memory["class"],
            "reason": judged["reason"],
            "blamed": [[d["driver"], d["bytes_per_event"], d["events"]] for d in first_blamed(memory)],
            "wrong": assess(row, judged, known, short)}


def allows_less(row, folder):
    """The profile of the run that is there says something of [judge] that the row does no more."""
    parts = (folder / "profile.ini").read_text().split("\n[")
    said = {key for part in parts if part.startswith("judge]") for key in re.findall(r"^([\w.]+) *=", part, re.M)}
    return not said <= set(loads.allowances(row))


def judge_again(row, result, folder, binary, short):
    """The same of the run that is there."""
    options = []
    for key, value in loads.allowances(row).items():
        name, _, driver = key.partition(".")
        options += [f"--{name.replace('_', '-')}", f"{driver}={value}" if driver else value]
    done = tlsoak("analyse", folder / "run", "--format", "json", *options, binary=binary)
    if not done.stdout:
        raise RuntimeError(f"{row.name}: analyse ended with {done.returncode}: {done.stderr.strip()}")
    return {**result, **verdict_on(row, json.loads(done.stdout), result["truth"], short), "exit_code": done.returncode}


def perform(row, pki, folder, binary, short):
    """Runs the row in a folder of its own; its result."""
    loads.clear(folder)
    begun = time.time()
    code, impl, known = soak(row, pki, folder, binary, short)
    if row.apart():
        apart = folder / "truth-run"
        known = truth.of_floors(row, pki, apart, binary, lambda *args: tlsoak(*args, "-q", binary=binary, cwd=apart,
                                                                                     starved_ok=True))
    if known is not None:
        truth.store(folder, known)
    return {"row": row.name, "impl": impl, "begun": begun, "length_s": row.length(short).run,
            "exit_code": code, "truth": known, "library": totals(folder / "run")["tls_library"],
            **verdict_on(row, judged_of(folder / "run"), known, short)}


def folder_of(out, row):
    return out / re.sub(r"[^\w.+-]+", "_", row.name)


# What is shown.

def expectation(row):
    twin = f", of {row.driver}" if row.driver else ""
    return {"leak": f"leak per {row.driver}", "pass": "no leak" + twin, "control": "no leak: without what triggers it",
            "short": "inconclusive: too short"}[row.expect]


HEAD = ["server", "row", "expected", "verdict", "bytes per event", "the server's own account", "off", "run", ""]


def cells(row, result):
    blamed, known = result["blamed"], result["truth"]
    if result["class"] != "leak":
        blamed = []
    said = ", ".join(f"{driver} {bytes_text(size)}" for driver, size, _ in blamed) or "-"
    kept = bytes_text(known["bytes_per_event"]) if known else "-"
    off = f"{100 * (blamed[0][1] / known['bytes_per_event'] - 1):+.0f} %" if blamed and known else "-"
    state = "ok" if not result["wrong"] else "**" + result["wrong"].split("\n")[0].replace("|", "/")[:160] + "**"
    return [result["impl"], row.name, expectation(row), result["class"], said, kept, off, f"{result['length_s']:.0f} s",
            state]


def table(pairs):
    lines = [HEAD, ["---"] * len(HEAD), *(cells(row, result) for row, result in pairs)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


AXUM = {"key": "API keys", "log": "API keys", "claims": "JWT"}  # by the beginning of a mode's name
SYSTEMS = {"actix": "Actix + API keys", "chi": "Chi + mTLS", "ring": "Ring/Jetty + mTLS", "embedded": "the embedded server"}


def system_of(row):
    if row.fixture == "axum":
        return f"Axum + {AXUM.get(row.mode.split('-')[0], 'mTLS')}"
    return SYSTEMS.get(row.fixture, "unmodified servers" if "/" in row.fixture else "published leaks, before and after")


def tally(pairs, expects):
    """How many rows of a kind are as they must be."""
    those = [(row, result) for row, result in pairs if row.expect in expects]
    run = [(row, result) for row, result in those if result]
    right = sum(not result["wrong"] for _, result in run)
    left = f", {len(those) - len(run)} not run" if len(run) < len(those) else ""
    return f"{right} of {len(run)}{left}" if those else "-"


def farthest(pairs):
    """By how much the bytes per event of leaks that were found are off at most."""
    off = [result["blamed"][0][1] / result["truth"]["bytes_per_event"] - 1 for row, result in pairs
           if row.expect == "leak" and result and not result["wrong"]]
    return f"{100 * max(off, key=abs):+.0f} %" if off else "-"


def systems(pairs):
    """A line for each system; pairs have None for what was not run."""
    groups = {}
    for row, result in pairs:
        if result or "soak" not in row.labels:
            groups.setdefault(system_of(row), []).append((row, result))
    lines = [["system", "leaks found, the right driver first", "bytes per event off by at most", "remedies and innocents passed",
              "leaks without what triggers them passed", "too short a run said so"], ["---"] * 6]
    lines += [[name, tally(rows, ("leak",)), farthest(rows), tally(rows, ("pass",)), tally(rows, ("control",)),
               tally(rows, ("short",))] for name, rows in groups.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(everything):
    """Of [(row, (result, why there is none))]."""
    pairs = [(row, result) for row, (result, _) in everything]
    run = [(row, result) for row, result in pairs if result]
    lacking = [f"{row.name} ({why})" for row, (result, why) in everything if result is None]
    right = sum(not result["wrong"] for _, result in run)
    day = max(datetime.date.fromtimestamp(result["begun"]) for _, result in run).isoformat()
    libraries = ", ".join(sorted({result["library"] for _, result in run}))
    text = f"Measured up to {day} by `./dev targets` on {machine()}; {libraries}. {right} of {len(run)} rows are as " \
           f"they must be.\n\n{systems(pairs)}\n\n<details><summary>All rows</summary>\n\n{table(run)}\n\n</details>\n"
    if lacking:
        text += "\nNot measured: " + "; ".join(lacking) + ".\n"
    return text


def write(path, text):
    """Between the marks."""
    whole = path.read_text(encoding="utf-8")
    if BEGIN not in whole or END not in whole:
        sys.exit(f"fleet: {path} has no line {BEGIN} with {END} behind it")
    before, after = whole.split(BEGIN)[0], whole.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


# The whole matrix.

class Progress:
    """Rows that are left, and for how long by what the others took."""

    def __init__(self, rows, short, jobs):
        self.left_s = sum(row.takes_s(short) for row in rows)
        self.n, self.done, self.jobs, self.short = len(rows), 0, jobs, short
        self.took_s = self.thought_s = 0.0
        self.lock = threading.Lock()

    def say(self, text):
        print(f"fleet: {text}", file=sys.stderr, flush=True)

    def ended(self, row, took_s, text):
        with self.lock:
            self.done += 1
            self.left_s -= row.takes_s(self.short)
            self.took_s += took_s
            self.thought_s += row.takes_s(self.short)
            left_s = self.left_s / self.jobs * self.took_s / self.thought_s
            self.say(f"{self.done} of {self.n}: {row.name}: {text}; {left_s / 60:.0f} min left")


def chosen(rows, only, label, short):
    wanted = ["short"] if short and not label else [label] if label else []
    picked = [row for row in rows if (not only or any(fnmatch.fnmatch(row.name, p) for p in only))
              and all(word in row.labels for word in wanted)
              and ("soak" not in row.labels or only or label == "soak")]
    for pattern in only or []:
        if not fnmatch.filter([row.name for row in rows], pattern):
            sys.exit(f"fleet: no row {pattern}; --list names them")
    return picked


class Fleet:
    def __init__(self, args):
        self.args = args
        self.out = pathlib.Path(args.out).resolve() / ("short" if args.short else "long")
        self.rows = read_matrix()
        self.common = common_marks(args.tlsoak)

    def state(self, row):
        """The result that holds, if any, and else why there is none."""
        if not fixtures.exists(row.fixture):
            return None, f"there is no {row.fixture} here"
        result = stored(folder_of(self.out, row))
        if result is None:
            return None, "not run yet"
        what = changed(result, marks_of(row, self.args.short, self.common))
        return (None, f"stale: {', '.join(CHANGED[key] for key in what)} changed") if what else (result, "")

    def pki(self):
        folder = self.out.parent / "pki"
        if not (folder / "ca.pem").exists():
            make_pki(folder)
        return folder

    def one(self, row, pki, progress, wait_s):
        """Its result, or why there is none; where it must be run, after so long."""
        marks, began = marks_of(row, self.args.short, self.common), time.monotonic()
        progress.say(f"{row.name} ({row.takes_s(self.args.short):.0f} s)")
        folder = folder_of(self.out, row)
        before = None if self.args.again else stored(folder)
        try:
            if before and JUDGED_AGAIN.issuperset(changed(before, marks)) and not allows_less(row, folder):
                result = judge_again(row, before, folder, self.args.tlsoak, self.args.short)
            else:
                time.sleep(wait_s)
                result = perform(row, pki, folder, self.args.tlsoak, self.args.short)
        except (fixtures.Missing, thirdparty.Missing) as why:
            progress.ended(row, 0.1, f"skipped: {why}")
            return None, str(why)
        except (RuntimeError, OSError, ValueError, KeyError, AssertionError) as why:
            progress.ended(row, time.monotonic() - began, f"FAILED: {why}")
            return None, f"failed: {str(why).splitlines()[0]}"
        # a machine too busy to measure says nothing for good
        if result["verdict"] != "invalid":
            (folder / "result.json").write_text(json.dumps({**result, "marks": marks}, indent=1) + "\n")
        progress.ended(row, time.monotonic() - began, result["wrong"] or "ok")
        return result, ""

    def list(self, rows):
        for row in rows:
            result, why = self.state(row)
            said = why if result is None else "ok" if not result["wrong"] else "WRONG: " + result["wrong"]
            print(f"{row.name:40} {row.expect:8} {row.driver or '-':19} {said}")

    def run(self, rows):
        """Results of these rows, of which only those that do not hold are run."""
        states = {row.name: (None, "again") if self.args.again else self.state(row) for row in rows}
        for name, (result, why) in states.items():
            if result is None and why.startswith("stale"):
                print(f"fleet: {name} is {why}", file=sys.stderr)
        due = [row for row in rows if states[row.name][0] is None and fixtures.exists(row.fixture)]
        if due:
            pki, progress = self.pki(), Progress(due, self.args.short, self.args.jobs)
            # the same design in step in all of them would ask for the whole machine in some dwells, and for little in others
            waits = itertools.chain((STAGGER_S * i for i in range(self.args.jobs)), itertools.repeat(0))
            with concurrent.futures.ThreadPoolExecutor(self.args.jobs) as pool:
                for row, state in zip(due, pool.map(lambda row, wait: self.one(row, pki, progress, wait), due, waits)):
                    states[row.name] = state
        return states


def arguments(given=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tlsoak", default=str(ROOT / "build/release/tlsoak"))
    parser.add_argument("--only", action="append", metavar="PATTERN", help="rows whose names match (may be repeated)")
    parser.add_argument("--label", help="rows with this label")
    parser.add_argument("--short", action="store_true", help="the rows labelled short, in a crossover of two minutes, of a JVM four")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time (each keeps a third of a core busy, one with a JVM more)")
    parser.add_argument("--again", action="store_true", help="run also those whose result holds")
    parser.add_argument("--list", action="store_true", help="name the rows, and what is known of each")
    parser.add_argument("--out", default=str(ROOT / "build/targets/runs"), metavar="DIR")
    parser.add_argument("--write", metavar="FILE", help="put the table there, between its marks")
    args = parser.parse_args(given)
    args.tlsoak = str(pathlib.Path(args.tlsoak).resolve())
    servers.TLSOAK = args.tlsoak
    return args


def main():
    args = arguments()
    fleet = Fleet(args)
    rows = chosen(fleet.rows, args.only, args.label, args.short)
    if args.list:
        fleet.list(rows)
        return 0
    states = fleet.run(rows)
    print(table([(row, states[row.name][0]) for row in rows if states[row.name][0]]))
    if args.write and not args.short:
        everything = [(row, states.get(row.name) or fleet.state(row)) for row in fleet.rows]
        if any(result for _, (result, _) in everything):
            write(pathlib.Path(args.write), report(everything))
    failed = [name for name, (result, why) in states.items()
              if (result and result["wrong"]) or (result is None and why.startswith("failed"))]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
