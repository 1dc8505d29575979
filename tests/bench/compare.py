"""How often `tlsoak compare` errs: real runs of the embedded server, a new one each, and the study of them.

Runs are kept in build/compare, and what is there is not made again; --write FILE puts the tables there."""
import argparse
import datetime
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/integration"))

from servers import ready_server  # noqa: E402

PROFILE = """[run]
duration = {seconds}s
threads = 1
[target]
url = {url}
server_ca = {pki}/ca.pem
[pace]
mode = open
rate = 200/s
connections = 8
requests_per_connection = 5
resume_ratio = 0.5
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
count = 10
[memory server]
pid = {pid}
"""


def make_run(tlsoak, folder, pki, seconds, number):
    directory = folder / f"run{number:02d}"
    if (directory / "verdict.json").exists():
        return directory
    command = [tlsoak, "serve", "--watch-stdin", "--ca", pki / "ca.pem", "--cert", pki / "server.pem", "--key",
               pki / "server.key"]
    with ready_server(list(map(str, command)), folder / "server.log") as server:
        profile = folder / "profile.ini"
        profile.write_text(PROFILE.format(pki=pki, seconds=seconds, url=server.url, pid=server.pid))
        subprocess.run([tlsoak, "run", profile, "-o", directory, "--quiet"], stdout=subprocess.DEVNULL, check=False)
    return directory


MARKER = "<!-- measured -->\n"


def write_below_marker(path, text):
    path.write_text(path.read_text().split(MARKER)[0] + MARKER + "\n" + text)


def is_usable(directory):
    told = json.loads((directory / "run.json").read_text())
    return told["finished"] and not told["invalid"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tlsoak", default=ROOT / "build/release/tlsoak")
    parser.add_argument("--study", default=ROOT / "build/study/tests/stats/compare_study")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--write", type=pathlib.Path)
    args = parser.parse_args()
    folder = ROOT / "build/compare"
    folder.mkdir(parents=True, exist_ok=True)
    pki = folder / "pki"
    if not pki.exists():
        subprocess.run([args.tlsoak, "pki", pki, "--clients", "1"], stdout=subprocess.DEVNULL, check=True)
    runs = [make_run(args.tlsoak, folder, pki, args.seconds, i) for i in range(args.runs)]
    usable = [run for run in runs if is_usable(run)]
    if not usable:
        parser.exit(1, "no run is usable: the machine is too busy\n")
    table = subprocess.run([args.study, *usable], stdout=subprocess.PIPE, text=True, check=True).stdout
    text = (f"Measured {datetime.date.today()} by `./dev bench compare`: {len(usable)} of {len(runs)} runs of "
            f"{args.seconds} s, which were valid.\n\n" + table)
    if args.write:
        write_below_marker(args.write, text)
    print(text, end="")


if __name__ == "__main__":
    main()
