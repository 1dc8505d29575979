#!/usr/bin/env python3
"""Runs the fuzz targets of build/fuzz with libFuzzer, and tells what they did: `./dev fuzz` builds them and calls this.

Each target starts from its corpus in tests/fuzz/corpus and from what earlier campaigns found (build/fuzz/corpus).  When
its time is over, both are merged into the least set that covers as much (build/fuzz/merged): entries of it that are new
are offered, not taken.  Coverage is that of the merged set, over the sources that the target is about."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzz"
PROGRAMS = BUILD / "tests" / "fuzz"
SEEDS = ROOT / "tests" / "fuzz" / "corpus"
MAX_LEN = {"stored": 65536, "profile": 8192, "hlog": 16384, "series": 16384}
USUAL_MAX_LEN = 4096


def tool(name):
    """One of LLVM's, of the version of the compiler."""
    compiler = re.search(r"CMAKE_C_COMPILER:\w+=(.*)", (BUILD / "CMakeCache.txt").read_text())[1]
    done = subprocess.run([compiler, f"-print-prog-name={name}"], capture_output=True, text=True, check=True)
    return shutil.which(done.stdout.strip()) or name


def targets():
    return sorted(p.stem[len("fuzz_"):] for p in (ROOT / "tests" / "fuzz").glob("fuzz_*.c"))


def environment(**more):
    return {**os.environ, "FUZZ_KEEP": str(ROOT), "LLVM_PROFILE_FILE": str(BUILD / "unused.profraw"),
            "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1", **more}


def ask(program, question):
    return subprocess.run([program, question], capture_output=True, text=True, check=True, env=environment()).stdout


def share(summaries, kind):
    """Percent of lines or regions that were run."""
    summaries = list(summaries)
    return 100 * sum(s[kind]["covered"] for s in summaries) / max(1, sum(s[kind]["count"] for s in summaries))


class Campaign:
    def __init__(self, name, seconds):
        self.name, self.seconds = name, seconds
        self.program = PROGRAMS / f"fuzz_{name}"
        self.seeds = SEEDS / name
        self.corpus, self.merged, self.crashes = (BUILD / kind / name for kind in ("corpus", "merged", "crashes"))
        self.log = BUILD / "log" / f"{name}.txt"
        for folder in (self.corpus, self.crashes, self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.merged, ignore_errors=True)
        self.merged.mkdir(parents=True)
        self.dictionary = self.log.with_suffix(".dict")
        self.dictionary.write_text(ask(self.program, "--words"))
        self.max_len = MAX_LEN.get(name, USUAL_MAX_LEN)

    def call(self, *options, env=None):
        with open(self.log, "ab") as log:
            return subprocess.run([self.program, *map(str, options)], stdout=log, stderr=log, cwd=BUILD,
                                  env=env or environment()).returncode

    def findings(self):
        """Not what was only slow: on a busy machine that says nothing."""
        return {p for p in self.crashes.iterdir() if not p.name.startswith("slow-unit-")}

    def run(self):
        self.log.write_bytes(b"")
        started = len(list(self.corpus.iterdir()))
        before = self.findings()
        self.status = self.call(f"-max_total_time={self.seconds}", f"-max_len={self.max_len}", "-timeout=60",
                                "-rss_limit_mb=2048", "-print_final_stats=1", "-use_value_profile=0",
                                f"-dict={self.dictionary}", f"-artifact_prefix={self.crashes}/", self.corpus,
                                self.seeds)
        text = self.log.read_text(errors="replace")
        executions = re.findall(r"stat::number_of_executed_units: *(\d+)", text) or re.findall(r"^#(\d+)", text, re.M)
        self.executions = int(executions[-1]) if executions else 0
        self.grown = len(list(self.corpus.iterdir())) - started
        self.new_crashes = sorted(self.findings() - before)
        self.merge()
        self.cover()
        return self

    def merge(self):
        control = self.log.with_suffix(".merge")
        control.unlink(missing_ok=True)
        self.call("-merge=1", f"-merge_control_file={control}", f"-max_len={self.max_len}", "-timeout=60",
                  f"-artifact_prefix={self.crashes}/", self.merged, self.seeds, self.corpus)
        known = {p.read_bytes() for p in self.seeds.iterdir()}
        self.offered = [p for p in sorted(self.merged.iterdir()) if p.read_bytes() not in known]

    def cover(self):
        raw, data = self.log.with_suffix(".profraw"), self.log.with_suffix(".profdata")
        self.call("-runs=0", f"-max_len={self.max_len}", "-timeout=60", self.merged, self.seeds,
                  env=environment(LLVM_PROFILE_FILE=str(raw)))
        self.lines = self.regions = None
        if not raw.exists():
            return
        subprocess.run([tool("llvm-profdata"), "merge", "-sparse", raw, "-o", data], check=True)
        done = subprocess.run([tool("llvm-cov"), "export", "-summary-only", self.program, f"-instr-profile={data}"],
                              capture_output=True, text=True, check=True)
        about = {str(ROOT / "src" / name): name for name in ask(self.program, "--about").split()}
        files = {about[path]: f["summary"] for f in json.loads(done.stdout)["data"][0]["files"]
                 if (path := os.path.normpath(f["filename"])) in about}
        self.lines, self.regions = (share(files.values(), kind) for kind in ("lines", "regions"))
        self.log.with_suffix(".coverage").write_text("".join(
            f"{name}: {share([f], 'lines'):.1f} % of {f['lines']['count']} lines, "
            f"{share([f], 'regions'):.1f} % of {f['regions']['count']} regions\n" for name, f in sorted(files.items())))
        if missing := sorted(set(about.values()) - set(files)):
            print(f"{self.name}: no coverage of {', '.join(missing)}: not linked, or misspelt", file=sys.stderr)
        raw.unlink()

    def row(self):
        percent = ["?" if p is None else f"{p:.1f} %" for p in (self.lines, self.regions)]
        return f"| {self.name} | {self.seconds} | {self.executions:,} | {self.grown} | {len(self.new_crashes)} | " \
               f"{percent[0]} | {percent[1]} |"


HEAD = "| target | seconds | executions | corpus grew by | crashes | lines | regions |\n|---|--:|--:|--:|--:|--:|--:|"


def tell(campaign):
    relative = os.path.relpath
    for path in campaign.new_crashes:
        print(f"{campaign.name}: FOUND {relative(path)}; again by:\n"
              f"  FUZZ_KEEP={shlex.quote(str(ROOT))} {shlex.quote(str(campaign.program))} {shlex.quote(str(path))}")
    if campaign.status != 0 and not campaign.new_crashes:
        print(f"{campaign.name}: ended with {campaign.status}: {relative(campaign.log)}")
    if campaign.offered:
        print(f"{campaign.name}: {len(campaign.offered)} entries cover more than the corpus does: "
              f"{relative(campaign.merged)}")
    print(f"{campaign.name}: coverage by file: {relative(campaign.log.with_suffix('.coverage'))}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for each target (default: 600)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="targets at once (default: one a core)")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(targets()))
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(targets()))
    if unknown:
        parser.error(f"there is no target {', '.join(unknown)}; there are {', '.join(targets())}")
    campaigns = [Campaign(name, args.seconds) for name in args.names or targets()]
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, prefix="tlsoak-fuzz-") as folder:
        os.environ["FUZZ_TMP"] = folder
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for campaign in pool.map(Campaign.run, campaigns):
                tell(campaign)
    print(HEAD)
    for campaign in campaigns:
        print(campaign.row())
    return 1 if any(c.new_crashes or c.status != 0 for c in campaigns) else 0


if __name__ == "__main__":
    sys.exit(main())
