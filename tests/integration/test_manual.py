"""What is generated from the tables for people: manual pages and completion, tried with the programs that read them."""
import re
import shutil
import subprocess

import pytest

from servers import need, tlsoak


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("manual")
    for name, args in {"tlsoak.1": ["--man", 1], "tlsoak.ini.5": ["--man", 5], "bash": ["--completion", "bash"],
                       "zsh": ["--completion", "zsh"], "fish": ["--completion", "fish"]}.items():
        done = tlsoak("help", *args)
        assert done.returncode == 0 and done.stderr == "" and done.stdout.endswith("\n")
        (folder / name).write_text(done.stdout)
    return folder


def commands():
    return re.findall(r"(?m)^  tlsoak (\w+) ", tlsoak("help").stdout)


def options(command):
    return re.findall(r"(?m)^  (?:-\w,|   ) (--[\w-]+)", tlsoak("help", command).stdout)


def keys():
    section, found = None, []
    for line in tlsoak("check", "--reference").stdout.splitlines():
        if match := re.match(r"\[(\w+)", line):
            section = match[1]
        elif match := re.match(r";([\w.]+) =", line):
            found.append(f"{section}.{match[1]}")
    return found


def test_help_and_its_mistakes():
    assert "doctor" in commands() and len(commands()) > 8
    for command in commands():
        assert tlsoak("help", command).stdout == tlsoak(command, "--help").stdout
    for wrong in ("rum",), ("--man", "3"), ("--completion", "csh"):
        done = tlsoak("help", *wrong)
        assert done.returncode == 2 and wrong[-1] in done.stderr


@pytest.mark.parametrize("page", ["tlsoak.1", "tlsoak.ini.5"])
def test_pages_are_good_roff(folder, page):
    """Three readers, none of which finds anything; mandoc's wish for a date would make builds differ."""
    done = subprocess.run([need("groff"), "-man", "-ww", "-Tutf8", folder / page], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    if shutil.which("man"):
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", folder / page],
                              capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == ""
    done = subprocess.run([need("mandoc"), "-T", "lint", "-W", "warning", folder / page], capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []


def shown(path):
    done = subprocess.run([need("mandoc"), "-T", "utf8", "-O", "width=200", path], capture_output=True, text=True)
    return re.sub(r".\x08", "", done.stdout)


def test_pages_hold_the_tables(folder):
    page = shown(folder / "tlsoak.1")
    for command in commands():
        assert re.search(rf"(?m)^ +tlsoak {command}\b", page)
        for option in options(command):
            assert option in page
    for row in re.findall(r"(?m)^  (\d+) +(.*)", tlsoak("help").stdout):
        assert re.search(rf"(?m)^ +{row[0]} +{re.escape(row[1])}", page), row
    for word in ("handshake_resumed", "alert_unknown_ca", "rss_bytes"):
        assert word in page
    profile, section = shown(folder / "tlsoak.ini.5"), None
    for key in keys():
        name, key = key.split(".", 1)
        if name != section:
            section, profile = name, profile[re.search(rf"(?m)^   \[{name}( NAME)?\]$", profile).end():]
        assert re.search(rf"(?m)^ +{re.escape(key)}\w*.* = ", profile), (name, key)


ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_tlsoak
printf '%s\\n' "${COMPREPLY[@]}"
"""


def bash(folder, *words, cwd=None):
    """What bash offers for the last of the words."""
    done = subprocess.run(["bash", "-c", ASK, "ask", folder / "bash", "tlsoak", *words], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return set(done.stdout.split())


def test_bash_completes(folder, tmp_path):
    assert bash(folder, "") == {*commands(), "--help", "--version"}
    assert bash(folder, "do") == {"doctor"}
    for command in commands():
        assert bash(folder, command, "--") == {*options(command)}
    assert bash(folder, "report", "run1", "--format", "j") == {"json", "junit"}
    assert bash(folder, "report", "run1", "--format", "=", "m") == {"markdown"}
    assert bash(folder, "report", "run1", "-f", "") == {"text", "json", "html", "junit", "markdown", "csv",
                                                        "bench-smaller", "bench-bigger", "bmf"}
    assert bash(folder, "demo", "--leak", "jw") == {"jwt="}
    assert bash(folder, "demo", "--innocent", "b") == {"bounded_cache"}
    assert "SECTION" not in bash(folder, "help", "--man", "") == {"1", "5"}
    # all keys of the profile, each with its =, and the words that it takes; bash splits words at =
    offered = bash(folder, "run", "soak.ini", "--set", "")
    for key in keys():
        if not key.endswith(".extends"):
            section, bare = key.split(".", 1)
            assert any(o.startswith(f"{section}.{re.split('[A-Z]', bare)[0]}") for o in offered), key
    assert bash(folder, "run", "soak.ini", "--set", "pace.mo") == {"pace.mode="}
    assert bash(folder, "run", "soak.ini", "--set", "pace.mode", "=", "c") == {"closed", "churn"}
    assert bash(folder, "run", "soak.ini", "--set", "pace.mode", "=") == {"closed", "open", "hold", "churn", "handshake"}
    assert bash(folder, "check", "-s", "target.expect_mtls", "=", "") == {"yes", "no"}
    assert bash(folder, "run", "soak.ini", "--set", "judge.budget.j") == {"judge.budget.jwt="}
    (tmp_path / "a b").mkdir()
    (tmp_path / "soak.ini").write_text("")
    assert bash(folder, "report", "", cwd=tmp_path) == {"a", "b"}  # one name, split by this test
    assert "soak.ini" in bash(folder, "run", "so", cwd=tmp_path)


def test_zsh_reads_its_script(folder, tmp_path):
    """Not only its grammar: the completion system takes the function for tlsoak."""
    zsh = need("zsh")
    assert subprocess.run([zsh, "-n", folder / "zsh"], capture_output=True, text=True).stderr == ""
    (tmp_path / "_tlsoak").write_text((folder / "zsh").read_text())
    script = f'fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -D -u; print ${{_comps[tlsoak]}}; autoload +X _tlsoak; whence -w _tlsoak'
    done = subprocess.run([zsh, "-f", "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["_tlsoak", "_tlsoak:", "function"] and done.stderr == "", done.stdout + done.stderr


def fish(folder, line):
    done = subprocess.run([need("fish"), "--no-config", "-c", f'source {folder}/fish; complete -C "{line}"'],
                          capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return {row.split("\t")[0] for row in done.stdout.splitlines()}


def test_fish_completes(folder):
    assert subprocess.run([need("fish"), "-n", folder / "fish"], capture_output=True, text=True).stderr == ""
    assert fish(folder, "tlsoak do") == {"doctor"}
    assert set(commands()) <= fish(folder, "tlsoak ")
    assert fish(folder, "tlsoak run --inc") == {"--inconclusive-ok"}
    assert fish(folder, "tlsoak report --format j") == {"json", "junit"}
    assert "pace.mode=open" in fish(folder, "tlsoak run --set pace.mo")
