#!/usr/bin/env python3
"""How often the gate of profiles/ci-gate.ini is right in its two minutes: on services that keep nothing, and on leaky ones.

Each run has an embedded server of its own, as the jobs of profiles/ci start it. Runs are kept in build/gate, and what is
there is not made again; a run that a busy machine spoiled is counted as that. --write FILE puts the table there."""
import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import subprocess
import sys

from compare import ready_server, write_below_marker

ROOT = pathlib.Path(__file__).resolve().parents[2]
# what the service keeps, as options of tlsoak serve
SERVICES = {"nothing": "", "request": "request=64", "connection": "connection=1KiB",
            "client_certificate": "client_certificate=1KiB", "api_key": "api_key=256", "jwt": "jwt=512"}


def make_run(tlsoak, folder, profiles, service, number):
    """The verdict, or what is missing of it."""
    directory = folder / f"{service}-{number:02d}"
    told = directory / "verdict.json"
    if not told.exists():
        pki, leak = profiles / "pki", ["--leak", SERVICES[service]] if SERVICES[service] else []
        command = [tlsoak, "serve", "--watch-stdin", "--ca", pki / "ca.pem", "--cert", pki / "server.pem", "--key",
                   pki / "server.key", "--apikey-secret", pki / "apikey.secret", "--jwt-secret", pki / "jwt.secret", *leak]
        with ready_server(list(map(str, command)), folder / f"{directory.name}.log") as server:
            subprocess.run([tlsoak, "run", profiles / "ci-gate.ini", "-o", directory, "--quiet"], check=False,
                           stdout=subprocess.DEVNULL, env={**os.environ, "TARGET_URL": server.url})
    return json.loads(told.read_text())


def outcome_of(service, verdict):
    if verdict["verdict"] != "fail":
        return verdict["verdict"]
    blamed = [driver["driver"] for driver in verdict["memory"][0]["drivers"] if driver["blamed"]]
    return "named" if blamed == [service] else "failed"


COLUMNS = {"pass": "passed", "named": "failed, just the right cause named", "failed": "failed otherwise",
           "inconclusive": "inconclusive", "invalid": "invalid: starved of CPU"}


def table(outcomes):
    lines = [["the service keeps", "runs", *COLUMNS.values()], ["---"] * (2 + len(COLUMNS))]
    for service, got in outcomes.items():
        what = "nothing" if service == "nothing" else f"{SERVICES[service].split('=')[1]} per {service}"
        lines.append([what, str(len(got)), *(str(got.count(column)) for column in COLUMNS)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tlsoak", default=ROOT / "build/release/tlsoak")
    parser.add_argument("--runs", type=int, default=4, help="of each leaky service; of the other as many as of all these")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--write", type=pathlib.Path)
    args = parser.parse_args()
    folder = ROOT / "build/gate"
    profiles = folder / "profiles"
    profiles.mkdir(parents=True, exist_ok=True)
    for name in ("ci-gate.ini", "leak-hunt.ini"):
        (profiles / name).write_bytes((ROOT / "profiles" / name).read_bytes())
    if not (profiles / "pki").exists():
        subprocess.run([args.tlsoak, "pki", profiles / "pki"], stdout=subprocess.DEVNULL, check=True)
    leaky = list(SERVICES)[1:]
    # in turn, so that all of them have the machine's good and bad minutes
    wanted = [(service, number) for i in range(args.runs * len(leaky))
              for service, number in (("nothing", i), (leaky[i % len(leaky)], i // len(leaky)))]
    outcomes = {service: [] for service in SERVICES}
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for (service, _), verdict in zip(wanted, pool.map(lambda run: make_run(args.tlsoak, folder, profiles, *run), wanted)):
            outcomes[service].append(outcome_of(service, verdict))
            print(f"gate: {service}: {outcomes[service][-1]}", file=sys.stderr, flush=True)
    text = f"Measured {datetime.date.today()} by `./dev bench gate --runs {args.runs}`.\n\n{table(outcomes)}"
    if args.write:
        write_below_marker(args.write, text)
    print(text, end="")


if __name__ == "__main__":
    main()
