"""What tlsoak is told to ask a server of the fleet for: profiles of the words in matrix.csv's column `load`.

A row is soaked with profiles/leak-hunt.ini, as a user would: it is copied into the row's folder, and a profile beside it
gives what differs. The words, in any order:

  hunt      the leak hunt: 320 s, all switches live (`short`: a crossover of two minutes)
  fixed     clients come back: four certificates, keys and tokens, none ever new
  clean     asks for /clean, where the server keeps nothing
  hold      connections stay: none ends before the run
  aborts    a share of the clients dies in the middle of an upload to /park
  rotate    something is rotated: POST /rotate, four times a dwell
  root      asks for /, as of servers that are not the fleet's
  json      documents in JSON: POST /work
  padded    API keys of 230 characters
  warm      half a minute of new connections, as fast as they come, before anything is measured (`short`: ten seconds)

A word such as profiles/jetty-gzip.ini is a profile of its own instead, below tests/targets.
"""
import dataclasses
import gzip
import json
import pathlib
import random
import re
import shlex
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HUNT = ROOT / "profiles" / "leak-hunt.ini"

WORDS = ("hunt", "fixed", "clean", "hold", "aborts", "rotate", "root", "json", "padded", "warm")
EACH = {"connection": 2, "client_certificate": 2, "": 2}  # requests per connection; of other drivers 8
FOREVER = 10**9  # without a limit of its own a profile reconnects where the design says so


@dataclasses.dataclass(frozen=True)
class Length:
    """Of a run, in seconds."""
    run: float
    warmup: float
    dwell: float
    mode: str = "modulation"


# 32 dwells, which show each combination of five switches. An allocator that fills its holes first is a few seconds late,
# so that long dwells blame better; of a collected heap there is one reading a dwell, which is exact.
LONG = Length(run=320, warmup=16, dwell=9.5)
LONG_COLLECTED = Length(run=320, warmup=20, dwell=5)
SHORT = Length(run=100, warmup=7, dwell=3, mode="crossover")
SHORT_COLLECTED = Length(run=152, warmup=8, dwell=3, mode="crossover")
SHORT_JVM = Length(run=262, warmup=12, dwell=5, mode="crossover")  # a reading takes a second there
SOAK = Length(run=1200, warmup=60, dwell=10)


def is_known(word):
    return word in WORDS or (word.startswith("profiles/") and (HERE / word).exists())


def own_profile(words):
    return next((HERE / word for word in words if word.startswith("profiles/")), None)


def length_of(words, otherwise):
    """As a profile of its own says, which is as long in short."""
    path = own_profile(words)
    if path is None:
        return otherwise
    seconds = re.search(r"^duration = (\d+)s", path.read_text(), re.M)
    warmup = re.search(r"^warmup = (\d+)s", path.read_text(), re.M)
    return Length(run=float(seconds[1]), warmup=float(warmup[1]) if warmup else 6, dwell=2)


def path_of(words):
    return "/" if "root" in words else "/clean" if "clean" in words else "/work"


def pace(row, length):
    words = row.load
    text = f"[pace]\nmode = open\nrate = {row.rate}/s\nconnections = 16\n"
    text += f"requests_per_connection = {FOREVER if 'hold' in words else EACH.get(row.driver, 8)}\n"
    return text + (f"[attribution]\nmode = {length.mode}\nwarmup = {length.warmup:g}s\ndwell = {length.dwell:g}s\n"
                   "cooldown = 0\n")


def run_section(length):
    return f"[run]\nextends = {HUNT.name}\nthreads = 1\nduration = {length.run:g}s\n"


def identities(words, secrets):
    """Which credentials are never new, and what they look like."""
    text = ""
    for section in ("cert", "apikey", "jwt") if secrets else ("cert",):
        lines = []
        if "fixed" in words:
            lines += ["pick = sequential", "count = 4"]
        if "padded" in words and section == "apikey":
            lines.append(f"template = client-{{n}}-{'k' * 150}.{{hmac}}")
        text += "\n".join([f"[{section}]", *lines, ""]) if lines else ""
    return text


def requests(words):
    path = path_of(words)
    if "profiles/jetty-gzip.ini" in words:
        return (f"[request]\nmethod = POST\npath = /body\nheader.Content-Encoding = gzip\n"
                "header.Content-Type = text/plain\nbody = @body.gz\n")
    if "json" in words:
        return ("[request]\nmethod = POST\npath = /work\nheader.Content-Type = application/json\n"
                "body = @body.json\n")
    if "aborts" in words:
        # Half a body is sent of whatever request has one; good clients hardly ever ask for that
        return (f"[request everyday]\npath = {path}\n"
                f"[request upload]\nmethod = POST\npath = /park\nbody = {'x' * 100}\nweight = 0.000001\n"
                "[misuse upload]\nkind = abort-body\nshare = 4%\n")
    return f"[request]\npath = {path}\n"


def hooks(words, length):
    if "rotate" not in words:
        return ""
    return f"[hook]\nrotate = sh ask.sh POST /rotate\nevery = {int(1000 * length.dwell / 4)}ms\n"


def allowances(row):
    """Keys and values of [judge]."""
    return {**({f"budget.{row.driver}": row.budget} if row.budget else {}), **dict(line.split("=", 1) for line in row.judge)}


def judge(row):
    lines = [f"{key} = {value}" for key, value in allowances(row).items()]
    return "[judge]\n" + "\n".join(lines) + "\n" if lines else ""


def write_ask(folder, url, pki):
    """ask.sh METHOD PATH..., for hooks and memory commands: lines of a profile are short."""
    ask = shlex.join([sys.executable, str(HERE / "ask.py")])
    (folder / "ask.sh").write_text("method=$1\npath=$2\nshift 2\n"
                                   f'exec {ask} "$method" {shlex.quote(url)}"$path" {shlex.quote(str(pki))} "$@"\n')


def write_bodies(folder):
    """body.json, of a KiB, and body.gz, of some 10 KiB: a table of numbers."""
    (folder / "body.json").write_text(json.dumps({"text": "x" * 1000}))
    numbers = random.Random(1)
    text = "".join(f"{n},{numbers.randrange(10**6)},{numbers.random():.6f}\n" for n in range(1200))
    (folder / "body.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def write_hunt(folder, secrets):
    """leak-hunt.ini beside the profile, without the credentials that this server does not ask for."""
    text = HUNT.read_text()
    if not secrets:
        parts = text.split("\n[")
        text = "\n[".join(p for p in parts if not p.startswith(("apikey]", "jwt]")))
    (folder / HUNT.name).write_text(text)


def write(folder, row, server, pki, length):
    """The row's profile in its folder, which is self-contained but for ${TARGET_URL}; its path."""
    link = folder / "pki"
    if not link.exists():
        link.symlink_to(pki)
    write_bodies(folder)
    write_ask(folder, server.url, pki)
    ini = folder / "profile.ini"
    own = own_profile(row.load)
    if own is not None:
        ini.write_text(own.read_text() + "\n" + judge(row))
        return ini
    write_hunt(folder, server.secrets)
    text = "; " + row.name + "\n" + "\n".join(part for part in (
        run_section(length), pace(row, length), identities(row.load, server.secrets),
        requests(row.load), hooks(row.load, length),
        f"[memory server]\npid = {server.pid}\n{server.memory}", judge(row)) if part)
    ini.write_text(text)
    return ini


# Before the run: arenas, pools and worker threads come to what the server needs.
WARM = """; warms up
[run]
duration = {seconds:g}s
threads = 1
[target]
url = {url}{path}
server_ca = {pki}/ca.pem
[pace]
connections = 16
requests_per_connection = 1
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
pick = sequential
count = 100
"""
WARM_S, WARM_SHORT_S = 30, 10


def write_warm(folder, row, server, pki, short):
    ini = folder / "warm.ini"
    ini.write_text(WARM.format(seconds=WARM_SHORT_S if short else WARM_S, url=server.url, path=path_of(row.load),
                               pki=pki))
    return ini


# A load that moves the driver and little else, for the server's own account of a collected heap.
DRIVE = """; moves {driver}
[run]
duration = {seconds:g}s
threads = 1
[target]
url = {url}
server_ca = {pki}/ca.pem
[pace]
mode = open
rate = {rate}/s
connections = 16
requests_per_connection = {each}
{resume}
[cert]
ca = {pki}/ca.pem
ca_key = {pki}/ca.key
{cert}
{credentials}
{requests}
{hooks}
"""
FEW = "pick = sequential\ncount = 4\n"
FRESH = "pick = fresh\n"


def write_drive(folder, row, server, pki, seconds):
    """A profile, in the folder, that makes events of the row's driver for so long; its path."""
    driver, length = row.driver, Length(seconds, 0, 2)
    write_bodies(folder)
    write_ask(folder, server.url, pki)
    credentials = ""
    if server.secrets:
        credentials = (f"[apikey]\nheader = X-API-Key\ntemplate = {{run}}-{{n}}.{{hmac}}\nsecret = @{pki}/apikey.secret\n"
                       f"{FRESH if driver == 'api_key' else FEW}"
                       f"[jwt]\nalg = HS256\nkey = @{pki}/jwt.secret\n{FRESH if driver == 'jwt' else FEW}")
    each = {"connection": 1, "client_certificate": 1, "resumption": 1, "aborted": 20}.get(driver, 100)
    text = DRIVE.format(driver=driver, seconds=seconds, url=server.url, pki=pki, rate=200 if each == 1 else 400,
                        each=each, cert=FRESH if driver == "client_certificate" else FEW, credentials=credentials,
                        resume="resume_ratio = 100%" if driver == "resumption" else "",
                        requests=requests(row.load), hooks=hooks(row.load, length))
    ini = folder / "drive.ini"
    ini.write_text(text)
    return ini


def clear(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
