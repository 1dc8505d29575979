"""What a run tells CI: JUnit XML, a page of Markdown, and the annotations and the summary of GitHub Actions."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

from servers import embedded, load_text, make_pki, need, patient, profile, tlsoak

XSD = pathlib.Path(__file__).parents[1] / "data" / "junit.xsd"

LIMITS = """
[limit]
latency.response.p99.max = 1us
errors.ratio.max = 1%
"""


@pytest.fixture(scope="module")
@patient
def gate(tmp_path_factory):
    """A run in a job: one limit is broken, one holds, and memory was read for too short to tell."""
    folder = tmp_path_factory.mktemp("ci")
    pki, summary = make_pki(folder / "pki", 1), folder / "summary.md"
    summary.write_text("# What was before\n")
    with embedded(folder, pki, credentials=False) as server:
        ini = profile(folder, load_text(server, pki, "threads = 1\nduration = 2s", "connections = 2",
                                        memory="every = 100ms") + LIMITS)
        done = tlsoak("run", ini, "-o", folder / "run",
                      env={**os.environ, "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)})
        full, elsewhere = folder / "full.md", folder / "elsewhere.md"
        full.write_text("x" * 899_500)
        for name, path, actions in (("full", full, "true"), ("elsewhere", elsewhere, "false")):
            again = tlsoak("run", ini, "-o", folder / name, "--set", "run.duration=1s",
                           env={**os.environ, "GITHUB_ACTIONS": actions, "GITHUB_STEP_SUMMARY": str(path)})
    assert done.returncode == 1, done.stdout + done.stderr
    assert again.returncode == 1 and not elsewhere.exists() and "\n::" not in again.stdout
    return folder / "run", ini, done.stdout, summary.read_text()


def junit(text):
    """The one suite and its cases by name; what the schema and GitLab ask of them."""
    done = subprocess.run([need("xmllint"), "--noout", "--schema", XSD, "-"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    suites = xml.etree.ElementTree.fromstring(text)
    suite, = suites
    assert (suites.tag, suite.tag) == ("testsuites", "testsuite")
    cases = suite.findall("testcase")
    kinds = [case[0].tag if len(case) else "passed" for case in cases]
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute)) == kinds.count(kind)
    assert int(suite.get("tests")) == len(cases)
    assert all(element.get("time") for element in (suites, suite, *cases))
    return suite, {case.get("name"): case[0] if len(case) else None for case in cases}


def test_junit_has_a_case_a_check(gate):
    run, _, _, _ = gate
    suite, cases = junit((run / "junit.xml").read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp"))
    broken = cases["latency.response.p99.max = 1us"]
    assert broken.tag == "failure" and broken.get("type") == "broken" and "is broken" in broken.get("message")
    assert cases["errors.ratio.max = 1%"] is None
    memory = next(case for name, case in cases.items() if name.startswith("memory of server"))
    assert memory.tag == "skipped" and memory.get("message")
    assert {"the run can be trusted", "the generator kept up with its plan"} <= set(cases)
    assert tlsoak("report", run, "--format", "junit").stdout == (run / "junit.xml").read_text()


def judged_again(run, folder, profile_text=None, leave=(), **told):
    """A copy of the run with other words in its run.json or another profile; the suite of its report."""
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns(*leave))
    path = folder / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **told}))
    if profile_text is not None:
        (folder / "profile.ini").write_text(profile_text)
    done = tlsoak("report", folder, "--format", "junit")
    assert done.returncode == 0, done.stderr
    return junit(done.stdout)[0]


def test_junit_is_as_its_readers_want_it_whatever_the_verdict(gate, tmp_path):
    run, _, _, _ = gate
    text = (run / "profile.ini").read_text()
    held = re.sub(r"(latency.response.p99.max) = .*", r"\1 = 1h", text)
    suite = judged_again(run, tmp_path / "invalid", invalid="the disk is full & <gone>")
    assert int(suite.get("errors")) > 0
    suite = judged_again(run, tmp_path / "unclear", held)
    assert suite.get("failures") == suite.get("errors") == "0" and int(suite.get("skipped")) > 0
    alone = re.sub(r"(?s)\[memory server\].*?(?=\n\[|$)", "", held)
    suite = judged_again(run, tmp_path / "passed", alone, leave=["memory*.csv"], sources=[])
    assert suite.get("failures") == suite.get("errors") == suite.get("skipped") == "0"


def test_a_job_of_github_gets_annotations_and_a_summary(gate):
    run, ini, out, summary = gate
    lines = [line for line in out.splitlines() if line.startswith("::")]
    error, = (line for line in lines if line.startswith("::error "))
    assert error.startswith(f"::error file={ini},title=tlsoak%3A latency.response.p99.max = 1us::")
    assert any(line.startswith("::warning ") and "memory of server" in line for line in lines)
    assert summary == "# What was before\n" + (run / "summary.md").read_text()
    rows = [line for line in summary.splitlines() if line.startswith("| ")]
    assert any("FAILED" in row and "latency.response.p99.max" in row for row in rows)
    assert any(row.startswith("| response |") for row in rows)


def test_a_summary_keeps_below_what_github_takes(gate):
    folder = gate[0].parent
    whole, added = (folder / "full" / "summary.md").read_text(), (folder / "full.md").read_text()[899_500:]
    kept, note = added.split("\n(Cut short", 1)
    assert len(added) <= 500 < len(whole) and whole.startswith(kept) and kept.endswith("\n") and note.endswith("report.)\n")


def test_elsewhere_nobody_sees_any_of_it(gate, tmp_path):
    run, _, _, _ = gate
    done = tlsoak("report", run)
    assert "::" not in done.stdout
    alone = {k: v for k, v in os.environ.items() if not k.startswith("GITHUB_")}
    done = tlsoak("report", run, "--format", "markdown", env=alone)
    assert done.stdout == (run / "summary.md").read_text()


def test_the_page_has_the_limits(gate):
    run, _, _, _ = gate
    text = (run / "report.html").read_text()
    rows = re.findall(r"<tr><td>(.*?)</td><td class=\"n\">(.*?)</td><td>(.)</td><td>(.*?)</td></tr>", text)
    assert ("errors.ratio.max = 1%", "0 %", "\u2713", "held") in rows
    assert any(row[0] == "latency.response.p99.max = 1us" and row[2:] == ("\u2717", "broken") for row in rows), rows


def test_a_series_alone_has_checks_too(gate):
    run, _, _, _ = gate
    suite, cases = junit(tlsoak("analyse", run / "memory.csv", "--format", "junit").stdout)
    assert suite.get("timestamp") is None and any(name.startswith("memory of") for name in cases)
