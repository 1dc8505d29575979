"""tlsoak analyse: any series gets a verdict with its reason or a mistake with its place, and never a pass by default."""
import json
import math
import pathlib
import random
import shutil

import pytest

from servers import RELEASE, tlsoak

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
T0 = 1763700000.25


def memory(t, slope=0.0):
    """Bytes of a server at t seconds, with the noise of pages."""
    return int(50_000_000 + slope * t + 4096 * (t * 7 % 5))


def series(path, rows, head="time_s,anon_bytes,requests", end="\n"):
    path = pathlib.Path(path)
    path.write_bytes((end.join([head, *(",".join(map(str, r)) for r in rows)]) + end).encode())
    return path


def usual(n=900, slope=0.0):
    return [(t, memory(t, slope), 10 * t) for t in range(n)]


def judge(*args, **kwargs):
    done = tlsoak("analyse", *args, "--format", "json", **kwargs)
    assert "Sanitizer" not in done.stderr
    return done, json.loads(done.stdout) if done.stdout else None


def mistake(path, where, what):
    done = tlsoak("analyse", path)
    assert done.returncode == 2 and done.stdout == "", done.stdout + done.stderr
    assert f"{where}:" in done.stderr and what in done.stderr, done.stderr


def answer(*results):
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": results}})


def result(values, step=2, **labels):
    if "name" in labels:
        labels["__name__"] = labels.pop("name")
    return {"metric": labels, "values": [[T0 + step * i, str(v)] for i, v in enumerate(values)]}


def test_it_says_what_it_read(tmp_path):
    rows = [(t, m, m + 9_000_000, x, 3 * x, 0, 7) for t, m, x in usual()]
    path = series(tmp_path / "web.csv", rows,
                  "time_s,anon_bytes,rss_bytes,requests,unique_jwts,refused,foo")
    done = tlsoak("analyse", path)
    assert done.returncode == 0, done.stdout
    said = " ".join(done.stdout.split("\nPASS")[0].split())
    assert said == ("read 900 readings of anon_bytes of web over 14m 59s with requests, jwts; standing still: refused; "
                    "not judged: rss_bytes; left out: foo")
    quiet, parsed = judge(path)
    assert parsed["schema"] == "tlsoak.verdict/1" and parsed["exit_code"] == quiet.returncode == 0
    assert "left out: foo" in quiet.stderr


def test_several_files(tmp_path):
    good = series(tmp_path / "good.csv", usual())
    leak = series(tmp_path / "leak.csv", usual(slope=20_000))
    brief = series(tmp_path / "brief.csv", usual(20))
    done = tlsoak("analyse", brief, good, leak, "--format", "json")
    assert done.returncode == 1
    assert [json.loads(line)["exit_code"] for line in done.stdout.splitlines()] == [3, 0, 1]
    assert tlsoak("analyse", brief, good).returncode == 3
    assert tlsoak("analyse", good, good).returncode == 0
    text = tlsoak("analyse", good, leak).stdout
    assert text.index(f"== {good}\nread ") < text.index("PASS") < text.index(f"== {leak}\nread ") < text.index("LEAK")
    bad = tlsoak("analyse", leak, tmp_path / "none.csv", good, "--format", "json")
    assert bad.returncode == 2 and "none.csv: No such file" in bad.stderr
    assert [json.loads(line)["exit_code"] for line in bad.stdout.splitlines()] == [1, 0]


def test_standard_input(tmp_path):
    path = series(tmp_path / "leak.csv", usual(slope=20_000))
    for name in (path, tmp_path / "leak.json"):
        if name.suffix == ".json":
            name.write_text(answer(result([memory(t, 20_000) for t in range(900)], 1,
                                          name="process_resident_memory_bytes")))
        with open(name, "rb") as file:
            done, parsed = judge("-", stdin=file)
        assert done.returncode == 1 and parsed["memory"][0]["source"] == "standard input"
    assert tlsoak("analyse", "-").returncode == 2


def test_flags_say_what_a_profile_would(tmp_path):
    slow = series(tmp_path / "slow.csv", [(t, memory(t, 2000), 10 * t) for t in range(1800)])
    assert judge(slow)[0].returncode == 1
    _, bound = judge(slow, "--expect-bound", "request=1000000")
    assert bound["exit_code"] == 3 and bound["memory"][0]["needed"]["driver"] == "request"
    assert bound["memory"][0]["known_bound"]["size"] == 1_000_000
    _, ttl = judge(slow, "--expect-ttl", "2h")
    assert ttl["exit_code"] == 3 and ttl["memory"][0]["needed"]["seconds"] > 3600
    assert judge(series(tmp_path / "flat.csv", usual()), "--budget", "time=1B")[0].returncode == 3
    _, limit = judge(slow, "--limit", "100MiB")
    low = limit["memory"][0]["seconds_to_limit"]["low"]
    assert 0.9 < low * 2000 / (100 * 2**20 - memory(1800, 2000)) < 1.1
    for flags in (["--budget", "time=-1"], ["--budget", "request"], ["--budget", "reqest=1B"],
                  ["--expect-bound", "jwt=-2"], ["--expect-ttl", "5"], ["--limit", "big"], ["--period", "day"], ["--format", "yaml"]):
        done = tlsoak("analyse", slow, *flags)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith(f"{flags[0]}: "), flags


@pytest.mark.parametrize("slope, code", [(0, 0), (3000, 1)])
def test_a_period_of_the_load(tmp_path, slope, code):
    rows = [(t, memory(t, slope) + int(4e6 * math.sin(2 * math.pi * t / 700)), 50 * t) for t in range(0, 3600, 2)]
    path = series(tmp_path / "tide.csv", rows)
    assert judge(path)[0].returncode == 3
    assert judge(path, "--period", "700s")[0].returncode == code


def test_a_designed_load_without_its_plan(tmp_path):
    """Certificates come in dwells apart from the requests, and each keeps 4 KiB."""
    switches = [(i % 2, i // 2 % 2) for i in range(48)]
    random.Random(5).shuffle(switches)
    rows, certs, requests = [], 0, 0
    for t in range(480):
        fast, fresh = switches[t // 10]
        requests += 400 if fast else 40
        certs += 12 if fresh else 0
        rows.append((t, memory(t) + 4096 * certs, requests, certs))
    path = series(tmp_path / "designed.csv", rows, "time_s,anon_bytes,requests,client_certificates")
    done, parsed = judge(path, "--designed")
    blamed = {d["driver"]: d for d in parsed["memory"][0]["drivers"] if d["blamed"]}
    assert done.returncode == 1 and list(blamed) == ["client_certificate"], parsed["reason"]
    assert 0.9 * 4096 < blamed["client_certificate"]["bytes_per_event"] < 1.1 * 4096


def test_a_run_directory_and_its_series_agree(tmp_path):
    run = tmp_path / "run"
    done = tlsoak("demo", "-o", run, "--quiet", "--set", "run.duration=9s", "--set", "attribution.mode=off")
    assert done.returncode in (0, 1, 3), done.stderr
    whole, by_dir = judge(run)
    alone, by_file = judge(run / "memory.csv")
    assert by_file["memory"] == by_dir["memory"] and alone.returncode == whole.returncode
    text = " ".join(tlsoak("analyse", run).stdout.split())
    assert "readings of anon_bytes of server over" in text and f"plan: {run}/profile.ini" in text
    limit = judge(run, "--limit", "1TiB")[1]
    grows = (by_dir["memory"][0]["slope_bytes_per_second"]["high"] or 0) > 0
    assert (limit["memory"][0]["seconds_to_limit"] is not None) == grows
    # a killed run ends within a line, and a broken plan is told, never ignored
    csv = (run / "memory.csv").read_bytes()
    (run / "memory.csv").write_bytes(csv[:-9])
    torn = tlsoak("analyse", run)
    assert torn.returncode in (0, 1, 3) and "the last line has no end" in torn.stderr
    with open(run / "profile.ini", "a") as profile:
        profile.write("[judge]\nbudgit = 1\n")
    done = tlsoak("analyse", run / "memory.csv")
    assert done.returncode == 2 and "profile.ini" in done.stderr
    shutil.rmtree(run)
    run.mkdir()
    mistake(run, run, "holds no run of tlsoak")


def test_no_pass_without_evidence(tmp_path):
    """What can't be judged is inconclusive, with the reason."""
    for name, rows, why in (
            ("few", usual(30), "too few readings"),
            ("zero", [(t, 0, 10 * t) for t in range(900)], "too few readings"),
            ("empty", [(t, "", 10 * t) for t in range(900)], "too few readings"),
            ("gaps", [(t, memory(t) if t % 30 == 0 else "", 10 * t) for t in range(900)], "too few readings"),
            ("equal", [(t, 50_000_000, 10 * t) for t in range(60)], "64 KiB"),
            ("backwards", [(900 - t, memory(t), 10 * t) for t in range(900)], "too few readings"),
            ("still", [(5, memory(t), 10 * t) for t in range(900)], "too few readings"),
            ("restart", [(t, memory(t), 10 * (t % 450)) for t in range(900)], "restart")):
        done, parsed = judge(series(tmp_path / f"{name}.csv", rows))
        assert done.returncode == 3 and why in parsed["reason"], (name, parsed)
        assert parsed["memory"][0]["needed"] is not None, name
    assert judge(series(tmp_path / "flat.csv", [(t, 50_000_000, 10 * t) for t in range(900)]))[0].returncode == 0


def test_restarts_by_incarnation(tmp_path):
    rows = [(*row, "7:1" if row[0] < 450 else "9:2") for row in usual()]
    done, parsed = judge(series(tmp_path / "two.csv", rows, "time_s,anon_bytes,requests,incarnation"))
    assert done.returncode == 3 and "restart" in parsed["reason"]
    # a load that began anew is no restart of the server
    rows = [(t, m, x % 4500, "7:1") for t, m, x in usual()]
    done, parsed = judge(series(tmp_path / "load.csv", rows, "time_s,anon_bytes,requests,incarnation"))
    assert done.returncode == 0 and "counted on from before" in done.stderr


@pytest.mark.parametrize("slope, code", [(0, 0), (2000, 1)])
def test_clocks_and_gaps_change_no_verdict(tmp_path, slope, code):
    rows = usual(1800, slope)
    for name, changed in {
            "plain": rows,
            "epoch": [(1763700000 + t, m, x) for t, m, x in rows],
            "forward": [(t + (31_536_000 if t > 700 else 0), m, x) for t, m, x in rows],
            "back": [(t - (3600 if t > 700 else 0), m, x) for t, m, x in rows],
            "glitch": [(t + (3600 if t == 700 else 0), m, x) for t, m, x in rows],
            "missing": [row for row in rows if row[0] % 11 and not 300 < row[0] < 340],
            "zeros": [(t, m if t % 13 else 0, x) for t, m, x in rows],
            "unread": [(t, m if t % 13 else "", x) for t, m, x in rows]}.items():
        done, parsed = judge(series(tmp_path / f"{name}.csv", changed))
        assert done.returncode == code, (name, parsed)
        value = parsed["memory"][0]["slope_bytes_per_second"]["value"]
        assert abs(value - slope) < 0.05 * slope + 20, (name, value)


def test_how_a_file_is_written_changes_no_verdict(tmp_path):
    rows = usual(slope=20_000)
    plain = judge(series(tmp_path / "a.csv", rows))[1]
    head = "time_s,anon_bytes,requests"
    quoted = [[f'"{v}"' for v in row] for row in rows]
    folder = tmp_path / "other"
    folder.mkdir()
    for end, these, header in (("\r\n", rows, head), ("\r", rows, head), ("\n", rows, "\ufeff" + head),
                               ("\r\n", quoted, '"time_s", "anon_bytes" ,"requests_done"'),
                               ("\n\n", rows, "# a comment\n" + head)):
        done, parsed = judge(series(folder / "a.csv", these, header, end))
        assert parsed == plain, (end, header, done.stderr)
    kib = [(t, m / 1024, x) for t, m, x in rows]
    assert judge(series(folder / "a.csv", kib, "time_s,anon_kb,requests"))[1]["exit_code"] == 1


@pytest.mark.parametrize("text, line, what", [
    ("", 1, "no header line"),
    ("time_s,anon_bytes,requests\n", 1, "no readings"),
    ("time_s,anon_bytes,requests\n1,2", 2, "no readings"),
    ("anon_bytes,requests\n1,2\n", 1, "no column time_s"),
    ("time_s,requests\n1,2\n", 1, "no memory column"),
    ("time_s,rss_mb\n1,2\n", 1, "_bytes or _kb"),
    ("time_s;rss_kb\n1;2\n", 1, "commas"),
    ("time_s,rss_kb,rss_kb\n1,2,3\n", 1, "named twice"),
    ("time_s,rss_kb,jwts,unique_jwts\n1,2,3,4\n", 1, "named twice"),
    ("time_s,rss_kb\n1,5000\n2,nan\n", 3, "not a finite number"),
    ("time_s,rss_kb\n1,5000\n2,-inf\n", 3, "not a finite number"),
    ("time_s,rss_kb\n1,5000\n2,5000,9\n", 3, "3 fields where the header has 2"),
    ("time_s,rss_kb\n1,5000\ntime_s,rss_kb\n1,5000\n", 3, "not a finite number"),
    ("time_s,rss_kb\n1,\"5000\n", 2, "a quote does not end"),
    ("time_s,anon_bytes\n" + "".join(f"{t},48.5\n" for t in range(100)), 1, "another unit"),
    ("time_s,limit_bytes\n" + "".join(f"{t},536870912\n" for t in range(100)), 1, "show no growth"),
    ("time_s,anon_bytes\n" + "".join(f"{t}000000000000,50000000\n" for t in range(1, 9)), 2, "milliseconds"),
    ("time_s,anon_bytes\n1,50000000\n2,5\0\n", 3, "NUL"),
    ("x" * 70000, 1, "64 KiB"),
    ("{\"status\":\"success\",\n\"data\":", 2, "no whole JSON"),
])
def test_mistakes_have_a_place(tmp_path, text, line, what):
    path = tmp_path / "bad.csv"
    path.write_bytes(text.encode())
    mistake(path, f"{path}:{line}", what)


def test_garbage_is_a_mistake(tmp_path):
    path = tmp_path / "garbage"
    for seed in range(8):
        path.write_bytes(random.Random(seed).randbytes(100_000))
        mistake(path, path, "")
    mistake(shutil.which("true"), shutil.which("true"), "NUL")
    mistake(tmp_path, tmp_path, "holds no run")


def test_a_million_rows_take_no_room(tmp_path):
    path = tmp_path / "million.csv"
    with open(path, "w") as file:
        file.write("time_s,anon_bytes,rss_bytes,requests,connections\n")
        file.writelines(f"{t},{memory(t)},{memory(t) + 9_000_000},{10 * t},{t}\n" for t in range(1_000_000))
    limit = tlsoak("-c", "ulimit -v 200000; exec \"$0\" analyse \"$1\" --format json", RELEASE, path, binary="bash")
    assert limit.returncode == 0, limit.stdout + limit.stderr
    assert json.loads(limit.stdout)["memory"][0]["class"] == "stable"


def test_prometheus(tmp_path):
    path = tmp_path / "export.json"
    n = 900
    path.write_text(answer(
        result([1e9 + t for t in range(n)], name="process_virtual_memory_bytes", instance="a:9100"),
        result([memory(t, 20_000) for t in range(n)], name="process_resident_memory_bytes", instance="a:9100"),
        result([100 * t for t in range(n)], name="requests_total", instance="a:9100"),
        result([5 * t for t in range(n)], name="client_certificates", job="load")))
    done = tlsoak("analyse", path)
    said = " ".join(done.stdout.split())
    assert done.returncode == 1 and "LEAK" in said, said
    assert said.startswith("read 900 readings of process_resident_memory_bytes of a:9100 over 29m 58s with requests, "
                           "client_certificates; left out: process_virtual_memory_bytes")
    leak = judge(path)[1]["memory"]
    assert len(leak) == 1 and 9_500 < leak[0]["slope_bytes_per_second"]["value"] < 10_500
    assert {d["driver"]: d["events"] for d in leak[0]["drivers"]}["client_certificate"] == 5 * (n - 1)


def test_prometheus_of_several_servers(tmp_path):
    """The best metric of each server is judged, and the one that leaks fails the whole."""
    path = tmp_path / "export.json"
    flat, leak = [memory(t) for t in range(900)], [memory(t, 20_000) for t in range(900)]
    path.write_text(answer(
        result([v * 2 for v in leak], name="container_memory_usage_bytes", pod="p", container="web"),
        result(flat, name="container_memory_rss", pod="p", container="web"),
        result([5e5] * 900, name="container_memory_rss", pod="p", container="POD"),
        result(leak, name="go_memstats_heap_inuse_bytes", instance="b:1"),
        result([5e5 * t for t in range(900)], name="go_memstats_alloc_bytes_total", instance="b:1"),
        result([t * 100 for t in range(900)], name="requests")))
    done, parsed = judge(path)
    assert done.returncode == 1, parsed
    assert [(m["source"], m["metric"], m["class"]) for m in parsed["memory"]] == [
        ("p/web", "container_memory_rss", "stable"), ("b:1", "go_memstats_heap_inuse_bytes", "leak")]
    assert "not judged: container_memory_usage_bytes" in tlsoak("analyse", path).stdout.replace("\n    ", "")


def test_prometheus_mistakes(tmp_path):
    path = tmp_path / "export.json"
    for text, what in (('{"status":"error","error":"query timed out"}', "query timed out"),
                       ('{"status":"success","data":{"resultType":"vector","result":[]}}', "range query"),
                       (answer(), "no series fitted"),
                       (answer(result([1], name="up")), "process_resident_memory_bytes (there are: up)"),
                       (answer(result(["x"], name="process_resident_memory_bytes")), "values[0]"),
                       ("[[]]", "memory metric"), ("{}", "data.result")):
        path.write_text(text)
        mistake(path, path, what)
    gaps = ["NaN"] * 450 + ["+Inf"] * 450
    path.write_text(answer(result(gaps, name="process_resident_memory_bytes")))
    done, parsed = judge(path)
    assert done.returncode == 3 and "too few readings" in parsed["reason"]


def test_help_names_every_way_in():
    text = tlsoak("analyse", "--help").stdout
    for word in ("time_s", "_bytes", "_kb", "rotations", "incarnation", "Prometheus", "--designed", "--budget",
                 "--expect-bound", "--expect-ttl", "--limit", "--period", "standard input"):
        assert word in text, word
