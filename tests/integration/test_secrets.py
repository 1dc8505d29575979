"""No key, token or secret in anything that is written: canaries are planted as PEM key, passphrase,
API keys, token secret and OAuth client secret, and all that normal, failing and killed runs leave
behind is searched for them in every usual encoding."""
import base64
import os
import pathlib
import resource
import signal
import subprocess
import time
import urllib.parse

import pytest

from servers import RELEASE, TLSOAK, embedded, make_pki, need, nginx, profile, tlsoak

PASSPHRASE = "canary/Passphrase+7e41f0"
API_SECRET = "canary-Api?secret=9b12c4&x"
JWT_SECRET = "canary-Jwt~secret:51d0aa-0123456789abcdef"
CLIENT_SECRET = "canary-Client&secret=c80e77"
API_KEYS = [f"canary.Key-{n}/d83b{n}f" for n in range(4)]


def encodings(secret):
    """The secret as it is, and as base64 at each alignment, base64url, hex and percent-encoding
    would carry it."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode(),
             urllib.parse.quote(secret).encode(), urllib.parse.quote(secret, safe="").encode(),
             urllib.parse.quote(secret, safe="").lower().encode()}
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret)
        # the characters that depend on the secret alone
        inner = text[(shift * 8 + 5) // 6:len(text.rstrip(b"=")) - 1]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return {e for e in found if len(e) >= 10}


def pem_secrets(path):
    """Stretches of the private key: of its text, and of its bytes."""
    text = path.read_text()
    begin = text.index("PRIVATE KEY-----") + len("PRIVATE KEY-----")
    body = "".join(text[begin:text.index("-----END", begin)].split())
    der = base64.b64decode(body)
    return [body[40:80].encode(), der[36:60]]


def search(where, secrets):
    for name, content in where.items():
        for secret in secrets:
            for encoded in encodings(secret):
                assert encoded not in content, f"{name} holds {secret!r} as {encoded!r}"


def written(folder, **more):
    """All files of a folder, and what was printed."""
    found = {str(p): p.read_bytes() for p in pathlib.Path(folder).rglob("*") if p.is_file()}
    assert found
    return found | {name: text if isinstance(text, bytes) else text.encode() for name, text in more.items()}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    pki = make_pki(tmp_path_factory.mktemp("pki"), 1)
    (pki / "apikey.secret").write_text(API_SECRET)
    (pki / "jwt.secret").write_text(JWT_SECRET)
    (pki / "keys.txt").write_text("\n".join(API_KEYS) + "\n")
    (pki / "pass.txt").write_text(PASSPHRASE)
    subprocess.run([need("openssl"), "pkcs12", "-export", "-in", pki / "clients/client-1.pem", "-inkey",
                    pki / "clients/client-1.pem", "-out", pki / "client.p12", "-passout",
                    f"pass:{PASSPHRASE}"], check=True)
    secrets = [PASSPHRASE.encode(), API_SECRET.encode(), JWT_SECRET.encode(),
               CLIENT_SECRET.encode(), *(k.encode() for k in API_KEYS), *pem_secrets(pki / "clients/client-1.pem"),
               *pem_secrets(pki / "ca.key")]
    return pki, secrets


def make_profile(folder, pki, url, apikey, cert="", duration="2s"):
    cert = cert or f"source = pkcs12\npath = {pki}/client.p12\npassword = @{pki}/pass.txt"
    return profile(folder, f"""
[run]
duration = {duration}
[target]
url = {url}
server_ca = {pki}/ca.pem
[pace]
connections = 2
requests_per_connection = 5
[cert]
{cert}
[apikey]
{apikey}
[jwt]
alg = HS256
key = @{pki}/jwt.secret
""")


def test_the_search_finds_what_it_should():
    secret = b"canary-of-the-search"
    for text in (secret, base64.b64encode(b"x" + secret + b"yz"), base64.urlsafe_b64encode(secret),
                 secret.hex().encode(), urllib.parse.quote("canary/of?the search").encode()):
        with pytest.raises(AssertionError):
            search({"x": b"..." + text + b"..."}, [secret, b"canary/of?the search"])
    search({"x": b"nothing here"}, [secret])


def test_a_normal_run(tmp_path, planted):
    pki, secrets = planted
    generated = f"template = client-{{n}}.{{hmac}}\nsecret = @{pki}/apikey.secret"
    with embedded(tmp_path, pki) as server:
        path = make_profile(tmp_path, pki, server.url, generated)
        printed = {}
        for name, args in {"check": ["check", path], "doctor": ["doctor", path],
                           "once": ["run", path, "--once", "-v"],
                           "run": ["run", path, "-o", tmp_path / "run"],
                           "report": ["report", tmp_path / "run"],
                           "json": ["report", tmp_path / "run", "--format", "json"]}.items():
            done = tlsoak(*args)
            assert done.returncode == 0, (name, done.stdout, done.stderr)
            printed[name] = done.stdout + done.stderr
    (tmp_path / "profile.ini").unlink()
    search(written(tmp_path, **printed), secrets)


def test_keys_of_a_file_in_the_query(tmp_path, planted):
    pki, secrets = planted
    with nginx(tmp_path, pki) as server:
        path = make_profile(tmp_path, pki, server.url, f"path = {pki}/keys.txt\nquery = key")
        done = tlsoak("run", path, "-o", tmp_path / "run")
        once = tlsoak("run", path, "--once", "-v")
    assert done.returncode == once.returncode == 0
    search(written(tmp_path / "run", run=done.stdout + done.stderr, once=once.stdout + once.stderr), secrets)


def test_a_token_endpoint(tmp_path, planted):
    pki, secrets = planted
    (tmp_path / "client.secret").write_text(CLIENT_SECRET)
    with embedded(tmp_path, pki, "--oauth", "/token", "--jwt-secret", f"{pki}/jwt.secret",
                  credentials=False) as server:
        path = make_profile(tmp_path, pki, server.url, "template = client-{n}-{random}")
        text = path.read_text().split("[jwt]")[0] + (
            f"[jwt]\ntoken_url = {server.url}token\nclient_secret = @{tmp_path}/client.secret\n")
        path.write_text(text)
        good = tlsoak("run", path, "-o", tmp_path / "run")
        path.write_text(text.replace("/token\n", "/nowhere\n"))
        bad = tlsoak("run", path, "-o", tmp_path / "run2")
    assert good.returncode == 0 and bad.returncode == 2, (good.stderr, bad.stderr)
    (tmp_path / "profile.ini").unlink()
    (tmp_path / "client.secret").unlink()
    search(written(tmp_path, good=good.stdout + good.stderr, bad=bad.stdout + bad.stderr), secrets)


def test_failing_runs(tmp_path, planted):
    """Keys that nobody knows, a wrong passphrase, a broken key file: errors quote no secret."""
    pki, secrets = planted
    with embedded(tmp_path, pki) as server:
        path = make_profile(tmp_path, pki, server.url, f"path = {pki}/keys.txt")
        refused = tlsoak("run", path, "-o", tmp_path / "run")
        assert refused.returncode == 4  # every request is answered 401 or 403
        mistakes = {}
        (tmp_path / "wrong.txt").write_text(API_SECRET)
        (tmp_path / "broken.pem").write_text((pki / "clients/client-1.pem").read_text()[:-60])
        for name, cert in {
                "passphrase": f"source = pkcs12\npath = {pki}/client.p12\npassword = @{tmp_path}/wrong.txt",
                "broken": f"source = files\npath = {tmp_path}/broken.pem",
                "secret as a path": f"source = files\npath = {pki}/clients\nca = {pki}/jwt.secret",
                "key as a CA": f"ca = {pki}/ca.key\nca_key = {pki}/ca.key"}.items():
            done = tlsoak("run", make_profile(tmp_path, pki, server.url, f"path = {pki}/keys.txt", cert))
            assert done.returncode == 2, (name, done.stdout, done.stderr)
            mistakes[name] = done.stdout + done.stderr
        plain = tlsoak("run", path, "--set", f"jwt.key={JWT_SECRET}")
        assert plain.returncode == 2
        mistakes["--set"] = plain.stdout + plain.stderr
    (tmp_path / "wrong.txt").unlink()
    (tmp_path / "broken.pem").unlink()
    (tmp_path / "profile.ini").unlink()
    search(written(tmp_path, run=refused.stdout + refused.stderr, **mistakes), secrets)


def test_commands_with_secrets(tmp_path, planted):
    """What a hook says that was written with a reference, and what the shell says of it."""
    pki, secrets = planted
    with embedded(tmp_path, pki) as server:
        path = make_profile(tmp_path, pki, server.url, f"secret = @{pki}/apikey.secret")
        path.write_text(path.read_text() + "[hook]\non_start = echo '${TLSOAK_TEST_CANARY}'; 'nosuch${TLSOAK_TEST_CANARY}'\n")
        done = tlsoak("run", path, "-o", tmp_path / "run", env={"TLSOAK_TEST_CANARY": CLIENT_SECRET})
    assert done.returncode == 0, done.stderr
    assert "hook.on_start: the command ended with exit code 127" in done.stderr
    search(written(tmp_path, run=done.stdout + done.stderr), secrets)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV])
def test_killed_runs_leave_no_core(tmp_path, planted, how):
    """The release build, since a sanitizer catches signals and forbids cores of its own accord."""
    pki, secrets = planted
    with embedded(tmp_path, pki) as server:
        path = make_profile(tmp_path, pki, server.url, f"secret = @{pki}/apikey.secret", duration="60s")
        limit = resource.getrlimit(resource.RLIMIT_CORE)
        out = open(tmp_path / "out.txt", "wb")
        process = subprocess.Popen(
            [RELEASE, "run", path, "-o", tmp_path / "run"], stdout=out, stderr=out, cwd=tmp_path,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit[1], limit[1])))
        ticks = tmp_path / "run" / "ticks.csv"
        deadline = time.monotonic() + 30
        while not (ticks.exists() and ticks.read_text().count("\n") >= 2):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        cmdline = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.send_signal(how)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = -how
        out.close()
    assert os.WIFSIGNALED(status) and not os.WCOREDUMP(status)
    assert not list(tmp_path.glob("core*"))
    (tmp_path / "profile.ini").unlink()
    search(written(tmp_path, cmdline=cmdline), secrets)


def test_help_and_reference_are_clean(planted):
    _, secrets = planted
    done = subprocess.run([TLSOAK, "check", "--reference"], capture_output=True, check=True)
    search({"reference": done.stdout}, secrets)
