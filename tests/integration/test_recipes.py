"""The jobs of profiles/ci, whose very commands are run in a checkout without anything built: a clean service
passes its gate and a leaky one fails it, with what CI shows of that."""
import functools
import os
import pathlib
import shutil
import subprocess
import xml.etree.ElementTree

import pytest
import yaml

from servers import RELEASE, all_at_once, free_port, tlsoak, unless_starved, verdict

ROOT = pathlib.Path(__file__).parents[2]
NOT_CHECKED_OUT = shutil.ignore_patterns("build", ".git", "__pycache__", ".pytest_cache", "tlsoak-run-*")
# A load so small, and budgets so large, that a few seconds tell on any machine; the leak is larger still.
SHORT = " ".join(f"--set {pair}" for pair in [
    "run.duration=14s", "run.threads=1", "pace.rate=30/s", "pace.connections=2", "attribution.mode=off",
    "judge.budget.connection=", "judge.budget.client_certificate=", "judge.budget.api_key=", "judge.budget.jwt=",
    "judge.budget.request=16KiB"])
LEAK = "--leak request=128KiB"


def job_of_github():
    """Its variables, and its steps: shell code, and whether it is run after a failure."""
    job, = yaml.safe_load((ROOT / "profiles/ci/github-actions.yml").read_text())["jobs"].values()
    steps = [(step["run"], step.get("if") == "always()") for step in job["steps"] if "run" in step]
    kept = next(step["with"]["path"].split() for step in job["steps"] if "upload-artifact" in step.get("uses", ""))
    return job["env"], steps, ["bash", "-e"], kept


def job_of_gitlab():
    job = yaml.safe_load((ROOT / "profiles/ci/gitlab-ci.yml").read_text())["soak"]
    lines = job["before_script"] + job["script"]
    assert all(isinstance(line, str) for line in lines)  # a colon and a blank make a map of a line
    steps = [("\n".join(lines), False), ("\n".join(job["after_script"]), True)]
    return job["variables"], steps, ["bash", "-eo", "pipefail"], job["artifacts"]["paths"]


JOBS = {"github": job_of_github, "gitlab": job_of_gitlab}


class Done:
    """A job that was run: its status, what it printed, and its checkout."""

    def __init__(self, name, leaky, folder):
        variables, steps, self.shell, self.kept = JOBS[name]()
        self.checkout, self.out, self.status = folder / "checkout", "", 0
        self.summary = folder / "summary.md"
        shutil.copytree(ROOT, self.checkout, ignore=NOT_CHECKED_OUT)
        tools = folder / "bin"
        tools.mkdir()
        (tools / "tlsoak").symlink_to(pathlib.Path(RELEASE).resolve())
        port = free_port()
        mine = {"PORT": port, "TARGET_URL": f"https://127.0.0.1:{port}/", "TLSOAK_FLAGS": SHORT,
                "SERVICE_FLAGS": LEAK if leaky else ""}
        assert set(mine) <= set(variables)
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith("GITHUB_")},
                    **{k: str(v) for k, v in {**variables, **mine}.items()},
                    "PATH": f"{tools}:{os.environ['PATH']}"}
        if name == "github":
            self.env.update(GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(self.summary),
                            GITHUB_PATH=str(folder / "path"))
        for code, always in steps:
            if self.status == 0 or always:
                self.run(code, folder / "output")
        unless_starved(self.status, self.out)

    def run(self, code, output):
        # to a file: a service in the background would hold a pipe open
        with open(output, "w+") as out:
            step = subprocess.run([*self.shell, "-c", code], cwd=self.checkout, env=self.env, stdout=out,
                                  stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=180)
            out.seek(0)
            self.out += out.read()
        self.status = self.status or step.returncode


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Each job with each service."""
    kinds = {f"{name}-{'leaky' if leaky else 'clean'}": (name, leaky) for name in JOBS for leaky in (False, True)}
    done = all_at_once(tmp_path_factory, {title: functools.partial(Done, *kind) for title, kind in kinds.items()})
    return {kind: done[title] for title, kind in kinds.items()}


@pytest.mark.parametrize("name", JOBS)
def test_a_clean_service_passes(jobs, name):
    job = jobs[name, False]
    assert job.status == 0, job.out
    assert verdict(job.checkout / "soak-run")["verdict"] == "pass"
    assert "::error" not in job.out


@pytest.mark.parametrize("name", JOBS)
def test_a_leaky_service_fails(jobs, name):
    job = jobs[name, True]
    assert job.status == 1, job.out
    found = verdict(job.checkout / "soak-run")
    assert found["verdict"] == "fail" and found["memory"][0]["class"] == "leak", found["reason"]


@pytest.mark.parametrize("name", JOBS)
def test_what_is_kept_is_there_and_the_service_is_gone(jobs, name):
    for leaky in (False, True):
        job = jobs[name, leaky]
        assert all((job.checkout / path).exists() for path in job.kept)
        assert (job.checkout / "soak-run/report.html").exists()
        cases = xml.etree.ElementTree.parse(job.checkout / "soak-run/junit.xml").findall(".//testcase")
        failed = [case.get("name") for case in cases if case.find("failure") is not None]
        assert any(name.startswith("memory of server") for name in failed) == leaky
        assert any(case.get("name") == "errors.ratio.max = 1% for 10s abort" for case in cases)
        pid = int((job.checkout / "service.pid").read_text())
        stat = pathlib.Path(f"/proc/{pid}/stat")
        assert not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_github_shows_an_annotation_and_a_summary(jobs):
    leaky, clean = jobs["github", True], jobs["github", False]
    errors = [line for line in leaky.out.splitlines() if line.startswith("::error ")]
    assert any("file=profiles/ci-gate.ini" in line and "memory of server" in line for line in errors), leaky.out
    assert leaky.summary.read_text().startswith("## tlsoak: ") and "FAILED" in leaky.summary.read_text()
    assert "FAILED" not in clean.summary.read_text()


def test_the_building_is_what_dev_does():
    """What the test saves by having tlsoak on the PATH: the commands name what there is."""
    for name, job in JOBS.items():
        text = "\n".join(code for code, _ in job()[1])
        assert '"$TLSOAK_SOURCE/dev" build' in text and "build/release" in text, name
    assert os.access(ROOT / "dev", os.X_OK) and "\ncmd_build() {" in (ROOT / "dev").read_text()
    assert tlsoak("--version").returncode == 0
