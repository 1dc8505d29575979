"""Run directories that are torn, foreign, hostile or none at all: every command that takes one says so in one line, with the
right exit code; nothing of what is whole is lost, and nothing that stands in a file reaches the terminal as a command."""
import concurrent.futures
import html.parser
import json
import os
import random
import re
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

from servers import TLSOAK, embedded, make_pki, patient, profile, tlsoak

PROFILE = """
[run]
duration = 3s
threads = 1
[target]
url = {server.url}
server_ca = {pki}/ca.pem
[pace]
connections = 4
think_time = 5ms
requests_per_connection = 5
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
count = 8
[refuse stranger]
cert = unknown-ca
share = 5%
[misuse half]
kind = early-close
share = 5%
[limit]
latency.response.p99.max = 25s
[phase up]
duration = 2s
[phase down]
duration = 1s
[memory server]
pid = {server.pid}
[memory again]
pid = {server.pid}
[hook]
on_end = printf '\\033[31mred\\n'; exit 3
"""
ROUNDS = int(os.environ.get("TLSOAK_TEST_ROUNDS", 40))
FORMATS = ["text", "json", "html", "junit", "markdown", "csv"]
# What a server, or who can write the directory, might say.
EVIL = "<script>alert(1)</script>\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202e`|x|`]]>&\"'"


@pytest.fixture(scope="module")
@patient
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    pki = make_pki(folder / "pki", 1)
    with embedded(folder, pki, credentials=False) as server:
        done = tlsoak("run", profile(folder, PROFILE.format(server=server, pki=pki)), "-o", folder / "run")
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert (folder / "run/events.csv").read_text().count("\n") > 1, "no event: the hook failed"
    return folder / "run"


def commands(path):
    return [["report", path, "--format", f] for f in FORMATS] + [["analyse", path], ["analyse", path, "--format", "json"]]


def perform(args):
    done = subprocess.run([TLSOAK, *map(str, args)], capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    printed, said = done.stdout.decode(), done.stderr.decode()
    for text in printed.replace("\r\n", "\n"), said:  # no control character but the line's end, whatever stood in the files
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), repr(text)
    assert not re.search(r"Sanitizer|runtime error", said), said
    return done.returncode, printed, said


def together(commands):
    """Runs them two at a time; results in their order."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(perform, commands))


def all_of(path):
    return together(commands(path))


def refused(path, pattern, every=False):
    """Exit code 2, nothing printed, one line that matches; of every command and format, or of one."""
    asked = commands(path) if every else commands(path)[:1]
    for args, (code, printed, said) in zip(asked, together(asked)):
        assert (code, printed) == (2, "") and re.fullmatch(rf"{pattern}\n", said), (args, code, said)


class Scripts(html.parser.HTMLParser):
    """What a browser would see: tags and the attributes that could run or fetch something."""
    def __init__(self, page):
        super().__init__()
        self.tags, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs), (tag, attrs)

    def handle_data(self, data):
        self.text += data


def check_formats(results):
    """All six formats of a report that is drawn are what they say, with nothing of ours to run."""
    text, as_json, page, junit, markdown, _ = (printed for _, printed, _ in results[:6])
    assert "script" not in Scripts(page).tags
    json.loads(as_json)
    xml.etree.ElementTree.fromstring(junit)
    assert "<script" not in markdown and "<script" not in page and "<script" not in junit
    assert "Memory of" in text


def test_what_is_no_run(run, tmp_path):
    for args in ["report", tmp_path / "none"], ["analyse", tmp_path / "none"]:
        code, printed, said = perform(args)
        assert (code, printed) == (2, "") and re.fullmatch(r".*none: .*No such file or directory\n", said)
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r".*/empty: holds no run of tlsoak \(it has no run.json\)", every=True)
    file = tmp_path / "file"
    file.write_text("what is this\n")
    assert perform(["report", file])[2].endswith("/file: not a directory, so no run of tlsoak\n")
    evil = tmp_path / "a\x1b[31m\nb"
    evil.mkdir()
    refused(evil, r".*a\\x1b\[31m\\x0ab: holds no run of tlsoak .*")
    other = tmp_path / "other"
    other.mkdir()
    os.mkfifo(other / "run.json")  # nobody ever writes to it
    refused(other, r".*/run.json: not a file")
    (other / "run.json").unlink()
    text = (run / "run.json").read_text()
    for text, what in {"": "not JSON: .*", text[:len(text) // 2]: "not JSON: .*", "[]": "not a run of tlsoak .*",
                       '{"schema": "tlsoak.run/2"}': r"written by another version of tlsoak \(tlsoak.run/2\).*",
                       '{"metrics": {"http_reqs": {}}}': "not a run of tlsoak .*",  # k6's summary
                       '{"schema": "tlsoak.run/1"}': r"`id` is missing or not what it should be",
                       json.dumps({"schema": EVIL}): "not a run of tlsoak .*",
                       "[" * 100000: "not JSON: .*"}.items():
        (other / "run.json").write_text(text)
        refused(other, rf".*/other/run.json: {what}")


def test_what_cannot_be_read(run, tmp_path):
    shutil.copytree(run, tmp_path / "copy")
    (tmp_path / "copy/ticks.csv").unlink()
    (tmp_path / "copy/ticks.csv").symlink_to("/proc/self/mem")  # root can read all but this
    refused(tmp_path / "copy", r".*/ticks.csv: Input/output error")
    (tmp_path / "copy/ticks.csv").unlink()
    refused(tmp_path / "copy", r".*/ticks.csv: can't be read: No such file or directory")


TABLES = ["ticks.csv", "latency.response.hlog", "memory.again.csv", "events.csv", "phases.csv"]


def first_record(text):
    """Where the first record begins: behind comments, and a header where there is one."""
    at = text.index(b"\n") + 1
    while text[at:at + 1] in (b"#", b'"'):
        at = text.index(b"\n", at) + 1
    return at if text.startswith(b"#[Hist") else text.index(b"\n", at if text[:1] == b"#" else 0) + 1


@pytest.mark.parametrize("name", TABLES)
def test_torn_anywhere(run, tmp_path, name):
    """A record is one write: at whatever byte a file ends, every whole record before is used, and the rest is told."""
    text = (run / name).read_bytes()
    rng = random.Random(name)
    least = first_record(text)
    cuts = sorted({len(text) - 1, *(rng.randrange(least, len(text)) for _ in range(2)), text.rindex(b"\n", 0, -1) + 1})
    for cut in cuts:
        shutil.copytree(run, tmp_path / f"cut-{cut}")
        (tmp_path / f"cut-{cut}" / name).write_bytes(text[:cut])
    results = together([["report", tmp_path / f"cut-{cut}"] for cut in cuts])
    for cut, (code, printed, said) in zip(cuts, results):
        is_torn = text[cut - 1:cut] != b"\n"
        assert code == 0 and ("1 incomplete last line(s) left out" in said) == is_torn, (cut, said)
        assert "exchanges" in printed
        if name == "events.csv":
            assert ("hook.on_end" in printed) == (cut == len(text))


def test_killed_before_the_first_reading(run, tmp_path):
    """Of each source the head at most: memory is not judged, and the load is still told."""
    copies = []
    for n_bytes in 0, 30, first_record((run / "memory.csv").read_bytes()):
        copies.append(tmp_path / f"head-{n_bytes}")
        shutil.copytree(run, copies[-1])
        for name in "memory.csv", "memory.again.csv":
            (copies[-1] / name).write_bytes((run / name).read_bytes()[:n_bytes])
        told = json.loads((run / "run.json").read_text())
        told["finished"] = False
        (copies[-1] / "run.json").write_text(json.dumps(told))
    for code, printed, said in together([["report", copy] for copy in copies]):
        assert code == 0 and "no reading was stored" in said, said
        assert "too few readings" in printed and re.search(r"exchanges +[1-9]", printed), printed
    results = all_of(copies[-1])
    check_formats(results)
    assert [code for code, *_ in results] == [0] * 6 + [6, 6], results[-1]
    assert json.loads(results[1][1])["memory"][0]["class"] == "inconclusive"


def test_torn_ends_that_say_nothing(run, tmp_path):
    """verdict.json is written from the rest, and not read; of run.json only all of it will do."""
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    want = perform(["report", run])[1].replace(str(run), "")
    (copy / "verdict.json").write_bytes(b'{"verdict": "pa')
    assert perform(["report", copy])[1].replace(str(copy), "") == want
    (copy / "run.json").write_bytes((run / "run.json").read_bytes()[:-1])
    assert perform(["report", copy])[0] == 0  # the last line's end
    (copy / "run.json").write_bytes((run / "run.json").read_bytes()[:-2])
    refused(copy, ".*/run.json: not JSON: .*")


def strings(value, path=()):
    """Where strings stand in a JSON document."""
    if isinstance(value, str):
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else []):
        yield from strings(inner, (*path, key))


def put(document, path, value):
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


# How much of it fits where it is short.
SHORT = {"version": 12, "verify": 12, "id": 30, "name": 30, "kind": 12, "expect": 30}
FIXED = {"schema", "seed", "due", "check", "state", "outcome", "why"}


def test_hostile_text(run, tmp_path):
    """In events and every string of run.json that is free: shown, and nothing but shown."""
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    document = json.loads((run / "run.json").read_text())
    for path in strings(document):
        if path[-1] not in FIXED and path[0] != "sources":  # their names are part of files'
            put(document, path, EVIL[:SHORT.get(path[-1], len(EVIL))])
    document["invalid"] = document["ended_early"] = document["generator"]["reason"] = EVIL
    document["finished"] = True
    (copy / "run.json").write_text(json.dumps(document))
    with open(copy / "events.csv", "a") as events:
        text = EVIL.replace('"', '""')
        events.write(f'1.0,hook,"{text}"\n1.5,{EVIL[:20]},plain\n')
    results = all_of(copy)
    check_formats(results)


def mutated(rng, data):
    """Damage of the kinds that disks, editors and enemies do."""
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice([1, 3, 40, 400]))
    kind = rng.randrange(7)
    if kind == 0:  # lost
        return data[:at] + data[end:]
    if kind == 1:  # twice
        return data[:end] + data[at:]
    if kind == 2:  # zeros, as after a crash of the machine
        return data[:at] + bytes(end - at) + data[end:]
    if kind == 3:
        return data[:at] + EVIL.encode() + data[at:]
    if kind == 4:  # a number that is none, or too large
        return re.sub(rb"\d+", lambda m: rng.choice([m[0]] * 20 + [b"-1", b"9" * 30, b"nan", b"1e400"]), data)
    if kind == 5:
        return data[:at] + bytes(rng.randrange(256) for _ in range(4)) + data[at + 4:]
    lines = data.splitlines(keepends=True)
    return b"".join(rng.sample(lines, len(lines)))


def test_random_damage(run, tmp_path):
    """Whatever the damage: a report, or one line for each mistake that says why not; a report that is drawn is whole and harmless."""
    names = sorted(p.name for p in run.iterdir() if p.suffix in (".json", ".csv", ".hlog", ".ini"))
    asked = []
    for seed in range(ROUNDS):
        rng = random.Random(seed)
        copy = tmp_path / f"damage-{seed}"
        shutil.copytree(run, copy)
        for name in rng.sample(names, rng.choice([1, 1, 3])):
            (copy / name).write_bytes(mutated(rng, (run / name).read_bytes()))
        asked.append(rng.choice(commands(copy)))
    seen = set()
    for seed, (args, (code, printed, said)) in enumerate(zip(asked, together(asked))):
        seen.add((args[0], code))
        if code == 2:
            # one line; or one for each mistake of a table of readings, or of the profile, as before a run
            lines = said.splitlines()
            assert printed == "" and lines and all(f"damage-{seed}/" in line for line in lines), (seed, args, said)
            assert len(lines) == 1 or re.search(r"memory\S*\.csv|profile\.ini", said), (seed, said)
            # a profile whose lines have changed places may be wrong in each of them, once
            profile = (tmp_path / f"damage-{seed}" / "profile.ini").read_bytes()
            most = len(profile.splitlines()) if "profile.ini" in said else 24
            assert len(set(lines)) == len(lines), (seed, said)
            assert len(lines) <= most, (seed, said)
        else:
            assert printed and code in ((0,) if args[0] == "report" else (0, 1, 3, 4)), (seed, args, code, said)
            assert "<script" not in printed or args[-1] in ("text", "csv", "json") or args[0] == "analyse", (seed, args)
    assert {("report", 0), ("report", 2)} <= seen
