"""What an installation holds: cmake --install and the .deb of the release build, unpacked and run from where they lie."""
import os
import pathlib
import re
import subprocess

from servers import RELEASE, need

BUILD = pathlib.Path(RELEASE).resolve().parent
ROOT = pathlib.Path(__file__).parents[2]


def call(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_tree(tree, zsh):
    """The binary runs from here; all that it generates is there and is its own."""
    binary = tree / "bin/tlsoak"
    assert re.fullmatch(r"tlsoak [\d.]+\n", call(binary, "--version", cwd="/"))
    assert call(binary, "demo", "--help", cwd="/").startswith("usage: tlsoak demo")
    share = tree / "share"
    assert call("gzip", "-dc", share / "man/man1/tlsoak.1.gz") == call(binary, "help", "--man", 1)
    assert call("gzip", "-dc", share / "man/man5/tlsoak.ini.5.gz") == call(binary, "help", "--man", 5)
    for shell, path in {"bash": "bash-completion/completions/tlsoak", "zsh": f"zsh/{zsh}/_tlsoak",
                        "fish": "fish/vendor_completions.d/tlsoak.fish"}.items():
        assert (share / path).read_text() == call(binary, "help", "--completion", shell)
    for kind in ("profiles", "plots"):
        there, own = ({p.relative_to(top): p.read_text() for p in top.rglob("*") if p.is_file()}
                      for top in (share / "tlsoak" / kind, ROOT / kind))
        assert there == own and there
    assert (share / "doc/tlsoak/copyright").read_text() == (ROOT / "LICENSE").read_text()
    # the loader finds BoringSSL by the path in the binary alone
    assert "not found" not in call("ldd", binary, env={k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"})


def test_cmake_install(tmp_path):
    call("cmake", "--install", BUILD, "--prefix", tmp_path / "there")
    check_tree(tmp_path / "there", "site-functions")


def test_deb(tmp_path):
    need("dpkg-shlibdeps")
    call("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", "DEB", "-B", tmp_path / "pack")
    (deb,) = (tmp_path / "pack").glob("*.deb")
    version = call(RELEASE, "--version").split()[1]
    arch = call("dpkg", "--print-architecture").strip()
    assert deb.name == f"tlsoak_{version}_{arch}.deb"
    control = dict(re.findall(r"(?m)^ (\S+): (.*)", call("dpkg-deb", "-I", deb)))
    assert control["Package"] == "tlsoak" and control["Version"] == version and control["Architecture"] == arch
    depends = {d.split()[0] for d in control["Depends"].split(", ")}
    assert {"libev4", "libc6", "libjansson4", "zlib1g"} <= {re.sub(r"t64$", "", d) for d in depends}, depends
    linked = call("ldd", RELEASE)
    assert ("android-libboringssl" in depends) == ("/android/libssl.so" in linked)
    assert "libssl3" not in depends
    for line in call("dpkg-deb", "-c", deb).splitlines():
        mode, owner, path = line.split()[0], line.split()[1], line.split()[5]
        assert owner == "root/root" and path.startswith("./usr/"), line
        assert mode == ("drwxr-xr-x" if path.endswith("/") else "-rwxr-xr-x" if "/bin/" in path else "-rw-r--r--"), line
    call("dpkg-deb", "-x", deb, tmp_path / "x")
    check_tree(tmp_path / "x/usr", "vendor-completions")
