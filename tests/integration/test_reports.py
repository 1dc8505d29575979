"""What a run leaves for people to look at: report.html, and the plots of its files."""
import csv
import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

from servers import embedded, load_text, make_pki, need, patient, profile, tlsoak, totals, verdict

PLOTS = pathlib.Path(__file__).parents[2] / "plots"
VOID = {"meta", "br", "img", "link", "input"}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m&amp;\'\x00'.replace("\x00", "")


class Page(html.parser.HTMLParser):
    """Tags must be closed in order; nothing may run or be fetched."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "img", "link", "iframe", "object"), tag
        for name, value in attributes:
            assert not name.startswith("on") and name not in ("src", "href", "xlink:href"), (tag, name, value)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        for tag in self.open:
            self.texts[tag] = self.texts.get(tag, "") + data


@pytest.fixture(scope="module")
@patient
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("html")
    pki = make_pki(folder / "pki", 1)
    with embedded(folder, pki, "--leak", "request=4096", credentials=False) as server:
        text = load_text(server, pki, "threads = 1", "mode = open\nrate = 100/s\nconnections = 4",
                         memory="every = 100ms\nlimit = 8GiB") + """
[phase up]
duration = 3s
[phase rest]
duration = 2s
idle = yes
"""
        done = tlsoak("run", profile(folder, text), "-o", folder / "run", "--inconclusive-ok")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return folder / "run"


def charts(text):
    """Each as XML, with the numbers of its lines."""
    found = [xml.etree.ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.S)]
    for chart in found:
        for path in chart.iter("path"):
            assert not re.search("nan|inf", path.get("d")), path.get("d")
    return {chart.get("aria-label"): chart for chart in found if chart.get("class") == "chart"}


def points(chart, kind):
    path = next(p for p in chart.iter("path") if p.get("class") == f"line {kind}")
    return [tuple(map(float, pair)) for pair in re.findall(r"[ML]([\d.]+) ([\d.]+)", path.get("d"))]


def test_a_run_leaves_its_page(run):
    text = (run / "report.html").read_text()
    page = Page(text)
    judged = verdict(run)
    assert judged["reason"].lower() in page.texts["h1"].lower() or "server keeps" in page.texts["h1"]
    assert tlsoak("report", run, "--format", "html").stdout == text
    drawn = charts(text)
    assert list(drawn) == ["Memory of the server over time", "Response and service time by percentile",
                           "Response and service time over the run", "Rates asked and reached over the run"]
    readings = sum(line[0] not in "#t" for line in (run / "memory.csv").read_text().splitlines())
    memory = points(drawn["Memory of the server over time"], "memory")
    assert readings - 2 <= len(memory) <= readings
    assert [x for x, _ in memory] == sorted(x for x, _ in memory)
    shades = [r.get("class") for r in drawn["Memory of the server over time"].iter("rect")]
    assert "shade idle" in shades and "shade even" in shades
    rates = points(drawn["Rates asked and reached over the run"], "asked")
    assert rates[0][1] < rates[-1][1]  # y grows downwards: asked for at first, and no more at the end
    response = points(drawn["Response and service time by percentile"], "response")
    assert [y for _, y in response] == sorted((y for _, y in response), reverse=True)
    assert "[phase rest]" in page.texts["pre"] and "exchanges" in page.texts["pre"]


def test_what_a_stranger_wrote_is_text(run, tmp_path):
    doctored = tmp_path / "run"
    doctored.mkdir()
    for path in run.iterdir():
        (doctored / path.name).write_bytes(path.read_bytes())
    told = json.loads((doctored / "run.json").read_text())
    told["server"] = told["target"] = HOSTILE
    (doctored / "run.json").write_text(json.dumps(told))
    with open(doctored / "events.csv", "a") as events:
        events.write('1.000,memory,"' + HOSTILE.replace('"', '""') + '"\n')
    done = tlsoak("report", doctored, "--format", "html")
    assert done.returncode == 0, done.stderr
    page = Page(done.stdout)
    assert "\x1b" not in done.stdout
    assert page.texts["dd"].count("alert(1)") >= 1 and "alert(2)" in page.texts["p"]


def test_a_series_alone_has_no_charts(run):
    text = tlsoak("analyse", run / "memory.csv", "--format", "html").stdout
    assert "figure" not in Page(text).tags and "h1" in Page(text).tags


def test_a_killed_run_and_one_that_misses_files_are_still_pages(run, tmp_path):
    doctored = tmp_path / "run"
    doctored.mkdir()
    for path in run.iterdir():
        (doctored / path.name).write_bytes(path.read_bytes())
    told = json.loads((doctored / "run.json").read_text())
    told["finished"] = False
    (doctored / "run.json").write_text(json.dumps(told))
    (doctored / "phases.csv").unlink()
    done = tlsoak("report", doctored, "--format", "html")
    assert done.returncode == 0, done.stderr
    assert "was killed" in Page(done.stdout).texts["p"]


def plot(name, *arguments):
    return subprocess.run([need("gnuplot"), "-c", PLOTS / f"{name}.gp", *map(str, arguments)],
                          capture_output=True, text=True)


@pytest.mark.parametrize("name, lines", [("memory", 2), ("latency", 2), ("rate", 4), ("attribution", 1), ("compare", 2)])
def test_plots_show_what_the_run_has(run, tmp_path, name, lines):
    runs = [run, run] if name == "compare" else [run]
    done = plot(name, *runs, tmp_path / "plot.svg")
    assert done.returncode == 0 and not re.search("warning|error", done.stderr), done.stderr
    drawn = [p.get("d", "") for p in xml.etree.ElementTree.parse(tmp_path / "plot.svg").iter("{http://www.w3.org/2000/svg}path")]
    # a curve of a few seconds has more points than a tick or a frame
    assert sum(len(re.findall("[0-9.]+,[0-9.]+", d)) >= 4 for d in drawn) >= lines, drawn
    assert plot(name, *runs, tmp_path / "plot.png").returncode == 0
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "plot.png").stat().st_size > 5000
    assert len(plot(name, *runs).stdout.splitlines()) > 20  # drawn in the terminal


def test_a_plot_says_how_it_is_called(tmp_path):
    for name in ("memory", "latency", "rate", "attribution", "compare"):
        done = plot(name)
        assert done.returncode == 2 and "usage: gnuplot -c" in done.stderr
    assert plot("memory", tmp_path).returncode == 1


def test_percentile_tables_are_those_of_the_run(run):
    rows = [list(map(float, line.split())) for line in (run / "latency.response.hgrm").read_text().splitlines()[2:]
            if not line.startswith("#")]
    told = totals(run)["latency"]["response"]
    assert rows[-1][:3] == [pytest.approx(told["max_us"] / 1000, abs=0.001), 1, told["n"]]
    median = next(row for row in rows if row[1] == 0.5)
    assert median[0] == pytest.approx(told["p50_us"] / 1000, abs=0.001)


JAVA_READER = pathlib.Path(__file__).parents[1] / "data" / "hlog" / "Reader.java"
JAVA_LIBRARY = pathlib.Path("/usr/share/java/hdrhistogram.jar")


def table(path):
    """The rows of a percentile table."""
    return [list(map(float, line.split()[:3])) for line in path.read_text().splitlines()[2:] if line and line[0] != "#"]


def test_the_java_library_reads_the_logs_and_draws_the_same_tables(run, tmp_path):
    if shutil.which("javac") is None:
        pytest.skip("javac is not installed")
    if not JAVA_LIBRARY.exists():
        pytest.skip("libhdrhistogram-java is not installed")
    told = totals(run)
    names = [name for name, series in told["latency"].items() if series["n"] > 0]
    assert {"response", "service", "connect", "handshake_full", "first_byte"} <= set(names)
    logs = [shutil.copy(run / f"latency.{name}.hlog", tmp_path) for name in names]
    done = subprocess.run([need("java"), "-XX:TieredStopAtLevel=1", "-cp", JAVA_LIBRARY, JAVA_READER, *logs],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, log, line in zip(names, logs, done.stdout.splitlines(), strict=True):
        series, (file, *numbers) = told["latency"][name], line.split()
        intervals, first, last, n, mean, *percentiles = map(float, numbers)
        assert file == str(log) and n == series["n"]
        assert intervals >= (2 if name == "response" else 1) 
        start = told["start_epoch_ms"] / 1000
        assert start - 0.01 <= first < last <= start + told["elapsed_s"] + told["tick_s"]
        assert mean == pytest.approx(series["mean_us"] * 1000, rel=1e-3)
        keys = ("p50_us", "p90_us", "p99_us", "p99_9_us", "max_us")
        # a log knows the largest value to its slot only
        for key, value in zip(keys, percentiles, strict=True):
            assert min(value, series["max_us"] * 1000) == pytest.approx(series[key] * 1000, rel=1e-9), key
        ours, theirs = table(run / f"latency.{name}.hgrm"), table(pathlib.Path(f"{log}.hgrm"))
        theirs = [row for row in theirs if row[1] == 1 or row[2] < n]  # it tells the last value twice
        assert len(ours) == len(theirs) > 5
        for mine, other in zip(ours, theirs):
            # it tells the end of a slot, and both round to a unit of the last digit
            slot_ms, digit_ms = other[0] * 1e-3, 0.001 + 1e-9
            assert mine == [pytest.approx(other[0], rel=0, abs=slot_ms + digit_ms),
                            pytest.approx(other[1], abs=1e-9), other[2]]


def test_ticks_are_plain_csv_whose_last_row_is_the_run(run):
    with open(run / "ticks.csv", newline="") as file:
        rows = list(csv.DictReader(file, strict=True, restkey="more"))
    assert len(rows) >= 5 and all(None not in row.values() and "more" not in row for row in rows)
    for name in rows[0]:
        column = [float(row[name] or "nan") for row in rows]
        if name in totals(run)["totals"]:
            assert column == sorted(column) and column[-1] == totals(run)["totals"][name], name
