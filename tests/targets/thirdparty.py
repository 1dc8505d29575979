"""Unmodified servers of Debian's packages with mutual TLS: started from thirdparty/NAME.conf.in, on loopback."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import servers  # noqa: E402

TRIES = 3  # another may take the port between its choice and its use
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
APACHE_MODULES = pathlib.Path("/usr/lib/apache2/modules")

# name: program, its arguments, which prints its version, what else must be there, a backend is needed
PROGRAMS = {
    "nginx": ("nginx", ("-p", "{folder}", "-c", "{conf}", "-e", "{folder}/error.log"), ("-v",), (), False),
    "haproxy": ("haproxy", ("-f", "{conf}", "-db"), ("-v",), (), False),
    "apache2": ("apache2", ("-DFOREGROUND", "-f", "{conf}"), ("-v",), (APACHE_MODULES / "mod_ssl.so",), False),
    "lighttpd": ("lighttpd", ("-D", "-f", "{conf}"), ("-v",), (pathlib.Path("/usr/lib/lighttpd/mod_openssl.so"),),
                 False),
    "stunnel4": ("stunnel4", ("{conf}",), ("-version",), (), True),
    "hitch": ("hitch", ("--config={conf}",), ("--version",), (), True),
    "nghttpx": ("nghttpx", ("--conf={conf}",), ("--version",), (), True),
    "caddy": ("caddy", ("run", "--adapter", "caddyfile", "--config", "{conf}"), ("version",), (), False),
}
PACKAGES = {"nginx": "nginx-light", "lighttpd": "lighttpd lighttpd-mod-openssl", "nghttpx": "nghttp2-proxy"}


_starting = threading.Lock()  # two would choose the same free port


class Missing(Exception):
    """It is not installed; the reason."""


def program(name):
    path = shutil.which(PROGRAMS[name][0], path=PATH)
    wanted = [file for file in PROGRAMS[name][3] if not file.exists()]
    if path is None or wanted:
        raise Missing(f"{wanted[0] if path else PROGRAMS[name][0]} is not there: install "
                      f"{PACKAGES.get(name, name)}")
    return path


def version(name):
    done = subprocess.run([program(name), *PROGRAMS[name][2]], capture_output=True, text=True)
    found = re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
    return f"{name} {found[0] if found else ''}".strip()


def settings(name, pki, folder, port, backend):
    text = (HERE / "thirdparty" / f"{name}.conf.in").read_text()
    user = 'user = "nobody"' if os.geteuid() == 0 else ""
    conf = folder / f"{name}.conf"
    conf.write_text(text.format(pki=pki, folder=folder, port=port, backend=backend, user=user, modules=APACHE_MODULES))
    return conf


def start(command, folder):
    port, log = servers.free_port(), folder / "server.log"
    with open(log, "ab") as out:
        process = subprocess.Popen(command(port), stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=folder,
                                   env={**os.environ, "HOME": str(folder), "PATH": PATH})
    server = servers.Server(process, port, log)
    try:
        servers.wait_for_port(port, process, log)
    except RuntimeError:
        server.stop()
        raise
    return server


@contextlib.contextmanager
def listening(command, folder):
    """command(port) on a free port; three times, since another may take the port first."""
    with _starting:
        for left in reversed(range(TRIES)):
            try:
                server = start(command, folder)
                break
            except RuntimeError:
                if left == 0:
                    raise
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def started(name, pki, folder):
    """The server and what it calls itself. Its files are where its own user can read them."""
    path, (_, arguments, _, _, behind) = program(name), PROGRAMS[name]
    with contextlib.ExitStack() as stack:
        own = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"tlsoak-{name}-")))
        own.chmod(0o755)
        (own / "www").mkdir()
        (own / "www" / "index.html").write_text("ok\n")
        shutil.copytree(pki, own / "pki")

        def starts(which, with_path, with_arguments, backend=0):
            def command(port):
                conf = settings(which, own / "pki", own, port, backend)
                return [with_path, *(word.format(folder=own, conf=conf) for word in with_arguments)]
            return stack.enter_context(listening(command, folder))

        backend = starts("backend", program("nginx"), PROGRAMS["nginx"][1]).port if behind else 0
        yield starts(name, path, arguments, backend), version(name)
